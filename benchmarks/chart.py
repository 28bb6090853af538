"""Line charts as SVG text: few enough marks that no plotting library is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#2563eb", "#d97706", "#6b7280", "#059669", "#db2777", "#7c3aed", "#0891b2", "#b91c1c")

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 150, 34, 40


@dataclass(frozen=True)
class Point:
    """A value at a place of the horizontal axis, with its interval."""

    value: float
    low: float
    high: float


def lines(
    title: str, series: Mapping[str, Sequence[Point]], *, places: Sequence[str], unit: str
) -> str:
    """One line with a band for each series over equally spaced, named places, from 0 to 1.

    Raises:
        ValueError: for a series that has not one point for each place.
    """
    for name, points in series.items():
        if len(points) != len(places):
            raise ValueError(f"{name} has {len(points)} points for {len(places)} places")
    body = [_axes(title, places, unit)]
    for number, (name, points) in enumerate(series.items()):
        body.append(_line(name, points, number))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="system-ui, sans-serif" font-size="12" role="img" '
        f'aria-label="{escape(title)}">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>\n' + "\n".join(body) + "\n"
        "</svg>\n"
    )


def _axes(title: str, places: Sequence[str], unit: str) -> str:
    parts = [f'<text x="{_LEFT}" y="20" font-weight="600" fill="#111827">{escape(title)}</text>']
    for tenth in range(0, 11, 2):
        y, x = _y(tenth / 10), _WIDTH - _RIGHT
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{x}" stroke="#e5e7eb"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#4b5563">'
            f"{tenth / 10:.1f}</text>"
        )
    for i, place in enumerate(places):
        parts.append(
            f'<text x="{_x(i, len(places)):.1f}" y="{_HEIGHT - _BOTTOM + 18}" '
            f'text-anchor="middle" fill="#4b5563">{escape(place)}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle" fill="#4b5563">'
        f"{escape(unit)}</text>"
    )
    return "\n".join(parts)


def _line(name: str, points: Sequence[Point], number: int) -> str:
    colour, n = COLOURS[number % len(COLOURS)], len(points)
    upper = [f"{_x(i, n):.1f},{_y(p.high):.1f}" for i, p in enumerate(points)]
    lower = [f"{_x(i, n):.1f},{_y(p.low):.1f}" for i, p in enumerate(points)]
    middle = [f"{_x(i, n):.1f},{_y(p.value):.1f}" for i, p in enumerate(points)]
    label_y = _TOP + 8 + 18 * number
    x = _WIDTH - _RIGHT + 14
    return (
        f'<polygon points="{" ".join(upper + lower[::-1])}" fill="{colour}" opacity=".13"/>\n'
        f'<polyline points="{" ".join(middle)}" fill="none" stroke="{colour}" '
        f'stroke-width="2"/>\n'
        f'<path d="M{x} {label_y}h16" stroke="{colour}" stroke-width="2"/>\n'
        f'<text x="{x + 22}" y="{label_y + 4}" fill="#111827">{escape(name)}</text>'
    )


def _x(place: int, places: int) -> float:
    span = _WIDTH - _RIGHT - _LEFT
    return _LEFT + span * (place + 0.5) / places


def _y(value: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value
