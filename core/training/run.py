"""One training run: folders of images to an encoder, watched on pairs where they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from core.encoders.backbones import (
    Backbone,
    BackboneConfig,
    build,
)
from core.encoders.files import features_of
from core.encoders.load import load_network
from core.encoders.network import NetworkEncoder
from core.heads.fit import fit_head
from core.images.listing import list_images
from core.measures.pairs import read_pairs
from core.training.config import TrainConfig, WatchConfig
from core.training.data import pack
from core.training.loop import Monitor, train
from core.values import Encoder, Progress, TrainingError, no_progress


def train_encoder(
    config: TrainConfig,
    folders: Sequence[Path],
    *,
    out: Path,
    size: int,
    pairs: Path | None = None,
    progress: Progress = no_progress,
) -> bool:
    """Train our architecture on the images below some folders; an existing run goes on.

    Args:
        config: the run.
        folders: images; no labels, no pairs.
        out: folder of the run; its ``encoder`` is what ``load_network`` reads.
        size: side of the packed images, pixels.
        pairs: known pairs whose tune half is watched; nothing is trained or chosen by them.
        progress: called after every step.

    Returns:
        Whether the run is complete.

    Raises:
        TrainingError: when there is no image or no pair to watch, or the run cannot go on.
        EncoderError, GalleryError: when the encoder to begin with or the pairs cannot be read.
    """
    monitor = None if pairs is None else _watch(pairs, folders, config=config.watch)
    images = torch.from_numpy(np.array(pack(folders, size=size, cache=out, progress=progress)))
    if config.start is None:
        backbone = build(BackboneConfig(), seed=config.seed)
    else:
        backbone = load_network(config.start, progress=progress)
    return train(backbone, images, config=config, out=out, monitor=monitor, progress=progress)


def _watch(pairs_file: Path, folders: Sequence[Path], *, config: WatchConfig) -> Monitor:
    """Whitened R@1 of a sample of the tune half, among their exemplars and some of the images."""
    pairs = read_pairs(pairs_file, split="tune")
    if not pairs:
        raise TrainingError(
            f"no pair of {pairs_file.name} is in the tune half, the one that may be watched"
        )
    rng = np.random.default_rng(0)
    pairs = [pairs[i] for i in rng.permutation(len(pairs))[: config.queries]]
    exemplars = sorted({name for pair in pairs for name in pair.exemplars})
    others = [path for folder in folders for path in list_images(folder)]
    chosen = [others[i] for i in rng.permutation(len(others))[: config.gallery]]
    root = pairs_file.parent
    gallery = [*(root / name for name in exemplars), *chosen]
    queries = [root / pair.generated for pair in pairs]
    place = {name: row for row, name in enumerate(exemplars)}

    def measure(backbone: Backbone) -> Mapping[str, float]:
        encoder = NetworkEncoder("watched", backbone, device=str(backbone.mean.device))
        features = _features(encoder, gallery, config.batch)
        head = fit_head(features, config=config.head, levels=encoder.levels)
        known = head(features, role="gallery")
        asked = head(_features(encoder, queries, config.batch), role="query")
        best = (asked @ known.T).argmax(1)
        hits = [
            row in {place[name] for name in pair.exemplars}
            for row, pair in zip(best, pairs, strict=True)
        ]
        return {"watched_recall_at_1": float(np.mean(hits))}

    return measure


def _features(encoder: Encoder, paths: Sequence[Path], batch: int) -> Float[np.ndarray, "n f"]:
    found = features_of(encoder, paths, batch=batch)
    for reason in found.refused.values():
        raise TrainingError(f"an image of the watched pairs cannot be read: {reason}")
    return found.features
