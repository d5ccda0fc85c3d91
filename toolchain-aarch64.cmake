# SPDX-License-Identifier: MIT
# Cross compiling to AArch64. OUZEL_CROSS names the binutils (and gcc): aarch64-linux-gnu-
# (Debian's, default) or aarch64-none-elf- (Arm GNU Toolchain). OUZEL_COMPILER=clang takes
# clang for C and assembly, with the same binutils.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(OUZEL_CROSS aarch64-linux-gnu- CACHE STRING "prefix of the cross tools")
set(OUZEL_COMPILER gcc CACHE STRING "gcc or clang")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES OUZEL_CROSS OUZEL_COMPILER)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
if(OUZEL_COMPILER STREQUAL "clang")
  set(CMAKE_C_COMPILER clang)
  set(CMAKE_ASM_COMPILER clang)
  set(CMAKE_C_COMPILER_TARGET aarch64-none-elf)
  set(CMAKE_ASM_COMPILER_TARGET aarch64-none-elf)
else()
  set(CMAKE_C_COMPILER ${OUZEL_CROSS}gcc)
  set(CMAKE_ASM_COMPILER ${OUZEL_CROSS}gcc)
endif()
set(CMAKE_OBJCOPY ${OUZEL_CROSS}objcopy)
set(CMAKE_NM ${OUZEL_CROSS}nm)
set(OUZEL_LD ${OUZEL_CROSS}ld)
