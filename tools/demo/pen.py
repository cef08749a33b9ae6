"""The pen every silhouette is drawn with: a part is an outline filled with a colour, its pattern, and light.

Light comes from the upper left in every picture. A part is lit three times: a gradient across it, a darker rim inside its
edge (wide translucent strokes clipped to the outline: cairo has no blur), and a thin outline in its own darker colour.
"""
import math

import cairo

from outline import ellipse, trace
from palette import darker, lighter

METAL = (0.80, 0.70, 0.45)
WOOD = (0.72, 0.52, 0.34)
RUBBER = (0.95, 0.94, 0.91)
REACH = 420     # patterns are drawn over this half-width, so that they cover any part at any angle


class Pen:
    def __init__(self, context, colour, pattern, rng):
        self.context = context
        self.colour = colour
        self.pattern = pattern
        self.rng = rng
        self.pitch = rng.uniform(0.85, 1.25)    # scale of the pattern, one for the whole object

    @property
    def rgb(self):
        return self.colour.rgb

    def part(self, outline, fill=None, angle=0.0, light="soft", rim=True):
        """Without `fill` the part is in the product's own colour and pattern, the pattern turned by `angle` degrees."""
        context = self.context
        rgb = fill or self.rgb
        context.save()
        trace(context, outline)
        box = context.path_extents()
        context.clip_preserve()
        context.set_source_rgb(*rgb)
        context.fill()
        if fill is None:
            self._draw_pattern(angle)
        context.set_source(LIGHTS[light](box))
        context.paint()
        if rim:
            self._draw_rim(outline, rgb)
        context.restore()
        self.line(outline, 1.6, darker(rgb, 0.42), alpha=0.75)

    def line(self, outline, width=2.0, rgb=None, alpha=1.0, dash=()):
        context = self.context
        context.save()
        trace(context, outline)
        context.set_line_width(width)
        context.set_line_cap(cairo.LINE_CAP_ROUND)
        context.set_line_join(cairo.LINE_JOIN_ROUND)
        context.set_dash(dash)
        context.set_source_rgba(*(rgb or darker(self.rgb, 0.40)), alpha)
        context.stroke()
        context.restore()

    def seam(self, outline):
        """Stitches: a dashed line a little darker than the cloth, or lighter where the cloth is nearly black."""
        dark = sum(self.rgb) < 0.9
        self.line(outline, 1.5, lighter(self.rgb, 0.35) if dark else darker(self.rgb, 0.35), 0.7, (5, 4))

    def fold(self, outline, alpha=0.10):
        """A crease in cloth: a soft dark wedge without an edge."""
        context = self.context
        context.save()
        trace(context, outline)
        context.set_source_rgba(0.05, 0.04, 0.10, alpha)
        context.fill()
        context.restore()

    def strap(self, outline, width, fill=None):
        """A band of constant width that follows a line: a handle, a strap, a lamp's arm."""
        rgb = fill or self.rgb
        self.line(outline, width + 3.0, darker(rgb, 0.45))
        self.line(outline, width, rgb)
        self.line(outline, width * 0.35, lighter(rgb, 0.25), 0.5)

    def button(self, x, y, radius=4.5, fill=None):
        rgb = fill or lighter(self.rgb, 0.75)
        self.part(ellipse(x, y, radius, radius), rgb, light="flat", rim=False)

    def glow(self, x, y, radius):
        """The light of a lamp."""
        light = cairo.RadialGradient(x, y, 0, x, y, radius)
        light.add_color_stop_rgba(0, 1.0, 0.93, 0.70, 0.75)
        light.add_color_stop_rgba(1, 1.0, 0.93, 0.70, 0.0)
        self.context.set_source(light)
        self.context.arc(x, y, radius, 0, 2 * math.pi)
        self.context.fill()

    def behind(self, draw, dx, dy, scale=1.0):
        """Draws the same thing again, further back and in the shade: the second shoe of a pair."""
        context = self.context
        context.push_group()
        context.translate(dx, dy)
        context.scale(scale, scale)
        draw(self)
        group = context.pop_group()
        context.set_source(group)
        context.paint()
        context.set_source_rgba(0.05, 0.04, 0.10, 0.20)
        context.mask(group)

    def _draw_rim(self, outline, rgb):
        for width in (34, 22, 12):
            self.line(outline, width, darker(rgb, 0.8), 0.045)

    def _draw_pattern(self, angle):
        context = self.context
        context.save()
        context.rotate(math.radians(angle))
        context.scale(self.pitch, self.pitch)
        PATTERN_DRAWINGS[self.pattern.slug](context, self.colour.accent)
        context.restore()


def _plain(context, accent):
    pass


def _striped(context, accent):
    context.set_source_rgb(*accent)
    for y in range(-REACH, REACH, 30):
        context.rectangle(-REACH, y, 2 * REACH, 12)
    context.fill()


def _dotted(context, accent):
    context.set_source_rgb(*accent)
    for row, y in enumerate(range(-REACH, REACH, 21)):
        for x in range(-REACH + 12 * (row % 2), REACH, 24):
            context.new_sub_path()
            context.arc(x, y, 5.2, 0, 2 * math.pi)
    context.fill()


def _checked(context, accent):
    """Gingham: two translucent sets of bands, twice as strong where they cross."""
    context.set_source_rgba(*accent, 0.42)
    for offset in range(-REACH, REACH, 36):
        context.rectangle(-REACH, offset, 2 * REACH, 18)
    context.fill()
    for offset in range(-REACH, REACH, 36):
        context.rectangle(offset, -REACH, 18, 2 * REACH)
    context.fill()


PATTERN_DRAWINGS = {"plain": _plain, "striped": _striped, "dotted": _dotted, "checked": _checked}


def _gradient(line, stops):
    light = cairo.LinearGradient(*line)
    for at, white, alpha in stops:
        light.add_color_stop_rgba(at, white, white, white, alpha)
    return light


def _soft_light(box):
    """Cloth and leather: brighter to the upper left, darker to the lower right."""
    return _gradient(box, ((0, 1, 0.20), (0.45, 1, 0.0), (0.55, 0, 0.0), (1, 0, 0.18)))


def _round_light(box):
    """A cylinder seen from the side: a highlight a third of the way, dark edges."""
    x0, _, x1, _ = box
    return _gradient((x0, 0, x1, 0), ((0, 0, 0.16), (0.14, 0, 0.0), (0.30, 1, 0.34), (0.48, 1, 0.0), (0.62, 0, 0.0),
                                      (1, 0, 0.26)))


def _lit_light(box):
    """A lampshade with the lamp on: bright in the middle and below."""
    x0, y0, x1, y1 = box
    cx, cy = (x0 + x1) / 2, y0 + 0.72 * (y1 - y0)
    light = cairo.RadialGradient(cx, cy, 0, cx, cy, 0.75 * (x1 - x0))
    light.add_color_stop_rgba(0, 1.0, 0.95, 0.75, 0.50)
    light.add_color_stop_rgba(0.6, 1.0, 0.95, 0.75, 0.08)
    light.add_color_stop_rgba(1, 0.05, 0.0, 0.10, 0.16)
    return light


def _flat_light(box):
    return _gradient(box, ((0, 1, 0.12), (1, 0, 0.08)))


LIGHTS = {"soft": _soft_light, "round": _round_light, "lit": _lit_light, "flat": _flat_light}
