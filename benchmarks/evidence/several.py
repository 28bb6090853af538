"""Queries made of two images, and sources with copies: what whole answers say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.evidence.bars import Bar
from benchmarks.evidence.composites import Composite, composites
from benchmarks.evidence.galleries import Builder, names_of, threaded
from core.measures.retrieval import clustered_interval
from core.search.ranking import first_of_groups
from core.service.workspace import Workspace
from core.values import Answer, Encoder

_COPIED = 50  # sources of which copies are planted
_COPIES = 10
_SHOWN = 10
_STILL = 0.02  # by which a share may move and count as the same


@dataclass(frozen=True)
class Told:
    """A composite and what is said of it."""

    composite: Composite
    sources: tuple[str, str]
    """Their names in the gallery."""
    first: tuple[set[str], ...]
    """Names in the first two groups of the plain ranking."""
    groups: tuple[set[str], ...]
    """Names in every group of the answer."""
    answer: Answer

    def places(self) -> list[int | None]:
        """Where in the answer the groups of both sources come."""
        return [next((i for i, g in enumerate(self.groups) if s in g), None) for s in self.sources]


def tell(asked: Workspace, made: Sequence[Composite], names: Mapping[Path, str]) -> list[Told]:
    """Answers to composites of images of a gallery, whose names are given by file."""
    records, groups = asked.gallery.records, np.asarray(asked.collection.groups)

    def one(composite: Composite) -> Told:
        query = asked.query(composite.image)
        ranking = asked.collection.rank(query, k=asked.score.candidates)
        best = groups[ranking.rows[first_of_groups(ranking, groups)[:2]]]
        first = tuple({records[row].path for row in np.flatnonzero(groups == g)} for g in best)
        said = asked.attribute(query, top=_SHOWN)
        known = tuple(names_of(asked, said, place) for place in range(len(said.groups)))
        one, two = (names[path] for path in composite.sources)
        return Told(composite, (one, two), first, known, said)

    return threaded(one, made, what="composites")


def several(asked: Workspace, photos: Mapping[str, Path], *, each: int) -> list[Bar]:
    """Both sources among the first two groups, by kind, beside the plain ranking; and shares."""
    names = {path: name for name, path in photos.items()}
    told = tell(asked, composites(list(names), each=each), names)
    bars: list[Bar] = []
    for kind in dict.fromkeys(one.composite.kind for one in told):
        chosen = [one for one in told if one.composite.kind == kind]
        plain = np.array([all(any(s in g for g in o.first) for s in o.sources) for o in chosen])
        look = np.array([all(p is not None and p < 2 for p in o.places()) for o in chosen])
        gap = clustered_interval(look * 1.0 - plain, [str(i) for i in range(len(chosen))])
        text = (
            f"{look.mean():.2f}, plain {plain.mean():.2f}, "
            f"difference {gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
        )
        what = f"both sources in the first two groups, {kind} ({len(chosen)})"
        bars.append(Bar("7", what, text, "> plain", bool(gap.low > 0), "all"))
    return [*bars, *_halves([one for one in told if one.composite.kind == "pasted"])]


def _halves(told: Sequence[Told]) -> list[Bar]:
    """Shares and confidences where each source made half of the query."""
    shares: list[float] = []
    sure: list[float] = []
    for one in told:
        groups = [None if p is None else one.answer.groups[p] for p in one.places()]
        parts = [(group.influence or 0.0) if group else 0.0 for group in groups]
        if sum(parts) > 0:
            shares.append(parts[0] / sum(parts))
        sure += [(group.confidence or 0.0) if group else 0.0 for group in groups]
    low, middle, high = np.quantile(shares, [0.05, 0.5, 0.95])
    both = float(np.mean(np.array(sure) > 0.9))
    share = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    return [
        Bar("2", "share of the first half", share, ".4 to .6", bool(0.4 <= middle <= 0.6), "all"),
        Bar("2", "halves whose source has a confidence above .9", f"{both:.2f}", "-", True, "all"),
    ]


def ten_copies(builder: Builder, photos: Mapping[str, Path], encoder: Encoder) -> list[Bar]:
    """How far ten resaves of its source move a group's share."""
    names = {path: name for name, path in photos.items()}
    count = min(_COPIED, len(photos) // 8)
    made = composites(list(names), each=count)[:count]  # the first kind: pasted halves
    copied = builder.resaved({names[one.sources[0]]: one.sources[0] for one in made}, _COPIES)
    shares: list[list[float]] = []
    for files in (photos, {**photos, **copied}):
        told = tell(builder.workspace(files, encoder), made, names)
        places = [one.places()[0] for one in told]
        shares.append(
            [
                0.0 if p is None else one.answer.groups[p].influence or 0.0
                for one, p in zip(told, places, strict=True)
            ]
        )
    moved = np.abs(np.array(shares[1]) - np.array(shares[0]))
    further = int((moved > _STILL).sum())
    text = f"at most {moved.max():.3f}, median {np.median(moved):.3f}, {further} by more than .02"
    what = f"share of the first half moved by {_COPIES} resaves of its source ({len(made)})"
    return [Bar("4", what, text, "<= .02", further == 0, f"{len(photos)}")]
