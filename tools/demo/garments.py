"""Garments, laid flat and seen from above, in a box of about 340 by 340 units around the origin."""
from outline import ellipse, flipped, mirrored
from palette import darker, lighter
from pen import METAL


def both_sides(pen, outline, angle=0.0):
    """A left and a right sleeve (or leg): the cloth's pattern turns with each."""
    pen.part(outline, angle=angle)
    pen.part(flipped(outline), angle=-angle)


def seams(pen, outline):
    pen.seam(outline)
    pen.seam(flipped(outline))


def folds(pen, outline, alpha=0.09):
    pen.fold(outline, alpha)
    pen.fold(flipped(outline), alpha)


def neck_line(half_width, top, drop):
    """From one shoulder to the other, `drop` lower (or higher, if negative) in the middle."""
    return f"M{-half_width} {top} C{-0.85 * half_width} {top + drop} {0.85 * half_width} {top + drop} {half_width} {top}"


def back_of_neck(pen, half_width, top, band, depth=44):
    """The inside of the back, and the far half of the collar; drawn before the front of the garment."""
    opening = mirrored(f"M0 {top - 8} L{half_width} {top} C{half_width} {top + depth - 10} 24 {top + depth} 0 {top + depth}")
    pen.part(opening, darker(pen.rgb, 0.34), light="flat", rim=False)
    collar(pen, neck_line(half_width, top, -9), band, 0.28)


def front_of_neck(pen, half_width, top, band):
    collar(pen, neck_line(half_width, top, 54), band, 0.13)


def collar(pen, line, band, shade):
    pen.line(line, band + 2.5, darker(pen.rgb, 0.45))
    pen.line(line, band, darker(pen.rgb, shade))


def v_of_neck(pen, half_width, top, band, drop):
    collar(pen, f"M{-half_width} {top} L0 {top + drop} L{half_width} {top}", band, 0.13)


def tshirt(pen):
    short_sleeves(pen)
    back_of_neck(pen, 46, -143, 9)
    tshirt_body(pen, "M0 -104 C26 -104 42 -118 46 -143")
    front_of_neck(pen, 46, -143, 9)


def v_neck_tshirt(pen):
    short_sleeves(pen)
    back_of_neck(pen, 46, -143, 9, depth=76)
    tshirt_body(pen, "M0 -76 L46 -143")
    v_of_neck(pen, 46, -143, 9, 67)


def short_sleeves(pen):
    both_sides(pen, "M84 -132 C112 -124 128 -112 138 -92 L172 -34 C174 -29 173 -25 168 -22 L122 2 C117 4 113 3 111 -2 L88 -50 Z", -32)
    seams(pen, "M161 -40 L109 -12")


def tshirt_body(pen, neck):
    pen.part(mirrored(f"{neck} L88 -132 C100 -108 104 -80 102 -50 C98 20 100 90 104 152 C70 160 30 161 0 161"))
    pen.seam("M-101 142 C-60 150 60 150 101 142")
    folds(pen, "M98 -30 C84 10 74 30 60 40 C78 10 86 -10 98 -30 Z")
    folds(pen, "M101 110 C84 118 64 112 48 96 C66 106 84 106 101 100 Z")


def shirt(pen):
    shirt_sleeves(pen)
    shirt_body(pen, 150)
    collar = "M0 -110 L42 -152 C50 -148 56 -140 58 -132 L36 -92 Z"
    both_sides(pen, collar, 40)
    pen.part("M32 -62 L74 -62 L74 -22 L53 -12 L32 -22 Z")
    pen.seam("M35 -54 L71 -54")
    shirt_folds(pen)


def band_collar_shirt(pen):
    """Buttoned down to the chest only, its collar a standing band."""
    shirt_sleeves(pen)
    shirt_body(pen, 8)
    pen.line("M-12 8 L12 8", 1.6, darker(pen.rgb, 0.35), 0.7)
    collar(pen, neck_line(46, -143, -10), 15, 0.28)
    both_sides(pen, "M0 -114 C16 -117 32 -128 40 -147 L54 -144 C50 -120 28 -99 0 -95 Z")
    shirt_folds(pen)


def shirt_sleeves(pen):
    both_sides(pen, "M78 -138 C112 -130 128 -112 134 -86 L160 70 C161 78 158 82 152 83 L126 87 C121 88 118 86 116 80 L86 -46 Z", -10)
    for side in ("M158 56 L112 64", "M160 68 L115 76"):
        seams(pen, side)


def shirt_body(pen, placket_end):
    pen.part(ellipse(0, -134, 42, 24), darker(pen.rgb, 0.30), light="flat")
    pen.part(mirrored("M0 -112 C14 -116 34 -130 42 -146 L80 -136 C94 -112 98 -80 96 -46 C92 20 94 90 98 132 C96 150 80 158 62 156 C40 152 20 150 0 150"))
    pen.line(f"M-12 -106 L-12 {placket_end} M12 -106 L12 {placket_end}", 1.6, darker(pen.rgb, 0.35), 0.7)
    for y in range(-84, placket_end - 9, 40):
        pen.button(0, y)


def shirt_folds(pen):
    folds(pen, "M94 -20 C82 20 70 40 56 50 C74 20 82 0 94 -20 Z")


def dress(pen):
    back_of_neck(pen, 37, -157, 6)
    pen.part(mirrored("M0 -26 L56 -30 C64 0 96 70 128 138 C130 144 128 148 122 151 C84 168 40 172 0 172"))
    for fold in ("M26 -24 C34 40 48 110 58 164 C40 110 30 40 26 -24 Z", "M8 -24 C8 50 10 110 12 168 C4 110 4 40 8 -24 Z"):
        folds(pen, fold, 0.14)
    pen.part(mirrored("M0 -118 C22 -118 32 -132 36 -158 L60 -160 C60 -128 66 -108 80 -94 C66 -76 58 -54 57 -30 C40 -24 20 -22 0 -22"))
    front_of_neck(pen, 37, -157, 6)
    belt = darker(pen.rgb, 0.35) if sum(pen.rgb) > 0.8 else lighter(pen.rgb, 0.35)
    pen.part(mirrored("M0 -34 L58 -40 L59 -22 C40 -16 20 -14 0 -14"), belt, light="flat", rim=False)
    pen.seam("M-118 142 C-80 158 80 158 118 142")


def shift_dress(pen):
    """Straight, knee-long, with short sleeves."""
    both_sides(pen, "M62 -150 C84 -144 98 -132 104 -116 L120 -74 C121 -69 119 -66 115 -64 L84 -52 L60 -92 Z", -24)
    seams(pen, "M114 -78 L82 -66")
    back_of_neck(pen, 36, -157, 7)
    pen.part(mirrored("M0 -120 C20 -120 33 -132 36 -157 L66 -149 C76 -128 78 -104 76 -80 C70 -40 72 -20 78 20 L98 156 C98 162 95 165 90 166 C60 172 30 173 0 173"))
    front_of_neck(pen, 36, -157, 7)
    folds(pen, "M74 -70 C62 -40 52 -24 38 -14 C54 -40 62 -54 74 -70 Z", 0.10)
    for fold in ("M40 30 C46 80 52 120 56 168 C44 120 38 80 40 30 Z", "M14 60 C18 100 20 130 22 170 C12 130 10 100 14 60 Z"):
        folds(pen, fold, 0.09)
    pen.seam("M-95 150 C-60 158 60 158 95 150")


def skirt(pen):
    pen.part(mirrored("M0 -104 L70 -108 C90 -40 122 40 146 98 C148 104 146 108 140 111 C96 130 48 134 0 134"))
    for fold in ("M22 -100 C32 -30 48 60 60 126 C38 60 26 -30 22 -100 Z", "M46 -100 C62 -30 88 50 108 116 C78 50 56 -30 46 -100 Z",
                 "M4 -100 C6 -20 8 60 10 132 C0 60 0 -20 4 -100 Z"):
        folds(pen, fold, 0.15)
    pen.part(mirrored("M0 -130 C24 -130 46 -132 66 -136 L72 -106 C48 -100 24 -98 0 -98"), darker(pen.rgb, 0.14))
    pen.button(56, -117, 5)
    pen.seam("M-136 98 C-90 118 90 118 136 98")


def pencil_skirt(pen):
    pen.part(mirrored("M0 -116 L66 -120 C92 -70 100 -20 98 30 L88 140 C88 146 85 149 80 150 C54 154 26 155 0 155"))
    folds(pen, "M90 -30 C74 0 56 16 34 24 C60 0 76 -14 90 -30 Z", 0.10)
    folds(pen, "M84 60 C80 96 76 120 70 148 C72 116 76 90 84 60 Z", 0.10)
    pen.line("M0 76 L0 154", 2.2)
    seams(pen, "M38 -104 L34 -52")
    pen.part(mirrored("M0 -140 C22 -140 44 -142 62 -146 L68 -117 C46 -112 22 -110 0 -110"), darker(pen.rgb, 0.14))
    pen.seam("M-86 136 C-54 142 54 142 86 136")


def trousers(pen):
    both_sides(pen, "M0 -140 L70 -146 C76 -120 80 -90 82 -60 L96 164 C96 169 94 171 90 171 L40 173 C35 173 33 171 32 166 L4 -44 L0 -60 Z", 0)
    seams(pen, "M93 152 L35 154")
    folds(pen, "M44 -90 C58 0 62 90 64 166 C56 90 48 0 44 -90 Z", 0.10)
    trouser_waist(pen)


def wide_trousers(pen):
    both_sides(pen, "M0 -140 L70 -146 C78 -120 84 -90 88 -60 L130 160 C131 166 128 169 123 170 L34 173 C28 173 26 170 25 165 L4 -44 L0 -60 Z", 0)
    seams(pen, "M127 150 L28 154")
    folds(pen, "M44 -100 C60 0 74 90 84 168 C64 90 50 0 44 -100 Z", 0.14)
    folds(pen, "M78 -40 C90 30 100 90 108 164 C92 90 82 30 78 -40 Z", 0.10)
    trouser_waist(pen)


def trouser_waist(pen):
    folds(pen, "M4 -44 C24 -50 40 -62 52 -76 C42 -54 26 -38 6 -32 Z", 0.14)
    pen.line("M76 -118 C70 -92 56 -88 46 -112 M-76 -118 C-70 -92 -56 -88 -46 -112", 2)
    pen.part(mirrored("M0 -164 C24 -164 48 -166 68 -170 L74 -142 C48 -136 24 -134 0 -134"), darker(pen.rgb, 0.14))
    for x in (-52, -26, 26, 52):
        pen.line(f"M{x} -166 L{x} -136", 5, darker(pen.rgb, 0.32))
    pen.line("M0 -134 L0 -60 M12 -134 C14 -100 12 -84 0 -74", 1.8)
    pen.button(0, -150, 5, METAL)


def shorts(pen):
    both_sides(pen, "M0 -84 L84 -92 C94 -40 108 20 122 92 C122 98 120 100 115 101 L28 112 C22 112 20 110 19 104 L2 18 L0 0 Z", 0)
    seams(pen, "M119 78 L22 90")
    shorts_front(pen)
    pen.part(mirrored("M0 -112 C28 -112 56 -114 80 -119 L87 -88 C56 -82 28 -80 0 -80"), darker(pen.rgb, 0.14))
    pen.line("M-8 -94 C-22 -70 -18 -56 -24 -42 M8 -94 C20 -72 14 -56 22 -38", 4.5, lighter(pen.rgb, 0.7))
    pen.line("M0 -80 L0 0", 1.8)


def bermuda_shorts(pen):
    """To the knee, with a buttoned waist and turned-up hems."""
    pen.context.translate(0, -22)
    both_sides(pen, "M0 -84 L80 -92 C88 -40 98 40 108 126 L24 138 L2 18 L0 0 Z", 0)
    shorts_front(pen)
    hem = "M106 104 L112 134 C112 140 110 142 105 143 L30 154 C24 154 22 152 21 147 L19 118 Z"
    for outline in (hem, flipped(hem)):
        pen.part(outline, darker(pen.rgb, 0.10))
    pen.part(mirrored("M0 -112 C28 -112 54 -114 76 -119 L83 -88 C54 -82 28 -80 0 -80"), darker(pen.rgb, 0.14))
    for x in (-56, -28, 28, 56):
        pen.line(f"M{x} -114 L{x} -82", 5, darker(pen.rgb, 0.32))
    pen.line("M0 -80 L0 0 M12 -80 C14 -46 12 -30 0 -20", 1.8)
    pen.button(0, -96, 5, METAL)


def shorts_front(pen):
    folds(pen, "M2 18 C24 8 44 -8 58 -26 C48 2 28 24 4 34 Z", 0.13)
    pen.line("M86 -64 C80 -34 66 -30 54 -58 M-86 -64 C-80 -34 -66 -30 -54 -58", 2)


def rib(pen, line):
    pen.line(line, 1.4, darker(pen.rgb, 0.35), 0.55)


def knit_cuffs(pen):
    cuff = "M126 76 L164 70 L167 96 C167 100 165 102 161 103 L136 107 C132 107 130 106 129 102 Z"
    dark = darker(pen.rgb, 0.12)
    for outline in (cuff, flipped(cuff)):
        pen.part(outline, dark, light="flat")
    for x in (134, 143, 152, 160):
        rib(pen, f"M{x} 78 L{x + 2} 101")
        rib(pen, f"M{-x} 78 L{-x - 2} 101")
    pen.part(mirrored("M0 128 L100 122 C102 134 102 146 99 154 C66 160 32 161 0 161"), dark, light="flat")
    for x in range(-92, 93, 9):
        rib(pen, f"M{x} 130 L{x} 157")


def knit_body(pen, neck="M0 -108 C24 -108 40 -120 44 -142"):
    both_sides(pen, "M76 -134 C112 -126 132 -104 138 -78 L165 72 L127 80 L86 -40 Z", -11)
    pen.part(mirrored(f"{neck} L78 -134 C96 -106 100 -76 98 -42 C96 20 98 80 100 132 C66 138 32 138 0 138"))
    folds(pen, "M97 -20 C84 24 70 44 54 56 C72 24 82 4 97 -20 Z")
    folds(pen, "M150 0 C142 10 132 14 118 14 C132 8 140 0 146 -16 Z")
    knit_cuffs(pen)


def sweater(pen):
    back_of_neck(pen, 46, -143, 15)
    knit_body(pen)
    front_of_neck(pen, 46, -143, 15)


def v_neck_sweater(pen):
    back_of_neck(pen, 46, -143, 14, depth=80)
    knit_body(pen, "M0 -70 L44 -142")
    v_of_neck(pen, 45, -142, 14, 70)


def roll_neck_sweater(pen):
    knit_body(pen)
    pen.part(mirrored("M0 -92 C28 -94 46 -106 52 -126 L46 -172 C30 -178 14 -179 0 -179"), darker(pen.rgb, 0.10))
    pen.line("M-49 -146 C-30 -132 30 -132 49 -146", 2.2, darker(pen.rgb, 0.42), 0.8)
    for x in range(-40, 41, 10):
        rib(pen, f"M{x * 0.95} -174 L{x} {-136 + abs(x) * 0.1:.1f}")


def hoodie(pen):
    knit_body(pen)
    hood(pen)
    pen.part(mirrored("M0 30 L44 30 L70 84 L70 116 L0 116"))
    pen.seam("M-40 36 L-64 86 M40 36 L64 86")


def zipped_hoodie(pen):
    knit_body(pen)
    both_sides(pen, "M10 34 L44 34 L72 88 L72 116 L10 116 Z")
    seams(pen, "M40 40 L66 90")
    pen.line("M0 -86 L0 158", 9, darker(pen.rgb, 0.45))
    pen.line("M0 -84 L0 156", 3.2, METAL, 1, (2, 3))
    hood(pen)
    pen.part("M-5 -84 L5 -84 L6 -58 L-6 -58 Z", METAL, light="flat", rim=False)


def hood(pen):
    pen.part(mirrored("M0 -172 C44 -172 66 -150 68 -122 C68 -104 40 -92 0 -84"))
    pen.part(mirrored("M0 -154 C30 -154 44 -142 42 -124 C38 -110 20 -102 0 -92"), darker(pen.rgb, 0.45), light="flat")
    pen.line("M-20 -100 C-24 -70 -20 -50 -24 -28 M20 -100 C24 -74 18 -54 22 -36", 4.5, lighter(pen.rgb, 0.75))
