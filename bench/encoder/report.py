"""The encoder benchmark's numbers as Markdown: a table for each case, one for loading, and what must hold as PASS or miss."""
import numpy as np

from sides import Engine
from tables import Demand, row_of

OURS = {precision: Engine("vitrine", precision) for precision in ("f32", "bf16", "int8")}
ORT = {precision: Engine("onnxruntime", precision) for precision in ("f32", "int8")}
TORCH = Engine("torch", "f32")
READ = "read 128 MiB"       # as large as a tower's weights
SHORT = 5                   # tokens


def peak_name(results, precision, isa):
    """The instruction whose peak bounds such kernels; the machine's best where the kernels are not ours to choose."""
    order = ("amx", "avx512", "avx2") if isa in ("", "amx") else ("avx2",) if isa == "avx2" else ("avx512", "avx2")
    names = [f"{precision} {set_}" for set_ in order]
    return next((name for name in names if results.peak(name, 1)), None)


def peak_share(results, shape, engine, case, threads):
    """Of the measured peak, by the operations that the vector depends on: skipping work is no way to a higher share."""
    ms = results.median("time", engine, case.name, threads)
    name = peak_name(results, engine.precision, engine.isa)
    peak = results.peak(name, threads) if name else None
    return shape.operations(case, needed=True) / (ms / 1e3) / 1e9 / peak if ms and peak else None


def percent(share):
    return f"{100 * share:.0f} %" if share is not None else ""


def counted(threads):
    return f"{threads} thread{'s' if threads > 1 else ''}"


def spread(values):
    if not values:
        return ""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return f"**{middle:.2f}** ({min(values):.2f}; {low:.2f}-{high:.2f})"


def ratio(results, engine, other, case, threads, kind="time"):
    mine, theirs = results.median(kind, engine, case, threads), results.median(kind, other, case, threads)
    return mine / theirs if mine and theirs else None


def shown(number):
    return f"{number:.2f}" if number is not None else ""


def case_table(results, shape, engines, case, threads):
    """The shortest text is bound by reading the weights once: it has the rate of that beside the multiplications'."""
    short = case.tokens == SHORT
    heads = ["engine", "ms: median (least; quartiles)", "GFLOP/s", "of peak", *(["weights, GB/s", "of reading"] if short else []),
             "of onnxruntime f32", "of onnxruntime int8", "of torch f32"]
    lines = [f"\n### {case.title}, {counted(threads)}\n", row_of(heads), "|---" * len(heads) + "|"]
    for engine in engines:
        values = results.values("time", engine, case.name, threads)
        if values:
            seconds = float(np.median(values)) / 1e3
            cells = [engine.title, spread(values), f"{shape.operations(case) / seconds / 1e9:.0f}",
                     percent(peak_share(results, shape, engine, case, threads))]
            if short:
                rate, most = weights_rate(results, shape, engine, seconds), results.peak(READ, threads)
                cells += [f"{rate:.0f}", percent(rate / most if most else None)]
            cells += [shown(ratio(results, engine, other, case.name, threads)) for other in (ORT["f32"], ORT["int8"], TORCH)]
            lines.append(row_of(cells))
    return lines


def weights_rate(results, shape, engine, seconds):
    """Of bytes as they are read: what a peer holds is not told, and taken to be as wide as its precision says."""
    packed = results.median("packed", engine, "all matrices")
    octets = packed / shape.weights if packed else {"f32": 4, "int8": 1}[engine.precision]
    return shape.text.weights * octets / seconds / 1e9


def load_table(results, engines, kinds):
    lines = ["\n### Loading both towers, all threads, ms: open (median), then the first text and picture\n",
             "| engine | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for engine in engines:
        cells = []
        for kind in kinds:
            parts = [results.median("load", engine, f"{kind}, {part}") for part in ("open", "first")]
            cells.append(f"**{parts[0]:.0f}** + {parts[1]:.0f}" if parts[0] is not None else "")
        if any(cells):
            lines.append(f"| {engine.title} | {' | '.join(cells)} |")
    return lines


def machine_table(results, thread_counts):
    lines = ["\n### The machine\n"] + [f"- {row.case}: {row.value}" for row in results.rows if row.kind == "machine"]
    names = list(dict.fromkeys(row.case for row in results.rows if row.kind == "peak"))
    lines += ["", "| peak | " + " | ".join(map(counted, thread_counts)) + " |",
              "|---" * (len(thread_counts) + 1) + "|"]
    for name in names:
        unit = "GB/s" if name.startswith("read") else "GFLOP/s"
        values = (results.peak(name, threads) for threads in thread_counts)
        lines.append(f"| {name}, {unit} | " + " | ".join(f"{value:.0f}" if value else "" for value in values) + " |")
    far = [row.value for row in results.rows if row.kind == "distance"]
    if far:
        lines.append(f"\nA line to the other processor and back, before each case of each round: {spread(far)} ns")
    return lines


def cosine_table(results, engines):
    lines = ["\n### Least cosine to the float64 reference\n", "| engine | texts | images |", "|---|---|---|"]
    for engine in engines:
        found = [min(results.values("cosine", engine, what), default=None) for what in ("texts", "images")]
        if None not in found:
            lines.append(f"| {engine.title} | {found[0]:.7f} | {found[1]:.7f} |")
    return lines


def against(results, precision, other, case, threads, bound):
    value = ratio(results, OURS[precision], other, case, threads)
    return Demand(f"{precision}, {case}, {counted(threads)}, of {other.title}", value, bound)


def share_demands(results, shape, image, most, engines):
    for engine in engines:
        bound = {"bf16": 0.82, "int8": 0.65}.get(engine.precision)
        if engine.name == "vitrine" and bound:
            peak = peak_name(results, engine.precision, engine.isa)
            yield Demand(f"{engine.title}, image, {counted(most)}, of the peak of {peak}",
                         peak_share(results, shape, engine, image, most), bound, at_least=True)


def load_demand(results):
    """Stricter on us: our first text and picture count, theirs do not."""
    mine = [results.median("load", OURS["bf16"], f"warm, {part}") for part in ("open", "first")]
    theirs = results.median("load", ORT["f32"], "warm, open")
    return Demand("bf16, warm start to ready, packed, of onnxruntime f32 opening both towers",
                  sum(mine) / theirs if theirs and None not in mine else None, 0.10)


def demands(results, shape, image, thread_counts, engines):
    most = max(thread_counts)
    yield against(results, "bf16", ORT["f32"], "image", most, 0.42)
    yield against(results, "bf16", TORCH, "image", most, 0.25)
    yield against(results, "bf16", ORT["f32"], "text 5", most, 0.28)
    for threads in thread_counts:
        yield against(results, "f32", ORT["f32"], "image", threads, 0.90)
        yield against(results, "f32", ORT["f32"], "text 5", threads, 0.55)
        yield against(results, "int8", ORT["int8"], "image", threads, 0.70 if threads > 1 else 0.65)
        yield against(results, "int8", ORT["int8"], "text 5", threads, 0.30)
        yield against(results, "int8", ORT["int8"], "text 77", threads, 0.65)
    yield load_demand(results)
    yield from share_demands(results, shape, image, most, engines)
    for precision, bound in (("f32", 0.999999), ("bf16", 0.9999)):
        worst = min((value for what in ("texts", "images") for value in results.values("cosine", OURS[precision], what)), default=None)
        yield Demand(f"{precision}, least cosine to float64", worst, bound, at_least=True, digits=7)


def write(results, shape, cases, engines, thread_counts, load_kinds):
    lines = machine_table(results, thread_counts) + cosine_table(results, engines)
    for case in cases:
        for threads in thread_counts:
            if any(results.values("time", engine, case.name, threads) for engine in engines):
                lines += case_table(results, shape, engines, case, threads)
    if any(row.kind == "load" for row in results.rows):
        lines += load_table(results, engines, load_kinds)
    lines += ["\n### What must hold: ratios of medians, and shares\n", "| what | bound | measured | |", "|---|---|---|---|"]
    image = next(case for case in cases if case.images == 1)
    return "\n".join(lines + [demand.line() for demand in demands(results, shape, image, thread_counts, engines)])
