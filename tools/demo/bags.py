"""Bags, upright and from the front."""
from outline import ellipse, flipped, mirrored
from palette import darker, lighter
from pen import METAL


def tote(pen):
    handle = "M-54 -40 C-60 -190 60 -190 54 -40"
    pen.context.save()
    pen.context.translate(6, -8)
    pen.strap(handle, 13, darker(pen.rgb, 0.35))
    pen.context.restore()
    pen.part(mirrored("M0 -66 L112 -66 C116 -66 118 -64 118 -60 L134 146 C134 156 128 162 118 162 L0 162"))
    pen.line("M-116 -50 L116 -50", 1.6, darker(pen.rgb, 0.35), 0.7)
    pen.fold("M-120 -10 C-96 40 -100 100 -128 140 C-116 100 -116 40 -120 -10 Z")
    pen.fold("M122 20 C96 70 70 120 40 158 C60 110 90 60 122 20 Z", 0.08)
    pen.strap(handle, 13, darker(pen.rgb, 0.12))
    for x in (-54, 54):
        pen.part(f"M{x - 11} -52 L{x + 11} -52 L{x + 11} -18 L{x - 11} -18 Z", darker(pen.rgb, 0.12), light="flat", rim=False)
        pen.seam(f"M{x - 7} -48 L{x + 7} -22 M{x + 7} -48 L{x - 7} -22")


def backpack(pen):
    for strap in ("M88 -90 C136 -70 146 60 118 122", ):
        pen.strap(strap, 18, darker(pen.rgb, 0.4))
        pen.strap(flipped(strap), 18, darker(pen.rgb, 0.4))
    pen.strap("M-26 -142 C-26 -182 26 -182 26 -142", 11, darker(pen.rgb, 0.35))
    pen.part(mirrored("M0 -152 C62 -152 98 -122 104 -62 L114 112 C116 146 96 160 62 161 L0 162"))
    pen.line("M-92 -36 C-86 -104 -50 -128 0 -128 C50 -128 86 -104 92 -36", 5, darker(pen.rgb, 0.5))
    pen.line("M-92 -36 C-86 -104 -50 -128 0 -128 C50 -128 86 -104 92 -36", 1.6, METAL, 1, (2, 3))
    pen.part("M84 -44 L100 -44 L96 -14 L88 -14 Z", METAL, light="flat", rim=False)
    pen.part(mirrored("M0 18 L66 18 C78 18 84 24 85 36 L88 118 C88 134 80 142 66 142 L0 142"))
    pen.part(mirrored("M0 8 L72 8 C82 8 88 14 87 24 C84 48 44 60 0 60"), darker(pen.rgb, 0.14))
    pen.seam("M-76 22 C-60 40 -30 48 0 48 C30 48 60 40 76 22")
    pen.part("M-10 46 L10 46 L10 80 L-10 80 Z", darker(pen.rgb, 0.5), light="flat", rim=False)
    pen.part("M-13 64 L13 64 L13 78 L-13 78 Z", METAL, light="flat", rim=False)
    pen.part("M-24 -88 L24 -88 L24 -60 L-24 -60 Z", lighter(pen.rgb, 0.6), light="flat", rim=False)


def handbag(pen):
    pen.strap("M-78 -30 C-84 -190 84 -190 78 -30", 14, darker(pen.rgb, 0.28))
    pen.part(mirrored("M0 -52 L104 -52 C114 -52 118 -46 121 -36 L148 108 C152 132 142 142 122 142 L0 144"))
    pen.part(mirrored("M0 -60 L108 -58 C120 -58 124 -50 126 -40 C128 0 96 42 0 48"), None)
    pen.seam("M-116 -36 C-114 0 -84 32 0 37 C84 32 114 0 116 -36")
    pen.seam("M-134 124 C-90 132 90 132 134 124")
    for x in (-78, 78):
        pen.part(ellipse(x, -34, 12, 12), METAL, light="soft", rim=False)
        pen.part(ellipse(x, -34, 6, 6), darker(pen.rgb, 0.4), light="flat", rim=False)
    pen.part(mirrored("M0 30 L20 30 C24 30 26 32 26 36 L26 58 C26 62 24 64 20 64 L0 64"), METAL, light="soft", rim=False)
    pen.part(ellipse(0, 47, 6, 6), darker(METAL, 0.45), light="flat", rim=False)
