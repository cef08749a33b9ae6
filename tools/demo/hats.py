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


def beanie(pen):
    pen.part(ellipse(0, -118, 42, 40), lighter(pen.rgb, 0.45))
    for x, y in ((-20, -134), (4, -144), (22, -126), (-8, -118), (14, -104), (-24, -108)):
        pen.line(f"M{x - 7} {y} C{x - 3} {y - 7} {x + 3} {y - 7} {x + 7} {y}", 2, darker(pen.rgb, 0.2), 0.5)
    pen.part(mirrored("M0 -88 C76 -88 124 -30 126 66 L0 80"))
    pen.part(mirrored("M0 50 C50 50 96 46 128 38 C138 64 138 90 130 112 C90 126 40 128 0 128"), darker(pen.rgb, 0.12))
    for x in range(-117, 118, 13):
        pen.line(f"M{x} {52 - abs(x) * 0.07} L{x} {123 - abs(x) * 0.07}", 2, darker(pen.rgb, 0.4), 0.6)


def sun_hat(pen):
    pen.part(ellipse(0, 62, 172, 48))
    pen.fold(ellipse(6, 58, 112, 26), 0.16)
    pen.part(mirrored("M0 -92 C64 -94 92 -50 98 52 C70 74 30 78 0 78"))
    ribbon = lighter(pen.rgb, 0.8) if sum(pen.rgb) < 1.7 else darker(pen.rgb, 0.65)
    pen.part(mirrored("M0 44 C36 44 70 40 96 22 L98 52 C70 74 30 78 0 78"), ribbon)
    pen.part("M-70 56 C-104 52 -122 66 -128 92 C-112 86 -100 84 -88 72 C-92 88 -90 98 -82 110 C-70 94 -64 76 -66 62 Z", ribbon, light="flat")
    pen.seam(ellipse(0, 62, 158, 40))
