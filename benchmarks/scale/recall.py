"""What a walk misses of a real gallery: ``python -m benchmarks.scale.recall``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.scale.world import World, real
from core.config import GroupConfig, ScoreConfig
from core.search.crops import crop_links
from core.search.graph import Graph, csls_means_of, neighbour_graph, worth_linking
from core.search.near_duplicates import near_duplicate_groups, parsed_hashes
from core.search.walk import Walk

_LOOKED_AT = 10  # neighbours
console = Console()


def main() -> None:
    """Print recall of neighbours and groups, and how far CSLS means are off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--encoder", default="lite0")
    options = parser.parse_args()
    world = real(options.gallery, options.encoder)
    vectors = world.head(world.features, role="gallery")
    hashes, k = parsed_hashes(world.hashes, n=len(world)), ScoreConfig().neighbours
    walk = Walk.build(vectors, rows=worth_linking(vectors, hashes))
    exact, walked = (neighbour_graph(vectors, walk=each) for each in (None, walk))
    near = zip(exact.rows[:, :_LOOKED_AT], walked.rows, strict=True)
    recall = np.mean([np.isin(wanted, found).mean() for wanted, found in near])
    told = float(walked.recall[0])
    console.print(f"{len(world):,} images: recall of neighbours {recall:.4f}, as told {told:.4f}")
    labels, others = (_groups(world, vectors, graph) for graph in (exact, walked))
    wanted, found = _several(labels), _several(others)
    more = [group for group in found if not any(group <= each for each in wanted)]
    console.print(
        f"groups of several: {len(wanted & found)} of {len(wanted)} found "
        f"({len(wanted & found) / max(len(wanted), 1):.3f}), {len(more)} that are none"
    )
    means = csls_means_of(exact, vectors, labels, k=k)
    off = np.abs(means - csls_means_of(walked, vectors, labels, k=k, walk=walk))
    console.print(f"CSLS means are off by {off.mean():.5f}; they vary by {means.std():.3f}")


def _groups(world: World, vectors: np.ndarray, graph: Graph) -> np.ndarray:
    """Near-duplicate groups from the neighbours of a graph, by hashes and by crops."""
    limits = GroupConfig()
    crops = graph.rows[:, : limits.crop_neighbours]
    return near_duplicate_groups(
        vectors,
        world.hashes,
        neighbours=graph.rows[:, : limits.neighbours],
        limits=limits,
        links=crop_links(crops, world.patches, load=world.load).links,
    )


def _several(groups: np.ndarray) -> set[frozenset[int]]:
    """The groups of more than one row."""
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return {frozenset(part.tolist()) for part in parts if len(part) > 1}


if __name__ == "__main__":
    main()
