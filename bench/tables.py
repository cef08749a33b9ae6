"""Markdown tables of the benchmarks, and what must hold as PASS or miss."""
from dataclasses import dataclass


def row_of(cells):
    return f"| {' | '.join(cells)} |"


def table(heads, rows):
    return [row_of(heads), "|---" * len(heads) + "|", *(row_of(row) for row in rows)]


@dataclass(frozen=True)
class Demand:
    what: str
    value: float        # None: not measured
    bound: float
    at_least: bool = False
    digits: int = 3     # of the value

    @property
    def kept(self):
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def line(self):
        sign = ">=" if self.at_least else "<="
        if self.value is None:
            return f"| {self.what} | {sign} {self.bound} | | not measured |"
        return f"| {self.what} | {sign} {self.bound} | {self.value:.{self.digits}f} | {'PASS' if self.kept else '**miss**'} |"
