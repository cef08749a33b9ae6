#!/usr/bin/python3
"""Draws the photographs whose colour was told from their pixels, one row for each colour, to be judged by eye.

usage: tools/train/contact_sheet.py --photos DIR --work DIR OUT.png
"""
import argparse
import random
from pathlib import Path

import demo_path     # noqa: F401, before what it finds
import numpy as np
from PIL import Image

import cache
import colours
import photos

ACROSS, SIDE = 20, 72


def main():
    parser = argparse.ArgumentParser(description="Draws the photographs by the colour they were given.")
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    listed = photos.listed(arguments.photos)
    pictures = cache.photo_pictures(arguments.work / "cache", listed)
    found = colours.kept(arguments.work / "cache" / "colours.json", listed, pictures)
    rows = []
    for name in colours.SHADES:
        members = [i for i, colour in enumerate(found) if colour == name and listed[i].source == "clothing"]
        print(f"{name or 'in doubt':10} {len(members)}")
        chosen = random.Random(1).sample(members, min(ACROSS, len(members)))
        tiles = [np.asarray(Image.fromarray(pictures[i]).resize((SIDE, SIDE))) for i in chosen]
        blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
        rows.append(np.concatenate(tiles + [blank] * (ACROSS - len(tiles)), axis=1))
    Image.fromarray(np.concatenate(rows)).save(arguments.out)


if __name__ == "__main__":
    main()
