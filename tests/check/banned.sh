#!/bin/sh
# Each function of src/base/banned.h must fail to compile, and a file without them must compile.
# usage: banned.sh CC ROOT
set -u
cc=$1 root=$2
compile() { printf '%s\n' "$1" | $cc -std=gnu17 -D_GNU_SOURCE -Werror -I"$root/src" -fsyntax-only -x c - 2>&1; }
head='#include "base/base.h"
#include <alloca.h>'
compile "$head
int main(void) { return 0; }" >/dev/null || { echo "a harmless file does not compile"; exit 1; }
count=0
for name in $(sed -n 's/^#define \([a-z_]*\)(\.\.\.).*/\1/p' "$root/src/base/banned.h"); do
    compile "$head
long use(void *a); long use(void *a) { return (long)$name(a); }" | grep -q "vt_banned_function_$name" || {
        echo "$name compiles, or fails for another reason than the ban"; exit 1; }
    count=$((count + 1))
done
[ "$count" -ge 15 ] || { echo "only $count banned functions found in banned.h"; exit 1; }
echo "$count banned functions do not compile"
