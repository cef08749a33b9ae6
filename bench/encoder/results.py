"""Every number that the encoder benchmark measures, as rows of one table, and the machine it ran on."""
import csv
import os
import platform
import subprocess
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Row:
    kind: str           # machine, peak, load, time, cosine
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


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def cpu_field(name):
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


def describe_machine(root):
    """Name to text: what somebody needs to know to compare with another machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = ("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8")
    flags = cpu_field("flags").split()
    load = os.getloadavg()[0]
    return {
        "processor": cpu_field("model name"),
        "family, model, stepping": ", ".join(cpu_field(name) for name in ("cpu family", "model\t", "stepping")),
        "instructions": " ".join(flag for flag in wanted if flag in flags),
        "virtual machine": "yes" if "hypervisor" in flags else "no",
        "processors": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 2 ** 30:.0f} GiB",
        "kernel": platform.release(),
        "system": " ".join(platform.freedesktop_os_release().get(key, "") for key in ("NAME", "VERSION_ID")),
        "compiler": first_line("gcc", "--version"),
        "node": first_line("node", "--version"),
        "commit": first_line("git", "-C", str(root), "describe", "--always", "--dirty"),
        "load before": f"{load:.1f}",
    }
