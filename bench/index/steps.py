"""What the index benchmark measures of one data set, step by step. Each step takes its contenders in turn, round by round, so that
what else happens on the machine hits all alike."""
import contextlib
import fcntl
import signal
import sys
import time

import numpy as np

import vectors
from contenders import ALL, DEFAULT, OURS, RECALLS, SHARES, Side, worth_timing
from measured import Row

FILTERED_RECALLS = ("0.9", DEFAULT, "0.99", "0.999")
FILTERED_QUERIES = 150      # hnswlib walks its whole graph for each under a narrow filter
EXACT_QUERIES = 100         # each scores every row
SMALL = 13750               # rows of a small shop
ROUNDED = 2e-4              # VT_INDEX_ERROR: who holds the vectors scores an answer's rows once more
CATEGORY = 0.05             # of the rows: those most like one of them
CHURN = 0.3                 # removed, and as many added
SEED = 7


def say(text):
    print(text, file=sys.stderr, flush=True)


def add_filters(data):
    """Each a file of bits, the same for all sides."""
    rng = np.random.default_rng(SEED)
    n = len(data.rows)
    order = rng.permutation(n)
    for name, share in SHARES.items():
        data.add_bits(name, chosen(n, order[:int(n * share)]))
    data.add_bits("category", alike(data, int(rng.integers(n)), int(n * CATEGORY)))
    data.add_bits("small", np.arange(n) < SMALL)
    first = int(n / (1 + CHURN))
    added = n - first
    data.add_bits("after", chosen(n, order[added:]))
    for name, rows in (("before", order[:first]), ("removed", order[:added]), ("added", order[first:])):
        vectors.write_bits(data.bits_file(name), chosen(n, rows))


def chosen(n, rows):
    bits = np.zeros(n, bool)
    bits[rows] = True
    return bits


def alike(data, row, count):
    """The rows most like one: a category whose products resemble each other."""
    one = np.asarray(data.rows[row], "<f4")
    scores = np.concatenate([np.asarray(data.rows[begin:begin + 65536], "<f4") @ one for begin in range(0, len(data.rows), 65536)])
    return chosen(len(scores), np.argpartition(-scores, count)[:count])


class Alone:
    """A lock by flock that others on this machine keep to as well: alone while something is timed, shared by what only takes time. It is
    kept for some turns, for getting it may take minutes, and left to others after HOLD. Where nobody leaves it to us within `patience`
    seconds, we measure beside those who share it."""

    HOLD = 50               # seconds

    def __init__(self, path, patience):
        self.path, self.patience = path, patience
        self.file, self.since = None, 0
        self.got, self.shared = 0, 0

    @contextlib.contextmanager
    def turn(self):
        if self.path is not None and self.file is None:
            self._take()
        try:
            yield
        finally:
            if self.file and time.monotonic() - self.since > self.HOLD:
                self.release()

    def _take(self):
        self.file = open(self.path, "ab")
        signal.signal(signal.SIGALRM, too_late)
        signal.alarm(self.patience)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX)
            self.got += 1
        except TimeoutError:
            fcntl.flock(self.file, fcntl.LOCK_SH)
            self.shared += 1
        finally:
            signal.alarm(0)
        self.since = time.monotonic()

    def release(self):
        if self.file:
            self.file.close()
            self.file = None


def too_late(_signal, _frame):
    raise TimeoutError


class Bench:
    """What the steps share."""

    def __init__(self, programs, data, results, rounds, alone=None):
        self.ours, self.peers = programs
        self.data, self.results, self.rounds = data, results, rounds
        self.alone = alone or Alone(None, 0)
        self.turn = self.alone.turn

    def side(self, name=OURS):
        return Side(self.ours if name == OURS else self.peers, self.data, name)

    def search(self, step, side, setting, kind, round_, bits="-", threads=1, label="", **more):
        recall, us, cpu = side.search(setting, kind, bits, **more)
        where = Row(step, self.data.name, label or side.name, setting, kind, bits, threads, round_)
        self.results.add_turn(where, recall, us, cpu if threads == 1 else None)

    def add(self, step, value, unit, **where):
        self.results.add(step, value, unit, data=self.data.name, **where)


# ---- building

def build(bench, sides, threads, rounds):
    """Rounds of the first two (the longest-running comparison), the others once."""
    for round_ in range(rounds):
        for side in sides if round_ == 0 else sides[:2]:
            with bench.turn():
                told = side.build(threads)
                learnt = side.learn(threads) if side.name == OURS else {}
            say(f"{bench.data.name}: {side.name} built in {told['seconds']:.1f} s")
            add_built(bench, side.name, told, learnt, threads, round_)


def add_built(bench, name, told, learnt, threads, round_):
    where = {"side": name, "threads": threads, "turn": round_}
    bench.add("build", told["seconds"] + sum(learnt.values()), "s", **where, setting="all")
    for kind, seconds in learnt.items():
        bench.add("build", seconds, "s", **where, setting=f"learn {kind}")
    if "cells" in told:
        bench.add("build", told["cells"], "s", **where, setting="cells")
    sizes = {part: told[part] for part in ("rows_bytes", "codes_bytes", "other_bytes", "bytes") if part in told}
    for part, size in sizes.items():
        bench.add("build", size / len(bench.data.rows), "bytes a vector", **where, setting=part)


# ---- searches

def curves(bench, sides):
    for kind in bench.data.queries:
        with bench.turn():
            settings = {side: RECALLS if side.name == OURS else worth_timing(side, kind) for side in sides}
        for round_ in range(bench.rounds):
            begun = time.monotonic()
            for side in sides:
                with bench.turn():
                    for setting in settings[side]:
                        count = EXACT_QUERIES if side.name == "flat" or setting == "1" else ALL
                        bench.search("curve", side, setting, kind, round_, count=count)
            say(f"{bench.data.name}, {kind}: round {round_ + 1}, {time.monotonic() - begun:.0f} s")
        bench.search("default", sides[0], DEFAULT, kind, 0)
        bench.search("default", sides[0], DEFAULT, kind, 0, asked_as="vector", label="vitrine, kind not told")


def filtered(bench, sides):
    for name in SHARES:
        for kind in bench.data.queries:
            asked = {"bits": name, "count": FILTERED_QUERIES}
            with bench.turn():
                settings = {side: FILTERED_RECALLS if side.name == OURS else worth_timing(side, kind, **asked) for side in sides}
            for round_ in range(bench.rounds):
                with bench.turn():
                    for side in sides:
                        for setting in settings[side]:
                            bench.search("filter", side, setting, kind, round_, **asked)
        say(f"{bench.data.name}: filter of {name} %")


def category(bench, side, threads):
    """Beside an index of the category alone."""
    with bench.side() as apart:
        apart.build(threads, "category")
        apart.learn(threads)
        for kind in bench.data.queries:
            for round_ in range(bench.rounds):
                with bench.turn():
                    bench.search("category", side, DEFAULT, kind, round_, "category")
                    bench.search("category", apart, DEFAULT, kind, round_, "category", label="vitrine, of the category alone")


def small(bench, threads):
    with bench.side() as few:
        few.build(threads, "small")
        few.learn(threads)
        for kind in bench.data.queries:
            bench.search("small", few, DEFAULT, kind, 0, "small")
            bench.search("small", few, DEFAULT, kind, 0, "small", equal=ROUNDED, label="vitrine, to the rounding of a score")


def churn(bench, threads):
    """Removed, added and loaded from a snapshot, beside one built of what there is then. Cells are not made anew."""
    file = bench.data.work / "churn.snapshot"
    with bench.side() as changed, bench.side() as fresh:
        changed.build(threads, "before")
        changed.learn(threads)
        bench.add("churn", changed.ask("churn", bench.data.bits_file("removed"), bench.data.bits_file("added"))["seconds"], "s",
                  side=OURS, setting="changes")
        changed.ask("save", file)
        changed.ask("load", threads, file, bench.data.bits_file("after"))
        fresh.build(threads, "after")
        fresh.learn(threads)
        for kind in bench.data.queries:
            for round_ in range(bench.rounds):
                with bench.turn():
                    for setting in ("0.95", DEFAULT, "0.99"):
                        bench.search("churn", changed, setting, kind, round_, "after", label="vitrine, changed")
                        bench.search("churn", fresh, setting, kind, round_, "after", label="vitrine, built anew")
    file.unlink()


def churn_peer(bench, threads):
    """hnswlib for comparison: the same changes."""
    with bench.side("hnswlib") as changed, bench.side("hnswlib") as fresh:
        changed.build(threads, "before")
        changed.ask("churn", bench.data.bits_file("removed"), bench.data.bits_file("added"))
        fresh.build(threads, "after")
        for kind in bench.data.queries:
            with bench.turn():
                for setting in ("40", "640"):
                    bench.search("churn", changed, setting, kind, 0, "after", label="hnswlib, changed")
                    bench.search("churn", fresh, setting, kind, 0, "after", label="hnswlib, built anew")


def latency(bench, side, threads):
    side.ask("threads", threads)
    for kind in bench.data.queries:
        for round_ in range(bench.rounds):
            with bench.turn():
                bench.search("latency", side, DEFAULT, kind, round_, threads=threads)
    side.ask("threads", 1)


def start(bench, side, threads):
    """From a snapshot in the page cache: a process of its own each time, until its first answer."""
    file = bench.data.work / "index.snapshot"
    bench.add("start", side.ask("save", file)["seconds"], "s", side=OURS, setting="save")
    bench.add("start", file.stat().st_size / len(bench.data.rows), "bytes a vector", side=OURS, setting="size")
    for round_ in range(max(bench.rounds, 3)):
        with bench.turn():
            begun = time.perf_counter()
            with bench.side() as fresh:
                told = fresh.ask("load", threads, file, "-")
                fresh.ask("search", 0, 10, 1, bench.data.queries["image"], "-", "image")
                seconds = time.perf_counter() - begun
        where = {"side": OURS, "threads": threads, "turn": round_}
        bench.add("start", told["seconds"], "s", **where, setting="load")
        bench.add("start", seconds, "s", **where, setting="first answer")
    file.unlink()
