"""Ways to combine views: sums, the larger of leads, and p-values of every view against its null.

Both sets of pairs, each among the same photographs and its own exemplars. The candidates are those
of the product, and so is the null: photographs play queries without a source, cross-fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import norm

from benchmarks.quality import known_pairs, tables, wanted
from benchmarks.quality.candidates import Asked, Candidates, joined, margins
from benchmarks.quality.study import Study, compared, digest, store
from core.config import NullConfig, ScoreConfig
from core.evidence.combination import Combination, combined
from core.evidence.null import margins_of
from core.search.prepare import prepare
from core.search.query import Query
from core.search.ranking import Collection, Ranking, first_of_groups

SHIPPED = "the larger of leads"
"""What ships."""

VIEWS = tuple(how.name for how in ScoreConfig().views)

_LEAST = 1e-15  # p-value, as in the product

PValues = Float[np.ndarray, "*n a"]
Way = Callable[[PValues], np.ndarray]

WAYS: Mapping[str, Way] = {
    "least p-value": lambda p: -np.log(p.min(axis=-1)),
    "Cauchy": lambda p: np.tan((0.5 - p) * np.pi).mean(axis=-1),
    "harmonic mean": lambda p: np.log((1 / p).mean(axis=-1)),
    "exponent -1/2": lambda p: combined(p.reshape(-1, p.shape[-1])).reshape(p.shape[:-1]),
    "Fisher": lambda p: -np.log(p).sum(axis=-1),
    "Stouffer": lambda p: norm.isf(p).sum(axis=-1),
}
"""Strength by the p-values of all views; the more is needed of many of them, the further down."""

PARTS: Mapping[str, Callable[[int], list[int]]] = {
    "4 views": lambda levels: [levels + len(VIEWS) + 1, *range(levels, levels + len(VIEWS))],
    "levels, 3 views": lambda levels: [*range(levels + len(VIEWS))],
    "as evidence": lambda levels: [*range(levels + len(VIEWS) + 1)],
}
"""Columns of :func:`aspects` that are combined, by the number of levels."""

_PARTS = (
    "`4 views`: embedding, edges, palette, patches; `levels, 3 views`: the levels of the embedding "
    "one by one in its place; `as evidence`: these, and the score that ships"
)


@dataclass(frozen=True)
class Nulls:
    """What margins are compared with, aspect by aspect."""

    largest: Combination
    """The largest margin of every query without a source, as evidence takes it."""
    every: Combination
    """The margins of all its candidates, so that those tell apart that do not stand out."""

    @classmethod
    def of(cls, queries: Sequence[Float[np.ndarray, "_g a"]]) -> Nulls:
        """The nulls that the margins of queries without a source make."""
        largest = np.sort([margins.max(axis=0) for margins in queries], axis=0)
        every = np.sort(np.concatenate(queries), axis=0)
        return cls(*(Combination(null, np.zeros(len(null))) for null in (largest, every)))


def measure(study: Study) -> None:
    """Rank all pairs by every way; store means and differences from what ships."""
    encoder = study.encoders[0]
    studies = (study, known_pairs.beside(study))
    pairs = [pair for each in studies for pair in each.pairs]
    asked = [Asked(each, encoder) for each in studies]
    found = [each.under() for each in asked]
    whole = joined(found)
    results = {
        "the embedding alone": whole.measures(whole.plain),
        "the sum of all views": whole.measures(added(whole)),
        SHIPPED: whole.measures(shipped(whole)),
    }
    nulls = [null_of(each) for each in asked]
    for name in names():
        parts = [
            each.measures(strengths(each, null, name))
            for each, null in zip(found, nulls, strict=True)
        ]
        results[name] = np.concatenate(parts)
    cells, gaps = compared(
        pairs, results, SHIPPED, groups=wanted.ROLES, measures=wanted.MEASURES, parts=_HALVES
    )
    images = studies[1].bench.size
    fields = {"cells": cells, "differences": gaps}
    store("combining", study, base=SHIPPED, images_of_roles=images, **fields)


_HALVES = (*wanted.HALVES, "both")


def names() -> list[str]:
    """All ways to combine p-values: the way, the columns, the null."""
    return [f"{way}, {part}, {null}" for null in _NULLS for way in WAYS for part in PARTS]


_NULLS = ("largest", "every")


def added(found: Candidates) -> np.ndarray:
    """The plain scores and all others, with the weights that ship, in one sum."""
    parts = [how.weight * found.beside[how.name] for how in ScoreConfig().views]
    return found.plain + sum(parts)


def shipped(found: Candidates) -> np.ndarray:
    """The scores that rank."""
    return found.ranked(ScoreConfig().views)


def aspects(found: Candidates) -> Float[np.ndarray, "q m a"]:
    """What candidates score in every aspect: those of a ranking, then the embedding as a whole."""
    there = np.isfinite(found.plain)[:, :, None]
    beside = [how.weight * found.beside[how.name] for how in ScoreConfig().views]
    every = np.dstack([found.levels, *beside, shipped(found), found.plain])
    return np.where(there, every, -np.inf)


def strengths(found: Candidates, nulls: Nulls, name: str) -> np.ndarray:
    """Scores that rank by one way; where nothing tells candidates apart, the shipped score does."""
    way, *part, null = name.split(", ")
    columns = PARTS[", ".join(part)](found.levels.shape[2])
    against: Combination = getattr(nulls, null)
    flat = margins(aspects(found)).astype(np.float32)
    there = np.isfinite(found.plain)
    p_values = against.aspect_p_values(flat[there])[:, columns]
    highest = 1 - 0.5 / (len(against.largest) + 1)  # at 1 Cauchy and Stouffer fall without bound
    scores = np.full(there.shape, -np.inf)
    scores[there] = WAYS[way](np.clip(p_values, _LEAST, highest))
    order = np.lexsort((shipped(found), scores), axis=1)
    places = np.empty(order.shape)
    np.put_along_axis(places, order, np.arange(order.shape[1], dtype=float)[None], axis=1)
    return np.where(there, places, -np.inf)


def null_of(asked: Asked) -> Nulls:
    """What photographs without a source make of the gallery; kept."""
    collection = crossed(asked)
    config = NullConfig()
    groups = len(np.unique(collection.groups))
    size = len(collection.aspect_names) + 1

    def compute() -> np.ndarray:
        queries: list[np.ndarray] = []
        for done, found in enumerate(asked_of(collection, config), 1):
            queries.append(np.insert(found, 0, done, axis=1))
            most = min(config.queries, groups)
            asked.study.progress(done, most, "asking photographs without a source")
        return np.concatenate(queries).astype(np.float32)

    heads = (asked.head.identity, asked.patch_head.identity)
    settled = digest(*heads, *asked.study.images, repr((config, collection.config)))
    name = f"combining-null-{settled}"
    kept = asked.study.kept(asked.encoder, name, compute)
    assert kept.shape[1] == size + 1, "an aspect more is the embedding, and the query's number"
    ends = np.flatnonzero(np.diff(kept[:, 0])) + 1
    return Nulls.of(np.split(kept[:, 1:], ends))


def crossed(asked: Asked) -> Collection:
    """The gallery with the exemplars among its images, to be asked for its own.

    Near-duplicates are grouped, and heads that were fitted on it are fitted again without a fold.
    """
    bench, made = asked.study.bench, asked.collection
    known = prepare(bench.gallery, asked.encoder, asked.head, config=made.config)
    exemplars = len(made) - len(bench.others)
    pairs = zip(made.views, known.views, strict=True)
    views = [
        view
        if old.fitted is None
        else replace(
            view, fitted=np.concatenate([old.fitted[bench.others], np.zeros(exemplars, bool)])
        )
        for view, old in pairs
    ]
    own = len(bench.gallery) + np.arange(exemplars)
    groups = np.concatenate([known.groups[bench.others], own])
    return replace(made, views=tuple(views), groups=groups)


def asked_of(collection: Collection, config: NullConfig) -> Iterator[Float[np.ndarray, "g a"]]:
    """Margins of every group for images of a gallery that are taken out of it, query by query.

    As ``core.evidence.null.fit_null`` asks them, with one aspect more, the embedding, and with all
    groups, not only those that stand out.
    """
    groups = np.asarray(collection.groups)
    first = np.unique(groups, return_index=True)[1]
    drawn = np.random.default_rng(config.seed).permutation(first)[: config.queries]
    parts = len(drawn) if len(drawn) <= config.alone else config.folds
    for fold in np.array_split(drawn, parts):
        rest, left_out = collection.without(np.flatnonzero(np.isin(groups, groups[fold])))
        vectors = [
            new.head(np.asarray(old.features[fold]), role="query")
            for old, new in zip(collection.views, rest.views, strict=True)
        ]
        for place, row in enumerate(fold):
            local = None if collection.patches is None else np.asarray(collection.patches[row])
            query = Query(tuple(rows[place] for rows in vectors), local)
            ranking = rest.rank(query, k=rest.config.candidates, without=left_out)
            yield margins_of(_with_embedding(rest, query, ranking)).margins


def _with_embedding(rest: Collection, query: Query, ranking: Ranking) -> np.ndarray:
    """Aspects of the best image of every group, and the score of the embedding as a whole."""
    best = first_of_groups(ranking, rest.groups)
    found = ranking.aspects[best]
    known = np.isfinite(found).any(axis=1)
    view = rest.views[0]
    plain = view.weight * view.scores(query.vectors[0], ranking.rows[best])[0]
    return np.column_stack([found, plain])[known]


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of ways to combine views."""
    columns = wanted.by_column(found["cells"])
    chosen = _chosen(columns)
    shown = [cell for cell in found["cells"] if cell["column"] in chosen]
    gaps = [cell for cell in found["differences"] if cell["column"] in chosen]
    across = list(wanted.ROLES)
    return [
        "## Ways to combine views",
        "`python -m benchmarks.quality --measure combining --photos 2500`. The candidates of every "
        "query are the product's, with its levels, edges, palette and patches; only what ranks "
        "them changes. P-values are those of a candidate's margin over the fourth-best in one "
        "view, against photographs that have no source in the gallery, cross-fitted as evidence "
        "is: against the `largest` margin of each of these, or against `every` candidate of "
        f"theirs. {_PARTS}. Candidates of equal strength keep the shipped order. Each role counts "
        f"once in a mean; the worst is the role of the lowest R@1 or R@10. Either set of pairs is "
        f"asked among {found['gallery_images']:,} or, with roles, {found['images_of_roles']:,} "
        "images.",
        wanted.summary(columns, shipped=found["base"]),
        "Role by role: what ships, the sums, and of every way to combine p-values the columns and "
        "the null that have the best worst role on the tune half. R@1 on the untouched half:",
        tables.grid(_in_order(shown, chosen), across=across, half="untouched", measure="R@1"),
        "R@10 on the untouched half:",
        tables.grid(_in_order(shown, chosen), across=across, half="untouched", measure="R@10"),
        f"Paired differences of R@1 from {found['base']}, untouched half:",
        _signed(gaps, chosen, across, half="untouched", measure="R@1"),
        "Of R@10, untouched half:",
        _signed(gaps, chosen, across, half="untouched", measure="R@10"),
        "Of R@1, tune half:",
        _signed(gaps, chosen, across, half="tune", measure="R@1"),
    ]


def _chosen(columns: Mapping[str, wanted.Means]) -> list[str]:
    """What ships, the sums, and the best variant of every way by the tune half."""
    plain = [name for name in columns if name.split(", ")[0] not in WAYS]
    best = [
        max(
            (name for name in columns if name.split(", ")[0] == way),
            key=lambda name: wanted.merit(columns[name]),
        )
        for way in WAYS
    ]
    return [*plain, *best]


def _in_order(cells: Sequence[tables.Cell], chosen: Sequence[str]) -> list[tables.Cell]:
    return sorted(cells, key=lambda cell: chosen.index(cell["column"]))


def _signed(
    gaps: Sequence[tables.Cell], chosen: Sequence[str], across: Sequence[str], **how: str
) -> str:
    return tables.grid(_in_order(gaps, chosen), across=across, signed=True, **how)
