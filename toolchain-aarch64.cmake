# SPDX-License-Identifier: MIT
# toolchain-aarch64.cmake -- how to cross-compile for the machine that Ouzel runs on.
#
#   OUZEL_COMPILER  gcc (default) or clang
#   OUZEL_CROSS     prefix of the GNU tools: aarch64-linux-gnu- (default, Debian's), or
#                   aarch64-none-elf- (the Arm GNU Toolchain), or a path that ends in either
#
# clang brings its own assembler and linker; libgcc, objcopy and nm stay GNU's (llvm-objcopy
# puts a .bss that it is told to write where the file has room, not where the address is).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(OUZEL_COMPILER gcc CACHE STRING "gcc or clang")
set_property(CACHE OUZEL_COMPILER PROPERTY STRINGS gcc clang)
set(OUZEL_CROSS aarch64-linux-gnu- CACHE STRING "prefix of the GNU cross tools")
# try_compile runs this file again, in a project of its own.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES OUZEL_COMPILER OUZEL_CROSS)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

function(ouzel_find_tool variable package)
        find_program(${variable} NAMES ${ARGN})
        if(NOT ${variable})
                list(GET ARGN 0 tool)
                message(FATAL_ERROR "${tool} is missing. On Debian: apt install ${package} "
                        "(or let ./ouzel do it)")
        endif()
endfunction()

if(OUZEL_COMPILER STREQUAL gcc)
        ouzel_find_tool(OUZEL_CC gcc-aarch64-linux-gnu ${OUZEL_CROSS}gcc)
elseif(OUZEL_COMPILER STREQUAL clang)
        ouzel_find_tool(OUZEL_CC clang clang clang-14)
        ouzel_find_tool(OUZEL_LLD lld ld.lld ld.lld-14)
        set(CMAKE_C_COMPILER_TARGET aarch64-none-elf)
        set(CMAKE_ASM_COMPILER_TARGET aarch64-none-elf)
else()
        message(FATAL_ERROR "OUZEL_COMPILER is '${OUZEL_COMPILER}': use gcc or clang")
endif()
ouzel_find_tool(OUZEL_OBJCOPY binutils-aarch64-linux-gnu ${OUZEL_CROSS}objcopy)
ouzel_find_tool(OUZEL_NM binutils-aarch64-linux-gnu ${OUZEL_CROSS}nm)
set(CMAKE_C_COMPILER ${OUZEL_CC})
set(CMAKE_ASM_COMPILER ${OUZEL_CC})
set(CMAKE_OBJCOPY ${OUZEL_OBJCOPY} CACHE FILEPATH "objcopy")
set(CMAKE_NM ${OUZEL_NM} CACHE FILEPATH "nm")
