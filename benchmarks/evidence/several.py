"""Queries made of two images, and sources with copies: what whole answers say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmarks.evidence.bars import Bar
from benchmarks.evidence.composites import Composite, composites
from benchmarks.evidence.ranked import Subset, World, resaves
from core.config import NullConfig
from core.encoders.descriptors import describe_patches
from core.evidence.answer import (
    Candidates,
    Described,
    Identities,
    answer,
)
from core.evidence.null import Null, fit_null
from core.images.decode import load_image
from core.measures.retrieval import clustered_interval
from core.search.ranking import first_of_groups
from core.values import Answer, ImageRecord

_EACH = 60  # composites of every kind
_COPIED = 50  # sources of which copies are planted
_COPIES = 10
_SHOWN = 10
_STILL = 0.02  # by which a share may move and count as the same


@dataclass(frozen=True)
class Asked:
    """A composite and what is said of it."""

    composite: Composite
    labels: tuple[int, int]
    """Groups of its sources."""
    first: tuple[int, ...]
    """The first two groups of the ranking."""
    answer: Answer


def ask(world: World, gallery: Subset, null: Null, made: Sequence[Composite]) -> list[Asked]:
    """Answers to composites of images of a gallery."""
    label = {world.paths[row]: int(gallery.groups[i]) for i, row in enumerate(gallery.rows)}
    records = [ImageRecord(i, "", "", "", 1, 1) for i in range(len(gallery.rows))]
    found: list[Asked] = []
    for composite in made:
        vector, local = _encoded(world, composite.image)
        edges = gallery.edges.of(composite.image)
        ranking = gallery.scorer.rank(vector, local, edges, k=gallery.scorer.config.candidates)
        first = first_of_groups(ranking, gallery.groups)[:2]
        said = answer(
            Described(
                vector,
                gallery.embedded,
                local,
                gallery.scorer.patches,
                edges,
                gallery.scorer.edges,
                score=gallery.scorer.config,
            ),
            Candidates(ranking, records, gallery.groups, _SHOWN),
            null=null,
            config=NullConfig(),
            identities=Identities("", "", ""),
        )
        one, two = (label[path] for path in composite.sources)
        first_two = tuple(gallery.groups[ranking.rows[first]].tolist())
        found.append(Asked(composite, (one, two), first_two, said))
    return found


def several(world: World, gallery: Subset, null: Null) -> list[Bar]:
    """Both sources among the first two groups, by kind, beside the plain ranking; and shares."""
    rows = np.flatnonzero(gallery.rows < world.real)
    made = composites([world.paths[gallery.rows[i]] for i in rows], each=_EACH)
    asked = ask(world, gallery, null, made)
    bars: list[Bar] = []
    for kind in dict.fromkeys(one.composite.kind for one in asked):
        chosen = [one for one in asked if one.composite.kind == kind]
        plain = np.array([set(a.labels) <= set(a.first) for a in chosen], float)
        look = np.array([set(a.labels) <= {g.id for g in a.answer.groups[:2]} for a in chosen])
        gap = clustered_interval(look - plain, [str(i) for i in range(len(chosen))])
        text = (
            f"{look.mean():.2f}, plain {plain.mean():.2f}, "
            f"difference {gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"
        )
        what = f"both sources in the first two groups, {kind} ({len(chosen)})"
        bars.append(Bar("7", what, text, "> plain", bool(gap.low > 0), "all"))
    return [*bars, *_halves([one for one in asked if one.composite.kind == "pasted"])]


def _halves(asked: Sequence[Asked]) -> list[Bar]:
    """Shares and confidences where each source made half of the query."""
    shares: list[float] = []
    sure: list[float] = []
    for one in asked:
        by_group = {group.id: group for group in one.answer.groups}
        parts = [by_group[label].influence if label in by_group else 0.0 for label in one.labels]
        if sum(parts) > 0:
            shares.append(parts[0] / sum(parts))
        sure += [by_group[g].confidence if g in by_group else 0.0 for g in one.labels]
    low, middle, high = np.quantile(shares, [0.05, 0.5, 0.95])
    both = float(np.mean(np.array(sure) > 0.9))
    share = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    return [
        Bar("2", "share of the first half", share, ".4 to .6", bool(0.4 <= middle <= 0.6), "all"),
        Bar("2", "halves whose source has a confidence above .9", f"{both:.2f}", "-", True, "all"),
    ]


def ten_copies(world: World, whole: Subset, *, small: int) -> list[Bar]:
    """How far ten resaves of its source move a group's share."""
    rows = np.sort(np.random.default_rng(1).permutation(world.real)[:small])
    made = composites([world.paths[row] for row in rows], each=_COPIED)[:_COPIED]
    copied = {
        f"{i}-{k}": copy
        for i, one in enumerate(made)
        for k, copy in enumerate(resaves(load_image(one.sources[0], fit=256).image, _COPIES))
    }
    planted = np.array(list(world.add("ten", copied).values()))
    shares: list[list[float]] = []
    for chosen in (rows, np.concatenate([rows, planted])):
        gallery = world.subset(chosen)
        null = fit_null(
            gallery.scorer,
            world.head(world.features[chosen], role="query"),
            gallery.embedded,
            gallery.scorer.patches,
            config=NullConfig(),
        )
        asked = ask(world, gallery, null, made)
        shares.append(
            [sum(g.influence for g in a.answer.groups if g.id == a.labels[0]) for a in asked]
        )
    moved = np.abs(np.array(shares[1]) - np.array(shares[0]))
    further = int((moved > _STILL).sum())
    text = f"at most {moved.max():.3f}, median {np.median(moved):.3f}, {further} by more than .02"
    what = f"share of the first half moved by {_COPIES} resaves of its source ({len(made)})"
    return [Bar("4", what, text, "<= .02", further == 0, f"{small}")]


def _encoded(world: World, image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    head = world.bench.gallery.patch_head(world.encoder)
    encoded = world.encoder.encode([image])
    assert head is not None and encoded.patches is not None
    return (
        world.head(encoded.features, role="query")[0],
        describe_patches(encoded.patches, head)[0],
    )
