#!/bin/sh
# Installs the Debian 12 packages that are missing; says so first. usage: install-packages.sh build|test
set -eu
build="gcc libc6-dev meson ninja-build pkg-config python3 curl ca-certificates
libjansson-dev libmicrohttpd-dev libcurl4-openssl-dev libsqlite3-dev libturbojpeg0-dev libspng-dev
libwebp-dev libgif-dev libutf8proc-dev libssl-dev libinih-dev libcsv-dev libxxhash-dev"
test="clang clang-format clang-tidy libcmocka-dev libdnnl-dev zlib1g-dev python3-pil python3-numpy python3-cairo python3-faiss"
wanted=$build
[ "${1:-build}" = test ] && wanted="$build $test"

missing=""
for package in $wanted; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
echo "Installing Debian packages${sudo:+ (with sudo)}:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
