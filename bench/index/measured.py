"""Every number that the index benchmark measures, as rows of one table, and the curves they make."""
import csv
import math
from dataclasses import astuple, dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Row:
    step: str           # machine, build, learn, curve, filter, category, churn, small, latency, start
    data: str           # which set of vectors
    side: str           # vitrine, hnswlib, ...
    setting: str        # recall wished, ef, nprobe; or which property of the machine
    kind: str           # of query: image, text
    filter: str         # "-": none
    threads: int
    round: int
    recall: object = ""     # these of one turn: all queries, one after the other
    qps: object = ""        # by the time that the thread had a processor, so that others on the machine take nothing from it
    wall_qps: object = ""
    p50_us: object = ""
    p99_us: object = ""
    value: object = ""      # of what is no search
    unit: str = ""


@dataclass(frozen=True)
class Point:
    """Medians over the rounds."""
    setting: str
    recall: float
    qps: float
    least: float
    most: float
    p50: float
    p99: float


class Measured:
    def __init__(self, rows=()):
        self.rows = list(rows)

    def add(self, step, value, unit, data="", side="", setting="", threads=0, turn=0):
        self.rows.append(Row(step, data, side, setting, "", "-", threads, turn, value=value, unit=unit))

    def add_turn(self, where, recall, us, cpu=None):
        """where: a Row of the first eight fields; us: of each query; cpu: seconds for all, None where several threads had part in it."""
        us = np.asarray(us)
        wall = len(us) / us.sum() * 1e6
        self.rows.append(Row(*astuple(where)[:8], recall, len(us) / cpu if cpu else wall, wall, float(np.median(us)),
                             float(np.percentile(us, 99))))

    def values(self, step, data, side, setting=""):
        return [row.value for row in self.rows
                if (row.step, row.data, row.side, row.setting) == (step, data, side, setting) and row.value != ""]

    def median(self, step, data, side, setting=""):
        """None where it was not measured."""
        found = self.values(step, data, side, setting)
        return float(np.median(found)) if found else None

    def curve(self, step, data, side, kind, filter_="-", threads=1):
        turns = {}
        for row in self.rows:
            if row.qps != "" and (row.step, row.data, row.side, row.kind, row.filter, row.threads) == (step, data, side, kind, filter_,
                                                                                                       threads):
                turns.setdefault(row.setting, []).append(row)
        return [point_of(setting, rows) for setting, rows in turns.items()]

    def point(self, setting, *where, **more):
        """None where it was not measured."""
        return next((point for point in self.curve(*where, **more) if point.setting == setting), None)

    def sides(self, step, data):
        return list(dict.fromkeys(row.side for row in self.rows if (row.step, row.data) == (step, data)))

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(field.name for field in fields(Row))
            for row in self.rows:
                writer.writerow(f"{cell:.6g}" if isinstance(cell, float) else cell for cell in astuple(row))


def read(path):
    """What write wrote."""
    with open(path, encoding="utf-8", newline="") as file:
        return Measured(row_of(cells) for cells in csv.DictReader(file))


def row_of(cells):
    """A machine's values are text."""
    numbers = {"threads", "round", "recall", "qps", "wall_qps", "p50_us", "p99_us"} | ({"value"} if cells["step"] != "machine" else set())
    return Row(**{name: (int if name in ("threads", "round") else float)(cell) if name in numbers and cell else cell
                  for name, cell in cells.items()})


def point_of(setting, rows):
    qps = [row.qps for row in rows]
    return Point(setting, float(np.median([row.recall for row in rows])), float(np.median(qps)), min(qps), max(qps),
                 float(np.median([row.p50_us for row in rows])), float(np.median([row.p99_us for row in rows])))


def frontier(points):
    """Those that no other beats in both, the fastest first."""
    out = []
    for point in sorted(points, key=lambda point: (-point.qps, -point.recall)):
        if not out or point.recall > out[-1].recall:
            out.append(point)
    return out


def qps_at(points, recall):
    """Between two settings, of one below and one at or above the recall, by the logarithm of the rate; for every side the same way. None
    where no setting reaches it."""
    best = frontier(points)
    above = next((i for i, point in enumerate(best) if point.recall >= recall), None)
    if above is None:
        return None
    if above == 0:
        return best[0].qps
    low, high = best[above - 1], best[above]
    share = (recall - low.recall) / (high.recall - low.recall)
    return math.exp((1 - share) * math.log(low.qps) + share * math.log(high.qps))
