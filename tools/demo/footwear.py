"""Shoes from the side, toe to the right, in pairs: the second stands behind the first."""
from outline import ellipse
from palette import darker, lighter
from pen import METAL, RUBBER, WOOD


def pair(draw_one, size=1.0, drop=18):
    """A silhouette of two shoes from the drawing of one."""
    def draw(pen):
        pen.context.scale(size, size)
        pen.context.translate(8, drop)
        pen.behind(draw_one, -22, -50, 0.94)
        draw_one(pen)
    return draw


def sneaker(pen):
    rgb = pen.rgb
    pen.part("M-146 52 C-152 10 -150 -30 -140 -66 C-134 -78 -112 -78 -100 -66 C-84 -54 -64 -58 -46 -82 C-40 -88 -32 -86 -28 -80 C0 -44 40 -24 84 -14 C126 -6 152 12 156 52 Z")
    pen.part("M-148 52 C-152 30 -152 10 -149 -14 C-124 -8 -108 10 -104 52 Z", darker(rgb, 0.22))
    toe_cap(pen)
    pen.part("M-46 -82 C-40 -88 -32 -86 -28 -80 C0 -44 40 -24 84 -14 C76 6 56 12 40 8 C4 -4 -30 -34 -46 -82 Z", darker(rgb, 0.16))
    laces(pen, ((-24, -66), (-2, -44), (24, -27), (52, -15)), 27)
    pen.line("M-92 40 C-60 34 -30 10 -20 -18 M-70 42 C-38 36 -8 18 4 -4", 6, lighter(rgb, 0.72))
    sneaker_sole(pen)


def high_top(pen):
    rgb = pen.rgb
    pen.part("M-146 52 C-150 -10 -150 -80 -140 -140 C-112 -150 -60 -150 -34 -142 C-26 -92 -6 -44 40 -24 C58 -17 72 -15 84 -14 C126 -6 152 12 156 52 Z")
    pen.part("M-148 52 C-152 30 -152 10 -149 -14 C-124 -8 -108 10 -104 52 Z", darker(rgb, 0.22))
    toe_cap(pen)
    pen.part("M-62 -147 C-52 -147 -42 -145 -34 -142 C-26 -92 -6 -44 40 -24 C58 -17 72 -15 84 -14 C78 4 58 10 36 4 C-20 -14 -52 -70 -62 -147 Z", darker(rgb, 0.16))
    laces(pen, ((-31, -126), (-25, -98), (-14, -72), (4, -49), (28, -31), (54, -20)), 24)
    pen.part(ellipse(-98, -74, 26, 26), RUBBER, light="flat")
    pen.part(ellipse(-98, -74, 17, 17), lighter(rgb, 0.15), light="flat", rim=False)
    pen.seam("M-142 -124 C-112 -132 -88 -132 -64 -130")
    sneaker_sole(pen)


def toe_cap(pen):
    pen.part("M92 52 C92 20 104 0 124 -3 C146 10 156 30 156 52 Z", RUBBER)


def laces(pen, eyelets, length):
    for x, y in eyelets:
        pen.line(f"M{x} {y} L{x - 16} {y + length}", 7, darker(pen.rgb, 0.5), 0.35)
        pen.line(f"M{x} {y} L{x - 16} {y + length - 1}", 5.5, RUBBER)


def sneaker_sole(pen):
    pen.part("M-152 50 L158 50 C164 60 162 78 150 82 L-140 82 C-154 80 -158 64 -152 50 Z", RUBBER)
    pen.line("M-146 66 L156 66", 2, darker(RUBBER, 0.25), 0.8)


ANKLE_BOOT = "M-104 -126 C-70 -134 -20 -134 14 -126 C10 -84 14 -50 34 -28 C62 -12 110 -4 138 18 C152 30 156 44 156 58 L-112 58 C-118 10 -108 -60 -104 -126 Z"


def ankle_boot(pen):
    pen.part(ANKLE_BOOT)
    pen.part("M-66 -130 L-22 -131 C-24 -90 -24 -60 -30 -26 C-38 -18 -48 -18 -56 -26 C-62 -60 -66 -90 -66 -130 Z", darker(pen.rgb, 0.45), light="flat")
    for x in range(-58, -26, 7):
        pen.line(f"M{x} -126 L{x + (-44 - x) * 0.25} -30", 1.2, lighter(pen.rgb, 0.3), 0.5)
    pen.line("M-104 -126 C-112 -140 -118 -128 -108 -108", 5, darker(pen.rgb, 0.3))
    pen.fold("M36 -26 C22 -4 4 4 -12 4 C14 -4 22 -16 30 -32 Z", 0.16)
    pen.seam("M-111 26 C-70 22 -50 30 -34 54")
    ankle_boot_sole(pen)


def lace_up_boot(pen):
    pen.part(ANKLE_BOOT)
    pen.part("M14 -126 C10 -84 14 -50 34 -28 C50 -19 72 -13 92 -7 C76 12 40 8 16 -8 C-8 -26 -18 -70 -16 -130 C-6 -130 6 -128 14 -126 Z", darker(pen.rgb, 0.30))
    for x, y in ((12, -112), (11, -88), (14, -66), (23, -46), (40, -29)):
        pen.line(f"M{x} {y} L{x - 26} {y + 9}", 5, darker(pen.rgb, 0.7))
        pen.line(f"M{x} {y} L{x - 26} {y + 9}", 3.4, lighter(WOOD, 0.35))
        pen.part(ellipse(x - 28, y + 10, 3.6, 3.6), METAL, light="flat", rim=False)
    pen.part("M-108 -132 C-70 -140 -20 -140 16 -132 L15 -112 C-20 -120 -70 -120 -107 -112 Z", darker(pen.rgb, 0.2))
    pen.seam("M-111 20 C-70 14 -40 26 -30 54")
    pen.seam("M60 54 C62 30 76 12 96 2")
    ankle_boot_sole(pen)


def ankle_boot_sole(pen):
    sole = darker(WOOD, 0.55)
    pen.part("M-114 56 L158 56 C160 64 158 70 154 72 L-20 72 L-34 66 L-114 66 Z", sole, light="flat")
    pen.part("M-114 64 L-40 64 L-48 96 L-110 96 Z", sole)


def rain_boot(pen):
    pen.part("M-92 -160 C-60 -166 -10 -166 22 -160 C16 -100 16 -40 34 -4 C60 12 108 14 134 34 C146 44 150 54 150 66 L-98 66 C-106 20 -90 -80 -92 -160 Z", angle=4)
    pen.part("M-95 -164 C-60 -172 -10 -172 25 -164 L23 -138 C-10 -144 -60 -144 -94 -138 Z", darker(pen.rgb, 0.25), light="flat")
    pen.line("M-62 -120 C-66 -60 -74 0 -70 44", 9, (1, 1, 1), 0.35)
    pen.fold("M30 -12 C14 4 -6 10 -22 6 C0 2 14 -8 24 -26 Z", 0.16)
    pen.part("M96 64 C98 36 112 22 126 29 C144 40 150 54 150 66 Z", darker(pen.rgb, 0.18), light="flat")
    pen.part("M-102 62 L152 62 C158 72 156 84 150 88 L-6 88 L-16 80 L-34 80 L-38 92 L-98 92 C-106 84 -106 72 -102 62 Z", darker(pen.rgb, 0.5), light="flat")


def buckled_rain_boot(pen):
    """Wider at the top, with a strap around it."""
    pen.part("M-108 -160 C-70 -168 -6 -168 36 -160 C26 -100 16 -40 34 -4 C60 12 108 14 134 34 C146 44 150 54 150 66 L-98 66 C-104 20 -98 -80 -108 -160 Z", angle=4)
    pen.part("M-106 -134 C-70 -142 -8 -142 32 -134 L28 -108 C-8 -116 -70 -116 -103 -108 Z", darker(pen.rgb, 0.30), light="flat")
    pen.part("M-20 -146 L10 -145 L10 -105 L-20 -106 Z", METAL, light="flat")
    pen.part("M-12 -137 L2 -136 L2 -114 L-12 -115 Z", darker(pen.rgb, 0.30), light="flat", rim=False)
    pen.line("M-74 -90 C-74 -40 -76 10 -72 44", 9, (1, 1, 1), 0.35)
    pen.fold("M30 -12 C14 4 -6 10 -22 6 C0 2 14 -8 24 -26 Z", 0.16)
    pen.line("M-98 40 C-40 46 60 44 138 38", 2.2, darker(pen.rgb, 0.35), 0.8)
    pen.part("M-102 62 L152 62 C158 72 156 80 150 82 L-98 82 C-106 80 -106 72 -102 62 Z", RUBBER, light="flat")
    for x in range(-92, 150, 12):
        pen.line(f"M{x} 68 L{x} 77", 2, darker(RUBBER, 0.3), 0.7)


SANDAL_SOLES = (
    ("M-148 40 C-90 46 -40 28 20 38 C70 46 120 40 156 34 C162 44 160 56 152 60 C90 70 -80 74 -140 68 C-152 66 -154 52 -148 40 Z", (0.80, 0.64, 0.46), "soft"),
    ("M-146 60 C-80 68 90 64 156 52 C160 66 156 76 148 78 C80 88 -80 92 -138 86 C-148 84 -150 72 -146 60 Z", darker(WOOD, 0.5), "flat"),
)


def sandal(pen):
    pen.strap("M-122 -58 C-90 -92 -60 -96 -36 -78", 12, darker(pen.rgb, 0.35))
    pen.part("M-146 44 C-150 0 -146 -50 -128 -74 C-118 -78 -110 -74 -108 -66 C-112 -30 -104 10 -84 46 Z")
    pen.strap("M-120 -56 C-96 -36 -60 -44 -36 -78", 14)
    pen.part(ellipse(-66, -50, 9, 9), METAL, light="flat")
    pen.part("M-2 46 C12 0 40 -40 66 -44 C76 -44 80 -36 78 -28 C64 -12 50 14 46 46 Z")
    pen.part("M136 44 C128 6 92 -36 58 -48 C50 -48 46 -38 50 -30 C70 -14 86 12 92 46 Z")
    sandal_sole(pen)


def slide(pen):
    """Two broad buckled bands over the foot, nothing behind the heel."""
    pen.part("M-64 46 C-62 -2 -44 -46 -2 -60 C12 -62 22 -56 26 -46 C34 -20 38 12 40 46 Z")
    pen.part("M36 46 C34 12 30 -20 24 -46 C34 -54 48 -54 60 -50 C104 -34 130 4 138 44 Z")
    for x, y in ((-12, -18), (74, -6)):
        pen.part(f"M{x - 14} {y - 12} L{x + 12} {y - 12} L{x + 14} {y + 12} L{x - 12} {y + 12} Z", METAL, light="flat")
        pen.part(f"M{x - 7} {y - 6} L{x + 6} {y - 6} L{x + 7} {y + 6} L{x - 6} {y + 6} Z", darker(pen.rgb, 0.3), light="flat", rim=False)
    sandal_sole(pen)


def sandal_sole(pen):
    for outline, rgb, light in SANDAL_SOLES:
        pen.part(outline, rgb, light=light)


def pump(pen):
    pen.part("M-142 -58 C-98 -52 -88 -30 -60 -6 C-24 26 30 52 92 62 L92 70 C30 70 -60 60 -96 14 C-110 -2 -130 -10 -138 -18 Z", darker(pen.rgb, 0.55), light="flat")
    pen.part("M-130 -8 C-124 30 -124 66 -124 102 L-113 102 C-108 66 -96 40 -70 24 Z", darker(pen.rgb, 0.30))
    pen.part("M-142 -60 C-146 -30 -142 -8 -124 2 C-96 16 -84 40 -52 60 C-20 80 20 86 64 88 L140 90 C156 90 160 78 150 70 C128 52 104 40 86 24 C74 14 62 22 50 30 C20 46 -20 30 -52 4 C-84 -22 -100 -62 -142 -60 Z")
    pen.line("M84 26 C62 22 40 44 10 40", 3, lighter(pen.rgb, 0.35), 0.7)
    pen.line("M110 54 C122 62 134 70 140 76", 7, (1, 1, 1), 0.35)
    pen.line("M-50 63 C-20 82 20 89 64 91 L142 92", 5, darker(pen.rgb, 0.6))


def ankle_strap_pump(pen):
    """The heel lower and broader, a strap around the ankle."""
    pen.strap("M-136 -66 C-112 -96 -70 -96 -52 -62", 8, darker(pen.rgb, 0.42))
    pen.part("M-142 -58 C-98 -52 -88 -30 -60 -6 C-24 26 30 52 92 62 L92 70 C30 70 -60 60 -96 14 C-110 -2 -130 -10 -138 -18 Z", darker(pen.rgb, 0.55), light="flat")
    pen.part("M-140 -4 L-140 98 L-92 98 C-92 66 -86 44 -66 26 Z", darker(pen.rgb, 0.30))
    pen.part("M-142 -92 C-148 -40 -144 -8 -124 2 C-96 16 -84 40 -52 60 C-20 80 20 86 64 88 L140 90 C156 90 160 78 150 70 C128 52 104 40 86 24 C74 14 62 22 50 30 C20 46 -20 30 -52 4 C-84 -22 -96 -62 -122 -96 C-128 -102 -140 -102 -142 -92 Z")
    pen.strap("M-134 -74 C-112 -46 -76 -40 -52 -62", 9)
    pen.part(ellipse(-92, -50, 7, 7), METAL, light="flat")
    pen.line("M84 26 C62 22 40 44 10 40", 3, lighter(pen.rgb, 0.35), 0.7)
    pen.line("M110 54 C122 62 134 70 140 76", 7, (1, 1, 1), 0.35)
    pen.line("M-50 63 C-20 82 20 89 64 91 L142 92", 5, darker(pen.rgb, 0.6))
