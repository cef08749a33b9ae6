"""The sides of the index benchmark: which there are, their settings, how they are built and spoken to (bench/index.c says how)."""
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from building import run
from serving import Serving
from vectors import EQUAL, K

HERE = Path(__file__).resolve().parent
FLAGS = ("-O3", "-march=native", "-fopenmp", "-std=c++17")      # the peers are to have the machine's best instructions
OURS = "vitrine"
DEFAULT = "default"
ALL = 1000000               # queries
PEERS = ("hnswlib", "flat", "ivfflat", "hnswsq8", "ivfpq4")
FILTERED = (OURS, "hnswlib", "ivfflat")
SHARES = {"50": 0.5, "10": 0.1, "1": 0.01, "0.1": 0.001}    # per cent of the rows that a filter lets pass
RECALLS = ("0.8", "0.9", "0.95", DEFAULT, "0.99", "0.995", "0.999", "1")     # wished
EFS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896, 1280, 1792, 2560, 3584, 4096)
PROBES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SETTINGS = {
    OURS: [RECALLS],
    "hnswlib": [EFS],
    "flat": [(0,)],
    "ivfflat": [PROBES],
    "hnswsq8": [EFS],
    "ivfpq4": [[f"{probes}:{refined}" for probes in PROBES] for refined in (10, 40, 160)],
}       # runs of growing cost


def build_peers(work, faiss_source):
    """With Debian's faiss, which is compiled for every x86-64, or one compiled here for this machine."""
    out = work / ("index_peers_native" if faiss_source else "index_peers")
    source = HERE / "peers.cpp"
    if out.exists() and out.stat().st_mtime > source.stat().st_mtime:
        return out
    faiss = [f"-I{faiss_source}", build_faiss(work, faiss_source)] if faiss_source else ["-lfaiss"]
    run("g++", *FLAGS, "-o", out, source, *faiss, "-llapack", "-lblas", "-lpthread")
    return out


def build_faiss(work, source):
    archive, objects = work / "libfaiss-native.a", work / "faiss"
    if archive.exists():
        return archive
    objects.mkdir(parents=True, exist_ok=True)
    files = [file for file in (source / "faiss").rglob("*.cpp") if not {"gpu", "python", "c_api"} & set(file.parts)]

    def compile_one(file):
        out = objects / ("_".join(file.relative_to(source).parts) + ".o")
        if not out.exists():
            run("g++", *FLAGS, "-DFINTEGER=int", "-w", f"-I{source}", "-c", file, "-o", out)
        return out

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        made = list(pool.map(compile_one, files))
    run("ar", "rcs", archive, *made, stdout=subprocess.DEVNULL)
    return archive


class Side(Serving):
    """One contender over one data set."""

    def __init__(self, program, data, name=OURS):
        self.name, self.data = name, data
        super().__init__(name, [program, data.base, *([] if name == OURS else [name])], {"OPENBLAS_NUM_THREADS": 1})

    def build(self, threads, bits="-"):
        return self.ask("build", threads, self.data.bits_file(bits))

    def learn(self, threads):
        """Ours only. Seconds for each kind of query."""
        words = {"image": "-"} | ({"text": self.data.train} if self.data.train else {})
        return {kind: self.ask("learn", threads, kind, file)["seconds"] for kind, file in words.items()}

    def search(self, setting, kind, bits="-", count=ALL, asked_as=None, equal=EQUAL):
        """Recall, microseconds of each query, and seconds of a processor for all of them."""
        setting = 0 if setting == DEFAULT else setting
        told = self.ask("search", setting, K, count, self.data.queries[kind], self.data.bits_file(bits), asked_as or kind)
        return self.data.recall(kind, bits, told["ids"], equal), told["us"], told["cpu"]


def worth_timing(side, kind, bits="-", count=ALL, least=0.8, most=0.99):
    """A peer's settings from about the least recall to the first that reaches the most; found by one run that is not counted."""
    chosen = []
    for run_ in SETTINGS[side.name]:
        kept, before = [], 0
        for setting in run_:
            recall, _, _ = side.search(setting, kind, bits, count)
            if recall < least:
                kept = []
            kept.append(str(setting))
            if recall >= most or 0 < recall - before < 0.0005:
                break
            before = recall
        chosen += kept
    return chosen
