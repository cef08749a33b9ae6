"""Outlines, written as the absolute part of SVG's path language (M, L, C, Z).

A silhouette is mostly symmetrical: it is written once, from the axis x = 0 down its right side back to the axis, and
mirrored() closes it. An outline is a list of (start, segments, closed); a segment is one point (a line) or three (a cubic).
"""
import re

TOKEN = re.compile(r"[MLCZ]|-?[\d.]+")
POINTS = {"M": 1, "L": 1, "C": 3}


def parse(text):
    outline, command, numbers = [], None, []
    for token in TOKEN.findall(text):
        if token == "Z":
            start, segments, _ = outline[-1]
            outline[-1] = (start, segments, True)
        elif token in POINTS:
            command = token
        else:
            numbers.append(float(token))
            if len(numbers) == 2 * POINTS[command]:
                points = tuple(zip(numbers[0::2], numbers[1::2]))
                numbers = []
                if command == "M":
                    outline.append((points[0], [], False))
                else:
                    outline[-1][1].append(points)
    return outline


def flipped(text_or_outline):
    """The same outline on the other side of the axis."""
    def flip(point):
        return (-point[0], point[1])
    return [(flip(start), [tuple(map(flip, s)) for s in segments], closed)
            for start, segments, closed in as_outline(text_or_outline)]


def mirrored(half):
    """The closed outline of which `half` is the right side."""
    (start, segments, _), = as_outline(half)
    ends = [start] + [segment[-1] for segment in segments]
    back = []
    for i in range(len(segments) - 1, -1, -1):
        controls = segments[i][:-1][::-1]
        back.append(tuple((-x, y) for x, y in controls + (ends[i],)))
    bridge = [((-ends[-1][0], ends[-1][1]),)] if ends[-1][0] else []
    return [(start, segments + bridge + back, True)]


def ellipse(cx, cy, rx, ry):
    """Four cubics; 0.5523 is the usual constant of the quarter circle."""
    k = 0.5523
    def p(u, v):
        return (cx + u * rx, cy + v * ry)
    return [(p(1, 0), [(p(1, k), p(k, 1), p(0, 1)), (p(-k, 1), p(-1, k), p(-1, 0)),
                       (p(-1, -k), p(-k, -1), p(0, -1)), (p(k, -1), p(1, -k), p(1, 0))], True)]


def as_outline(text_or_outline):
    return parse(text_or_outline) if isinstance(text_or_outline, str) else text_or_outline


def trace(context, text_or_outline):
    """Makes the outline the current path of a cairo context."""
    context.new_path()
    for start, segments, closed in as_outline(text_or_outline):
        context.move_to(*start)
        for segment in segments:
            if len(segment) == 1:
                context.line_to(*segment[0])
            else:
                context.curve_to(*(value for point in segment for value in point))
        if closed:
            context.close_path()
