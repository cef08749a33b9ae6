#!/usr/bin/python3
"""Writes the model folder from a checkpoint, the weights rounded to 16 bits.

usage: tools/train/export.py --work DIR OUT_DIR
"""
import argparse
import json
from pathlib import Path

import demo_path            # noqa: F401, before what it finds
import torch

import folder
from train import shape
from tokenizer import NOT_MERGES


def main():
    parser = argparse.ArgumentParser(description="Writes the model folder from a checkpoint.")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="the folder that train.py worked in")
    parser.add_argument("out_dir", type=Path)
    arguments = parser.parse_args()
    merges = [tuple(pair) for pair in json.loads((arguments.work / "merges.json").read_text(encoding="utf-8"))]
    state = torch.load(arguments.work / "checkpoint.pt")
    prefix = "clip."
    weights = {name[len(prefix):]: tensor for name, tensor in state["by_name"].items() if name.startswith(prefix)}
    folder.write(arguments.out_dir, shape(len(merges) + NOT_MERGES), merges, weights)
    size = sum(path.stat().st_size for path in arguments.out_dir.iterdir())
    print(f"{arguments.out_dir}: {size / 1e6:.2f} MB, after {state['step']} steps")


if __name__ == "__main__":
    main()
