#!/usr/bin/python3
"""Makes a CLIP model folder of ViT-B/32's shape with random weights, 605 MB, as Hugging Face lays it out: for measuring
speed, its answers mean nothing. Its vocabulary is filled up to the right size, or taken from the model folder given.

usage: tools/make_model.py vit-b-32 OUT_DIR [--tokenizer DIR]

Needs python3-numpy. The model that ships, demo/model, is trained: see tools/train.
"""
import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "demo"))

import bpe                  # noqa: E402
import clip_shape           # noqa: E402
import random_weights       # noqa: E402
import safetensors          # noqa: E402
from clip_folder import copy_tokenizer, write_configs, write_tokenizer  # noqa: E402
from clip_shape import Shape, Tower  # noqa: E402

CONTEXT = 77
CLIP_VOCABULARY = 49408
NOT_MERGES = 512 + 2            # the bytes, the bytes that end a word, the special tokens


def catalogue():
    with open(ROOT / "demo" / "catalogue.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def catalogue_texts():
    return [text for r in catalogue() for text in (r["name"], r["description"], r["category"])]


def make_vit_b_32(out_dir, tokenizer_dir):
    shape = Shape(vision=Tower("vision_model", 768, 12, 12), text=Tower("text_model", 512, 12, 8), image_size=224, patch=32,
                  vocabulary=CLIP_VOCABULARY, context=CONTEXT, projection=512, dtype="F32")
    write_configs(out_dir, shape)
    if tokenizer_dir:
        copy_tokenizer(tokenizer_dir, out_dir, shape.vocabulary)
    else:
        learnt = bpe.learn_merges(catalogue_texts(), shape.vocabulary)
        write_tokenizer(out_dir, bpe.fill_merges(learnt, shape.vocabulary - NOT_MERGES))
    safetensors.write(out_dir / "model.safetensors", clip_shape.tensors(shape), shape.dtype, random_weights.make)


def main():
    parser = argparse.ArgumentParser(description="Makes a CLIP model folder without training one.")
    parser.add_argument("model", choices=("vit-b-32",))
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="take vocab.json and merges.txt from there")
    arguments = parser.parse_args()
    arguments.out_dir.mkdir(parents=True, exist_ok=True)
    make_vit_b_32(arguments.out_dir, arguments.tokenizer)
    size = sum(path.stat().st_size for path in arguments.out_dir.iterdir())
    print(f"{arguments.out_dir}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
