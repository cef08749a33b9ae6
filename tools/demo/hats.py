"""Hats."""
from outline import ellipse, mirrored
from palette import darker, lighter


def cap(pen):
    pen.part("M-128 52 C-136 -40 -84 -112 0 -112 C76 -112 118 -50 116 44 C40 34 -40 40 -108 60 C-122 64 -127 60 -128 52 Z")
    pen.line("M-6 -112 C34 -76 52 -20 54 30 M-6 -112 C-60 -80 -72 -20 -66 34", 2, darker(pen.rgb, 0.40), 0.8)
    pen.button(-6, -114, 9, darker(pen.rgb, 0.2))
    for x, y in ((-18, -58), (78, -52)):
        pen.part(ellipse(x, y, 4, 4), darker(pen.rgb, 0.5), light="flat", rim=False)
    pen.part("M-60 36 C-10 18 70 18 116 42 C150 50 172 66 174 82 C174 90 166 92 156 88 C100 70 20 66 -34 76 C-58 78 -74 52 -60 36 Z", darker(pen.rgb, 0.16))
    pen.seam("M-46 46 C0 34 70 34 112 54 C136 60 156 70 164 80")


def snapback(pen):
    """A high front panel and a flat peak."""
    pen.part("M-124 48 C-130 -30 -96 -96 -24 -112 C36 -124 102 -104 112 -60 C118 -24 118 10 118 42 C40 30 -40 38 -106 54 C-118 58 -123 56 -124 48 Z")
    pen.line("M-24 -112 C-10 -60 -6 -10 -4 32", 2, darker(pen.rgb, 0.40), 0.8)
    pen.line("M-96 -70 C-78 -40 -72 0 -72 42", 2, darker(pen.rgb, 0.40), 0.8)
    pen.button(-22, -115, 8, darker(pen.rgb, 0.2))
    pen.part("M32 -66 L92 -66 L94 -18 L34 -16 Z", lighter(pen.rgb, 0.7), light="flat", rim=False)
    pen.seam("M37 -61 L88 -61 L90 -23 L39 -21 Z")
    pen.part(ellipse(-58, -56, 4, 4), darker(pen.rgb, 0.5), light="flat", rim=False)
    pen.part("M-10 30 C30 24 80 28 116 36 L174 44 C181 46 181 56 174 58 C120 66 50 70 -4 62 C-22 58 -26 34 -10 30 Z", darker(pen.rgb, 0.16))
    pen.seam("M2 42 C50 36 110 42 166 50")


def beanie(pen):
    pen.part(ellipse(0, -118, 42, 40), lighter(pen.rgb, 0.45))
    for x, y in ((-20, -134), (4, -144), (22, -126), (-8, -118), (14, -104), (-24, -108)):
        pen.line(f"M{x - 7} {y} C{x - 3} {y - 7} {x + 3} {y - 7} {x + 7} {y}", 2, darker(pen.rgb, 0.2), 0.5)
    pen.part(mirrored("M0 -88 C76 -88 124 -30 126 66 L0 80"))
    pen.part(mirrored("M0 50 C50 50 96 46 128 38 C138 64 138 90 130 112 C90 126 40 128 0 128"), darker(pen.rgb, 0.12))
    for x in range(-117, 118, 13):
        pen.line(f"M{x} {52 - abs(x) * 0.07} L{x} {123 - abs(x) * 0.07}", 2, darker(pen.rgb, 0.4), 0.6)


def plain_beanie(pen):
    """Without a pompom, folded up high."""
    pen.part(mirrored("M0 -124 C74 -122 118 -60 122 40 L0 56"))
    for x in (-62, -22, 22, 62):
        pen.line(f"M{x * 0.3:.0f} -120 C{x} -90 {x * 1.4:.0f} -40 {x * 1.5:.0f} 30", 1.8, darker(pen.rgb, 0.4), 0.45)
    pen.part(mirrored("M0 22 C50 22 94 18 126 8 C136 44 136 80 129 106 C90 120 40 122 0 122"), darker(pen.rgb, 0.12))
    for x in range(-117, 118, 13):
        pen.line(f"M{x} {25 - abs(x) * 0.09:.1f} L{x} {117 - abs(x) * 0.07:.1f}", 2, darker(pen.rgb, 0.4), 0.6)
    pen.part("M52 58 L92 54 L94 92 L54 96 Z", lighter(pen.rgb, 0.65), light="flat", rim=False)


def sun_hat(pen):
    pen.part(ellipse(0, 62, 172, 48))
    pen.fold(ellipse(6, 58, 112, 26), 0.16)
    pen.part(mirrored("M0 -92 C64 -94 92 -50 98 52 C70 74 30 78 0 78"))
    ribbon = lighter(pen.rgb, 0.8) if sum(pen.rgb) < 1.7 else darker(pen.rgb, 0.65)
    pen.part(mirrored("M0 44 C36 44 70 40 96 22 L98 52 C70 74 30 78 0 78"), ribbon)
    pen.part("M-70 56 C-104 52 -122 66 -128 92 C-112 86 -100 84 -88 72 C-92 88 -90 98 -82 110 C-70 94 -64 76 -66 62 Z", ribbon, light="flat")
    pen.seam(ellipse(0, 62, 158, 40))


def floppy_hat(pen):
    """A very wide brim that falls, a low crown, a narrow band."""
    pen.part("M-174 88 C-150 10 -84 -6 0 -6 C84 -6 150 10 174 88 C160 98 140 84 116 92 C84 104 54 86 20 98 C-16 108 -48 90 -84 100 C-118 106 -150 96 -174 88 Z")
    pen.fold("M-122 34 C-70 60 70 60 122 34 C90 78 -90 78 -122 34 Z", 0.16)
    pen.part(mirrored("M0 -84 C56 -86 84 -50 90 20 C64 40 30 44 0 44"))
    ribbon = lighter(pen.rgb, 0.8) if sum(pen.rgb) < 1.7 else darker(pen.rgb, 0.65)
    pen.part(mirrored("M0 26 C34 26 64 22 88 6 L90 22 C64 40 30 44 0 44"), ribbon)
    pen.seam("M-158 74 C-110 90 -60 82 -10 88 C50 90 110 80 158 74")
