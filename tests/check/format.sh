#!/bin/sh
# Every C file is as clang-format (Debian 12's 14) leaves it. usage: format.sh ROOT
cd "$1" || exit 1
find src tests fuzz bench -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run --Werror
