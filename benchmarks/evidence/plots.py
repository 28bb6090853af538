"""Reliability and risk-coverage curves as SVG, for docs/evidence.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.evidence.bars import Setting, draws_of
from benchmarks.quality.plots import save

Curve = Sequence[Sequence[float]]

_BINS = 10  # of stated confidence
_PLACES = 200  # of the risk curve


def curves(setting: Setting, *, draws: int = 50) -> dict[str, Curve]:
    """Both curves, over the queries of some draws together."""
    drawn = draws_of(setting, draws=draws)
    stated = np.concatenate([d.confidence for d in drawn])
    right = np.concatenate([d.right for d in drawn])
    weight = np.concatenate([d.weight for d in drawn])
    bins = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    mass = np.bincount(bins, weight, _BINS)
    used = mass > 0
    means = [np.bincount(bins, weight * v, _BINS)[used] / mass[used] for v in (stated, right)]
    order = np.argsort(-stated, kind="stable")
    answered = np.cumsum(weight[order])
    wrong = np.cumsum((weight * ~right)[order]) / answered
    some = np.linspace(len(order) // 100, len(order) - 1, _PLACES).astype(int)
    risk = zip((answered / answered[-1])[some], wrong[some], strict=True)
    return {
        "reliability": [
            (round(float(x), 4), round(float(y), 4)) for x, y in zip(*means, strict=True)
        ],
        "risk": [(round(float(x), 4), round(float(y), 4)) for x, y in risk],
    }


def plot(found: dict[str, Curve], folder: Path) -> None:
    """Write both."""
    labels = {
        "reliability": ("stated confidence", "share right"),
        "risk": ("share answered, surest first", "share wrong"),
    }
    for name, (x, y) in labels.items():
        figure = Figure(figsize=(3.2, 3.2), layout="constrained")
        axes = figure.add_subplot(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1))
        if name == "reliability":
            axes.plot([0, 1], [0, 1], "--", color="#bbbbbb")
        axes.plot(*zip(*found[name], strict=True), marker="o" if name == "reliability" else "")
        save(figure, folder / f"evidence_{name}.svg")
