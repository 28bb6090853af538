"""What rows may be kept as inside a graph that is walked: ``python -m benchmarks.scale.forms``.

Vectors of photographs and of the exemplars of known pairs, and as many made between them as are
wanted; generated images ask, one by one, on one core. Graphs are asked as answers ask them, for 256
rows, which are scored again from the vectors, with local scaling. Beside them are FAISS comparing
all, and HNSW over float32 with 32 links, as autofaiss and clip-retrieval build it where memory
allows, asked for as many.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import faiss
import numpy as np
from rich.console import Console

from benchmarks.scale.code_table import FORMS, write_forms
from benchmarks.scale.codes import BEST, Asked, among_photos, share
from benchmarks.scale.world import between
from core.config import ScoreConfig
from core.heads.rotation import haar_rotation
from core.measures.retrieval import clustered_interval
from core.search.engine import FEWEST, Among, Engine, Walked
from core.search.graph import csls_means_of, neighbour_graph
from core.search.index import Index
from core.search.walk import Walk

_faiss: Any = faiss  # what its annotations lack
_IP = faiss.METRIC_INNER_PRODUCT
_LINKS, _BEAM = 16, 80  # of the graphs that are not the product's, as its own
_FLAT_LINKS = 32
_TIMED, _ROUNDS = 100, 3  # queries that are timed, and rounds, of which the quickest counts
Rows = Callable[[np.ndarray], np.ndarray]
console = Console(width=110)


@dataclass(frozen=True)
class Graph:
    """A graph over rows of a form, as an engine of a search."""

    graph: Any
    """What FAISS searches."""
    turned: Rows
    """Queries as the graph takes them."""
    held: np.ndarray | None = None
    """The row at every place of the graph; the same by default."""

    def nearest(self, queries: np.ndarray, *, k: int, among: Among | None) -> np.ndarray:
        """Rows that the graph finds, as many as answers ask it for."""
        assert among is None
        count = max(k, FEWEST)
        how = _faiss.SearchParametersHNSW(efSearch=count)
        asked = np.ascontiguousarray(self.turned(queries))
        found = self.graph.search(asked, count, params=how)[1]
        return found if self.held is None else np.where(found < 0, -1, self.held[found])


@dataclass(frozen=True)
class Form:
    """A form, and what finds rows by it."""

    name: str
    engine: Engine
    graph: Any
    """What FAISS searches."""
    built: float
    """Seconds of a core to build it; 0 where the links are another's."""

    @property
    def bytes(self) -> int:
        """Of a row with its links, as FAISS writes them."""
        return round(len(faiss.serialize_index(self.graph)) / self.graph.ntotal)


@dataclass(frozen=True)
class Measured:
    """What a form costs and finds."""

    name: str
    bytes: float
    """Of a row, in memory, beside the vectors that are mapped."""
    build: float
    """Seconds of a core."""
    finding: float
    """Milliseconds of a core in which rows are found for a query."""
    milliseconds: float
    """The same with the rows scored again from the vectors."""
    recall: float
    """Share of the ten best rows of comparing all."""
    first: float
    """R@1 of the sources."""
    first_less: dict[str, Any]
    """R@1 less that of comparing all, with its clustered interval."""


def main() -> None:
    """Measure all forms at every size, store what was found and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=6_000, help="photographs, drawn at random")
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--sizes", type=int, nargs="+", default=[60_000, 200_000])
    parser.add_argument("--every", type=int, default=4, help="ask one query in so many")
    options = parser.parse_args()
    asked = among_photos(options.photos, options.encoder)
    faiss.omp_set_num_threads(1)
    sizes = json.loads(FORMS.read_text())["sizes"] if FORMS.is_file() else {}
    for size in options.sizes:
        found: list[dict[str, Any]] = []
        for each in measured(asked, size, every=options.every):
            found.append(asdict(each))
            console.print(each)
            sizes[str(size)] = found
            FORMS.write_text(json.dumps({"sizes": sizes}, indent=1) + "\n")
    write_forms()


def measured(asked: Asked, size: int, *, every: int) -> Iterator[Measured]:
    """Every form over the rows of a gallery and as many made ones as are missing.

    Args:
        asked: real rows and queries.
        size: rows wanted.
        every: one query in so many is asked.
    """
    more = max(size - len(asked.vectors), 0)
    vectors = np.concatenate([asked.vectors, between(asked.vectors, more)]).astype(np.float32)
    start = time.process_time()
    walk = Walk.build(vectors)
    built = time.process_time() - start
    graph = neighbour_graph(vectors, walk=walk)
    alone = np.arange(len(vectors))
    means = csls_means_of(graph, vectors, alone, k=ScoreConfig().neighbours, walk=walk)
    alone_right = [at for at, gone in enumerate(asked.left_out) if not len(gone)]
    chosen = alone_right[::every]
    queries, clusters = asked.queries[chosen], [asked.clusters[at] for at in chosen]
    exact = Index(vectors, csls_means=means)
    wanted = exact.search(queries, k=BEST).rows
    right = [asked.right[at] for at in chosen]
    first = _first(wanted, right)
    flat = 4 * (vectors.shape[1] + 1)
    told = asdict(clustered_interval(0 * first, clusters))
    took = _milliseconds(queries, lambda query: exact.search(query, k=BEST))
    yield Measured("FAISS, all compared", flat, 0.0, took, took, 1.0, float(first.mean()), told)
    for form in forms(vectors, walk, built):
        index = Index(vectors, csls_means=means, engine=form.engine)
        found = index.search(queries, k=BEST).rows
        own = _first(found, right)
        yield Measured(
            form.name,
            form.bytes,
            form.built,
            _milliseconds(queries, lambda q, f=form: f.engine.nearest(q, k=FEWEST, among=None)),
            _milliseconds(queries, lambda q, i=index: i.search(q, k=BEST)),
            float(share(wanted, found).mean()),
            float(own.mean()),
            asdict(clustered_interval(own - first, clusters)),
        )


def forms(vectors: np.ndarray, walk: Walk, built: float) -> Iterator[Form]:
    """The product's graph, other forms on its links, and graphs with links of their own."""
    own: Any = faiss.downcast_index(walk._engine.index)
    held = faiss.vector_to_array(walk._engine.id_map)
    yield Form("8 bits, as integers: the product's", Walked(walk, len(vectors)), own, built)
    dim, kinds = vectors.shape[1], faiss.ScalarQuantizer
    rounded = _faiss.IndexHNSWSQ(dim, kinds.QT_bf16, _LINKS, _IP)
    rounded.hnsw.efConstruction = _BEAM
    yield _grown("bfloat16", rounded, vectors)
    for bits, kind in ((8, kinds.QT_8bit), (4, kinds.QT_4bit)):
        storage = faiss.IndexScalarQuantizer(dim, kind, _IP)
        yield _on_links(f"{bits} bits, unpacked", own, storage, vectors[held], _same, held)
    turn = haar_rotation(dim, seed=1).astype(np.float32)
    bits = _faiss.IndexRaBitQ(dim, _IP, 1)
    bits.qb = 8
    turned = vectors[held] @ turn
    yield _on_links("RaBitQ, a bit", own, bits, turned, lambda queries: queries @ turn, held)
    autofaiss = faiss.IndexHNSWFlat(dim, _FLAT_LINKS, _IP)
    yield _grown("float32, 32 links, as autofaiss", autofaiss, vectors)


def _grown(name: str, graph: Any, vectors: np.ndarray) -> Form:
    """A graph with links of its own."""
    start = time.process_time()
    graph.train(vectors)
    graph.add(vectors)
    return Form(name, Graph(graph, _same), graph, time.process_time() - start)


def _on_links(
    name: str, own: Any, storage: Any, rows: np.ndarray, turned: Rows, held: np.ndarray
) -> Form:
    """The links of a graph over rows in another form, in the order in which it holds them."""
    storage.train(rows)
    storage.add(rows)
    graph: Any = faiss.IndexHNSW(storage, _LINKS)
    graph.hnsw, graph.ntotal, graph.is_trained, graph.metric_type = own.hnsw, len(rows), True, _IP
    return Form(f"{name}, on the product's links", Graph(graph, turned, held), graph, 0.0)


def _same(queries: np.ndarray) -> np.ndarray:
    return queries


def _first(found: np.ndarray, right: list[np.ndarray]) -> np.ndarray:
    """R@1 of every query."""
    return np.array([(row[0] == each).mean() for row, each in zip(found, right, strict=True)])


def _milliseconds(queries: np.ndarray, ask: Callable[[np.ndarray], object]) -> float:
    """Of a core for a query, asked one by one; the quickest of some rounds."""
    some = queries[:_TIMED]
    ask(some[:1])
    took: list[float] = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        for query in some:
            ask(query[None])
        took.append(time.process_time() - start)
    return min(took) / len(some) * 1e3


if __name__ == "__main__":
    main()
