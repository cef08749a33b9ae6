"""Every number that the encoder benchmark measures, as rows of one table."""
import csv
from dataclasses import astuple, dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Row:
    kind: str           # machine, peak, load, packed, distance, settling, time, cosine
    engine: str         # "" where it is the machine's
    precision: str
    isa: str            # of vitrine's kernels, where they are not the best ones
    threads: int        # 0 where there are none to speak of
    case: str           # what was done, or which property of the machine
    round: str
    value: object
    unit: str


class Results:
    def __init__(self):
        self.rows = []

    def add(self, kind, engine, case, value, unit, threads=0, turn=""):
        name, precision, isa = (engine.name, engine.precision, engine.isa) if engine else ("", "", "")
        self.rows.append(Row(kind, name, precision, isa, threads, case, str(turn), value, unit))

    def values(self, kind, engine, case, threads=None):
        """threads: None takes all."""
        key = (kind, engine.name, engine.precision, engine.isa, case)
        return [row.value for row in self.rows
                if (row.kind, row.engine, row.precision, row.isa, row.case) == key and threads in (None, row.threads)]

    def median(self, kind, engine, case, threads=None):
        """None where it was not measured."""
        found = self.values(kind, engine, case, threads)
        return float(np.median(found)) if found else None

    def peak(self, name, threads):
        """The highest seen: noise only lowers it."""
        return max((row.value for row in self.rows if (row.kind, row.case, row.threads) == ("peak", name, threads)), default=None)

    def write(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(field.name for field in fields(Row))
            for row in self.rows:
                writer.writerow(f"{cell:.6g}" if isinstance(cell, float) and row.kind != "cosine" else cell for cell in astuple(row))
