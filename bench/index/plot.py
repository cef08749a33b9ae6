"""Curves of queries a second against recall, as an SVG: a row for each set of vectors, a panel for each kind of query."""
import math
from html import escape

from measured import frontier

COLOURS = {"vitrine": "#c2185b", "hnswlib": "#1565c0", "flat": "#757575", "ivfflat": "#2e7d32", "hnswsq8": "#6a1b9a", "ivfpq4": "#ef6c00"}
OTHER = "#000000"
WIDTH, HEIGHT = 460, 340                # of a panel
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 34, 44
LEGEND = 34
RECALLS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
LEAST, MOST = 0.8, 0.9995               # more is drawn at the edge


def place_x(recall):
    """By the logarithm of what is missed: half as many misses are as far everywhere."""
    at = [-math.log10(1 - value) for value in (LEAST, min(max(recall, LEAST), MOST), MOST)]
    return LEFT + (at[1] - at[0]) / (at[2] - at[0]) * (WIDTH - LEFT - RIGHT)


class Rates:
    """The vertical axis of a panel."""

    def __init__(self, rates):
        self.low = math.floor(math.log10(min(rates)))
        self.high = max(math.ceil(math.log10(max(rates))), self.low + 1)

    def place(self, qps):
        return HEIGHT - BOTTOM - (math.log10(qps) - self.low) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def marks(self):
        """Value, and whether it has a label."""
        for power in range(self.low, self.high):
            yield from ((digit * 10 ** power, digit == 1) for digit in range(1, 10))
        yield 10 ** self.high, True


def text(x, y, words, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def line(x1, y1, x2, y2, colour):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def axes(rates, title):
    out = [text((LEFT + WIDTH - RIGHT) / 2, 20, title, more='font-weight="bold"')]
    for recall in RECALLS:
        x = place_x(recall)
        out += [line(x, TOP, x, HEIGHT - BOTTOM, "#dddddd"), text(x, HEIGHT - BOTTOM + 16, f"{recall:g}")]
    for value, labelled in rates.marks():
        y = rates.place(value)
        out.append(line(LEFT, y, WIDTH - RIGHT, y, "#cccccc" if labelled else "#f0f0f0"))
        if labelled:
            out.append(text(LEFT - 6, y + 4, f"{value:,}", "end"))
    return out + [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "recall@10"),
                  text(0, 0, "queries a second, one thread", more=f'transform="translate(12 {HEIGHT / 2 - 10:.0f}) rotate(-90)"')]


def drawn(points, rates, side):
    colour = COLOURS.get(side, OTHER)
    places = [(place_x(point.recall), rates.place(point.qps)) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    width = 2.5 if side == "vitrine" else 1.5
    told = [escape(f"{side} {point.setting}: {point.recall:.4f}, {point.qps:.0f}/s") for point in points]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>',
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{words}</title></circle>'
              for (x, y), words in zip(places, told))]


def panel(curves, title):
    """curves: a side's name to its points."""
    shown = {side: [point for point in frontier(points) if point.recall >= LEAST] for side, points in curves.items()}
    rates = [point.qps for points in shown.values() for point in points]
    if not rates:
        return []
    scale = Rates(rates)
    return axes(scale, title) + [part for side, points in shown.items() if points for part in drawn(points, scale, side)]


def legend(sides):
    return [part for i, side in enumerate(sides) for part in (
        f'<rect x="{LEFT + 110 * i}" y="12" width="14" height="4" fill="{COLOURS.get(side, OTHER)}"/>',
        text(LEFT + 110 * i + 20, 18, side, "start"))]


def draw(results):
    panels = list(dict.fromkeys((row.data, row.kind) for row in results.rows if row.step == "curve"))
    data = list(dict.fromkeys(name for name, _ in panels))
    kinds = sorted({kind for _, kind in panels})
    sides = list(dict.fromkeys(side for name in data for side in results.sides("curve", name)))
    width, height = max(WIDTH * len(kinds), LEFT + 110 * len(sides)), LEGEND + HEIGHT * len(data)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>', *legend(sides)]
    for name, kind in panels:
        curves = {side: results.curve("curve", name, side, kind) for side in sides}
        out += [f'<g transform="translate({WIDTH * kinds.index(kind)} {LEGEND + HEIGHT * data.index(name)})">',
                *panel(curves, f"{name}, {kind} queries"), "</g>"]
    return "\n".join(out + ["</svg>"]) + "\n"
