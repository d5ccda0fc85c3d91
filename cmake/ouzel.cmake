# SPDX-License-Identifier: MIT
# ouzel.cmake -- how native programs and boot images are made.
#
#   ouzel_program(name source...)
#       A native program (ELF64), linked with libouzel, libfdt and picolibc:
#       build/<preset>/bin/name, and without symbols build/<preset>/stripped/name.
#
#   ouzel_image(name [EXCLUDE_FROM_ALL] MANIFEST file [PROGRAMS target...] [FILES name=path...])
#       A bootable image build/<preset>/name: the kernel, and a boot archive with the pager,
#       the manifest, programs and files. EXCLUDE_FROM_ALL: files that another build makes.

set(OUZEL_COMMON_FLAGS
        $<$<COMPILE_LANGUAGE:C>:-std=gnu2x> -O2 -g -ffreestanding -fno-common
        -march=armv8-a -mbranch-protection=none -ffunction-sections
        -mfix-cortex-a53-835769 # docs/hardware-checklist.md: the Raspberry Pi 3's cores
        -mno-outline-atomics    # no helper that looks for LSE at run time
        -Ulinux -Uunix -U__linux__ -U__unix__)  # whatever the compiler was built for
# The compiler drives the linker, but brings no start files, libraries or addresses.
set(OUZEL_LINK_FLAGS -nostdlib -static -Wl,--build-id=none
        -Wl,--gc-sections -Wl,-z,max-page-size=4096 -Wl,--fix-cortex-a53-843419)
if(OUZEL_COMPILER STREQUAL clang)
        # clang's driver for this target looks for "ld.lld" and passes the rest on.
        list(APPEND OUZEL_LINK_FLAGS -fuse-ld=lld)
else()
        list(APPEND OUZEL_LINK_FLAGS -no-pie -Wl,--no-warn-rwx-segments)
endif()

# ---- the C library -----------------------------------------------------------------------
# Debian's picolibc is plain ELF, so any compiler takes it; without it the compiler's own.
set(OUZEL_PICOLIBC /usr/lib/picolibc/aarch64-linux-gnu CACHE PATH "picolibc's folder")
add_library(libc INTERFACE)
if(EXISTS ${OUZEL_PICOLIBC}/lib/libc.a)
        target_include_directories(libc SYSTEM INTERFACE ${OUZEL_PICOLIBC}/include)
        find_program(OUZEL_LIBGCC_CC ${OUZEL_CROSS}gcc)
        if(NOT OUZEL_LIBGCC_CC)
                message(FATAL_ERROR "${OUZEL_CROSS}gcc is missing: libgcc comes from it. "
                        "On Debian: apt install gcc-aarch64-linux-gnu (or let ./ouzel do it)")
        endif()
        execute_process(COMMAND ${OUZEL_LIBGCC_CC} -print-libgcc-file-name
                OUTPUT_VARIABLE libgcc OUTPUT_STRIP_TRAILING_WHITESPACE)
        target_link_libraries(libc INTERFACE ${OUZEL_PICOLIBC}/lib/libc.a ${libgcc})
else()
        include(CheckCSourceCompiles)
        set(CMAKE_REQUIRED_FLAGS --specs=picolibc.specs)
        check_c_source_compiles("#include <stdio.h>\nFILE *const *f = &stdout;" OUZEL_SPECS)
        unset(CMAKE_REQUIRED_FLAGS)
        if(NOT OUZEL_SPECS)
                message(FATAL_ERROR "no picolibc. On Debian: apt install "
                        "picolibc-aarch64-linux-gnu (or let ./ouzel do it)")
        endif()
        target_compile_options(libc INTERFACE --specs=picolibc.specs)
        target_link_libraries(libc INTERFACE -lc -lgcc)
endif()

# ---- programs ----------------------------------------------------------------------------
add_library(program_flags INTERFACE)
target_compile_options(program_flags INTERFACE ${OUZEL_COMMON_FLAGS}
        -fno-pic -fno-stack-protector -fno-omit-frame-pointer -fno-asynchronous-unwind-tables
        -ftls-model=local-exec)
target_include_directories(program_flags INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(program_flags INTERFACE libc)
ouzel_add_libfdt(fdt)
target_link_libraries(fdt PUBLIC program_flags)

set(PROGRAM_LDS ${CMAKE_SOURCE_DIR}/lib/program.lds)
function(ouzel_program name)
        add_executable(${name} ${ARGN})
        target_compile_options(${name} PRIVATE ${OUZEL_WARNINGS_C})
        target_link_libraries(${name} PRIVATE ouzel fdt)
        # The C library is searched last, and then wants libouzel.c.
        target_link_options(${name} PRIVATE ${OUZEL_LINK_FLAGS} -T ${PROGRAM_LDS}
                -Wl,--undefined=_exit)
        set_target_properties(${name} PROPERTIES
                RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin
                LINK_DEPENDS ${PROGRAM_LDS})
        # What images carry: whoever boots one sums up all of it, and nobody there needs symbols.
        add_custom_command(TARGET ${name} POST_BUILD
                COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/stripped
                COMMAND ${CMAKE_OBJCOPY} --strip-all $<TARGET_FILE:${name}>
                        ${CMAKE_BINARY_DIR}/stripped/${name}
                BYPRODUCTS ${CMAKE_BINARY_DIR}/stripped/${name} VERBATIM)
endfunction()

# ---- images ------------------------------------------------------------------------------
find_package(Python3 REQUIRED COMPONENTS Interpreter)

# mkarchive runs here, so the host's compiler makes it, from the pager's own parser.
find_program(OUZEL_HOST_CC NAMES cc gcc clang REQUIRED)
set(MKARCHIVE ${CMAKE_BINARY_DIR}/mkarchive)
set(mkarchive_sources tools/mkarchive.c servers/pager/manifest.c servers/pager/archive.c)
list(TRANSFORM mkarchive_sources PREPEND ${CMAKE_SOURCE_DIR}/)
add_custom_command(OUTPUT ${MKARCHIVE}
        DEPENDS ${mkarchive_sources} ${CMAKE_SOURCE_DIR}/servers/pager/manifest.h
                ${CMAKE_SOURCE_DIR}/servers/pager/archive.h
        COMMAND ${OUZEL_HOST_CC} -std=gnu2x -O1 -Wall -Wextra -Werror
                -I${CMAKE_SOURCE_DIR}/servers/pager -o ${MKARCHIVE} ${mkarchive_sources}
        COMMENT "mkarchive" VERBATIM)
add_custom_target(mkarchive_tool DEPENDS ${MKARCHIVE})

function(ouzel_image name)
        cmake_parse_arguments(IMAGE "EXCLUDE_FROM_ALL" "MANIFEST" "PROGRAMS;FILES" ${ARGN})
        get_filename_component(manifest ${IMAGE_MANIFEST} ABSOLUTE)
        set(inputs)
        set(depends ${manifest})
        foreach(program pager ${IMAGE_PROGRAMS})
                if(NOT TARGET ${program})
                        return()
                endif()
                list(APPEND inputs ${program}=${CMAKE_BINARY_DIR}/stripped/${program})
                list(APPEND depends ${program})
        endforeach()
        foreach(file ${IMAGE_FILES})
                list(APPEND inputs ${file})
                string(REGEX REPLACE "^[^=]*=" "" path ${file})
                list(APPEND depends ${path})
        endforeach()
        set(image ${CMAKE_BINARY_DIR}/${name})
        set(mkimage ${CMAKE_SOURCE_DIR}/tools/mkimage.py)
        add_custom_command(OUTPUT ${image}
                DEPENDS ${depends} ${CMAKE_BINARY_DIR}/kernel.bin kernel ${mkimage}
                        ${MKARCHIVE} mkarchive_tool
                COMMAND ${MKARCHIVE} ${image}.cpio ${manifest} ${inputs}
                COMMAND Python3::Interpreter ${mkimage} ${CMAKE_BINARY_DIR}/kernel.bin
                        ${image}.cpio -o ${image}
                COMMENT "${name}" VERBATIM)
        if(IMAGE_EXCLUDE_FROM_ALL)
                add_custom_target(image_${name} DEPENDS ${image})
        else()
                add_custom_target(image_${name} ALL DEPENDS ${image})
        endif()
endfunction()
