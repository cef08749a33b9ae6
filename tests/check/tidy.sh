#!/bin/sh
# clang-tidy over every C file of src/ with the checks of .clang-tidy, two at a time.
# usage: tidy.sh ROOT BUILD (a folder with compile_commands.json)
cd "$1" || exit 1
find src -name '*.c' ! -name 'kernels_neon.c' -print0 | sort -z |
    xargs -0 -n 4 -P 2 clang-tidy --quiet -p "$2" 2>/dev/null
