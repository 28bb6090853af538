"""Style transfers as queries for one another: what is found of a shared content or texture.

No pair says which photograph a transfer was made from, but names say which transfers share what.
Of a query, up to three that share its content (or its texture) and nothing else stand in the
gallery; all other transfers are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from benchmarks.quality.study import Study, cell_object, digest, store
from core.config import ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Embedded, Gallery
from core.gallery.source import Source
from core.measures.retrieval import Cell, clustered_interval
from core.search.edges import EDGES, with_edges
from core.search.index import hubness_of_others
from core.search.ranking import Scorer
from core.service.session import choose_head
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

WAYS = {"default": ScoreConfig(), "no edges": ScoreConfig(edges=False)}


def measure(study: Study) -> None:
    """Ask with every network, with edges and without; store means by what is shared."""
    networks = study.networks
    heads = {e.identity: h for e in networks if (h := study.bench.gallery.patch_head(e))}
    source = Source(study.data / FOLDER)
    update(study.cache / "transfers", source, with_edges(networks), patch_heads=heads)
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
    head = choose_head(gallery, encoder, "default")
    embedded, edges = gallery.embedded(encoder, head), study.bench.edges(encoder, head)
    own, local = gallery.patches(encoder), made.patches(encoder)
    assert edges is not None and own is not None and local is not None
    vectors = head(made.features(encoder), role="query")
    lines = edges.head(made.features(EDGES), role="query")
    hits = np.empty((len(asked), 2))
    for i, (query, right) in enumerate(asked):
        scorer = Scorer(
            _with(embedded, vectors[right], k=score.neighbours),
            np.concatenate([own, local[right]]),
            config=score,
            edges=_with(edges.embedded, lines[right], k=score.neighbours),
        )
        rows = scorer.rank(vectors[query], local[query], lines[query], k=_NEAREST).rows
        hits[i] = rows[0] >= len(own), (rows >= len(own)).any()
        study.progress(i + 1, len(asked), f"{encoder.name}: style transfers")
    return hits


def _with(known: Embedded, more: np.ndarray, *, k: int) -> Embedded:
    """A gallery with more rows, each a group of its own."""
    near = hubness_of_others(more, known.embeddings, k=k)
    rows = np.concatenate([known.embeddings, more])
    return Embedded(rows, np.concatenate([known.hubness, near]), np.arange(len(rows)))
