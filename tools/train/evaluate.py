#!/usr/bin/python3
"""Measures a model folder on what training never saw: a table, or the same figures as JSON.

usage: tools/train/evaluate.py --photos DIR --work DIR [--json FILE] MODEL_DIR

Photographs are the held-out ones. Drawn products are in poses that training never showed; combinations of colour and kind that
it never saw are counted apart. Means come with 95 % intervals (normal approximation; over queries, or over photographs).
"""
import argparse
import io
import json
import random
from collections import Counter
from pathlib import Path

import demo_path            # noqa: F401, before what it finds
import numpy as np
import torch
from PIL import Image, ImageOps

import augment
import cache
import concepts
import drawn
import folder
import photos
import preprocess
from kinds import KINDS
from palette import COLOURS, PATTERNS

EACH = 12               # drawn pictures of every colour and kind
TOP = 10
COMMONEST = 10          # kinds of garments told apart
GALLERY = 5000          # photographs among which one is found again
ENGLISH_PROMPTS = ("{}", "a photo of {}", "a product photo of {}")
FRENCH_PROMPTS = ("{}", "une photo de {}", "image de {}")
CHUNK = 64


class Measured:
    """A model folder, asked for vectors."""

    def __init__(self, model_folder):
        self.clip, self.words = folder.read(model_folder)

    @torch.no_grad()
    def of_pixels(self, values):
        return self.clip.image_vectors(values).numpy()

    def of_arrays(self, pictures):
        side = self.clip.shape.image_size
        chunks = (pictures[i:i + CHUNK] for i in range(0, len(pictures), CHUNK))
        return np.concatenate([self.of_pixels(augment.pixels(np.stack([augment.middle(p, side) for p in c]))) for c in chunks])

    def of_images(self, images):
        """`images` may be a generator: photographs are read as they are needed."""
        found, waiting = [], []
        for image in images:
            waiting.append(preprocess.pixels(image, self.clip.shape.image_size))
            if len(waiting) == CHUNK:
                found.append(self.of_pixels(torch.from_numpy(np.stack(waiting))))
                waiting = []
        if waiting:
            found.append(self.of_pixels(torch.from_numpy(np.stack(waiting))))
        return np.concatenate(found)

    @torch.no_grad()
    def of_texts(self, texts):
        ids = torch.from_numpy(self.words.batch(texts, self.clip.shape.context))
        return self.clip.text_vectors(ids).numpy()

    def of_concept(self, name):
        """The mean vector of everything a concept is called, in both languages."""
        concept = concepts.CONCEPTS[name]
        texts = [prompt.format(word) for nouns, prompts in ((concept.english, ENGLISH_PROMPTS), (concept.french, FRENCH_PROMPTS))
                 for noun in nouns for word in dict.fromkeys((noun.singular, noun.plural)) for prompt in prompts]
        mean = self.of_texts(texts).mean(axis=0)
        return mean / np.linalg.norm(mean)


def figure(values):
    """Mean, half width of its 95 % interval, and how many."""
    values = np.asarray(values, np.float64)
    return {"mean": float(values.mean()), "half": float(1.96 * values.std() / max(len(values), 1) ** 0.5), "n": len(values)}


def precision(measured, gallery, queries):
    """Precision@10 of each (text, is_relevant[gallery])."""
    texts = measured.of_texts([text for text, _ in queries])
    order = np.argsort(-(texts @ gallery.T), axis=1)[:, :TOP]
    return [relevant[found].mean() for (_, relevant), found in zip(queries, order)]


def drawn_figures(measured, work):
    products = drawn.measuring_products(EACH)
    gallery = measured.of_arrays(cache.drawn_pictures(work / "cache", "drawn-measuring", products))
    facts = np.array([(p.kind.slug, p.colour.slug, p.pattern.slug) for p in products])
    found = {}
    for seen in (True, False):
        asked = [(k, c) for k in KINDS for c in COLOURS.values() if drawn.held_out(k.slug, c.slug) != seen]
        relevant = [(facts[:, 0] == k.slug) & (facts[:, 1] == c.slug) for k, c in asked]
        label = "seen" if seen else "held-out"
        found[f"drawn, {label} combinations, English"] = figure(precision(
            measured, gallery, [(f"{c.slug} {k.english}", r) for (k, c), r in zip(asked, relevant)]))
        found[f"drawn, {label} combinations, French"] = figure(precision(
            measured, gallery, [(f"{k.french} {c.agree(k.gender, k.plural)}", r) for (k, c), r in zip(asked, relevant)]))
    for slug in ("striped", "dotted", "checked"):
        pattern, kinds = PATTERNS[slug], [k for k in KINDS if slug in k.patterns]
        relevant = [(facts[:, 0] == k.slug) & (facts[:, 2] == slug) for k in kinds]
        found[f"drawn, {slug}, English"] = figure(precision(
            measured, gallery, [(f"{slug} {k.english}", r) for k, r in zip(kinds, relevant)]))
        found[f"drawn, {slug}, French"] = figure(precision(
            measured, gallery, [(f"{k.french} {pattern.agree(k.gender, k.plural)}", r) for k, r in zip(kinds, relevant)]))
    return found


def zero_shot(vectors, truths, classes):
    """Top-1 and top-3 of vectors against (name, vector) classes, and the confusion of the first."""
    names = [name for name, _ in classes]
    order = np.argsort(-(vectors @ np.stack([v for _, v in classes]).T), axis=1)
    answers = [[names[i] for i in row[:3]] for row in order]
    first = [answer[0] == truth for answer, truth in zip(answers, truths)]
    return figure(first), figure([truth in answer for answer, truth in zip(answers, truths)])


def photo_figures(measured, photo_folder):
    listed = photos.listed(photo_folder)
    held = [p for p in listed if p.held_out]
    vectors = measured.of_images(p.open() for p in held)
    found = {}
    counts = Counter(p.label for p in listed if p.source == "clothing" and p.label not in photos.NO_KIND)
    commonest = [label for label, _ in counts.most_common(COMMONEST)]
    rows = [i for i, p in enumerate(held) if p.source == "clothing" and p.label in commonest]
    classes = [(label, measured.of_concept(concepts.CLOTHING_LABELS[label])) for label in commonest]
    top1, top3 = zero_shot(vectors[rows], [held[i].label for i in rows], classes)
    found["garments, ten commonest kinds, top-1"], found["garments, ten commonest kinds, top-3"] = top1, top3
    for label in commonest:
        of_label = [i for i in rows if held[i].label == label]
        found[f"  of them {label}, top-1"] = zero_shot(vectors[of_label], [label] * len(of_label), classes)[0]
    rows = [i for i, p in enumerate(held) if p.source == "grocery"]
    classes = [(label, measured.of_concept("grocery " + label.lower())) for label in sorted({p.coarse for p in listed if p.source == "grocery"})]
    found["groceries, coarse class, top-1"], found["groceries, coarse class, top-3"] = zero_shot(
        vectors[rows], [held[i].coarse for i in rows], classes)
    found["garments, the nearest held-out one is of its kind"] = same_kind(held, vectors)
    others = random.Random(1).sample([p for p in listed if not p.held_out], GALLERY - len(held))
    gallery = np.concatenate([vectors, measured.of_images(p.open() for p in others)])
    found[f"garments, the nearest of {GALLERY} photographs is of its kind"] = same_kind(held, gallery, others)
    return found | found_again(measured, held, gallery)


def same_kind(held, vectors, others=()):
    """Whether a held-out garment's nearest neighbour, itself left out, has its label; the first rows of `vectors` are those of `held`."""
    rows = [i for i, p in enumerate(held) if p.source == "clothing" and p.label not in photos.NO_KIND]
    labels = np.array([p.label for p in (*held, *others)])
    scores = vectors[rows] @ vectors.T
    scores[np.arange(len(rows)), rows] = -2
    scores[:, [i for i, label in enumerate(labels) if label in photos.NO_KIND]] = -2
    return figure(labels[scores.argmax(axis=1)] == labels[rows])


def reencoded(image):
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=50)
    return Image.open(packed)


def cropped(image):
    """A tenth less in width and height."""
    width, height = image.size
    return image.crop((width // 20, height // 20, width - width // 20, height - height // 20))


def found_again(measured, held, gallery):
    """Changed held-out photographs, each among all of the gallery, which begins with them."""
    found = {}
    for name, change in (("re-encoded", reencoded), ("cropped by 10 %", cropped), ("mirrored", ImageOps.mirror)):
        changed = measured.of_images(change(p.open()) for p in held)
        first = (changed @ gallery.T).argmax(axis=1)
        found[f"{name}, its original first of {GALLERY}"] = figure(first == np.arange(len(held)))
    return found


def main():
    parser = argparse.ArgumentParser(description="Measures a model folder on what training never saw.")
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="for cached drawings")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("model_dir", type=Path)
    arguments = parser.parse_args()
    measured = Measured(arguments.model_dir)
    found = photo_figures(measured, arguments.photos) | drawn_figures(measured, arguments.work)
    for name, value in found.items():
        print(f"{name:58} {value['mean']:.3f} +- {value['half']:.3f}  n = {value['n']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
