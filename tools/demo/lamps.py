"""Lamps, switched on; the shade wears the colour and the pattern."""
from outline import ellipse, mirrored
from palette import darker
from pen import METAL, WOOD

IRON = (0.24, 0.24, 0.26)
BULB = (1.0, 0.93, 0.68)


def table_lamp(pen):
    pen.glow(0, 20, 150)
    pen.part(mirrored("M0 140 L72 140 C80 140 82 146 80 152 C60 164 30 166 0 166"), darker(WOOD, 0.25), light="round")
    pen.part(mirrored("M0 10 L9 10 C9 34 60 44 62 88 C62 120 38 142 22 146 L0 148"), WOOD, light="round")
    pen.part(mirrored("M0 8 L10 8 L10 20 L0 20"), METAL, light="round", rim=False)
    pen.part(mirrored("M0 -152 L70 -152 L126 12 C90 24 40 26 0 26"), light="lit")
    pen.line("M-70 -152 L70 -152", 5, darker(pen.rgb, 0.3))
    pen.line("M-126 12 C-90 24 -40 26 0 26 C40 26 90 24 126 12", 5, darker(pen.rgb, 0.3))


def drum_table_lamp(pen):
    """A straight shade over a slender bottle of wood."""
    pen.glow(0, 20, 150)
    pen.part(mirrored("M0 146 L58 146 C66 146 68 152 66 158 C50 168 26 170 0 170"), darker(WOOD, 0.25), light="round")
    pen.part(mirrored("M0 -4 L10 -4 L12 34 C14 56 40 66 42 96 L36 150 L0 152"), WOOD, light="round")
    pen.line("M-38 92 C-20 98 20 98 38 92 M-37 104 C-20 110 20 110 37 104", 2, darker(WOOD, 0.4), 0.6)
    pen.part(mirrored("M0 -6 L10 -6 L10 6 L0 6"), METAL, light="round", rim=False)
    pen.part(mirrored("M0 -150 L106 -150 L110 2 C80 12 40 14 0 14"), light="lit")
    pen.line("M-106 -150 L106 -150", 5, darker(pen.rgb, 0.3))
    pen.line("M-110 2 C-80 12 -40 14 0 14 C40 14 80 12 110 2", 5, darker(pen.rgb, 0.3))


def floor_lamp(pen):
    pen.glow(0, -60, 130)
    pen.strap("M0 -60 L0 166", 6, darker(WOOD, 0.5))
    for x in (-72, 72):
        pen.strap(f"M{x * 0.08} -44 L{x} 172", 8, WOOD)
    pen.strap("M-33 62 L33 62", 4, METAL)
    pen.part(mirrored("M0 -52 L16 -52 L12 -30 L0 -30"), METAL, light="round", rim=False)
    pen.part(mirrored("M0 -176 L84 -176 L94 -58 C60 -48 30 -46 0 -46"), light="lit")
    pen.line("M-84 -176 L84 -176 M-94 -58 C-60 -48 -30 -46 0 -46 C30 -46 60 -48 94 -58", 4.5, darker(pen.rgb, 0.3))


def column_floor_lamp(pen):
    """One leg on a round foot, under a shade that widens."""
    pen.glow(0, -80, 115)
    pen.strap("M0 -90 L0 160", 6, WOOD)
    pen.part(ellipse(0, 164, 58, 9), darker(WOOD, 0.25), light="soft")
    pen.part(mirrored("M0 146 L7 146 L14 162 L0 163"), METAL, light="round", rim=False)
    pen.part(mirrored("M0 -86 L11 -86 L7 -66 L0 -66"), METAL, light="round", rim=False)
    pen.line("M30 -90 L30 -50", 1.6, IRON)
    pen.part(ellipse(30, -47, 3.4, 4.4), METAL, light="flat", rim=False)
    pen.part(mirrored("M0 -178 L44 -178 L84 -88 C56 -79 28 -77 0 -77"), light="lit")
    pen.line("M-44 -178 L44 -178 M-84 -88 C-56 -79 -28 -77 0 -77 C28 -77 56 -79 84 -88", 4.5, darker(pen.rgb, 0.3))


def pendant(pen):
    pen.glow(0, 96, 135)
    pen.line("M0 -260 L0 -70", 5, IRON)
    pen.part(mirrored("M0 -96 L14 -96 L20 -56 L0 -56"), METAL, light="round", rim=False)
    pen.part(ellipse(0, 82, 142, 20), darker(pen.rgb, 0.45), light="flat")
    pen.part(ellipse(0, 100, 31, 31), BULB, light="flat", rim=False)
    pen.part(mirrored("M0 -66 L22 -66 C92 -58 138 0 144 80 C100 96 50 98 0 98"), light="round")
    pen.line("M-144 80 C-100 96 -50 98 0 98 C50 98 100 96 144 80", 5, darker(pen.rgb, 0.3))


def cone_pendant(pen):
    pen.glow(0, 104, 130)
    pen.line("M0 -260 L0 -84", 5, IRON)
    pen.part(mirrored("M0 -108 L13 -108 L18 -72 L0 -72"), METAL, light="round", rim=False)
    pen.part(ellipse(0, 92, 134, 18), darker(pen.rgb, 0.45), light="flat")
    pen.part(ellipse(0, 106, 28, 28), BULB, light="flat", rim=False)
    pen.part(mirrored("M0 -84 L20 -84 C26 -60 34 -44 48 -26 L136 90 C96 105 48 107 0 107"), light="round")
    pen.line("M-136 90 C-96 105 -48 107 0 107 C48 107 96 105 136 90", 5, darker(pen.rgb, 0.3))


def desk_lamp(pen):
    pen.glow(80, -10, 125)
    pen.part(mirrored("M0 142 C40 142 76 144 80 152 L82 164 L0 166"), light="round")
    pen.strap("M0 146 L-74 10 L34 -104", 10, IRON)
    for x, y in ((-74, 10), (0, 144)):
        pen.part(ellipse(x, y, 12, 12), METAL, light="soft", rim=False)
    pen.part("M14 -134 C36 -158 66 -150 82 -128 C110 -116 136 -84 144 -46 L26 -18 C8 -50 2 -90 14 -134 Z", light="soft")
    pen.part(ellipse(86, -30, 60, 13), darker(BULB, 0.06), light="flat", rim=False)
    pen.part(ellipse(34, -108, 12, 12), METAL, light="soft", rim=False)


def bowed_desk_lamp(pen):
    """One bowed tube, a shade like a bell."""
    pen.glow(84, 30, 125)
    pen.part(ellipse(-44, 154, 78, 15), light="soft")
    pen.strap("M-44 146 C-56 20 -66 -128 20 -136 C62 -138 80 -112 84 -84", 9, IRON)
    pen.part(ellipse(-44, 146, 15, 8), METAL, light="soft", rim=False)
    pen.part("M70 -98 L98 -98 C104 -66 134 -42 140 4 C122 18 46 18 28 4 C34 -42 64 -66 70 -98 Z", light="soft")
    pen.part(ellipse(84, 6, 55, 11), darker(BULB, 0.06), light="flat", rim=False)
    pen.part("M72 -106 L96 -106 L100 -92 L68 -92 Z", METAL, light="soft", rim=False)
