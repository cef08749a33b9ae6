"""The colour of the garment in a photograph, told from its pixels, where they leave no doubt.

There is no mask, so two colour histograms stand in for one: what the middle of the picture shows more of than its border is taken for
garment. Its pixels are named one by one from lightness, chroma and hue (CIELAB), and the commonest name is kept when it is common enough.
Most photographs fail some test and get no colour: a missing word teaches nothing, a wrong one teaches an error. Rejected: k-means, which
splits a lit shirt in two; the mean colour, which is brown for anything with a print.
"""
import json

import numpy as np

SHADES = ("red", "blue", "green", "yellow", "black", "white", "pink", "orange", "purple", "brown", "grey", "navy", "beige", "turquoise", "")
NUMBER = {name: i for i, name in enumerate(SHADES)}
BINS = 12               # of a histogram, for each of lightness and the two colour axes
LEAST_GARMENT = 0.15    # of the middle's pixels
LEAST_SHARE = {"white": 0.72, "grey": 0.75, "beige": 0.75, "brown": 0.68}
USUAL_SHARE = 0.62
HARD_ON_LIKE = ("white", "grey", "beige", "brown")      # not believed where the border has the same name

# Hue in degrees from .. to (exclusive), in order; what is pale or dark within a hue has another name.
HUES = ((345, 360, "pink"), (0, 12, "pink"), (12, 48, "red"), (48, 73, "orange"), (73, 103, "yellow"), (103, 172, "green"),
        (172, 225, "turquoise"), (225, 296, "blue"), (296, 345, "purple"))


def lab(picture):
    """[...][3] of lightness 0..100 and the two colour axes, of sRGB bytes under daylight (D65)."""
    c = picture.astype(np.float32) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]], np.float32)
    t = xyz / np.array([0.9505, 1.0, 1.089], np.float32)
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def named(values):
    """The number in SHADES of every Lab pixel; the last one, "", between the names."""
    light, chroma = values[..., 0], np.hypot(values[..., 1], values[..., 2])
    hue = np.degrees(np.arctan2(values[..., 2], values[..., 1])) % 360
    found = np.full(light.shape, NUMBER[""])
    for start, end, name in HUES:
        found[(hue >= start) & (hue < end)] = NUMBER[name]

    def rule(where, name):
        found[where] = NUMBER[name]
    warm, cold = (hue >= 20) & (hue < 100), (hue >= 225) & (hue < 310)
    rule((hue >= 12) & (hue < 40) & (light > 62) & (chroma < 45), "pink")
    rule(((hue >= 345) | (hue < 12)) & (light < 48) & (chroma > 30), "red")
    rule((hue >= 73) & (hue < 103) & (light < 55), "")
    rule(warm & (hue > 30) & (light < 52) & (chroma < 42), "brown")
    rule(warm & (hue > 50) & (light >= 52) & (chroma < 28), "beige")
    rule(((hue >= 345) | (hue < 12)) & (light < 48) & (chroma <= 30), "")
    rule((hue >= 103) & (hue < 115) & (light >= 60) & (chroma < 18), "")
    rule(cold & (light < 30) & (chroma < 45), "navy")
    rule((chroma < 13) & cold & (light >= 30), "")
    rule(chroma < 8.5, "grey")
    rule((chroma < 9.5) & (light > 80), "white")
    rule((chroma < 8.5) & (light > 70) & (light <= 80), "")
    rule((light < 24) & (chroma < 9), "black")
    rule(light < 11, "black")
    return found


def histogram(bins, weights):
    return np.bincount(bins.ravel(), weights.ravel(), BINS ** 3) / weights.sum()


def garment(values):
    """[height][width] of true where the middle's colours are, and the middle's weights."""
    height, width = values.shape[:2]
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    middle = (np.hypot(x / 0.62, y / 0.62) < 1).astype(np.float32)
    border = (np.maximum(abs(x), abs(y)) > 0.88).astype(np.float32)
    scaled = (values + np.array([0, 60, 60])) / np.array([101, 120, 120])
    cells = np.clip((scaled * BINS).astype(int), 0, BINS - 1) @ np.array([BINS * BINS, BINS, 1])
    inside, outside = histogram(cells, middle), histogram(cells, border)
    return (middle > 0) & (inside > 1.5 * outside)[cells], border > 0


def garment_colour(picture):
    """A name of SHADES, "" in doubt."""
    values = lab(picture[::2, ::2])
    worn, border = garment(values)
    if worn.mean() < LEAST_GARMENT:
        return ""
    names = named(values)
    counts = np.bincount(names[worn], minlength=len(SHADES))
    best = int(counts.argmax())
    name = SHADES[best]
    if counts[best] < LEAST_SHARE.get(name, USUAL_SHARE) * counts.sum():
        return ""
    if name in HARD_ON_LIKE and (names[border] == best).mean() > 0.3:
        return ""
    return name


def kept(path, listed, pictures):
    """The colour of every photograph, garments only; made once and kept in `path`."""
    if not path.exists():
        found = [garment_colour(picture) if photo.source == "clothing" else "" for photo, picture in zip(listed, pictures)]
        path.write_text(json.dumps(found), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))
