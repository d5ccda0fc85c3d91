# SPDX-License-Identifier: MIT
# libfdt.cmake -- libfdt comes out of the Linux source that the build needs anyway.
#
# OUZEL_LIBFDT is a folder with libfdt's sources, less libfdt_env.h: the kernel has its own in
# src/kernel, everybody else takes lib/fdt's. Unpacked once for all presets.
set(OUZEL_LINUX_SOURCE /usr/src/linux-source-6.12.tar.xz CACHE FILEPATH
        "Debian's linux-source-6.12")
set(OUZEL_LIBFDT ${CMAKE_SOURCE_DIR}/build/libfdt)

if(NOT EXISTS ${OUZEL_LIBFDT}/complete)
        if(NOT EXISTS ${OUZEL_LINUX_SOURCE})
                message(FATAL_ERROR "${OUZEL_LINUX_SOURCE} is missing. On Debian: apt install "
                        "linux-source-6.12 (or let ./ouzel do it)")
        endif()
        message(STATUS "libfdt: taking it from ${OUZEL_LINUX_SOURCE} (once, some seconds)")
        file(REMOVE_RECURSE ${OUZEL_LIBFDT})
        file(MAKE_DIRECTORY ${OUZEL_LIBFDT})
        execute_process(RESULT_VARIABLE failed COMMAND tar -xf ${OUZEL_LINUX_SOURCE}
                -C ${OUZEL_LIBFDT} --wildcards --strip-components=4
                "*/scripts/dtc/libfdt/*.[ch]")
        if(failed)
                message(FATAL_ERROR "${OUZEL_LINUX_SOURCE}: no libfdt in it, or damaged "
                        "(apt install --reinstall linux-source-6.12)")
        endif()
        file(REMOVE ${OUZEL_LIBFDT}/libfdt_env.h)
        file(TOUCH ${OUZEL_LIBFDT}/complete)
endif()

# A tree is walked byte by byte, with a check of bounds by fdt_offset_ptr() for each: inline, that
# is two thirds of the instructions.
set(OUZEL_LIBFDT_FLAGS $<$<C_COMPILER_ID:GNU>:--param=max-inline-insns-auto=60>)

# ouzel_add_libfdt(name): a static library for programs with a C library.
function(ouzel_add_libfdt name)
        set(sources)
        foreach(part fdt fdt_ro fdt_rw fdt_wip fdt_sw fdt_strerror fdt_empty_tree
                        fdt_addresses)
                list(APPEND sources ${OUZEL_LIBFDT}/${part}.c)
        endforeach()
        add_library(${name} STATIC ${sources})
        target_include_directories(${name} SYSTEM PUBLIC
                ${CMAKE_SOURCE_DIR}/lib/fdt ${OUZEL_LIBFDT})
        target_compile_options(${name} PRIVATE -w ${OUZEL_LIBFDT_FLAGS})
endfunction()
