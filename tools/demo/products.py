"""Turns kinds, cuts, colours and patterns into products: which ones there are, and their line in catalogue.jsonl.

Everything that varies comes from a generator seeded by the product's id, so a product keeps its price, its stock and its
pose when others are added around it.
"""
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest

from kinds import ALL_COLOURS, Kind, notes
from palette import COLOURS, PATTERNS, Colour, Pattern

SEED = "vitrine-demo-1"
PLAIN_FOR_ONE_PATTERN = 2   # a shop sells more without a pattern


@dataclass(frozen=True)
class Product:
    kind: Kind
    colour: Colour
    pattern: Pattern
    number: int = field(default=1, kw_only=True)    # of the cut

    @property
    def id(self):
        return f"{self.kind.slug}-{self.colour.slug}-{self.pattern.slug}-{self.number:02}"

    @property
    def cut(self):
        return self.kind.cuts[self.number - 1]

    def rng(self, purpose):
        return random.Random(f"{SEED}/{self.id}/{purpose}")


def looks(kind):
    """Every colour, pattern and cut of a kind: the chosen ones first, the rest in a seeded order that keeps the colours even."""
    firsts = [first_look(*words.split()) for words in kind.firsts]
    rest = [(colour, pattern, number) for colour in ALL_COLOURS for pattern in kind.patterns for number in range(1, 1 + len(kind.cuts))
            for _ in range(PLAIN_FOR_ONE_PATTERN if pattern == "plain" else 1)]
    random.Random(f"{SEED}/{kind.slug}").shuffle(rest)
    seen, turns = Counter(), []
    for look in dict.fromkeys(firsts + rest):
        seen[look[0]] += 1
        turns.append((0 if look in firsts else seen[look[0]], look))
    for _, (colour, pattern, number) in sorted(turns, key=lambda turn: turn[0]):
        yield Product(kind, COLOURS[colour], PATTERNS[pattern], number=number)


def first_look(colour, pattern, number="1"):
    return colour, pattern, int(number)


def choose(kinds, count):
    """The first `count` products, taking one of each kind in turn."""
    rounds = zip_longest(*(looks(kind) for kind in kinds))
    return [p for one_round in rounds for p in one_round if p is not None][:count]


def english_look(product, plain=""):
    pattern = plain if product.pattern.slug == "plain" else product.pattern.slug
    return f"{product.colour.slug} {pattern}".strip()


def name(product):
    kind, colour = product.kind, product.colour
    motif = "" if product.pattern.slug == "plain" else product.pattern.agree(kind.gender, kind.plural)
    english = f"{english_look(product)} {product.cut.english}"
    french = f"{product.cut.french} {colour.agree(kind.gender, kind.plural)} {motif}".strip()
    return f"{capital(english)} · {capital(french)}"


def description(product):
    kind, colour, pattern = product.kind, product.colour, product.pattern
    look = f"plain {colour.slug}" if pattern.slug == "plain" else english_look(product)
    look_fr = f"{colour.agree(kind.gender, kind.plural)} {pattern.agree(kind.gender, kind.plural)}"
    article = "An" if look[0] in "aeio" else "A"
    note, note_fr = product.rng("note").choice(notes(kind))
    english = product.cut.english_text.format(A=article, look=look, Look=capital(look))
    french = product.cut.french_text.format(look=look_fr)
    return f"{english} {note} {french} {note_fr}"


def attributes(product):
    kind, rng = product.kind, product.rng("stock")
    gender_masculine = ("m", False)     # the colour of an attribute is a noun: "couleur : rouge"
    found = {
        "colour": product.colour.slug,
        "couleur": product.colour.agree(*gender_masculine),
        "pattern": product.pattern.slug,
        "motif": product.pattern.motif,
        "material": kind.material,
        "matiere": kind.matiere,
        "kind": kind.slug,
        "stock": rng.choice((0, 3, 7, 12, 20, 35, 60)),
    }
    if kind.sizes:
        found["sizes"] = [size for size in kind.sizes if rng.random() < 0.85] or [kind.sizes[0]]
    if kind.dimensions:
        height, width, depth = kind.dimensions
        found["dimensions"] = {"height_cm": height, "width_cm": width, "depth_cm": depth}
    return found


def price(product):
    """Within a fifth of the kind's price, ending like a price."""
    varied = product.kind.price * product.rng("price").uniform(0.85, 1.2)
    return int(varied) + product.rng("cents").choice((0.49, 0.90, 0.95))


def record(product):
    return {
        "id": product.id,
        "name": name(product),
        "description": description(product),
        "image": f"images/{product.id}.webp",
        "category": product.kind.category,
        "price": price(product),
        "attributes": attributes(product),
    }


def capital(text):
    return text[0].upper() + text[1:]
