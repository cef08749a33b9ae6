#!/usr/bin/python3
"""torch as one side of the encoder benchmark, and the float64 reference: torch_peer.py MODEL_DIR INPUTS f32|f64 THREADS

Speaks what bench/encode_serve.c describes; vectors are written in the precision they were computed in. Plain eager mode, in
inference mode: optimize_for_inference and oneDNN's linear layers were tried with Debian's torch 1.13 and OpenBLAS, and were
slower. OpenBLAS has threads of its own, which fight torch's for the processors unless waiting threads sleep: whoever starts this
sets OMP_WAIT_POLICY=passive and OPENBLAS_NUM_THREADS (sides.py does).
"""
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

import towers


class Peer:
    def __init__(self, model_dir, inputs, precision):
        found = json.loads((inputs / "inputs.json").read_text(encoding="utf-8"))
        self.dtype = torch.float64 if precision == "f64" else torch.float32
        self.ids = [torch.tensor([ids]) for ids in found["ids"]]
        pixels = np.fromfile(inputs / "images.f32", "<f4").reshape(-1, 3, found["side"], found["side"])
        self.pixels = torch.from_numpy(pixels).to(self.dtype)
        begun = time.perf_counter()
        self.text, self.image = (tower.to(self.dtype) for tower in towers.read_towers(model_dir))
        opened = time.perf_counter()
        self.text(self.ids[0][:, [0, -1]])
        self.image(self.pixels[:1])
        self.opened = {"version": torch.__version__, "open_ms": (opened - begun) * 1e3,
                       "first_ms": (time.perf_counter() - opened) * 1e3}

    def obey(self, line):
        command, *words = line.split()
        if command == "text":
            return timed(lambda: self.text(self.ids[int(words[0])]), int(words[1]))
        if command == "images":
            pixels = self.pixels[:int(words[0])]
            return timed(lambda: self.image(pixels), int(words[1]))
        if command == "vectors":
            return self.write_vectors(words[0])
        raise SystemExit(f"not a command: {line}")

    def write_vectors(self, path):
        vectors = [self.text(ids) for ids in self.ids] + [self.image(pixels[None]) for pixels in self.pixels]
        torch.cat(vectors).numpy().tofile(path)
        return {"vectors": [len(self.ids), len(self.pixels), vectors[0].shape[1]]}


def timed(encode, runs):
    encode()
    ms = []
    for _ in range(runs):
        begun = time.perf_counter()
        encode()
        ms.append((time.perf_counter() - begun) * 1e3)
    return {"ms": ms}


def main():
    model_dir, inputs, precision, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    with torch.inference_mode():
        peer = Peer(Path(model_dir), Path(inputs), precision)
        print(json.dumps(peer.opened), flush=True)
        for line in sys.stdin:
            print(json.dumps(peer.obey(line)), flush=True)


if __name__ == "__main__":
    main()
