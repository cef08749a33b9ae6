"""Runs a cmocka program and passes its TAP on. cmocka writes a skipped test as "not ok N # SKIP", which TAP
readers count as a failure: here it becomes "ok N # SKIP". usage: tap.py PROGRAM [ARGUMENT ...]"""
import re
import subprocess
import sys

SKIPPED = re.compile(r"^not (ok \d+ .*# SKIP)|^not (ok \d+ # SKIP)")

child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True, errors="replace")
for line in child.stdout:
    print(SKIPPED.sub(lambda m: m.group(1) or m.group(2), line), end="", flush=True)
code = child.wait()
sys.exit(code if code >= 0 else 128 - code)
