#!/usr/bin/python3
"""vitrine's encoder beside ONNX Runtime and torch, in one run: bench/encoder/encoder.py [options], see bench/README.md.

Every engine on every number of threads is a process that stays open; in each round every case goes to each of them in turn, so
that what else happens on the machine hits all alike. Each turn begins with runs that are not counted, until the caches hold what
they hold of a model in steady use and not of the engine before (in the CSV these are "settling"). Medians over all rounds, and
ratios of medians of this run, are what to read; the raw numbers go to a CSV.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import building           # noqa: E402
import machine            # noqa: E402
import prepare            # noqa: E402
import report             # noqa: E402
import shape              # noqa: E402
import sides              # noqa: E402
from results import Results  # noqa: E402


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    settling: int       # runs at the beginning of a turn
    runs: int           # counted ones after them
    images: int = 0
    tokens: int = 0

    def request(self):
        if self.images:
            return f"images {self.images} {self.settling + self.runs}"
        return f"text {0 if self.tokens == prepare.SHORT else prepare.TEXTS_OF_EACH} {self.settling + self.runs}"


CASES = (Case("image", "One image", 3, 5, images=1), Case("images 16", "16 images", 0, 1, images=prepare.IMAGES),
         Case("text 5", "Text of 5 tokens", 20, 10, tokens=prepare.SHORT), Case("text 77", "Text of 77 tokens", 5, 5, tokens=prepare.LONG))
LOAD_KINDS = ("packing", "cold", "warm")
BREATH = 0.01           # seconds, in which the last side's waiting threads fall asleep
BROKEN = 0.9            # a cosine below this is another model, not rounding
REFERENCE_F32 = 0.99999     # what a peer in float32 must reach to be the same model


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure_peaks(results, bench_peak):
    say("peaks")
    for line in subprocess.run([str(bench_peak)], check=True, capture_output=True, text=True).stdout.splitlines():
        peaks = json.loads(line)
        threads = peaks.pop("threads")
        for name, value in peaks.items():
            results.add("peak", None, name, float(value), "GB/s" if name.startswith("read") else "GFLOP/s", threads)


def measure_distance(results, bench_peak, case, turn):
    """How far two processors are from each other just now."""
    ns = subprocess.run([str(bench_peak), "distance"], check=True, capture_output=True, text=True).stdout
    results.add("distance", None, case.name, float(ns), "ns", threads=2, turn=turn)


def weight_files(places):
    return [file for folder in (places.model, places.onnx) for file in folder.iterdir() if file.is_file()]


def drop_from_page_cache(files):
    """What this process may ask for without being root. A virtual machine's host may still have them."""
    for file in files:
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_whole(files):
    for file in files:
        with open(file, "rb") as handle:
            while handle.read(1 << 24):
                pass


def packed_files(model):
    return list(model.glob("*.packed"))


def measure_load(results, engines, places, threads, rounds):
    """Before any side stays open: a file that somebody has mapped cannot leave the page cache."""
    for file in packed_files(places.model):
        file.unlink()
    read_whole(weight_files(places))
    packing = [engine for engine in engines if engine.name == "vitrine" and not engine.isa]   # one packed form serves all kernels
    measure_loads(results, packing, places, threads, "packing", 1)
    measure_loads(results, engines, places, threads, "cold", min(rounds, 2))
    read_whole(weight_files(places))
    measure_loads(results, engines, places, threads, "warm", min(rounds, 5))


def measure_loads(results, engines, places, threads, kind, turns):
    say(f"loading, {kind}")
    for turn in range(turns):
        for engine in engines:
            if kind == "cold":
                drop_from_page_cache(weight_files(places))
            load_once(results, engine, places, threads, kind, turn)


def load_once(results, engine, places, threads, kind, turn):
    with sides.Side(engine, threads, places) as side:
        for part in ("open", "first"):
            results.add("load", engine, f"{kind}, {part}", float(side.opened[part + "_ms"]), "ms", turn=turn)
        if side.opened.get("note"):
            say(f"{engine.title}: {side.opened['note']}")


def as_asked(side):
    """False where the model is opened in another precision, int8 being too far from f32: its times would be another's."""
    same = side.opened.get("precision", side.engine.precision) == side.engine.precision
    if not same:
        say(f"{side.engine.title} is left out: {side.opened['note']}")
    return same


def measure_cosines(results, group, reference, work):
    """The peers' too: an export that gives other vectors would be timed for nothing."""
    say("cosines")
    for side in group:
        file = work / "vectors.f32"
        counts = side.ask(f"vectors {file}")["vectors"]
        found = prepare.read_vectors(file, counts)
        cosines = (found * reference).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(reference, axis=1)
        for what, part in (("texts", cosines[:counts[0]]), ("images", cosines[counts[0]:])):
            results.add("cosine", side.engine, what, float(part.min()), "", side.threads)
        peer = side.engine.precision == "f32" and side.engine.name != "vitrine"
        if cosines.min() < (REFERENCE_F32 if peer else BROKEN):
            raise SystemExit(f"{side.engine.title}: cosine {cosines.min():.6f} to the reference: not the same model")


def measure_times(results, group, cases, rounds, bench_peak):
    several = any(side.threads > 1 for side in group)
    for turn in range(rounds):
        begun = time.monotonic()
        for case in cases:
            if several:
                measure_distance(results, bench_peak, case, turn)
            for side in group:
                time.sleep(BREATH)
                for i, ms in enumerate(side.ask(case.request())["ms"]):
                    kind = "time" if i >= case.settling else "settling"
                    results.add(kind, side.engine, case.name, float(ms), "ms", side.threads, turn)
        say(f"round {turn + 1} of {rounds}: {time.monotonic() - begun:.0f} s")


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a CLIP folder (default: tools/make_model.py vit-b-32 makes one)")
    parser.add_argument("--work", type=Path, default=building.ROOT / "build" / "bench-encoder", help="kept for the next run")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="cases and engines whose name contains one of these words, by commas; load is a case")
    parser.add_argument("--out", type=Path, help="CSV of the raw numbers (default: in the work folder)")
    return parser.parse_args()


def selected(words, things, name):
    """All of them where no word speaks of any."""
    return [thing for thing in things if any(word in name(thing) for word in words)] or list(things)


def best_isa(bench_encode, model):
    told = subprocess.run([str(bench_encode), str(model), "--runs", "1", "--threads", "1", "--json"], check=True, capture_output=True,
                          text=True)
    return json.loads(told.stdout)["isa"]


def set_up(arguments):
    """Everything that is needed, and the work folder of this model."""
    bench_encode, bench_peak = building.build("bench_encode", "bench_peak")
    prepare.install_onnxruntime()
    model = arguments.model or prepare.make_model(arguments.work / "vit-b-32")
    work = prepare.link_model(model.resolve(), arguments.work)
    places = sides.Places(bench_encode, work / "model", work / "onnx", work / "inputs")
    prepare.export_onnx(places.model, places.onnx)
    prepare.write_inputs(bench_encode, places.model, places.inputs)
    return bench_peak, places, work


def main():
    arguments = read_arguments()
    bench_peak, places, work = set_up(arguments)
    words = [word for word in arguments.only.split(",") if word]
    names = [case.name for case in CASES] + ["load"]
    wanted = selected(words, names, str)
    cases = [case for case in CASES if case.name in wanted]
    engines = selected(words, sides.engines(best_isa(places.bench_encode, places.model)), lambda engine: engine.title)
    processors = len(os.sched_getaffinity(0))
    thread_counts = [1, 2] if processors > 1 else [1]
    reference = prepare.reference_vectors(places, work)
    results = Results()
    for name, text in machine.describe(building.ROOT, node=("node", "--version")).items():
        results.add("machine", None, name, text, "")

    measure_peaks(results, bench_peak)
    if "load" in wanted:
        measure_load(results, engines, places, max(thread_counts), arguments.rounds)
    say("opening all")
    with contextlib.ExitStack() as open_sides:
        group = [open_sides.enter_context(sides.Side(engine, threads, places)) for threads in thread_counts for engine in engines]
        group = [side for side in group if as_asked(side)]
        for engine in {side.engine.name: side for side in group if "version" in side.opened}.values():
            results.add("machine", None, engine.engine.name, engine.opened["version"], "")
        for side in group:
            if "packed_bytes" in side.opened and side.threads == max(thread_counts):
                results.add("packed", side.engine, "all matrices", side.opened["packed_bytes"], "B")
        measure_cosines(results, [side for side in group if side.threads == max(thread_counts)], reference, work)
        measure_times(results, group, cases, arguments.rounds, bench_peak)
    measure_peaks(results, bench_peak)

    out = arguments.out or work / "encoder.csv"
    results.write(out)
    print(report.write(results, shape.read_shape(places.model), CASES, engines, thread_counts, LOAD_KINDS))
    print(f"\n{out}: {len(results.rows)} rows")


if __name__ == "__main__":
    main()
