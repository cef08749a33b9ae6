"""Adds up Meson's log of a test run and prints the closing line 'N passed, N failed, N skipped'.
TAP tests count each of their cases, others count as one. usage: summary.py TESTLOG.json"""
import json
import re
import sys

CASE = re.compile(r"^(not )?ok\b[^#\n]*(#\s*skip)?", re.I | re.M)


def count(entry):
    cases = CASE.findall(entry.get("stdout", "")) if re.search(r"^1\.\.\d", entry.get("stdout", ""), re.M) else []
    failed = sum(1 for bad, skip in cases if bad)
    skipped = sum(1 for bad, skip in cases if skip and not bad)
    passed = len(cases) - failed - skipped
    if entry["result"] == "SKIP" and not cases:
        # A plan of no test is a skip only when it says so: a file emptied of its tests is a failure.
        return (0, 0, 1) if re.search(r"^1\.\.0 # SKIP", entry.get("stdout", ""), re.M) else (0, 1, 0)
    elif entry["result"] in ("OK", "EXPECTEDFAIL"):
        passed = passed or (0 if cases else 1)
    elif entry["result"] != "SKIP":
        failed = failed or 1  # a crash or a time-out fails even when the cases before it passed
    return passed, failed, skipped


def main():
    with open(sys.argv[1]) as log:
        totals = [count(json.loads(line)) for line in log]
    passed, failed, skipped = (sum(t) for t in zip(*totals)) if totals else (0, 1, 0)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(bool(failed))


main()
