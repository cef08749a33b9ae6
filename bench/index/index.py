#!/usr/bin/python3
"""The index beside hnswlib and faiss, in one run: bench/index/index.py [options], see bench/README.md.

Every contender over a data set is a process that stays open; in each round every one of them asks all queries, one by one on one
thread, at each of its settings. So what else happens on the machine hits all alike; medians over the rounds, and ratios of medians of
this run, are what to read. Recall stands beside every speed. The raw numbers go to a CSV, the curves to an SVG.
"""
import argparse
import contextlib
import os
import sys
from pathlib import Path

THREADS = len(os.sched_getaffinity(0))
os.environ["OPENBLAS_NUM_THREADS"] = str(THREADS)     # of numpy here, for the exact answers: before anything is timed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import building             # noqa: E402
import contenders           # noqa: E402
import generate             # noqa: E402
import machine              # noqa: E402
import plot                 # noqa: E402
import steps                # noqa: E402
import vectors              # noqa: E402
import verdict              # noqa: E402
from measured import Measured, read  # noqa: E402

STEPS = ("build", "curve", "filter", "category", "small", "churn", "latency", "start")
LARGE_STEPS = ("curve", "filter", "category", "latency", "start")      # of the generated set
BUILD_THREADS = 2


def measure(bench, names, wanted):
    """All of one data set."""
    bench.data.find_nearest()
    with contextlib.ExitStack() as open_sides:
        sides = [open_sides.enter_context(bench.side(name)) for name in (contenders.OURS, *names)]
        steps.build(bench, sides, BUILD_THREADS, bench.rounds if "build" in wanted else 1)
        if "curve" in wanted:
            steps.curves(bench, sides)
        if "filter" in wanted:
            steps.filtered(bench, [side for side in sides if side.name in contenders.FILTERED])
        if "category" in wanted:
            steps.category(bench, sides[0], BUILD_THREADS)
        if "latency" in wanted:
            steps.latency(bench, sides[0], BUILD_THREADS)
        if "start" in wanted:
            steps.start(bench, sides[0], BUILD_THREADS)
    if "small" in wanted:
        steps.small(bench, BUILD_THREADS)
    if "churn" in wanted:
        steps.churn(bench, BUILD_THREADS)
        if "hnswlib" in names:
            steps.churn_peer(bench, BUILD_THREADS)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with NAME.base.f16bin, NAME.image.query.fbin, ...")
    parser.add_argument("--rows", type=int, default=1000000, help="of the generated set; 0: without it")
    parser.add_argument("--peers", default=",".join(contenders.PEERS), help="on DATA, by commas")
    parser.add_argument("--large-peers", default="", help="on the generated set too: hnswlib's graph of a million takes long to build")
    parser.add_argument("--faiss-source", type=Path, help="a folder of faiss 1.7.3: compiled for this machine in place of Debian's")
    parser.add_argument("--steps", default=",".join(STEPS), help="by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lock", type=Path, help="a file to hold by flock while something is timed, where others measure too")
    parser.add_argument("--patience", type=int, default=600, help="seconds to wait for it before measuring beside those who share it")
    parser.add_argument("--work", type=Path, default=building.ROOT / "build" / "bench-index", help="kept for the next run")
    parser.add_argument("--out", type=Path, help="CSV of the raw numbers, with an SVG beside it (default: in the work folder)")
    parser.add_argument("--report", type=Path, help="only tables and curves of a CSV that was written before")
    return parser.parse_args()


def words(text):
    return [word for word in text.split(",") if word]


def data_sets(arguments):
    """Each with its peers and its steps."""
    wanted = words(arguments.steps)
    if arguments.data:
        yield vectors.open_folder(arguments.data, arguments.work), words(arguments.peers), wanted
    if arguments.rows:
        folder = arguments.work / f"mixture-{arguments.rows}"
        generate.generate(folder, arguments.rows)
        yield vectors.open_folder(folder, arguments.work), words(arguments.large_peers), [step for step in wanted if step in LARGE_STEPS]


def run(arguments, results):
    arguments.work.mkdir(parents=True, exist_ok=True)
    ours, = building.build("bench_index")
    for name, text in machine.describe(building.ROOT, hnswlib=version("libhnswlib-dev"), faiss=version("libfaiss-dev")).items():
        results.add("machine", text, "", setting=name)
    results.add("machine", "compiled for this machine" if arguments.faiss_source else "Debian's, for every x86-64", "", setting="faiss is")
    alone = steps.Alone(arguments.lock, arguments.patience)
    for data, names, wanted in data_sets(arguments):
        peers = contenders.build_peers(arguments.work, arguments.faiss_source) if names else None
        steps.say(f"{data.name}: filters and exact answers")
        steps.add_filters(data)
        measure(steps.Bench((ours, peers), data, results, arguments.rounds, alone), names, wanted)
        alone.release()
    if arguments.lock:
        results.add("machine", f"alone {alone.got} times, beside others {alone.shared}", "", setting="lock")


def version(package):
    return ("dpkg-query", "--show", "--showformat=${Version}\n", package)


def main():
    arguments = read_arguments()
    out = arguments.report or arguments.out or arguments.work / "index.csv"
    if arguments.report:
        results = read(out)
    else:
        results = Measured()
        try:
            run(arguments, results)
        finally:
            results.write(out)      # what there is, also of a run that was broken off
    out.with_suffix(".svg").write_text(plot.draw(results), encoding="utf-8")
    print(verdict.write(results))
    print(f"\n{out}: {len(results.rows)} rows")


if __name__ == "__main__":
    main()
