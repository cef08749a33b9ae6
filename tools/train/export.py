#!/usr/bin/python3
"""Writes the model folder from a checkpoint, the weights rounded to 16 bits.

usage: tools/train/export.py --work DIR OUT_DIR

Pictures' vectors are stretched on the way, along the directions that tell the names of garments apart. A search by picture then finds a
thing of the same kind sooner, at the expense of its colour and of what makes it this one thing; what is most like the words "a skirt"
stays so, since the stretch is along the words. Rejected: more than twice (README.md has the figures), and stretching along
the training pictures' means, which did no more.
"""
import argparse
import json
from pathlib import Path

import demo_path            # noqa: F401, before what it finds
import numpy as np
import torch

import concepts
import evaluate
import folder
from train import shape
from tokenizer import NOT_MERGES

STRETCH = 2.0
LEAST_SPREAD = 1e-3         # of the widest direction: below it is rounding


def kinds_directions(model_folder):
    """[dim][directions], orthonormal: what the vectors of the garments' names span about their mean."""
    measured = evaluate.Measured(model_folder)
    names = np.stack([measured.of_concept(name) for name in sorted(set(concepts.CLOTHING_LABELS.values()))])
    _, spread, directions = np.linalg.svd(names - names.mean(axis=0), full_matrices=False)
    return torch.from_numpy(directions[spread > LEAST_SPREAD * spread[0]].T)


def stretched(projection, directions, factor):
    """`projection`, [dim][width], whose vectors are `factor` times as long along the directions."""
    return projection + (factor - 1) * directions @ (directions.t() @ projection)


def main():
    parser = argparse.ArgumentParser(description="Writes the model folder from a checkpoint.")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="the folder that train.py worked in")
    parser.add_argument("--stretch", type=float, default=STRETCH, metavar="N", help="along the kinds of garments (default %(default)s)")
    parser.add_argument("out_dir", type=Path)
    arguments = parser.parse_args()
    merges = [tuple(pair) for pair in json.loads((arguments.work / "merges.json").read_text(encoding="utf-8"))]
    state = torch.load(arguments.work / "checkpoint.pt")
    prefix, projection = "clip.", "visual_projection.weight"
    weights = {name[len(prefix):]: tensor for name, tensor in state["by_name"].items() if name.startswith(prefix)}
    made = shape(len(merges) + NOT_MERGES)
    folder.write(arguments.out_dir, made, merges, weights)
    weights[projection] = stretched(weights[projection], kinds_directions(arguments.out_dir), arguments.stretch)
    folder.write(arguments.out_dir, made, merges, weights)
    size = sum(path.stat().st_size for path in arguments.out_dir.iterdir())
    print(f"{arguments.out_dir}: {size / 1e6:.2f} MB, after {state['step']} steps")


if __name__ == "__main__":
    main()
