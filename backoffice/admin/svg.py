"""How do numbers become a line? Paths for SVG, worked out on the server.

Coordinates are of a box of `width` by `height`; the page stretches it. A value of None
is a gap in the line: nothing is known of that moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, TALL = 240, 40, 120
# Room above the highest value and below the lowest, for the line's own width.
MARGIN = 2


@dataclass(frozen=True, slots=True)
class Plot:
    """A line, the area below it, and where its limit runs; "" where there is none."""

    line: str
    area: str
    label: str
    width: int = WIDTH
    height: int = HEIGHT
    limit: str = ""
    tone: str = ""
    marks: tuple[str, ...] = ()


def plot(
    values: Sequence[float | None],
    label: str,
    *,
    limit: float | None = None,
    top: float | None = None,
    height: int = HEIGHT,
    tone: str = "",
    marks: Sequence[int] = (),
) -> Plot:
    """The line through the values, from left to right.

    `top` is the value at the upper edge, by default the highest; `marks` are places
    among the values where a vertical line stands.
    """
    known = [value for value in values if value is not None]
    highest = max([*known, limit or 0.0]) if top is None else top
    step = WIDTH / max(1, len(values) - 1)

    def y(value: float) -> float:
        room = height - 2 * MARGIN
        return height - MARGIN - (min(value / highest, 1) * room if highest else 0)

    lines, areas = [], []
    for first, some in _runs(values):
        points = [
            (f"{(first + at) * step:.1f}", f"{y(value):.1f}")
            for at, value in enumerate(some)
        ]
        if len(points) == 1:  # one minute alone is a short stroke, not nothing
            x, height_of = points[0]
            points.append((f"{float(x) + step / 2:.1f}", height_of))
        path = " L".join(f"{x} {at}" for x, at in points)
        lines.append(f"M{path}")
        areas.append(f"M{path} L{points[-1][0]} {height} L{points[0][0]} {height}Z")
    return Plot(
        line=" ".join(lines),
        area=" ".join(areas),
        label=label,
        height=height,
        limit=f"{y(limit):.1f}" if limit is not None else "",
        tone=tone,
        marks=tuple(f"{mark * step:.1f}" for mark in marks),
    )


def _runs(values: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    """The stretches without a gap, each with the place where it begins."""
    found: list[tuple[int, list[float]]] = []
    is_open = False
    for at, value in enumerate(values):
        if value is None:
            is_open = False
        elif is_open:
            found[-1][1].append(value)
        else:
            found.append((at, [value]))
            is_open = True
    return found


def percent(part: float, whole: float) -> str:
    """The width of a bar, for an attribute: at least a sliver of what is there."""
    if whole <= 0 or part <= 0:
        return "0%"
    return f"{max(0.7, min(100.0, part / whole * 100)):.1f}%"
