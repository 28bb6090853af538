"""Style transfers as queries for one another: what is found of a shared content or texture.

No pair says which photograph a transfer was made from, but names say which transfers share what.
Of a query, up to three that share its content (or its texture) and nothing else stand in the
gallery; all other transfers are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from benchmarks.quality import tables
from benchmarks.quality.study import Study, cell_object, digest, store
from core.config import ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.measures.retrieval import Cell, clustered_interval
from core.search.extra_views import with_extra_views
from core.search.index import csls_means_of_others
from core.search.prepare import prepare
from core.search.query import Query
from core.search.ranking import Collection
from core.search.views import View
from core.service.heads import choose_head
from core.values import Encoder

FOLDER = "synthetic/style_transfer"
QUERIES = 100
_RIGHT = 3
_NEAREST = 10

Named = tuple[str, str]
"""Content and texture of a transfer, as its file name has them: class and number each."""


def _kind(name: str) -> str:
    return name.rstrip("0123456789")


SHARED: dict[str, Callable[[Named, Named], bool]] = {
    "one content": lambda q, o: q[0] == o[0] and _kind(q[1]) != _kind(o[1]),
    "one texture": lambda q, o: q[1] == o[1] and _kind(q[0]) != _kind(o[0]),
    "textures of a kind": lambda q, o: (
        q[1] != o[1] and _kind(q[1]) == _kind(o[1]) and _kind(q[0]) != _kind(o[0])
    ),
}
"""What makes another transfer a right answer."""

WAYS = {"default": ScoreConfig(), "no edges": ScoreConfig().without("edges")}


def measure(study: Study) -> None:
    """Ask with every network, with edges and without; store means by what is shared."""
    networks = study.networks
    heads = {e.identity: h for e in networks if (h := study.bench.gallery.patch_head(e))}
    source = Source(study.data / FOLDER)
    update(study.cache / "transfers", source, with_extra_views(networks), patch_heads=heads)
    made = Gallery.open(study.cache / "transfers")
    names = [named(record.path) for record in made.records]
    found: list[dict[str, Any]] = []
    for encoder in networks:
        for shared, same in SHARED.items():
            asked = chosen(names, same)
            for way, score in WAYS.items():
                hits = study.kept(
                    encoder,
                    f"transfers-{digest(shared, repr(score), made.identity, *study.images)}",
                    lambda e=encoder, a=asked, s=score: _hits(study, made, e, a, score=s),
                )
                clusters = [names[query][0] for query, _ in asked]
                found += [
                    cell_object(Cell(shared, f"{encoder.name}/{way}", f"R@{k}", interval))
                    for i, k in enumerate((1, _NEAREST))
                    for interval in [clustered_interval(hits[:, i], clusters)]
                ]
        store("transfers", study, queries=QUERIES, cells=found)


def named(path: str) -> Named:
    """Content and texture of a transfer by its path."""
    content, _, texture = PurePosixPath(path).stem.partition("-")
    return content, texture


def chosen(
    names: Sequence[Named], same: Callable[[Named, Named], bool]
) -> list[tuple[int, list[int]]]:
    """Queries that have a right answer, with at most three of these; the same in every call."""
    rng = np.random.default_rng(0)
    found: list[tuple[int, list[int]]] = []
    for query in rng.permutation(len(names)).tolist():
        right = [row for row, other in enumerate(names) if same(names[query], other)]
        if right:
            found.append((query, right[:_RIGHT]))
    return found[:QUERIES]


def _hits(
    study: Study,
    made: Gallery,
    encoder: Encoder,
    asked: Sequence[tuple[int, list[int]]],
    *,
    score: ScoreConfig,
) -> np.ndarray:
    """Whether a right answer comes first, and whether one is among the first ten; (q, 2)."""
    gallery = study.bench.gallery
    known = prepare(gallery, encoder, choose_head(gallery, encoder, "default"), config=score)
    everything, first = with_guests(known, made), len(known)
    local = made.patches(encoder)
    assert local is not None  # a network's
    vectors = [view.head(made.features(view.encoder), role="query") for view in known.views]
    hits = np.empty((len(asked), 2))
    for i, (query, right) in enumerate(asked):
        others = np.setdiff1d(np.arange(len(made)), right)
        rows = everything.rank(
            Query(tuple(rows[query] for rows in vectors), local[query]),
            k=_NEAREST,
            without=first + others,
        ).rows
        hits[i] = rows[0] >= first, (rows >= first).any()
        study.progress(i + 1, len(asked), f"{encoder.name}: style transfers")
    return hits


def with_guests(known: Collection, made: Gallery) -> Collection:
    """A gallery with the images of another behind its own, each a group of its own."""
    views: list[View] = []
    for view in known.views:
        assert view.csls_means is not None  # local scaling is on in every way that is compared
        more = view.head(made.features(view.encoder), role="gallery")
        means = csls_means_of_others(more, view.vectors, k=known.config.neighbours)
        found = {
            "features": np.concatenate([view.features, made.features(view.encoder)]),
            "vectors": np.concatenate([view.vectors, more]),
            "csls_means": np.concatenate([view.csls_means, means]),
        }
        views.append(replace(view, **found, graph=None))
    local = made.patches(known.views[0].encoder)
    assert known.patches is not None and local is not None  # a network's
    patches = np.concatenate([known.patches, local])
    groups = np.arange(len(known) + len(made))
    return replace(known, views=tuple(views), groups=groups, patches=patches, records=())


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of style transfers."""
    cells = {(c["source"], c["column"], c["measure"]): c for c in found["cells"]}
    shared = tables.ordered(key[0] for key in cells)
    heads = [f"{what}, {m}" for what in shared for m in ("R@1", "R@10")]
    rows = [["", *heads]]
    for column in tables.ordered(key[1] for key in cells):
        texts = [tables.interval(cells[w, column, m]) for w in shared for m in ("R@1", "R@10")]
        rows.append([column, *texts])
    return [
        "## Style transfers",
        f"{found['queries']} style transfers of photographs that are not here, each asked for up "
        "to three others that share its content or its texture and nothing else, in the gallery: "
        "share of the queries that find one. As it ships, and without edges. Brackets resample "
        "contents.",
        tables.markdown(rows),
    ]
