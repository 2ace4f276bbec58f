"""Small drawings as inline SVG: an interval on a line, and curves over steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from radalign.evaluate.plots import COLOURS

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 320, 150, 44, 24, 8
Points = Sequence[tuple[float, float]]


def interval_bar(
    value: float,
    low: float | None,
    high: float | None,
    limits: tuple[float, float],
    mark: float | None = None,
) -> str:
    """A dot with its interval between two limits, and a grey tick at a mark (chance, or zero).

    >>> 'cx="50.0"' in interval_bar(0.5, 0.4, 0.6, (0.0, 1.0))
    True
    """
    start, end = limits
    span = (end - start) or 1.0

    def at(x: float) -> str:
        return f"{100 * min(1.0, max(0.0, (x - start) / span)):.1f}"

    parts = ['<line x1="0" y1="8" x2="100" y2="8" stroke="#d9dee3" stroke-width="1"/>']
    if mark is not None:
        parts.append(
            f'<line x1="{at(mark)}" y1="1" x2="{at(mark)}" y2="15" stroke="#8a939c" stroke-width="1"/>'
        )
    if low is not None and high is not None:
        parts.append(
            f'<line x1="{at(low)}" y1="8" x2="{at(high)}" y2="8" stroke="{COLOURS[0]}" stroke-width="3"/>'
        )
    if not math.isnan(value):
        parts.append(f'<ellipse cx="{at(value)}" cy="8" rx="1.6" ry="4.5" fill="{COLOURS[0]}"/>')
    inside = "".join(parts)
    return f'<svg viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">{inside}</svg>'


def line_chart(
    series: Mapping[str, Points], label: str, limits: tuple[float, float] | None = None, across: str = "step"
) -> str:
    """Lines of one colour per name, with axes.

    Args:
        series: Name to points (x, y); not finite ones are left out.
        label: What is drawn, for those who do not see it.
        limits: Of y; those of the points by default.
        across: What x is.
    """
    known = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    every = [p for points in known.values() for p in points]
    if not every:
        return ""
    x_limits = min(x for x, _ in every), max(x for x, _ in every)
    y_limits = limits or (min(y for _, y in every), max(y for _, y in every))
    drawn = [
        _line(points, x_limits, y_limits, COLOURS[i % len(COLOURS)])
        for i, points in enumerate(known.values())
        if points
    ]
    axes = _axes(x_limits, y_limits, across)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label, quote=True)}" '
        f'font-size="10" fill="#5c6570">{axes}{"".join(drawn)}</svg>'
    )


def _line(points: Points, xs: tuple[float, float], ys: tuple[float, float], colour: str) -> str:
    at = [f"{_x(x, xs):.1f},{_y(y, ys):.1f}" for x, y in points]
    if len(at) == 1:
        x, y = at[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
    return f'<polyline points="{" ".join(at)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _axes(xs: tuple[float, float], ys: tuple[float, float], across: str) -> str:
    floor = HEIGHT - BOTTOM
    lines = f'<path d="M{LEFT} {TOP}V{floor}H{WIDTH - 4}" fill="none" stroke="#8a939c"/>'
    down = "".join(
        f'<text x="{LEFT - 4}" y="{_y(y, ys) + 3:.1f}" text-anchor="end">{y:.3g}</text>'
        for y in dict.fromkeys(ys)
    )
    along = (
        f'<text x="{LEFT}" y="{floor + 13}">{xs[0]:.4g}</text>'
        f'<text x="{WIDTH - 4}" y="{floor + 13}" text-anchor="end">{across} {xs[1]:.4g}</text>'
    )
    return lines + down + along


def _x(x: float, xs: tuple[float, float]) -> float:
    return LEFT + (WIDTH - 8 - LEFT) * (x - xs[0]) / ((xs[1] - xs[0]) or 1.0)


def _y(y: float, ys: tuple[float, float]) -> float:
    floor = HEIGHT - BOTTOM
    return floor - (floor - TOP) * (y - ys[0]) / ((ys[1] - ys[0]) or 1.0)


def smooth(points: Points, keep: int = 120) -> list[tuple[float, float]]:
    """Means of neighbours, at most `keep` points.

    >>> smooth([(0, 1.0), (1, 3.0), (2, 5.0), (3, 7.0)], keep=2)
    [(0.5, 2.0), (2.5, 6.0)]
    """
    size = max(1, -(-len(points) // keep))
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]
