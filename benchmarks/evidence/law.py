"""The law of the confidence: fitted on the tune half, and without each generator in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.evidence.bars import (
    Bar,
    Judged,
    Setting,
    brier_skill,
    draws_of,
    false_attributions,
    one_per_cluster,
)
from core.config import AnswerConfig

_DRAWS = 40  # of one query per cluster, over which a law is fitted


def fit_law(settings: Sequence[Setting], *, without: str = "") -> AnswerConfig:
    """Logistic regression of "is a source" on the strength.

    Half of every generator's clusters have their source in the gallery; galleries and generators
    weigh alike.

    Args:
        settings: galleries, with the pairs to learn from.
        without: a generator that is left out.
    """
    rng = np.random.default_rng(0)
    x: list[np.ndarray] = []
    y: list[np.ndarray] = []
    w: list[np.ndarray] = []
    for setting in settings:
        there, gone = setting.present.strengths, setting.absent.strengths
        for name in set(setting.generators) - {without}:
            rows = np.flatnonzero(setting.generators == name)
            for _ in range(_DRAWS):
                pick = rng.permutation(rows[one_per_cluster(setting.clusters[rows], rng)])
                half = np.arange(len(pick)) < len(pick) // 2
                x.append(np.where(half, there[pick], gone[pick]))
                y.append(half & setting.present.right[pick])
                w.append(np.full(len(pick), 1 / len(pick)))
    model = LogisticRegression(C=1e3).fit(
        np.concatenate(x)[:, None], np.concatenate(y), sample_weight=np.concatenate(w)
    )
    slope = float(model.coef_[0, 0])
    return replace(AnswerConfig(), slope=slope, midpoint=float(-model.intercept_[0] / slope))


def law_bars(settings: Mapping[str, Setting], *, draws: int) -> list[Bar]:
    """(b) What each generator gets from a law that never saw it, and from the null as it is."""
    tune = [setting.half("tune") for setting in settings.values()]
    law = fit_law(tune)
    bars = [
        Bar(
            "law",
            "fitted on the tune halves of all galleries",
            f"slope {law.slope:.2f}, midpoint {law.midpoint:.2f}",
            f"shipped {AnswerConfig().slope}, {AnswerConfig().midpoint}",
            True,
        )
    ]
    for name in np.unique(tune[0].generators):
        other = fit_law(tune, without=str(name))
        for where, setting in settings.items():
            bars += _without(setting, str(name), other, gallery=where, draws=draws)
    return bars


def _without(
    setting: Setting, name: str, law: AnswerConfig, *, gallery: str, draws: int
) -> list[Bar]:
    drawn = draws_of(setting, draws=draws, law=law)
    skill = float(np.median([brier_skill(d, name) for d in drawn]))
    bars = [
        Bar("b", f"Brier skill, {name}, law without it", f"{skill:.3f}", "> 0", skill > 0, gallery)
    ]
    rows = np.flatnonzero(setting.generators == name)
    judged = Judged(setting.absent[rows], setting.clusters[rows].tolist())
    for level in (0.01, 0.05):
        count, trials = false_attributions(judged, level=level, draws=draws)
        most = 2 * level * trials
        text = f"{count} of {trials}"
        what = f"{name} without source, p <= {level:g}"
        bars.append(Bar("b", what, text, f"<= {most:.1f}", count <= most, gallery))
    return bars
