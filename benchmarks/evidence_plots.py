"""Reliability and risk-coverage curves as SVG, for docs/evidence.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.evidence_bars import Setting, draws_of
from core.config import NullConfig

_SIZE, _EDGE = 320, 44
_BINS = 10


def plot(setting: Setting, folder: Path, *, draws: int = 50) -> None:
    """Write both curves, over the queries of some draws together."""
    folder.mkdir(exist_ok=True)
    drawn = draws_of(setting, NullConfig(), draws=draws)
    stated = np.concatenate([d.confidence for d in drawn])
    right = np.concatenate([d.right for d in drawn])
    weight = np.concatenate([d.weight for d in drawn])
    edges = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    points = [
        (
            float(np.average(stated[edges == b], weights=weight[edges == b])),
            float(np.average(right[edges == b], weights=weight[edges == b])),
        )
        for b in np.unique(edges)
    ]
    _write(folder / "evidence_reliability.svg", points, ("stated confidence", "share right"))
    order = np.argsort(-stated, kind="stable")
    mass = np.cumsum(weight[order])
    risk = np.cumsum((weight * ~right)[order]) / mass
    some = np.linspace(len(order) // 100, len(order) - 1, 200).astype(int)
    curve = [(float(mass[i] / mass[-1]), float(risk[i])) for i in some]
    _write(folder / "evidence_risk.svg", curve, ("share answered, surest first", "share wrong"))


def _write(path: Path, points: Sequence[tuple[float, float]], names: tuple[str, str]) -> None:
    inner = _SIZE - 2 * _EDGE
    at = [(_EDGE + x * inner, _SIZE - _EDGE - y * inner) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in at[:20])
    low, high = _EDGE, _SIZE - _EDGE
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="{_SIZE}" height="{_SIZE}" fill="white"/>'
        f'<path d="M{low},{high}L{high},{low}" stroke="#bbb" stroke-dasharray="4"/>'
        f'<path d="M{low},{low}V{high}H{high}" fill="none" stroke="#333"/>'
        f'<polyline points="{line}" fill="none" stroke="#2266aa" stroke-width="2"/>'
        f'<g fill="#2266aa">{dots if len(at) <= 20 else ""}</g>'
        f'<text x="{_SIZE / 2}" y="{_SIZE - 12}" text-anchor="middle">{names[0]}</text>'
        f'<text transform="rotate(-90)" x="{-_SIZE / 2}" y="14" text-anchor="middle">'
        f"{names[1]}</text>"
        f'<text x="{low}" y="{high + 16}">0</text><text x="{high - 8}" y="{high + 16}">1</text>'
        f'<text x="{low - 14}" y="{low + 6}">1</text></svg>\n'
    )
