#!/usr/bin/python3
"""Makes a CLIP model folder without training one, as Hugging Face lays it out.

usage: tools/make_model.py demo OUT_DIR
       tools/make_model.py vit-b-32 OUT_DIR [--tokenizer DIR]

demo      the small model in demo/model: random towers whose projections are fitted to the demo shop (tools/demo/fit.py says how).
          It knows the colours, patterns and kinds of that shop in English and French, and nothing else.
vit-b-32  a model of ViT-B/32's shape with random weights, 605 MB: for measuring speed, its answers mean nothing.
          Its vocabulary is filled up to the right size, or taken from the model folder given.

Both need python3-numpy; demo also draws the shop, with python3-pil and python3-cairo.
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
DEMO_VOCABULARY = 2000          # at most: the shop has fewer words
CLIP_VOCABULARY = 49408
NOT_MERGES = 512 + 2            # the bytes, the bytes that end a word, the special tokens


def catalogue():
    with open(ROOT / "demo" / "catalogue.jsonl", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def catalogue_texts():
    return [text for r in catalogue() for text in (r["name"], r["description"], r["category"])]


def make_demo(out_dir):
    import captions
    import fit
    import preprocess
    texts = catalogue_texts() + [text for text, _, _ in captions.sayings()]
    merges = bpe.learn_merges(texts, DEMO_VOCABULARY - NOT_MERGES)
    shape = Shape(vision=Tower("vision_model", 128, 2, 2), text=Tower("text_model", 96, 2, 3), image_size=112, patch=16,
                  vocabulary=len(merges) + NOT_MERGES, context=CONTEXT, projection=512, dtype="F16")
    shapes = clip_shape.tensors(shape)
    weights = {name: random_weights.make(name, tensor_shape) for name, tensor_shape in shapes.items()}
    shipped = len(catalogue())
    fit.fit(weights, shape, bpe.Tokenizer(merges), lambda image: preprocess.pixels(image, shape.image_size), shipped)
    write_configs(out_dir, shape)
    write_tokenizer(out_dir, merges)
    safetensors.write(out_dir / "model.safetensors", shapes, shape.dtype, lambda name, _: weights[name])


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
    parser.add_argument("model", choices=("demo", "vit-b-32"))
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="vit-b-32: take vocab.json and merges.txt from there")
    arguments = parser.parse_args()
    arguments.out_dir.mkdir(parents=True, exist_ok=True)
    if arguments.model == "demo":
        if arguments.tokenizer:
            parser.error("the demo model learns its own vocabulary")
        make_demo(arguments.out_dir)
    else:
        make_vit_b_32(arguments.out_dir, arguments.tokenizer)
    size = sum(path.stat().st_size for path in arguments.out_dir.iterdir())
    print(f"{arguments.out_dir}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
