# The two commands of the README, and a few for those who work on vitrine.
#  make run   build, fill the demo catalogue on first start, serve it
#  make test   build with gcc and clang, check the rules of the house, run every test
PORT  ?= 8080
DATA  ?= data
PREFIX ?= /usr/local
# Debian's Python, whatever else stands on the PATH.
export PATH := /usr/bin:/bin:$(PATH)

.PHONY: run build test asan tsan install clean

build:
	@tools/install-packages.sh build
	@test -f build/release/build.ninja || meson setup build/release --buildtype=release -Dtests=false --prefix=$(PREFIX) >/dev/null
	@ninja -C build/release --quiet

run: build
	@tools/demo/run.sh build/release/src/cli/vitrine $(DATA) $(PORT)

test:
	@tools/install-packages.sh test
	@test -f build/test/build.ninja || CC=gcc meson setup build/test >/dev/null
	@test -f build/clang/build.ninja || CC=clang meson setup build/clang >/dev/null
	@ninja -C build/test --quiet
	@ninja -C build/clang --quiet
	@tests/run.sh build/test 

asan:
	@tools/install-packages.sh test
	@test -f build/asan/build.ninja || CC=gcc meson setup build/asan -Db_sanitize=address,undefined >/dev/null
	@ninja -C build/asan --quiet
	@tests/run.sh build/asan -t 10

tsan:
	@tools/install-packages.sh test
	@test -f build/tsan/build.ninja || CC=gcc meson setup build/tsan -Db_sanitize=thread >/dev/null
	@ninja -C build/tsan --quiet
	@tests/run.sh build/tsan -t 20 --no-suite check

install: build
	@meson configure build/release --prefix=$(PREFIX)
	@meson install -C build/release

clean:
	rm -rf build
