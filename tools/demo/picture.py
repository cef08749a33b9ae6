"""One product's picture: background, shadow, object, in that order.

Drawn at twice the size and reduced, which smooths thin seams better than cairo's own antialiasing. The shadow is the
object's own coverage, moved, blurred (by Pillow) and tinted, so every silhouette gets the right one.
"""
import cairo
import numpy as np
from PIL import Image, ImageFilter

from palette import BACKGROUNDS, lighter, mix
from pen import Pen

SIZE = 512
SCALE = 2
BOX = 396.0             # units of the silhouettes' coordinates across the picture
SHADOW = (0.20, 0.17, 0.25)
SHADOWS = ((4, 7, 5, 0.26), (10, 20, 20, 0.26))     # one near, one far: right, down, blur in units, and strength
FLIPPABLE = ("shoes", "cups", "hats")    # a garment buttons on one side, a shoe may point either way


def draw(product):
    """An RGB Pillow image of SIZE x SIZE."""
    rng = product.rng("picture")
    layer = _object_layer(product, rng)
    picture = _background(rng.choice(BACKGROUNDS))
    unit = SIZE * SCALE / BOX
    for dx, dy, blur, strength in SHADOWS:
        _lay_shadow(picture, layer, round(dx * unit), round(dy * unit), blur * unit, strength)
    picture.paste(layer, (0, 0), layer)
    return picture.resize((SIZE, SIZE), Image.LANCZOS)


def _object_layer(product, rng):
    side = SIZE * SCALE
    surface = cairo.ImageSurface(cairo.FORMAT_ARGB32, side, side)
    context = cairo.Context(surface)
    context.translate(side / 2, side / 2)
    size = rng.uniform(0.90, 1.04) * side / BOX
    mirror = -1 if product.kind.category in FLIPPABLE and rng.random() < 0.4 else 1
    context.scale(size * mirror, size)
    tilt = 0.0 if product.kind.category == "lamps" else rng.uniform(-0.055, 0.055)
    context.rotate(tilt)
    product.cut.draw(Pen(context, product.colour, product.pattern, rng))
    surface.flush()
    return _to_pillow(surface, side)


def _to_pillow(surface, side):
    """cairo's premultiplied BGRA to Pillow's straight RGBA."""
    raw = np.frombuffer(surface.get_data(), np.uint8).reshape(side, side, 4).astype(np.float32)
    alpha = raw[..., 3:]
    colour = np.divide(raw[..., 2::-1] * 255.0, alpha, out=np.zeros_like(raw[..., :3]), where=alpha > 0)
    straight = np.concatenate([np.clip(colour, 0, 255), alpha], axis=2)
    return Image.fromarray(np.rint(straight).astype(np.uint8), "RGBA")


def _background(rgb):
    """A wall lit from the upper left."""
    side = SIZE * SCALE
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    t = np.clip(np.hypot(x - 0.40, y - 0.35) / 0.9, 0, 1)[..., None]
    light, dark = lighter(rgb, 0.45), mix(rgb, (0.55, 0.53, 0.58), 0.16)
    wall = np.array(light) * (1 - t) + np.array(dark) * t
    return Image.fromarray(np.rint(wall * 255).astype(np.uint8), "RGB")


def _lay_shadow(picture, layer, dx, dy, blur, strength):
    coverage = Image.new("L", layer.size, 0)
    coverage.paste(layer.getchannel("A"), (dx, dy))
    mask = coverage.filter(ImageFilter.GaussianBlur(blur)).point(lambda v: int(v * strength))
    tint = tuple(int(channel * 255) for channel in SHADOW)
    picture.paste(tint, (0, 0) + picture.size, mask)
