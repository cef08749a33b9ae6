"""Colours and patterns of the demo catalogue, with the words that name them.

A French adjective agrees with its noun, so a colour carries four forms; those that come from a noun (orange, marron) or
that are compounds (bleu marine) never change. `accent` is the second colour of a pattern drawn on this one.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    slug: str       # the English name
    rgb: tuple
    accent: tuple
    french: tuple   # masculine, feminine, masculine plural, feminine plural

    def agree(self, gender, plural):
        return self.french[(gender == "f") + 2 * plural]


@dataclass(frozen=True)
class Pattern:
    slug: str       # the English adjective
    motif: str      # the word a French shop files it under
    phrase: tuple   # what follows the French colour: the four forms, as for a colour

    def agree(self, gender, plural):
        return self.phrase[(gender == "f") + 2 * plural]


def invariable(word):
    return (word,) * 4


def epicene(word):
    """One form for both genders, a plain s for the plural: rouge, rouges."""
    return (word, word, word + "s", word + "s")


CREAM = (0.98, 0.96, 0.92)
INK = (0.13, 0.17, 0.30)

COLOURS = {c.slug: c for c in (
    Colour("red", (0.80, 0.17, 0.18), CREAM, epicene("rouge")),
    Colour("blue", (0.20, 0.44, 0.78), CREAM, ("bleu", "bleue", "bleus", "bleues")),
    Colour("green", (0.22, 0.55, 0.36), CREAM, ("vert", "verte", "verts", "vertes")),
    Colour("yellow", (0.95, 0.77, 0.22), CREAM, epicene("jaune")),
    Colour("black", (0.16, 0.16, 0.18), (0.80, 0.79, 0.77), ("noir", "noire", "noirs", "noires")),
    Colour("white", (0.97, 0.96, 0.94), INK, ("blanc", "blanche", "blancs", "blanches")),
    Colour("pink", (0.93, 0.56, 0.67), CREAM, epicene("rose")),
    Colour("orange", (0.92, 0.49, 0.16), CREAM, invariable("orange")),
    Colour("purple", (0.48, 0.30, 0.62), CREAM, ("violet", "violette", "violets", "violettes")),
    Colour("brown", (0.47, 0.30, 0.20), (0.90, 0.82, 0.70), invariable("marron")),
    Colour("grey", (0.58, 0.60, 0.63), CREAM, ("gris", "grise", "gris", "grises")),
    Colour("navy", (0.14, 0.20, 0.38), CREAM, invariable("bleu marine")),
    Colour("beige", (0.85, 0.76, 0.62), (0.55, 0.36, 0.25), epicene("beige")),
    Colour("turquoise", (0.20, 0.67, 0.68), CREAM, invariable("turquoise")),
)}

PATTERNS = {p.slug: p for p in (
    Pattern("plain", "uni", ("uni", "unie", "unis", "unies")),
    Pattern("striped", "rayé", invariable("à rayures")),
    Pattern("dotted", "à pois", invariable("à pois")),
    Pattern("checked", "à carreaux", invariable("à carreaux")),
)}

# Photographs of a catalogue stand on quiet backgrounds; these are the ones a picture may get.
BACKGROUNDS = (
    (0.965, 0.955, 0.940), (0.945, 0.955, 0.965), (0.960, 0.945, 0.945),
    (0.945, 0.955, 0.940), (0.955, 0.950, 0.965), (0.965, 0.960, 0.930),
)


def mix(a, b, t):
    """The colour t of the way from a to b."""
    return tuple(x + (y - x) * t for x, y in zip(a, b))


def darker(rgb, t):
    return mix(rgb, (0.05, 0.04, 0.08), t)


def lighter(rgb, t):
    return mix(rgb, (1.0, 1.0, 1.0), t)
