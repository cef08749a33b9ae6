#!/usr/bin/python3
"""Draws the demo catalogue: demo/catalogue.jsonl and demo/images/*.webp.

usage: tools/demo/draw_catalogue.py [--count N] [OUT_DIR]

The same count gives the same bytes on the same machine. Needs python3-numpy, python3-pil and python3-cairo.
"""
import argparse
import json
from pathlib import Path

import picture
from kinds import KINDS
from products import choose, record

DEMO = Path(__file__).resolve().parents[2] / "demo"
COUNT = 16 * len(KINDS)
WEBP = {"format": "WEBP", "quality": 80, "method": 6}


def write_catalogue(out_dir, count):
    images = out_dir / "images"
    images.mkdir(parents=True, exist_ok=True)
    for stale in images.glob("*.webp"):
        stale.unlink()
    chosen = choose(KINDS, count)
    with open(out_dir / "catalogue.jsonl", "w", encoding="utf-8", newline="\n") as lines:
        for product in chosen:
            picture.draw(product).save(images / f"{product.id}.webp", **WEBP)
            lines.write(json.dumps(record(product), ensure_ascii=False) + "\n")
    return len(chosen)


def main():
    parser = argparse.ArgumentParser(description="Draws the demo catalogue.")
    parser.add_argument("--count", type=int, default=COUNT, help=f"how many products (default {COUNT})")
    parser.add_argument("out_dir", nargs="?", type=Path, default=DEMO)
    arguments = parser.parse_args()
    written = write_catalogue(arguments.out_dir, arguments.count)
    print(f"{written} products in {arguments.out_dir}")


if __name__ == "__main__":
    main()
