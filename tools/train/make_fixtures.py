#!/usr/bin/python3
"""Writes what another implementation must compute from the model: pictures and texts with torch's vectors.

usage: tools/train/make_fixtures.py MODEL_DIR OUT_DIR

images.webp          drawn products, tiles of the model's side, 20 in a row: cut, they need no resizing
image_vectors.f32    a row for each tile, of the decoded WebP's pixels
texts.txt            one text a line
text_vectors.f32     a row for each line
fixtures.json        the counts, and the hash of the weights that these vectors belong to

Vectors are L2-normalised rows of little-endian float32, computed in float32 from the 16-bit weights.
"""
import argparse
import hashlib
import json
import random
from pathlib import Path

import demo_path            # noqa: F401, before what it finds
import numpy as np
import torch
from PIL import Image

import augment
import concepts
import drawn
import folder
import phrases
from palette import COLOURS, PATTERNS

COUNT, ACROSS, SEED = 200, 20, 7
UNUSUAL = (
    "Red T-Shirt", "  robe   à   pois ", "ÉTÉ : CHEMISE BLANCHE !", "xyzzy", "42", "size 38, 39 & 40", "l'été d'une lampe", "it's a dog's hat",
    "日本の靴", "chaussures 👟 rouges", "ﬁne œuvre naïve", "e", "...", "t shirt", "a_b-c/d", "MUG" * 12,
    "a photo of a red striped t-shirt and a blue dotted mug beside a green checked lamp on a white table in a shop that sells "
    "everything a customer could ever want to buy in the summer",
)


def tiles(side):
    """One WebP of COUNT drawn products in poses that neither training nor measuring shows, and its pixels as any decoder gives them."""
    products = random.Random(SEED).sample(drawn.measuring_products(1, first_pose=2000), COUNT)
    rows = np.stack([augment.middle(drawn.draw(p), side) for p in products]).reshape(-1, ACROSS, side, side, 3)
    return Image.fromarray(rows.transpose(0, 2, 1, 3, 4).reshape(-1, ACROSS * side, 3))


def cut(sheet, side):
    """[COUNT][side][side][3] bytes."""
    array = np.asarray(sheet.convert("RGB")).reshape(-1, side, ACROSS, side, 3)
    return array.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3)


def texts():
    rng = random.Random(SEED)
    looks = [phrases.Look(rng.choice(list(concepts.CONCEPTS)), rng.choice(["", *COLOURS]), rng.choice(["", *PATTERNS]))
             for _ in range(COUNT - len(UNUSUAL))]
    return [phrases.caption(look, rng)[0] for look in looks] + list(UNUSUAL)


def main():
    parser = argparse.ArgumentParser(description="Writes pictures and texts with the vectors that torch computes of them.")
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    arguments = parser.parse_args()
    clip, words = folder.read(arguments.model_dir)
    out, side = arguments.out_dir, clip.shape.image_size
    out.mkdir(parents=True, exist_ok=True)
    tiles(side).save(out / "images.webp", quality=80, method=6)
    said = texts()
    (out / "texts.txt").write_text("".join(text + "\n" for text in said), encoding="utf-8")
    with torch.no_grad():
        seen = clip.image_vectors(augment.pixels(cut(Image.open(out / "images.webp"), side)))
        read = torch.cat([clip.text_vectors(torch.from_numpy(words.batch([text], clip.shape.context))) for text in said])
    seen.numpy().astype("<f4").tofile(out / "image_vectors.f32")
    read.numpy().astype("<f4").tofile(out / "text_vectors.f32")
    digest = hashlib.sha256((arguments.model_dir / "model.safetensors").read_bytes()).hexdigest()
    facts = {"images": len(seen), "across": ACROSS, "side": side, "texts": len(said), "dim": clip.shape.projection, "model_sha256": digest}
    (out / "fixtures.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(f"{out}: {sum(path.stat().st_size for path in out.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
