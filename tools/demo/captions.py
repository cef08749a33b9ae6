"""What may be said of the demo shop, and what each saying is about: the sentences the demo model is fitted on.

A concept is one axis: a colour, a pattern, a kind or a category. What a saying or a product is about is a vector over them.
"""
import numpy as np

import products
from kinds import KINDS
from palette import COLOURS, PATTERNS
from products import Product

# How much of a product each family of concepts is.
WEIGHTS = {"colour": 1.0, "pattern": 0.6, "kind": 1.0, "category": 0.6}
CATEGORIES = tuple(dict.fromkeys(kind.category for kind in KINDS))
CATEGORY_WORDS = {
    "shoes": ("shoe", "chaussure", "chaussures"), "bags": ("bag", "sac", "sacs"), "cups": ("cup", "tasse", "tasses"),
    "lamps": ("lamp", "lampe", "lampes"), "hats": ("hat", "chapeau", "chapeaux"), "dresses": ("robes",),
    "t-shirts": (), "shirts": ("chemises",), "skirts": ("jupes",), "trousers": ("pantalons",), "sweaters": ("pulls",),
}
AXES = ([("colour", slug) for slug in COLOURS] + [("pattern", slug) for slug in PATTERNS]
        + [("kind", kind.slug) for kind in KINDS] + [("category", slug) for slug in CATEGORIES])
AXIS = {axis: i for i, axis in enumerate(AXES)}


def about(**concepts):
    """A vector over the axes: about(colour="red", kind="mug")."""
    vector = np.zeros(len(AXES), np.float32)
    for family, slug in concepts.items():
        vector[AXIS[family, slug]] = WEIGHTS[family]
    return vector


def about_product(product):
    return about(colour=product.colour.slug, pattern=product.pattern.slug) + about_kind(product.kind)


def about_kind(kind):
    return about(kind=kind.slug, category=kind.category)


def sayings():
    """(text, concepts, weight) for every word alone, every kind in every colour, and every product there could be.

    Short queries are few among all of these and are what people type, hence their weight.
    """
    yield from words_alone()
    for kind in KINDS:
        for colour in COLOURS.values():
            concepts = about_kind(kind) + about(colour=colour.slug)
            yield f"{colour.slug} {kind.english}", concepts, 2.0
            yield f"{kind.french} {colour.agree(kind.gender, kind.plural)}", concepts, 2.0
        for product in products.looks(kind):
            concepts = about_product(product)
            for text in products.name(product).lower().split(" · "):
                yield text, concepts, 1.0
    for product in products.choose(KINDS, 2 * len(KINDS)):
        yield products.description(product), about_product(product), 0.5


def words_alone():
    for colour in COLOURS.values():
        for word in {colour.slug: 0, **dict.fromkeys(colour.french)}:
            yield word, about(colour=colour.slug), 10.0
    for pattern in PATTERNS.values():
        for word in {pattern.slug: 0, pattern.motif: 0, **dict.fromkeys(pattern.phrase)}:
            yield word, about(pattern=pattern.slug), 10.0
    for kind in KINDS:
        for word in (kind.english, kind.french):
            yield word, about_kind(kind), 10.0
    for category in CATEGORIES:
        members = [about_kind(kind) for kind in KINDS if kind.category == category]
        for word in (category, *CATEGORY_WORDS[category]):
            yield word, sum(members) / len(members), 10.0
