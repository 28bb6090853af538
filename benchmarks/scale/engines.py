"""Which index of LanceDB finds sources: ``python -m benchmarks.scale.engines``.

Vectors of a real gallery and of the exemplars of known pairs, as ``evaluate`` ranks them, or as
many made of them by resampling; the pairs' generated images ask. Every index is measured behind the
search that answers use: R@1 of the exemplar by the embedding's locally scaled score alone, before
patches and edges. The recall of ten is that of the index alone, by cosine.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.scale.world import between
from core.config import ScoreConfig
from core.encoders.load import load_encoder
from core.images.files import cache_home, folder_size
from core.measures.evaluate import Bench
from core.search import lance
from core.search.engine import FEWEST
from core.search.graph import csls_means_of, neighbour_graph
from core.search.index import Index
from core.search.lance import Asking, LanceEngine, bring_up
from core.search.lance_table import create, new_table
from core.search.walk import Walk
from core.service.heads import choose_head
from core.values import ImageRecord

kinds: Any = importlib.import_module("lancedb.index")
console = Console(width=130)


@dataclass(frozen=True)
class World:
    """Vectors of a gallery, queries, and the rows that are right for each."""

    vectors: np.ndarray
    means: np.ndarray
    queries: np.ndarray
    right: list[np.ndarray]


def main() -> None:
    """Print a table of indexes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--every", type=int, default=3, help="ask one pair in so many")
    parser.add_argument("--made", type=int, default=0, help="rows, the rest of them resampled")
    options = parser.parse_args()
    world = _world(options)
    console.print(f"{len(world.vectors):,} rows of {world.vectors.shape[1]} numbers, ", end="")
    console.print(f"{len(world.queries)} queries")
    exact = Index(world.vectors, csls_means=world.means)
    wanted = exact.search(world.queries, k=10).rows
    nearest = Index(world.vectors).search(world.queries, k=10).rows
    table = Table(
        "index; beam, probes, refined",
        "build, s",
        "MB",
        "query, ms",
        "recall of 10",
        "the same 10",
        "R@1",
    )
    table.add_row(
        "FAISS, all compared",
        "",
        "",
        f"{_milliseconds(exact, world):.1f}",
        "1.0000",
        "1.0000",
        f"{_first(wanted, world):.4f}",
    )
    with tempfile.TemporaryDirectory(prefix="wellspring-lance-") as folder:
        engine = _written(world, folder)
        size = folder_size(Path(folder))
        for name, config, askings in _configs(len(world.vectors)):
            start = time.perf_counter()
            if config is not None:
                engine.table.create_index(engine.column, config=config)
            built = time.perf_counter() - start
            more = (folder_size(Path(folder)) - size) / 1e6
            size = folder_size(Path(folder))
            for asking in askings:
                asked = replace(engine, asking=asking)
                raw = Index(world.vectors, engine=_Once(asked, 1)).search(world.queries, k=10).rows
                index = Index(world.vectors, csls_means=world.means, engine=_Once(asked, FEWEST))
                found = index.search(world.queries, k=10).rows
                table.add_row(
                    f"{name}, {_told(asking)}" if config is not None else name,
                    f"{built:.1f}",
                    f"{more:.1f}",
                    f"{_milliseconds(index, world):.1f}",
                    f"{_recall(nearest, raw):.4f}",
                    f"{_recall(wanted, found):.4f}",
                    f"{_first(found, world):.4f}",
                )
    console.print(table)


@dataclass(frozen=True)
class _Once:
    """An engine that is asked once, whatever it lacks; answers would compare all then."""

    engine: LanceEngine
    fewest: int

    def nearest(self, queries: np.ndarray, *, k: int, among: object) -> np.ndarray:
        return self.engine.found(queries, max(k, self.fewest), None, exact=False)


def _configs(n: int) -> list[tuple[str, Any, list[Asking]]]:
    """Indexes and how far each is searched."""
    parts = max(round(n**0.5), 1)
    dot: dict[str, Any] = {"distance_type": "dot"}
    return [
        ("none, all compared", None, [Asking()]),
        (
            "IVF_HNSW_SQ, 1 partition",
            kinds.HnswSq(**dot, num_partitions=1),
            [Asking(beam=b, refined=r) for b, r in ((1, 1), (2, 1), (4, 4))],
        ),
        (
            "IVF_RQ, 1 partition",
            kinds.IvfRq(**dot, num_partitions=1),
            [Asking(refined=r) for r in (1, 4)],
        ),
        (
            f"IVF_RQ, {parts} partitions",
            kinds.IvfRq(**dot, num_partitions=parts),
            [Asking(probes=parts // p, refined=4) for p in (10, 4, 1)],
        ),
        (
            f"IVF_PQ, {parts} partitions",
            kinds.IvfPq(**dot, num_partitions=parts),
            [Asking(probes=parts // p, refined=4) for p in (10, 4)],
        ),
    ]


def _told(asking: Asking) -> str:
    return f"{asking.beam}, {asking.probes}, {asking.refined}"


def _world(options: argparse.Namespace) -> World:
    encoder = load_encoder(options.encoder)
    bench = Bench(options.pairs, options.gallery, [encoder], cache=cache_home())
    head = choose_head(bench.gallery, encoder, "default")
    score = ScoreConfig(local_scaling=False, views=())
    found = bench.collection(encoder, head, score=score)
    view, pairs = found.views[0], bench.all_pairs[:: options.every]
    queries = np.stack([bench.query(found, pair).vectors[0] for pair in pairs])
    vectors = np.asarray(view.vectors, np.float32)
    if options.made > len(vectors):
        vectors = np.concatenate([vectors, between(vectors, options.made - len(vectors))])
    walk = Walk.build(vectors) if len(vectors) > ScoreConfig().exact else None
    graph, alone = neighbour_graph(vectors, walk=walk), np.arange(len(vectors))
    means = csls_means_of(graph, vectors, alone, k=ScoreConfig().neighbours, walk=walk)
    return World(vectors, means, queries, [bench.rows_of(pair.exemplars) for pair in pairs])


def _written(world: World, folder: str) -> LanceEngine:
    address, ids = new_table(folder), np.arange(len(world.vectors))
    records = [
        ImageRecord(
            id=row, path=f"{row}.png", sha256=f"{row:064x}", phash="0" * 16, width=1, height=1
        )
        for row in ids.tolist()
    ]
    create(address, owner="benchmark")
    lance.EXACT = len(ids)  # no index but those that are measured
    version = bring_up(address, records, "embedding", world.vectors).version
    engine = LanceEngine.open(address, "embedding", ids=ids, version=version)
    engine.table.checkout_latest()
    return engine


def _milliseconds(index: Index, world: World) -> float:
    """A query's, asked one by one."""
    some = world.queries[:50]
    index.search(some[:1], k=100)
    start = time.perf_counter()
    for query in some:
        index.search(query[None], k=100)
    return (time.perf_counter() - start) / len(some) * 1e3


def _recall(wanted: np.ndarray, found: np.ndarray) -> float:
    return float(np.mean([np.isin(w, f).mean() for w, f in zip(wanted, found, strict=True)]))


def _first(found: np.ndarray, world: World) -> float:
    hits = [row in right for row, right in zip(found[:, 0], world.right, strict=True)]
    return float(np.mean(hits))


if __name__ == "__main__":
    main()
