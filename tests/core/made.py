"""Collections made of arrays, for tests of ranking and of what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from core.config import HeadConfig, ScoreConfig
from core.evidence.combination import Combination
from core.evidence.null import Null
from core.heads.head import Head, LinearHead
from core.search.query import Query
from core.search.ranking import Collection
from core.search.views import View


@dataclass(frozen=True)
class Arrays:
    """Stands for the encoder of a view whose features are given."""

    name: str = "arrays"
    dim: int = 0
    identity: str = "0" * 16

    def encode(self, images):
        raise AssertionError("nothing is encoded here")


def view(vectors, *, means=None, name="embedding", **more) -> View:
    """A view of unit rows under a head that changes nothing; ``means`` scale locally."""
    rows = np.asarray(vectors, np.float32)
    zeros = np.zeros(rows.shape[1], np.float32)
    head = Head(HeadConfig(kind="identity"), (LinearHead(zeros, zeros),))
    values = None if means is None else np.asarray(means, np.float32)
    return View(name, Arrays(), head, rows, rows, csls_means=values, **more)


def edges(vectors, *, means=None, config=None, **more) -> View:
    """A view by which a source may stand out or not, weighed as edges are."""
    how = (config or ScoreConfig()).view("edges")
    return view(vectors, means=means, name="edges", weight=how.weight, trust=how.trust, **more)


def collection(vectors, *, groups=None, patches=None, means=None, beside=(), **more) -> Collection:
    """Images described by unit rows and, where given, further views."""
    labels = np.arange(len(vectors)) if groups is None else np.asarray(groups)
    return Collection((view(vectors, means=means), *beside), labels, patches, **more)


def query(*vectors, patches=None, **more) -> Query:
    """A query of unit vectors, one in every view."""
    return Query(tuple(np.asarray(v, np.float32) for v in vectors), patches, **more)


def null(margins, leads=None) -> Null:
    """The null of queries whose best groups stand out and lead so far.

    Args:
        margins: (m, a), or (m,) for a view whose scores are its cosines: both aspects are the same.
        leads: the same; none leads without.
    """
    ahead = np.zeros_like(margins) if leads is None else np.asarray(leads)
    pairs = [np.stack([v, v], axis=1) if v.ndim == 1 else v for v in (np.asarray(margins), ahead)]
    by_margin, by_lead = (
        Combination.of(list(rows[:, None]), aspects=rows.shape[1]) for rows in pairs
    )
    return Null(by_margin.largest, by_margin.strengths, by_lead.largest, by_lead.strengths)


def draw_noise(folder: Path, seeds: range) -> None:
    """Write small images of coarse noise, one for each seed, named by it."""
    for seed in seeds:
        pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((24, 24)).save(folder / f"{seed:03}.png")
