"""Local descriptors of every stage of a network, with more numbers than are stored.

Whitening puts the directions of most variance first, so that fewer numbers are the first of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from benchmarks.quality.study import Study
from core.config import BuildConfig
from core.encoders.descriptors import PATCH_HEAD, quantize
from core.encoders.network import GRID, NetworkEncoder
from core.encoders.pooling import patch_features
from core.heads.fit import fit_head
from core.images.decode import LoadedImage, decode_ahead
from core.values import Descriptors

MOST = 112
"""Numbers of a descriptor that are kept, before it is scaled to unit length; fewer where a stage
has fewer channels."""

_BUILD = BuildConfig()


def kept(
    study: Study, encoder: NetworkEncoder, name: str, paths: Sequence[Path]
) -> list[Float[np.ndarray, "n p _l"]]:
    """Whitened patch features of image files, stage by stage; computed once.

    The heads are fitted as those that ship are, to as many photographs of the gallery.
    """

    def compute() -> np.ndarray:
        photos = study.gallery_paths[: len(study.bench.others)]
        chosen = np.linspace(0, len(photos) - 1, _BUILD.patch_sample).astype(int)
        sample = [photos[i] for i in chosen.tolist()]
        parts = zip(*_stages(study, encoder, sample), strict=True)
        fitted: list[np.ndarray] = []
        for part in parts:
            rows = np.concatenate(part)
            fitted.append(rows.reshape(-1, rows.shape[-1]))
        config = {"kind": "whiten", "shrinkage": PATCH_HEAD.shrinkage}
        heads = [
            fit_head(rows, config=type(PATCH_HEAD)(**config, k=min(MOST, rows.shape[1])))
            for rows in fitted
        ]
        found: list[np.ndarray] = []
        for maps in _stages(study, encoder, paths):
            mapped = [
                head.parts[0].mapped(rows.reshape(-1, rows.shape[-1]), role="gallery")
                for head, rows in zip(heads, maps, strict=True)
            ]
            count = len(maps[0])
            found.append(
                np.concatenate([rows.reshape(count, GRID.size, -1) for rows in mapped], axis=2)
            )
        return np.concatenate(found).astype(np.float16)

    together = study.kept(encoder, name, compute)
    widths = [min(MOST, level.width // 2) for level in encoder.levels]
    return np.split(together, np.cumsum(widths)[:-1], axis=2)


def described(rows: Float[np.ndarray, "n p l"], numbers: int) -> Descriptors:
    """Descriptors of so many numbers."""
    return quantize(rows[:, :, :numbers].astype(np.float32))


def _stages(
    study: Study, encoder: NetworkEncoder, paths: Sequence[Path]
) -> Iterator[list[Float[np.ndarray, "b p _c"]]]:
    """Patch features of the stages, batch by batch."""

    def images() -> Iterator[Image.Image]:
        for path, loaded in decode_ahead(paths, workers=_BUILD.workers, fit=_BUILD.thumbnail):
            if not isinstance(loaded, LoadedImage):
                raise ValueError(f"{path.name}: {loaded}")
            yield loaded.image

    left, done = images(), 0
    while some := list(itertools.islice(left, _BUILD.batch)):
        maps = encoder.stages(some).maps
        yield [patch_features(stage, grid=GRID).cpu().numpy() for stage in maps]
        done += len(some)
        study.progress(done, len(paths), "reading patches of every stage")
