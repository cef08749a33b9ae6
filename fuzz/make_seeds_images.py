#!/usr/bin/env python3
"""Writes the seed files of fuzz_jpeg, fuzz_png, fuzz_webp, fuzz_gif and fuzz_bmp: a tiny picture of
every kind that the comparison with Pillow knows (tests/py/test_image_pillow.py), from a fixed seed.

    fuzz/make_seeds_images.py
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "py"))

import test_image_pillow  # noqa: E402

for kind, files in test_image_pillow.FILES.items():
    folder = os.path.join(HERE, "corpus", kind)
    os.makedirs(folder, exist_ok=True)
    for number, (name, data) in enumerate(files(13, 9)):
        words = "".join(c if c.isalnum() else " " for c in name).split()[1:]
        with open(os.path.join(folder, f"{number:02}-{'-'.join(words)}.{kind}"), "wb") as out:
            out.write(data)
