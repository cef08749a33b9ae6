"""CLIP's preprocessing: the shorter side to the model's size by bicubic resampling, the middle, normalised."""
import numpy as np
from PIL import Image

from clip_shape import MEAN, STD


def pixels(image, size):
    """[3][size][size] of a Pillow image."""
    image = image.convert("RGB")
    scale = size / min(image.size)
    width, height = (max(size, int(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    cropped = image.resize((width, height), Image.BICUBIC).crop((left, top, left + size, top + size))
    values = np.asarray(cropped, np.float32) / 255.0
    return ((values - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1)
