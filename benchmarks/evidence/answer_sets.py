"""How many images must be listed so that a source is among them, by known pairs.

Conformal: the gap between the first image's score and that of the best source, on the scale on
which scores are shown, is taken over the tune half of the known pairs; the largest of its quantiles
over all sets of pairs is the gap up to which images are listed. The untouched half says how often a
source is then among them, and how many images that takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binom

from benchmarks.evidence.bars import Bar
from benchmarks.evidence.edits import made_of
from benchmarks.evidence.galleries import Builder, names_of, threaded
from benchmarks.quality.roles import PAIRS
from core.config import AnswerConfig
from core.evidence.answer_sets import largest_gap, score_gaps
from core.measures.pairs import read_pairs
from core.measures.retrieval import Pair
from core.service.workspace import Workspace
from core.values import Encoder

DEPTH = 1_000
"""Images that are looked at for every query; a source below is in no list."""


@dataclass(frozen=True)
class Listed:
    """What a query's list would be."""

    set: str
    half: str
    gap: float
    """Of its best source; infinite where none is among those looked at."""
    gaps: np.ndarray
    """Of all that are looked at."""


def set_bars(
    builder: Builder,
    photos: Mapping[str, Path],
    pairs: Sequence[Pair],
    data: Path,
    encoder: Encoder,
) -> list[Bar]:
    """Gaps by level from the tune half; coverage and size of the untouched half, set by set.

    Args:
        builder: builds the gallery.
        photos: photographs that are no source.
        pairs: known pairs of one source each.
        data: folder of all pairs.
        encoder: what describes them.
    """
    folder = (data / PAIRS).parent
    edits = read_pairs(data / PAIRS)
    halves = {pair.generated: pair.half for pair in edits}
    sources = {name: data / name for pair in pairs for name in pair.exemplars}
    asked = [(p.source, p.half, data / p.generated, {*p.exemplars}) for p in pairs]
    for one in made_of(edits, folder):
        name = one.generated.relative_to(folder).as_posix()
        asked.append((one.set, halves[name], one.generated, {*one.roles.values()}))
        sources |= {source: folder / source for source in one.roles.values()}
    workspace = builder.workspace({**photos, **sources}, encoder)
    rows = threaded(lambda each: _listed(workspace, *each), asked, what="pairs with their sources")
    tune = [row for row in rows if row.half == "tune"]
    rest = [row for row in rows if row.half != "tune"]
    known = {name: [r.gap for r in tune if r.set == name] for name in {r.set for r in tune}}
    bars: list[Bar] = []
    for level, shipped in AnswerConfig().listed:
        gap = largest_gap(known, level)
        what = f"gap up to which {level:.0%} are listed"
        bars.append(
            Bar("s", what, f"{gap:.3f}", f"{shipped} as it ships", bool(gap <= shipped + 5e-4))
        )
        bars += _bars(rest, level, shipped)
    return bars


def _listed(asked: Workspace, name: str, half: str, file: Path, right: set[str]) -> Listed:
    said = asked.attribute(asked.query(file), top=DEPTH)
    groups = {group.id: names_of(asked, said, at) for at, group in enumerate(said.groups)}
    found = score_gaps(said)
    own = [
        gap
        for match, gap in zip(said.matches, found, strict=True)
        if not groups.get(match.group, set()).isdisjoint(right)
    ]
    return Listed(name, half, min(own, default=np.inf), np.array(found))


def _bars(rows: Sequence[Listed], level: float, gap: float) -> list[Bar]:
    """Coverage and size of every set; a level is missed where a binomial test says so at 5 %."""
    bars: list[Bar] = []
    for name in sorted({row.set for row in rows}):
        own = [row for row in rows if row.set == name]
        hits, n = sum(row.gap <= gap for row in own), len(own)
        middle, high = np.quantile([(row.gaps <= gap).sum() for row in own], [0.5, 0.9]).astype(int)
        text = f"{hits / n:.2f} of {n}; {middle} images, {high} for one in ten"
        least = int(binom.ppf(0.05, n, level))
        bars.append(
            Bar("s", f"{name}, {level:.0%}", text, f">= {least} of {n}", bool(hits >= least))
        )
    return bars
