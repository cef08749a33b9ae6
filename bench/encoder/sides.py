"""The sides of the encoder benchmark: which there are, how each is started, and talking to one (bench/encode_serve.c says how)."""
from dataclasses import dataclass
from pathlib import Path

from serving import Serving

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"     # Debian's, which has Debian's torch


@dataclass(frozen=True)
class Engine:
    name: str           # vitrine, onnxruntime, torch
    precision: str
    isa: str = ""       # of vitrine's kernels: "" is the best the machine has

    @property
    def title(self):
        return " ".join(filter(None, (self.name, self.precision, self.isa)))


@dataclass(frozen=True)
class Places:
    """Where everything lies that a side needs."""
    bench_encode: Path
    model: Path
    onnx: Path
    inputs: Path


def engines(best_isa):
    """Those to compare. Where the best kernels are those of AMX, the ones below show a machine that does not have it."""
    ours = [Engine("vitrine", precision) for precision in ("f32", "bf16", "int8")]
    if best_isa == "amx":
        ours += [Engine("vitrine", precision, "avx512_bf16") for precision in ("bf16", "int8")]
    return ours + [Engine("onnxruntime", "f32"), Engine("onnxruntime", "int8"), Engine("torch", "f32")]


def command(engine, threads, places):
    if engine.name == "vitrine":
        return [places.bench_encode, places.model, "--precision", engine.precision, "--threads", threads, "--serve", places.inputs]
    if engine.name == "onnxruntime":
        return ["node", HERE / "onnxruntime.mjs", places.onnx, places.inputs, engine.precision, threads]
    return [PYTHON, HERE / "torch_peer.py", places.model, places.inputs, engine.precision, threads]


def environment(engine, threads):
    changed = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"}
    if engine.isa:
        changed["VITRINE_ISA"] = engine.isa
    return changed


class Side(Serving):
    """One engine on so many threads, in a process that stays."""

    def __init__(self, engine, threads, places):
        self.engine, self.threads = engine, threads
        super().__init__(f"{engine.title}, {threads} threads", command(engine, threads, places), environment(engine, threads))
