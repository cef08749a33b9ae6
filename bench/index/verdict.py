"""The index benchmark's numbers as Markdown: tables, and what must hold as PASS or miss."""
from contenders import DEFAULT, FILTERED, OURS, SHARES
from measured import frontier, qps_at
from tables import Demand, table

MARKS = (0.95, 0.99)
KINDS = ("image", "text")
LARGE = "mixture"
TITLES = {OURS: "vitrine", "hnswlib": "hnswlib M 16, efc 200", "flat": "faiss IndexFlatIP", "ivfflat": "faiss IVFFlat",
          "hnswsq8": "faiss HNSW M 16, SQ8", "ivfpq4": "faiss IVF, PQ 4 bits fast scan, refined"}


def shown(number, digits=2):
    return f"{number:,.{digits}f}" if number is not None else ""


def over(one, other):
    return one / other if one and other else None


def data_names(results):
    return list(dict.fromkeys(row.data for row in results.rows if row.data))


# ---- tables

def machine_lines(results):
    return ["\n### The machine\n", *(f"- {row.setting}: {row.value}" for row in results.rows if row.step == "machine")]


def bytes_of(results, data, side):
    """A vector: all, and what is not rows in full."""
    parts = {part: results.median("build", data, side, part) for part in ("rows_bytes", "codes_bytes", "other_bytes", "bytes")}
    if parts["bytes"] is not None:
        return parts["bytes"], None
    if None in (parts["rows_bytes"], parts["codes_bytes"], parts["other_bytes"]):
        return None, None
    coded = parts["codes_bytes"] + parts["other_bytes"]
    return parts["rows_bytes"] + coded, coded


def build_table(results, data):
    peer = results.median("build", data, "hnswlib", "all")
    rows = []
    for side in results.sides("build", data):
        seconds, (size, coded) = results.median("build", data, side, "all"), bytes_of(results, data, side)
        parts = [(what, results.median("build", data, side, what)) for what in ("cells", "learn image", "learn text")]
        of_it = ", ".join(f"{what} {value:.2f}" for what, value in parts if value is not None)
        rows.append([TITLES.get(side, side), shown(seconds), of_it, shown(over(seconds, peer)), shown(size, 0), shown(coded, 0)])
    return [f"\n### {data}: building on two threads, and memory\n",
            *table(["index", "s", "of it", "of hnswlib's", "bytes a vector", "of them codes and places"], rows)]


def curve_table(results, data, kind):
    rows = []
    for side in results.sides("curve", data):
        for point in frontier(results.curve("curve", data, side, kind))[::-1]:
            if point.recall >= 0.8:
                spread = f"**{point.qps:,.0f}** ({point.least:,.0f}-{point.most:,.0f})"
                rows.append([TITLES.get(side, side), point.setting, f"{point.recall:.4f}", spread, f"{point.p50:,.0f}", f"{point.p99:,.0f}"])
    return [f"\n### {data}: {kind} queries, one thread\n",
            *table(["index", "setting", "recall@10", "queries a second (least-most)", "p50, us", "p99, us"], rows)]


def marks_table(results, data):
    rows = []
    for side in results.sides("curve", data):
        cells = [TITLES.get(side, side)]
        for kind in KINDS:
            for mark in MARKS:
                own = qps_at(results.curve("curve", data, OURS, kind), mark)
                rate = qps_at(results.curve("curve", data, side, kind), mark)
                ratio = over(own, rate)
                cells.append(shown(rate, 0) + (f" ({ratio:.2f})" if ratio and side != OURS else ""))
        rows.append(cells)
    heads = [f"{kind} {mark}" for kind in KINDS for mark in MARKS]
    return [f"\n### {data}: queries a second at a recall, between two settings (in brackets: vitrine's of it)\n",
            *table(["index", *heads], rows)]


def filter_table(results, data):
    rows = []
    for share in SHARES:
        for kind in KINDS:
            mine = results.point(DEFAULT, "filter", data, OURS, kind, filter_=share)
            if mine is None:
                continue
            cells = [f"{share} %", kind, f"{mine.recall:.4f}", f"{mine.qps:,.0f}", f"{mine.p50:,.0f} / {mine.p99:,.0f}"]
            for side in FILTERED[1:]:
                peer = rate_at_equal(results.curve("filter", data, side, kind, filter_=share), mine.recall)
                cells.append(f"{peer:,.0f} ({mine.qps / peer:.1f})" if peer else "")
            rows.append(cells)
    return [f"\n### {data}: under a filter, by default; the peers at the same recall (in brackets: vitrine's of it)\n",
            *table(["rows that pass", "queries", "recall@10", "queries a second", "p50 / p99, us",
                    *(TITLES[side] for side in FILTERED[1:])], rows)]


def rate_at_equal(points, recall):
    """Of the highest recall there is, where that is less: no better for us."""
    if not points:
        return None
    return qps_at(points, min(recall, max(point.recall for point in points)))


def pair_table(results, data, step, filter_, title):
    """Two or more indexes side by side at the same settings."""
    rows = [[side, kind, point.setting, f"{point.recall:.4f}", f"{point.qps:,.0f}", f"{point.p50:,.0f} / {point.p99:,.0f}"]
            for kind in KINDS for side in results.sides(step, data)
            for point in results.curve(step, data, side, kind, filter_=filter_)]
    heads = ["index", "queries", "setting", "recall@10", "queries a second", "p50 / p99, us"]
    return [f"\n### {data}: {title}\n", *table(heads, rows)] if rows else []


def latency_table(results, data):
    rows = []
    for kind in KINDS:
        point = results.point(DEFAULT, "latency", data, OURS, kind, threads=2)
        if point:
            rows.append([kind, f"{point.recall:.4f}", f"{point.p50:,.0f}", f"{point.p99:,.0f}", f"{point.qps:,.0f}"])
    return [f"\n### {data}: by default, a query on two threads\n", *table(["queries", "recall@10", "p50, us", "p99, us", "a second"], rows)]


def start_table(results, data):
    what = {"save": "s", "load": "s", "first answer": "s", "size": "bytes a vector"}
    rows = [[name, shown(results.median("start", data, OURS, name), 3 if unit == "s" else 0), unit]
            for name, unit in what.items()]
    return [f"\n### {data}: snapshot (load, and from the start of a process to its first answer: two threads, file in the page cache)\n",
            *table(["what", "median", ""], rows)]


# ---- what must hold

def rate(results, data, side, kind, mark):
    return qps_at(results.curve("curve", data, side, kind), mark)


def best_peer(results, data, kind, mark):
    rates = [rate(results, data, side, kind, mark) for side in results.sides("curve", data) if side != OURS]
    return max((found for found in rates if found), default=None)


def speed_demands(results, data):
    def beside(peer, kind, mark, bound, whose):
        value = over(rate(results, data, OURS, kind, mark), peer)
        return Demand(f"{data}, {kind} queries at recall {mark}: queries a second, of {whose}", value, bound, at_least=True)

    def graph(kind, mark):
        return rate(results, data, "hnswlib", kind, mark)

    yield beside(graph("text", 0.95), "text", 0.95, 2.5, "hnswlib's")
    yield beside(best_peer(results, data, "text", 0.99), "text", 0.99, 3.0, "the best peer's")
    yield beside(graph("image", 0.95), "image", 0.95, 1.5, "hnswlib's")
    yield beside(graph("image", 0.99), "image", 0.99, 1.3, "hnswlib's")


def default_demands(results, data):
    for side in results.sides("default", data):
        recalls = [point.recall for kind in KINDS for point in results.curve("default", data, side, kind)]
        yield Demand(f"{data}, {side}, by default: least recall of a kind of query", min(recalls, default=None), 0.95,
                     at_least=True, digits=4)


def cost_demands(results, data):
    peer, (size, coded) = results.median("build", data, "hnswlib", "all"), bytes_of(results, data, OURS)
    theirs, _ = bytes_of(results, data, "hnswlib")
    yield Demand(f"{data}: building and learning on two threads, of hnswlib's", over(results.median("build", data, OURS, "all"), peer), 0.6)
    yield Demand(f"{data}: bytes a vector, of hnswlib's", over(size, theirs), 0.5)
    yield Demand(f"{data}: bytes of codes and places, of hnswlib's", over(coded, theirs), 0.25)


def filter_demands(results, data, with_peer):
    for share in SHARES:
        points = {kind: results.point(DEFAULT, "filter", data, OURS, kind, filter_=share) for kind in KINDS}
        recalls = [point.recall for point in points.values() if point]
        yield Demand(f"{data}, filter of {share} %: least recall by default", min(recalls, default=None), 0.95,
                     at_least=True, digits=4)
        if with_peer:
            ratios = [over(point.qps, rate_at_equal(results.curve("filter", data, "hnswlib", kind, filter_=share), point.recall))
                      for kind, point in points.items() if point]
            yield Demand(f"{data}, filter of {share} %: queries a second at equal recall, of hnswlib's", None if None in ratios else
                         min(ratios, default=None), 2.0, at_least=True)


def category_demands(results, data):
    for kind in KINDS:
        within, alone = (results.point(DEFAULT, "category", data, side, kind, filter_="category")
                         for side in (OURS, "vitrine, of the category alone"))
        value = over(alone.qps, within.qps) if within and alone else None
        yield Demand(f"{data}, {kind} queries in a category: recall by default", within.recall if within else None, 0.95,
                     at_least=True, digits=4)
        yield Demand(f"{data}, {kind} queries in a category: time, of an index of it alone", value, 1.0)


def churn_demands(results, data):
    for kind in KINDS:
        changed, fresh = (results.point(DEFAULT, "churn", data, side, kind, filter_="after")
                          for side in ("vitrine, changed", "vitrine, built anew"))
        value = 100 * (fresh.recall - changed.recall) if changed and fresh else None
        yield Demand(f"{data}, {kind} queries after changes and a reload: points of recall lost to an index built anew", value, 0.5)


def large_demands(results, data):
    for kind, bound in (("text", 3.0), ("image", 1.0)):
        point = results.point(DEFAULT, "latency", data, OURS, kind, threads=2)
        yield Demand(f"{data}, {kind} queries by default on two threads: p50, ms", point.p50 / 1e3 if point else None, bound)
        yield Demand(f"{data}, {kind} queries by default on two threads: recall", point.recall if point else None, 0.95,
                     at_least=True, digits=4)
    yield Demand(f"{data}: start of a process to its first answer, s", results.median("start", data, OURS, "first answer"), 1.0)
    yield Demand(f"{data}: the whole index from a snapshot, s", results.median("start", data, OURS, "load"), 3.0)


def small_demands(results, data):
    for side in results.sides("small", data):
        recalls = [point.recall for kind in KINDS for point in results.curve("small", data, side, kind, filter_="small")]
        yield Demand(f"{data}, its first 13,750 rows, {side}: least recall by default", min(recalls), 1.0, at_least=True, digits=4)


def demands(results):
    names = data_names(results)
    for data in names:
        if data == LARGE:
            yield from default_demands(results, data)
            yield from filter_demands(results, data, with_peer=False)
            yield from category_demands(results, data)
            yield from large_demands(results, data)
            continue
        yield from speed_demands(results, data)
        yield from default_demands(results, data)
        yield from cost_demands(results, data)
        yield from filter_demands(results, data, with_peer=True)
        yield from category_demands(results, data)
        yield from churn_demands(results, data)
        yield from small_demands(results, data)


def write(results):
    lines = machine_lines(results)
    for data in data_names(results):
        steps = {row.step for row in results.rows if row.data == data}
        lines += build_table(results, data)
        if "curve" in steps:
            lines += marks_table(results, data)
            for kind in KINDS:
                lines += curve_table(results, data, kind)
        if "filter" in steps:
            lines += filter_table(results, data)
        lines += pair_table(results, data, "category", "category", "in a category of rows that resemble each other")
        lines += pair_table(results, data, "churn", "after", "30 % removed, as many added, and a reload")
        lines += pair_table(results, data, "small", "small", "the first 13,750 rows")
        if "latency" in steps:
            lines += latency_table(results, data)
        if "start" in steps:
            lines += start_table(results, data)
    lines += ["\n### What must hold\n", *table(["what", "bound", "measured", ""], [])]
    return "\n".join(lines + [demand.line() for demand in demands(results)])
