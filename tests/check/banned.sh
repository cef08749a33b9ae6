#!/bin/sh
# Each function of src/base/banned.h must fail to compile, and a file without them must compile.
# usage: banned.sh CC ROOT
set -u
cc=$1 root=$2
compile() { printf '%s\n' "$1" | $cc -std=gnu17 -D_GNU_SOURCE -Werror -I"$root/src" -fsyntax-only -x c - 2>/dev/null; }
head='#include "base/base.h"
#include <alloca.h>'
compile "$head
int main(void) { return 0; }" || { echo "a harmless file does not compile"; exit 1; }
count=0
for name in $(sed -n 's/^#define \([a-z_]*\)(\.\.\.).*/\1/p' "$root/src/base/banned.h"); do
    if compile "$head
void *use(void *a, void *b); void *use(void *a, void *b) { return (void *)(long)$name(a, b, 1); }"; then
        echo "$name compiles"; exit 1
    fi
    count=$((count + 1))
done
[ "$count" -ge 15 ] || { echo "only $count banned functions found in banned.h"; exit 1; }
echo "$count banned functions do not compile"
