"""Views of a picture: a random part of it, mirrored or not, its light and its compression changed, but not the name of its colour."""
import io

import numpy as np
import torch
from PIL import Image, ImageFilter

from clip_shape import MEAN, STD


def strong_view(array, side, rng):
    """[side][side][3] bytes: a part of 25 to 100 % of the picture, for learning."""
    return _finish(_turned(_part(array, side, rng, 0.25, 1.33), rng), rng, 0.10)


def mild_view(array, side, rng):
    """[side][side][3] bytes: nearly the whole picture, as a shop shows it."""
    return _finish(_part(array, side, rng, 0.75, 1.1), rng, 0.15)


def middle(array, side):
    """What the model's own preprocessing does: the shorter side to `side`, the middle."""
    image = Image.fromarray(array)
    scale = side / min(image.size)
    width, height = (max(side, int(length * scale)) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return np.asarray(image.resize((width, height), Image.BICUBIC).crop((left, top, left + side, top + side)))


def pixels(views, mean=MEAN, std=STD):
    """[n][3][side][side] floats, normalised, of [n][side][side][3] bytes."""
    values = torch.from_numpy(views).permute(0, 3, 1, 2).float().mul_(1 / 255)
    return values.sub_(torch.tensor(mean).view(3, 1, 1)).div_(torch.tensor(std).view(3, 1, 1))


def relight(values, generator):
    """Brightness and contrast of each picture, and a hint of its warmth, changed in place: [n][3][side][side], normalised."""
    count = len(values)
    gain = 1.0 + 0.25 * (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1)
    shift = 0.3 * (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1)
    warmth = 0.08 * (2 * torch.rand(count, 3, 1, 1, generator=generator) - 1)
    return values.mul_(gain).add_(shift + warmth)


def _part(array, side, rng, least, stretch):
    height, width = array.shape[:2]
    for _ in range(5):
        area = rng.uniform(least, 1.0) * height * width
        ratio = stretch ** rng.uniform(-1, 1)
        w, h = (area * ratio) ** 0.5, (area / ratio) ** 0.5
        if w <= width and h <= height:
            break
    else:
        w = h = min(width, height)
    left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
    return Image.fromarray(array).resize((side, side), Image.BILINEAR, (left, top, left + w, top + h))


def _turned(image, rng):
    """Half of the time by up to 20 degrees; the corners get the colour that one of them had."""
    if rng.random() < 0.5:
        return image
    return image.rotate(rng.uniform(-20, 20), Image.BILINEAR, fillcolor=image.getpixel((0, 0)))


def _finish(image, rng, rare):
    if rng.random() < 0.5:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    if rng.random() < rare:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
    if rng.random() < rare:
        packed = io.BytesIO()
        image.save(packed, "JPEG", quality=rng.randrange(35, 90))
        image = Image.open(packed)
    return np.asarray(image)
