"""The photographs: two public sets, garments and groceries, and which of them training never sees.

A folder holds clothing.jsonl and grocery.jsonl, one {"image", "label", ...} a line; groceries carry a coarse label too. A photograph is
held out when a hash of its file's name says so, whatever else is in the folder.
"""
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

HELD_OUT_PERCENT = 15
SHORT_SIDE = 140        # of a stored photograph
LONGEST = 1.5           # times the shorter side; what is longer loses its ends
NO_KIND = ("Not sure", "Other", "Skip")     # labels that say nothing


@dataclass(frozen=True)
class Photo:
    path: Path
    source: str         # "clothing" or "grocery"
    label: str
    coarse: str         # the label itself for garments
    kids: bool = False

    @property
    def held_out(self):
        return int(hashlib.sha256(self.path.name.encode("utf-8")).hexdigest()[:8], 16) % 100 < HELD_OUT_PERCENT

    def open(self):
        return Image.open(self.path).convert("RGB")


def listed(folder):
    """Every photograph of both lists, in the lists' order."""
    folder, found = Path(folder), []
    for source in ("clothing", "grocery"):
        with open(folder / f"{source}.jsonl", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                found.append(Photo(folder / record["image"], source, record["label"], record.get("coarse", record["label"]),
                                   bool(record.get("kids"))))
    return found


def small(image):
    """[height][width][3] bytes, the shorter side SHORT_SIDE."""
    width, height = image.size
    longest = int(LONGEST * min(width, height))
    left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
    image = image.crop((left, top, width - left, height - top))
    scale = SHORT_SIDE / min(image.size)
    return np.asarray(image.resize([round(side * scale) for side in image.size], Image.BICUBIC))
