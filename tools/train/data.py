"""The training examples: pictures with what is known of them, and batches made from them by a second process.

Batch n depends on the seed and on n alone, so a resumed run sees the batches it would have seen.
"""
import random
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing import get_context

import numpy as np

import augment
import cache
import colours
import concepts
import drawn
import photos
import phrases

POSES = 6               # of each drawn product
SHARES = {"clothing": 72, "grocery": 20, "drawn": 36}    # pictures in a batch
EVENNESS = 0.35         # of garments: 0 shows every picture as often, 1 every kind
RECOLOURED = 0.3        # of garments: what kind a thing is, its colour does not say
OTHER_CHANNELS = ([0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [1, 1, 1])
AHEAD = 4               # batches that wait


@dataclass(frozen=True)
class Example:
    picture: np.ndarray
    look: phrases.Look
    garment: bool = False   # photographed


def load(photo_folder, cache_folder):
    """Source to its training examples."""
    found = {source: [] for source in SHARES}
    listed = photos.listed(photo_folder)
    pictures = cache.photo_pictures(cache_folder, listed)
    seen_colours = colours.kept(cache_folder / "colours.json", listed, pictures)
    for photo, picture, colour in zip(listed, pictures, seen_colours):
        concept = concepts.of_photo(photo)
        if concept and not photo.held_out:
            found[photo.source].append(Example(picture, phrases.Look(concept, colour), photo.source == "clothing"))
    products = drawn.training_products(POSES)
    for product, picture in zip(products, cache.drawn_pictures(cache_folder, "drawn-training", products)):
        look = phrases.Look(concepts.of_drawn(product.kind.slug), product.colour.slug, product.pattern.slug)
        found["drawn"].append(Example(picture, look))
    return found


def cumulated(examples):
    """Running sums of how often each is shown."""
    counts = Counter(e.look.concept for e in examples)
    return list(accumulate(counts[e.look.concept] ** -(EVENNESS if e.garment else 0.0) for e in examples))


def recoloured(example, rng):
    """Its channels in another order, or one of them alone; nothing is known of its colour then."""
    channels = rng.choice(OTHER_CHANNELS)
    return Example(example.picture[..., channels], phrases.Look(example.look.concept, "", example.look.pattern), True)


@dataclass
class Batch:
    views: np.ndarray       # [2 n][side][side][3] bytes: picture i is in rows i and n + i
    looks: np.ndarray       # [n][3]: concept, colour, pattern; -1 unknown
    tokens: np.ndarray      # [2 n][longest] ids
    claims: np.ndarray      # [2 n][3]


class Batches:
    """`side_of` says the pictures' side for a batch's number."""

    def __init__(self, examples, tokenizer, context, seed, side_of):
        self.examples, self.tokenizer, self.context, self.seed, self.side_of = examples, tokenizer, context, seed, side_of
        self.weights = {source: cumulated(found) for source, found in examples.items()}

    def run(self, numbers):
        """Yields (number, Batch) for each of the numbers; a child process makes them ahead."""
        fork = get_context("fork")
        queue = fork.Queue(AHEAD)
        worker = fork.Process(target=self._fill, args=(queue, numbers), daemon=True)
        worker.start()
        for number in numbers:
            yield number, queue.get()
        worker.join()

    def _fill(self, queue, numbers):
        for number in numbers:
            queue.put(self.make(number))

    def make(self, number):
        rng = random.Random(f"{self.seed}/{number}")
        side = self.side_of(number)
        chosen = [e for source, share in SHARES.items() for e in rng.choices(self.examples[source], cum_weights=self.weights[source], k=share)]
        chosen = [recoloured(e, rng) if e.garment and rng.random() < RECOLOURED else e for e in chosen]
        rng.shuffle(chosen)
        first = [augment.strong_view(e.picture, side, rng) for e in chosen]
        second = [(augment.strong_view if rng.random() < 0.5 else augment.mild_view)(e.picture, side, rng) for e in chosen]
        said = [phrases.caption(e.look, rng) for e in chosen for _ in range(2)]
        looks = [(concepts.INDEX[e.look.concept], phrases.COLOUR_INDEX.get(e.look.colour, -1),
                  phrases.PATTERN_INDEX.get(e.look.pattern, -1)) for e in chosen]
        return Batch(np.stack(first + second), np.array(looks), self.tokenizer.batch([text for text, _ in said], self.context),
                     np.array([claim for _, claim in said]))
