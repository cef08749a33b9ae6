"""Drawn products for training and measuring: the demo shop's own silhouettes, in many more poses than the shop shows.

The shop's generator (tools/demo) seeds everything by the product's id; a Posed product adds the number of its pose, so pose 0, 1, 2... of
one product are different pictures, and the shop's own picture is none of them. Whole combinations of colour and kind are
held out, in every pattern and cut: they measure whether the model composes what it knows. Pictures are drawn smaller than the
shop's, for speed; the shadow shrinks with them.
"""
import hashlib
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image

import picture
from kinds import KINDS
from palette import COLOURS, PATTERNS
from products import SEED, Product

HELD_OUT_PERCENT = 15
GENERATOR = ("bags", "footwear", "garments", "hats", "kinds", "lamps", "outline", "palette", "pen", "picture", "products", "tableware")
SIDE = 144              # of a stored picture
WIDEST_JITTER = 0.035   # of a colour's channels: no colour becomes another


@dataclass(frozen=True)
class Posed(Product):
    pose: int = 0

    def rng(self, purpose):
        return random.Random(f"{SEED}/{self.id}/{purpose}/pose {self.pose}")


def percent(name):
    """A number from 0 to 99 that depends on the name alone, on every machine."""
    return int(hashlib.sha256(name.encode("utf-8")).hexdigest()[:8], 16) % 100


def held_out(kind, colour):
    return percent(f"{colour} {kind}") < HELD_OUT_PERCENT


def training_products(poses):
    """Every combination that is not held out, `poses` times, cut by cut, its colours a little different each time."""
    return [jittered(Posed(kind, colour, PATTERNS[pattern], pose, number=1 + pose % len(kind.cuts)))
            for kind in KINDS for colour in COLOURS.values() if not held_out(kind.slug, colour.slug)
            for pattern in kind.patterns for pose in range(poses)]


def measuring_products(each, first_pose=1000):
    """`each` pictures of every combination of colour and kind, its patterns and cuts in turn, in poses that training never shows."""
    return [Posed(kind, colour, PATTERNS[kind.patterns[i % len(kind.patterns)]], first_pose + i,
                  number=1 + i // len(kind.patterns) % len(kind.cuts))
            for kind in KINDS for colour in COLOURS.values() for i in range(each)]


def jittered(product):
    rng = product.rng("colour")
    shift = [rng.uniform(-WIDEST_JITTER, WIDEST_JITTER) for _ in range(3)]
    rgb = tuple(min(1.0, max(0.0, channel + by)) for channel, by in zip(product.colour.rgb, shift))
    return replace(product, colour=replace(product.colour, rgb=rgb))


def draw(product, side=SIDE):
    """[side][side][3] bytes: as picture.draw() does it, smaller."""
    picture.SIZE = side
    rng = product.rng("picture")
    layer = picture._object_layer(product, rng)
    made = picture._background(rng.choice(picture.BACKGROUNDS))
    unit = side * picture.SCALE / picture.BOX
    for dx, dy, blur, strength in picture.SHADOWS:
        picture._lay_shadow(made, layer, round(dx * unit), round(dy * unit), blur * unit, strength)
    made.paste(layer, (0, 0), layer)
    return np.asarray(made.resize((side, side), Image.LANCZOS))


def digest():
    """Of the generator's sources: pictures are drawn anew when it changes."""
    sources = (Path(picture.__file__).parent / f"{name}.py" for name in GENERATOR)
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]


def draw_all(products, workers=2):
    """[products][SIDE][SIDE][3] bytes. The workers inherit the products, whose silhouettes are functions that cannot be sent."""
    with ProcessPoolExecutor(workers, get_context("fork"), _inherit, (products,)) as pool:
        return np.stack(list(pool.map(_draw_inherited, range(len(products)), chunksize=64)))


def _inherit(products):
    global inherited
    inherited = products


def _draw_inherited(i):
    return draw(inherited[i])
