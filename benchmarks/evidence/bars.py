"""The bars that answers are held to, each computed from rankings alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression

from benchmarks.evidence.galleries import Asked
from core.config import AnswerConfig
from core.evidence.confidence import stated
from core.measures.retrieval import Pair, clustered_interval

WAYS: Mapping[str, Callable[[Asked], np.ndarray]] = {
    "larger": lambda asked: asked.p_values,
    "conformal": lambda asked: asked.counted,
    "extreme-value": lambda asked: asked.fitted,
}
"""How p-values are computed; the first is the program's."""

LEVELS = (0.01, 0.05)
"""Levels at which groups are attributed."""
POWER = 0.97
"""Share of images of single-image generators to be attributed at the first level, at least."""
OF_RECALL = 0.9
"""Share, of the edits of which a right group comes first, to be attributed at the first level."""
PRECISION = 0.97
"""Share of the named sources that are to be right."""

_BINS = 5  # of equal mass, for the calibration error
_SIMULATED = 100  # calibrated worlds that the calibration error is compared with


@dataclass(frozen=True)
class Bar:
    """One measured number and what it must be."""

    bar: str
    what: str
    found: str
    wanted: str
    holds: bool
    gallery: str = ""


@dataclass(frozen=True)
class Judged:
    """Answers to queries without a source, and the queries' clusters."""

    asked: Asked
    clusters: Sequence[str]


@dataclass(frozen=True)
class Setting:
    """Everything that was asked of one gallery."""

    held_out: Judged
    of_their_kind: Judged
    """Held-out photographs asked of the photographs alone, without the exemplars."""
    synthetic: dict[str, Judged]
    pairs: Sequence[Pair]
    present: Asked
    """Generated images of the pairs, their sources in the gallery."""
    absent: Asked
    """The same, asked of the gallery without any source."""

    def half(self, name: str) -> Setting:
        """The pairs of one half alone."""
        rows = np.flatnonzero([pair.half == name for pair in self.pairs])
        return replace(
            self,
            pairs=[self.pairs[int(i)] for i in rows],
            present=self.present[rows],
            absent=self.absent[rows],
        )

    @property
    def generators(self) -> np.ndarray:
        """Generator of every pair."""
        return np.array([pair.generator for pair in self.pairs])

    @property
    def clusters(self) -> np.ndarray:
        """Exemplars of every pair."""
        return np.array([pair.cluster for pair in self.pairs])


def largest_count(trials: int, level: float) -> int:
    """Most successes that a one-sided 95 % binomial test does not call more than the level."""
    return int(binom.ppf(0.95, trials, level))


def one_per_cluster(clusters: Sequence[str] | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A query of every cluster, drawn at random."""
    order = rng.permutation(len(clusters))
    return order[np.unique(np.asarray(clusters)[order], return_index=True)[1]]


def absent_bars(setting: Setting, *, draws: int) -> list[Bar]:
    """(a) False attributions where no source is in the gallery, by counting and by the tail."""
    sets = {
        "held-out photos": setting.held_out,
        "held-out photos, of photographs alone,": setting.of_their_kind,
        **setting.synthetic,
    }
    gemini = setting.generators == "Gemini 2.5 Flash Image"
    for name, chosen in (("single-image generators", ~gemini), ("nano_banana", gemini)):
        rows = np.flatnonzero(chosen)
        sets[name] = Judged(setting.absent[rows], setting.clusters[rows].tolist())
    return [
        absent_bar(f"{name} without source, {way}", p, judged, level, draws=draws)
        for way, by in WAYS.items()
        for name, judged in sets.items()
        for p in (by(judged.asked),)
        for level in LEVELS
    ]


def absent_bar(what: str, p: np.ndarray, judged: Judged, level: float, *, draws: int) -> Bar:
    """False attributions at a level, against the most that chance allows."""
    count, trials = _median_count(p <= level, judged.clusters, draws=draws)
    most = largest_count(trials, level)
    return Bar("a", f"{what} p <= {level:g}", f"{count} of {trials}", f"<= {most}", count <= most)


def false_attributions(judged: Judged, *, level: float, draws: int) -> tuple[int, int]:
    """Median number of attributions over draws of one query per cluster, and of queries."""
    return _median_count(judged.asked.p_values <= level, judged.clusters, draws=draws)


def _median_count(hits: np.ndarray, clusters: Sequence[str], *, draws: int) -> tuple[int, int]:
    rng = np.random.default_rng(0)
    picks = [one_per_cluster(clusters, rng) for _ in range(draws)]
    return int(np.median([hits[pick].sum() for pick in picks])), len(picks[0])


def power_bars(setting: Setting) -> list[Bar]:
    """(c) Right attributions where the source is in the gallery, and the precision of names."""
    p, right = setting.present.p_values, setting.present.right
    gemini = setting.generators == "Gemini 2.5 Flash Image"
    hit = ((p <= LEVELS[0]) & right)[~gemini]
    names, member = np.unique(setting.clusters[~gemini], return_inverse=True)
    by_exemplar = np.bincount(member, hit) / np.bincount(member)
    single = clustered_interval(by_exemplar, names.tolist())
    found = [float(np.mean(((p <= level) & right)[gemini])) for level in LEVELS]
    edits = attributed_bar("nano_banana", int(gemini.sum()), found, float(right[gemini].mean()))
    return [
        Bar(
            "c",
            f"single-image queries attributed rightly at 1 %, mean over {len(names)} exemplars",
            f"{single.mean:.3f} ({single.low:.3f} to {single.high:.3f})",
            f">= {POWER:.2f}",
            single.mean >= POWER,
        ),
        edits,
        _named_bar(setting),
    ]


def attributed_bar(what: str, count: int, found: Sequence[float], first: float) -> Bar:
    """(c) Edits attributed at both levels, against the share of which a right group comes first."""
    text = f"{found[0]:.2f} at 1 %, {found[1]:.2f} at 5 %, {first:.2f} first"
    holds = found[0] >= OF_RECALL * first
    return Bar(
        "c", f"{what} ({count}), a source attributed", text, f">= {OF_RECALL} x first", holds
    )


def _named_bar(setting: Setting) -> Bar:
    named, right = setting.present.named, setting.present.right
    cell = clustered_interval(right[named].astype(float), setting.clusters[named].tolist())
    text = f"{cell.mean:.3f} ({cell.low:.3f} to {cell.high:.3f}), {named.mean():.0%} named"
    return Bar(
        "c", "precision of named answers", text, f">= {PRECISION:.2f}", cell.mean >= PRECISION
    )


@dataclass(frozen=True)
class Draw:
    """One query per cluster, half of them with their source, generators weighted equally."""

    confidence: np.ndarray
    right: np.ndarray
    weight: np.ndarray
    generator: np.ndarray


def draws_of(setting: Setting, *, draws: int, law: AnswerConfig | None = None) -> list[Draw]:
    """Draws of pairs, half of every generator's with the source taken out.

    Args:
        setting: what was asked.
        draws: how many.
        law: what confidences are stated by; those of the answers without it.
    """
    rng = np.random.default_rng(0)
    sure = [_confidences(asked, law) for asked in (setting.absent, setting.present)]
    return [_draw(setting, sure[0], sure[1], rng=rng) for _ in range(draws)]


def _confidences(asked: Asked, law: AnswerConfig | None) -> np.ndarray:
    if law is None:
        return asked.confidences
    p_values = np.maximum(asked.counted, asked.fitted)  # of the first group
    rows = zip(asked.strengths, p_values, asked.null_sizes, strict=True)
    return np.array([stated(float(x), law, p_value=float(p), null_size=int(m)) for x, p, m in rows])


def _draw(
    setting: Setting, absent: np.ndarray, present: np.ndarray, *, rng: np.random.Generator
) -> Draw:
    parts: list[tuple[np.ndarray, ...]] = []
    for name in np.unique(setting.generators):
        rows = np.flatnonzero(setting.generators == name)
        pick = rng.permutation(rows[one_per_cluster(setting.clusters[rows], rng)])
        there = np.arange(len(pick)) < len(pick) // 2
        parts.append(
            (
                np.where(there, present[pick], absent[pick]),
                there & setting.present.right[pick],
                np.full(len(pick), 1 / len(pick)),
                np.full(len(pick), name),
            )
        )
    return Draw(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def calibration_bars(setting: Setting, *, draws: int, what: str = "") -> list[Bar]:
    """(d) Brier skill by generator, calibration slope, expected calibration error."""
    rng = np.random.default_rng(0)
    drawn = draws_of(setting, draws=draws)
    bars: list[Bar] = []
    for name in np.unique(setting.generators):
        skill = float(np.median([brier_skill(d, str(name)) for d in drawn]))
        bars.append(Bar("d", f"Brier skill, {name}{what}", f"{skill:.3f}", "> 0", skill > 0))
    slopes = [slope(d, rng) for d in drawn]
    low, middle, high = np.nanquantile(slopes, [0.025, 0.5, 0.975])
    text = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    bars.append(Bar("d", f"calibration slope{what}", text, "holds 1", bool(low <= 1 <= high)))
    error = float(np.median([calibration_error(d.confidence, d.right, d.weight) for d in drawn]))
    band = float(np.median([simulated_band(d, rng) for d in drawn[:20]]))
    bars.append(
        Bar(
            "d", f"calibration error, 5 bins{what}", f"{error:.4f}", f"<= {band:.4f}", error <= band
        )
    )
    return bars


def brier_skill(d: Draw, generator: str) -> float:
    """1 less the Brier score over that of always stating the generator's own rate."""
    chosen = d.generator == generator
    right = d.right[chosen].astype(float)
    return 1 - float(np.mean((d.confidence[chosen] - right) ** 2) / max(right.var(), 1e-9))


def slope(d: Draw, rng: np.random.Generator) -> float:
    """Slope of the outcome's log-odds over the stated ones; 1 is calibrated, more is too timid.

    The clusters of the draw are drawn again with replacement. A ridge of one observation keeps the
    slope finite where the two outcomes do not overlap at all.
    """
    again = rng.integers(len(d.right), size=len(d.right))
    if len(np.unique(d.right[again])) < 2:
        return float("nan")
    stated = np.log(d.confidence[again] / (1 - d.confidence[again]))
    weight = d.weight[again] * len(again) / d.weight[again].sum()
    model = LogisticRegression(C=1.0).fit(stated[:, None], d.right[again], sample_weight=weight)
    return float(model.coef_[0, 0])


def calibration_error(stated: np.ndarray, right: np.ndarray, weight: np.ndarray) -> float:
    """Mean over bins of equal mass of the gap between what is stated and what is right."""
    order = np.argsort(stated, kind="stable")
    mass = np.cumsum(weight[order]) / weight.sum()
    place = np.minimum((mass * _BINS - 1e-9).astype(int), _BINS - 1)
    gaps = np.bincount(place, (weight * (stated - right))[order], minlength=_BINS)
    return float(np.abs(gaps).sum() / weight.sum())


def simulated_band(d: Draw, rng: np.random.Generator) -> float:
    """The 95 % quantile of the error of outcomes that follow the stated confidences."""
    worlds = rng.random((_SIMULATED, len(d.right))) < d.confidence
    errors = [calibration_error(d.confidence, right, d.weight) for right in worlds]
    return float(np.quantile(errors, 0.95))
