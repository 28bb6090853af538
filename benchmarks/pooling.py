"""Which pooling ranks best: means, with deviations, or with second moments; on known pairs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from core.cli.console import print_cells
from core.config import HeadConfig, ScoreConfig
from core.encoders.load import load_encoder
from core.encoders.network import NetworkEncoder
from core.encoders.pooling import pool
from core.gallery.gallery import Embedded
from core.heads.fit import fit_head
from core.images.decode import load_image
from core.images.listing import list_images
from core.measures.retrieval import (
    Pair,
    differences,
    measures,
    read_pairs,
    table,
)
from core.search.index import hubness
from core.search.ranking import Scorer

_BATCH = 32
_POOLINGS: dict[str, Callable[[torch.Tensor], list[torch.Tensor]]] = {
    "mean": lambda m: [m.mean((2, 3))],
    "mean+second moment": lambda m: [m.mean((2, 3)), m.square().mean((2, 3))],
}


def main() -> None:
    """Encode once, pool in three ways, whiten, rank by the global score alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="moco")
    parser.add_argument("--gallery-images", type=int, default=4_000)
    options = parser.parse_args()
    data = Path(os.environ["WELLSPRING_DATA"])
    pairs = read_pairs(data / "pairs.json")
    network = load_encoder(options.encoder)
    assert isinstance(network, NetworkEncoder)

    real = list_images(data / "real")
    rng = np.random.default_rng(0)
    count = min(options.gallery_images, len(real))
    chosen = [real[i] for i in sorted(rng.choice(len(real), count, replace=False))]
    exemplars = sorted({name for pair in pairs for name in pair.exemplars})
    gallery = _pooled(network, [*chosen, *(data / name for name in exemplars)], "gallery")
    queries = _pooled(network, [data / pair.generated for pair in pairs], "queries")
    place = {name: len(chosen) + i for i, name in enumerate(exemplars)}
    results = {
        name: _ranked(gallery[name], queries[name], pairs, place=place, fitted=len(chosen))
        for name in gallery
    }
    print_cells(f"{options.encoder}, {count} + {len(exemplars)} images", table(pairs, results))
    print_cells("Paired differences", differences(pairs, results))


def _pooled(network: NetworkEncoder, paths: Sequence[Path], what: str) -> dict[str, np.ndarray]:
    parts: dict[str, list[np.ndarray]] = {}
    for images in track(list(_batches(paths)), description=f"encoding {what}"):
        stages = network.stages([load_image(path, fit=256).image for path in images])
        found = {"mean+deviation": pool(stages.maps, stages.token)}
        for name, way in _POOLINGS.items():
            found[name] = torch.cat([part for stage in stages.maps for part in way(stage)], 1)
        for name, features in found.items():
            parts.setdefault(name, []).append(features.numpy())
    return {name: np.concatenate(found) for name, found in parts.items()}


def _batches(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), _BATCH):
        yield paths[start : start + _BATCH]


def _ranked(
    gallery: np.ndarray,
    queries: np.ndarray,
    pairs: Sequence[Pair],
    *,
    place: dict[str, int],
    fitted: int,
) -> np.ndarray:
    head = fit_head(gallery[:fitted], config=HeadConfig())
    embeddings = head(gallery, role="gallery")
    hubs = hubness(embeddings, k=ScoreConfig().neighbours)
    everything = Embedded(embeddings, hubs, np.arange(len(embeddings)))
    scorer = Scorer(everything, None, config=ScoreConfig(rerank=False))
    asked = head(queries, role="query")
    return np.stack(
        [
            measures(
                scorer.rank(query, k=len(embeddings)).rows,
                np.array([place[name] for name in pair.exemplars]),
            )
            for query, pair in zip(asked, pairs, strict=True)
        ]
    )


if __name__ == "__main__":
    main()
