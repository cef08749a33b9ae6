"""Captions: what a customer might type, or a shop might write, of a picture, and what exactly each one claims.

A caption is made at random from what is known of the picture: its concept or one above it, with or without colour and pattern,
in English or in French, as a query ("red shirt"), with articles, in the plural, in another order, with or without accents.
A claim is three numbers (concept, colour, pattern), -1 where the caption says nothing.
"""
import unicodedata
from dataclasses import dataclass

import concepts
from palette import COLOURS, PATTERNS

COLOUR_INDEX = {slug: i for i, slug in enumerate(COLOURS)}
PATTERN_INDEX = {slug: i for i, slug in enumerate(PATTERNS)}

ENGLISH_COLOURS = {
    "red": ("red", "bright red"), "blue": ("blue",), "green": ("green",), "yellow": ("yellow",), "black": ("black",),
    "white": ("white",), "pink": ("pink",), "orange": ("orange",), "purple": ("purple", "violet"), "brown": ("brown",),
    "grey": ("grey", "gray"), "navy": ("navy", "navy blue", "dark blue"), "beige": ("beige", "sand-coloured"),
    "turquoise": ("turquoise", "teal"),
}
FRENCH_SYNONYMS = {
    "brown": (("brun", "brune", "bruns", "brunes"),), "navy": (("bleu foncé",) * 4, ("marine",) * 4),
    "purple": (("mauve", "mauve", "mauves", "mauves"),),
}
ENGLISH_PATTERNS = {"plain": ("plain", "solid", "plain-coloured"), "striped": ("striped", "stripy"),
                    "dotted": ("dotted", "polka dot", "spotted", "polka-dot"), "checked": ("checked", "checkered", "gingham", "plaid")}
ENGLISH_AFTER = {"striped": ("with stripes", "stripes"), "dotted": ("with dots", "with polka dots", "dots"),
                 "checked": ("with checks", "with squares")}
FRENCH_PATTERNS = {
    "plain": (("uni", "unie", "unis", "unies"),),
    "striped": (("à rayures",) * 4, ("rayé", "rayée", "rayés", "rayées"), ("avec des rayures",) * 4),
    "dotted": (("à pois",) * 4, ("avec des pois",) * 4), "checked": (("à carreaux",) * 4, ("vichy",) * 4, ("avec des carreaux",) * 4),
}
ENGLISH_FRAMES = ("{}", "{}", "{}", "{}", "a photo of {a}", "a picture of {a}", "{a}", "{a}", "the {}", "buy {}", "my {}", "cheap {}",
                  "i am looking for {a}", "{} for sale", "new {}", "photo of {a}", "{} online", "this is {a}", "a product photo of {a}")
FRENCH_FRAMES = ("{}", "{}", "{}", "{}", "une photo de {}", "une photo d'{un}", "{un}", "{un}", "acheter {}", "image de {}", "je cherche {un}",
                 "{} pas cher", "{} à vendre", "voici {un}", "photo de {}", "{} en ligne", "nouveau {}", "une image d'{un}")
FILLINGS = (("men's {}", "women's {}", "{} for women", "{} for men", "cotton {}", "{} for summer", "nice {}", "beautiful {}", "{} in cotton",
             "leather {}", "wool {}", "canvas {}", "linen {}", "{} in leather", "rubber {}", "ceramic {}", "metal {}"),
            ("{} homme", "{} femme", "{} pour femme", "{} pour homme", "{} en coton", "{} d'été", "joli {}", "belle {}", "{} pour enfant",
             "{} en cuir", "{} en laine", "{} en toile", "{} en lin", "{} en caoutchouc", "{} en céramique", "{} en métal"))


@dataclass(frozen=True)
class Look:
    """What is known of a picture; "" where nothing is."""
    concept: str
    colour: str = ""
    pattern: str = ""


def caption(look, rng):
    """(text, claim) of one language, chosen by the generator."""
    name = rng.choice(list(concepts.line_of(look.concept))[1:] or [look.concept]) if rng.random() < 0.15 else look.concept
    colour = look.colour if rng.random() < 0.65 else ""
    pattern = look.pattern if rng.random() < (0.12 if look.pattern == "plain" else 0.6) else ""
    if rng.random() < 0.08 and (colour or pattern not in ("", "plain")):
        name = ""
    write = _english if rng.random() < 0.5 else _french
    claim = (concepts.INDEX.get(name, -1), COLOUR_INDEX.get(colour, -1), PATTERN_INDEX.get(pattern, -1))
    return write(name, colour, pattern, rng), claim


def _english(name, colour, pattern, rng):
    noun = rng.choice(concepts.CONCEPTS[name].english) if name else None
    plural = rng.random() < 0.3
    before = [rng.choice(ENGLISH_COLOURS[colour])] if colour else []
    after = []
    if pattern in ENGLISH_AFTER and rng.random() < 0.25:
        after = [rng.choice(ENGLISH_AFTER[pattern])]
    elif pattern:
        before.insert(rng.randrange(len(before) + 1), rng.choice(ENGLISH_PATTERNS[pattern]))
    if noun is None:
        return " ".join(before + after)
    word = noun.plural if plural else noun.singular
    if rng.random() < 0.06:
        return " ".join([word] + after + before)      # "shirt red": it is typed
    phrase = " ".join(before + [word] + after)
    if rng.random() < 0.1:
        phrase = rng.choice(FILLINGS[0]).format(phrase)
    article = phrase if plural or noun.singular == noun.plural else ("an " if phrase[0] in "aeio" else "a ") + phrase
    return rng.choice(ENGLISH_FRAMES).format(phrase, a=article)


def _french(name, colour, pattern, rng):
    noun = rng.choice(concepts.CONCEPTS[name].french) if name else None
    plural = noun is not None and rng.random() < 0.3
    form = (noun is not None and noun.gender == "f") + 2 * plural
    said = [french_colour(colour, form, rng)] if colour else []
    if pattern:
        said.insert(rng.randrange(len(said) + 1) if rng.random() < 0.3 else len(said), rng.choice(FRENCH_PATTERNS[pattern])[form])
    if noun is None:
        return unaccented(" ".join(said), rng)
    phrase = " ".join([noun.plural if plural else noun.singular] + said)
    if rng.random() < 0.1:
        phrase = rng.choice(FILLINGS[1]).format(phrase)
    article = ("des " if plural else "une " if noun.gender == "f" else "un ") + phrase
    return unaccented(rng.choice(FRENCH_FRAMES).format(phrase, un=article), rng)


def french_colour(colour, form, rng):
    forms = rng.choice((COLOURS[colour].french, COLOURS[colour].french, *FRENCH_SYNONYMS.get(colour, ())))
    return forms[form] if rng.random() < 0.93 else forms[0]      # people forget to agree


def unaccented(text, rng):
    """A quarter of the captions loses its accents, as on a phone."""
    if rng.random() < 0.75:
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text.replace("œ", "oe")) if not unicodedata.combining(c))
