"""Cups, seen slightly from above."""
from outline import ellipse, mirrored
from palette import darker, lighter

COFFEE = (0.34, 0.20, 0.13)
TEA = (0.72, 0.42, 0.16)


def ring(pen, outline, width):
    """A handle: like a strap, of one piece with the cup."""
    pen.line(outline, width + 3, darker(pen.rgb, 0.42))
    pen.line(outline, width, darker(pen.rgb, 0.10))
    pen.line(outline, width * 0.3, lighter(pen.rgb, 0.5), 0.6)


def opening(pen, y, rx, ry, drink):
    """The rim, the inside and what is in it."""
    pen.part(ellipse(0, y, rx, ry), lighter(pen.rgb, 0.35), light="flat", rim=False)
    pen.part(ellipse(0, y + 2, rx - 8, ry - 5), darker(lighter(pen.rgb, 0.55), 0.25), light="flat", rim=False)
    pen.part(ellipse(0, y + 8, rx - 15, ry - 10), drink, light="soft", rim=False)


def mug(pen):
    pen.context.translate(-26, 0)
    ring(pen, "M86 -62 C160 -78 172 66 84 66", 25)
    pen.part(mirrored("M0 -78 L98 -98 L95 96 C94 122 60 132 0 132"), light="round")
    opening(pen, -98, 98, 27, COFFEE)


def tapered_mug(pen):
    """Narrower below, with an angular handle and a band around the foot."""
    pen.context.translate(-26, 0)
    ring(pen, "M96 -56 L138 -56 C148 -56 152 -50 150 -42 L132 36 C130 44 126 48 116 48 L80 48", 20)
    pen.part(mirrored("M0 -84 L108 -104 L78 112 C74 128 46 134 0 134"), light="round")
    pen.part(mirrored("M0 110 C40 108 66 104 79 98 L78 112 C74 128 46 134 0 134"), lighter(pen.rgb, 0.7), light="round", rim=False)
    opening(pen, -104, 108, 28, COFFEE)


def teacup(pen):
    pen.part(ellipse(0, 104, 160, 36), light="soft")
    pen.part(ellipse(0, 98, 104, 20), darker(pen.rgb, 0.14), light="flat")
    pen.context.translate(-10, 0)
    ring(pen, "M96 -34 C156 -62 172 36 76 50", 17)
    pen.part(mirrored("M0 92 L46 92 L52 108 C30 116 16 116 0 116"), light="round")
    pen.part(mirrored("M0 -50 L118 -66 C116 20 84 100 0 100"), light="round")
    opening(pen, -66, 118, 30, TEA)


def tall_teacup(pen):
    """Straight and tall on its saucer."""
    pen.part(ellipse(0, 112, 158, 32), light="soft")
    pen.part(ellipse(0, 106, 100, 17), darker(pen.rgb, 0.14), light="flat")
    pen.context.translate(-12, 0)
    ring(pen, "M92 -54 C150 -66 150 50 84 40", 15)
    pen.part(mirrored("M0 -70 L94 -86 L94 40 C94 84 60 114 0 114"), light="round")
    opening(pen, -86, 94, 25, TEA)


def tumbler(pen):
    lid = darker(pen.rgb, 0.62) if sum(pen.rgb) > 0.9 else (0.62, 0.63, 0.66)
    pen.part(mirrored("M0 -116 L80 -112 L58 150 C57 162 34 168 0 168"), light="round")
    pen.part(mirrored("M0 138 L59.5 134 L58 150 C57 162 34 168 0 168"), (0.72, 0.73, 0.76), light="round", rim=False)
    pen.part(mirrored("M0 -70 L77 -70 L71 0 L0 0"), lighter(pen.rgb, 0.55), light="round", rim=False)
    pen.part(mirrored("M0 -148 L74 -148 C82 -148 86 -144 86 -136 L86 -112 C86 -104 50 -100 0 -100"), lid, light="round")
    pen.part(mirrored("M0 -166 L60 -166 C66 -166 68 -162 68 -156 L70 -146 L0 -144"), lid, light="round")
    pen.part(ellipse(40, -164, 13, 4), darker(lid, 0.6), light="flat", rim=False)


def handled_tumbler(pen):
    """Straight, with a handle at its side."""
    lid = darker(pen.rgb, 0.62) if sum(pen.rgb) > 0.9 else (0.62, 0.63, 0.66)
    pen.context.translate(-18, 0)
    ring(pen, "M70 -66 C128 -74 128 74 66 64", 17)
    pen.part(mirrored("M0 -112 L76 -108 L72 148 C72 160 42 168 0 168"), light="round")
    pen.part(mirrored("M0 128 C40 128 62 124 72.5 118 L72 148 C72 160 42 168 0 168"), (0.72, 0.73, 0.76), light="round", rim=False)
    pen.part(mirrored("M0 -136 L78 -136 C84 -136 86 -132 86 -126 L84 -108 C84 -100 48 -96 0 -96"), lid, light="round")
    pen.part(mirrored("M0 -158 L50 -158 C56 -158 58 -154 59 -148 L62 -134 L0 -132"), lid, light="round")
    pen.part(ellipse(30, -156, 11, 4), darker(lid, 0.6), light="flat", rim=False)
