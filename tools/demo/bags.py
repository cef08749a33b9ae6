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


def pocket_tote(pen):
    """Taller than wide, on long handles that run down to the bottom, with a pocket between them."""
    handle = "M-46 -40 C-52 -206 52 -206 46 -40"
    pen.context.save()
    pen.context.translate(6, -6)
    pen.strap(handle, 11, darker(pen.rgb, 0.42))
    pen.context.restore()
    pen.part(mirrored("M0 -70 L98 -70 C102 -70 104 -68 104 -64 L108 150 C108 158 102 163 94 163 L0 163"))
    band = darker(pen.rgb, 0.24)
    for x in (-46, 46):
        pen.strap(f"M{x} -40 L{x} 158", 11, band)
    pen.strap(handle, 11, band)
    pen.part("M-41 20 L41 20 L41 104 C41 110 38 113 32 113 L-32 113 C-38 113 -41 110 -41 104 Z", light="flat")
    pen.seam("M-40 30 L40 30")
    pen.seam("M-102 -56 L102 -56")
    pen.fold("M104 30 C86 70 78 110 60 158 C70 110 84 70 104 30 Z")


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


def roll_top_backpack(pen):
    """Rolled at the top, held down by two straps."""
    strap = "M84 -80 C134 -60 144 60 112 124"
    for outline in (strap, flipped(strap)):
        pen.strap(outline, 18, darker(pen.rgb, 0.4))
    pen.strap("M-24 -150 C-24 -184 24 -184 24 -150", 10, darker(pen.rgb, 0.35))
    pen.part(mirrored("M0 -112 L86 -112 L106 112 C108 146 92 160 62 161 L0 162"))
    pen.part(mirrored("M0 -156 L78 -156 C94 -156 98 -146 98 -134 C98 -120 94 -110 80 -110 L0 -108"), darker(pen.rgb, 0.12))
    pen.line("M-90 -142 C-60 -138 60 -138 90 -142", 2, darker(pen.rgb, 0.42), 0.7)
    pen.part(mirrored("M0 36 L74 36 C82 36 86 40 87 48 L90 122 C90 136 82 143 68 143 L0 143"))
    pen.seam("M-78 48 L78 48")
    for x in (-46, 46):
        pen.strap(f"M{x} -150 L{x} 6", 12, darker(pen.rgb, 0.48))
        pen.part(f"M{x - 12} -42 L{x + 12} -42 L{x + 12} -14 L{x - 12} -14 Z", METAL, light="flat", rim=False)
        pen.part(f"M{x - 6} -36 L{x + 6} -36 L{x + 6} -20 L{x - 6} -20 Z", darker(pen.rgb, 0.48), light="flat", rim=False)


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


def shoulder_bag(pen):
    """A half moon on a long strap, closed by a zip."""
    pen.strap("M-108 -28 C-112 -214 112 -214 108 -28", 10, darker(pen.rgb, 0.28))
    pen.part(mirrored("M0 -30 C40 -32 84 -38 118 -46 C140 -44 148 -24 146 2 C136 92 78 140 0 140"))
    pen.line("M-118 -40 C-60 -18 60 -18 118 -40", 11, darker(pen.rgb, 0.5))
    pen.line("M-116 -40 C-60 -19 60 -19 116 -40", 3, METAL, 1, (2, 3))
    pen.part("M92 -36 L104 -38 L108 -6 L98 -4 Z", METAL, light="flat", rim=False)
    pen.seam("M-134 -14 C-126 78 -76 126 0 126 C76 126 126 78 134 -14")
    pen.fold("M-60 -20 C-40 40 -36 90 -44 128 C-56 90 -64 40 -60 -20 Z")
    pen.fold("M70 -22 C64 30 40 80 20 136 C24 80 44 30 70 -22 Z", 0.08)
    for x in (-108, 108):
        pen.part(ellipse(x, -36, 11, 11), METAL, light="soft", rim=False)
        pen.part(ellipse(x, -36, 5.5, 5.5), darker(pen.rgb, 0.4), light="flat", rim=False)
