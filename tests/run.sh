#!/bin/sh
# Runs the tests of a build folder and prints the closing line. Fails when a test failed, and also when Meson
# itself did, whose log then says less than it should. usage: run.sh BUILD [meson test's options]
build=$1
shift
rm -f "$build/meson-logs/testlog.json"
meson test -C "$build" --no-rebuild --print-errorlogs "$@"
code=$?
python3 "$(dirname "$0")/summary.py" "$build/meson-logs/testlog.json" && exit $code
exit 1
