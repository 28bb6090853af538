"""Features of many image files: decoded ahead in threads, encoded in batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from core.config import BuildConfig
from core.images.decode import LoadedImage, decode_ahead
from core.values import Encoder, EncoderError, Progress, no_progress

_BUILD = BuildConfig()


@dataclass(frozen=True)
class FileFeatures:
    """What an encoder gives of files."""

    features: Float[np.ndarray, "m f"]
    """A row for each file that could be read, in their order; rounded as galleries store them."""
    refused: Mapping[Path, str]
    """Files that could not be read, and why."""


def features_of(
    encoder: Encoder,
    paths: Sequence[Path],
    *,
    batch: int = _BUILD.batch,
    seen: Callable[[Image.Image], Image.Image] = lambda image: image,
    progress: Progress = no_progress,
) -> FileFeatures:
    """Features of image files, which are decoded as those of a gallery are.

    Args:
        encoder: the encoder.
        paths: the files.
        batch: images per forward pass.
        seen: what the encoder gets in place of an image.
        progress: called with images done; may raise ``Cancelled``.

    Raises:
        EncoderError: when the encoder gives values that a gallery cannot hold.
    """
    refused: dict[Path, str] = {}

    def images() -> Iterator[Image.Image]:
        for path, loaded in decode_ahead(paths, workers=_BUILD.workers, fit=_BUILD.thumbnail):
            if isinstance(loaded, LoadedImage):
                yield seen(loaded.image)
            else:
                refused[path] = str(loaded)

    parts, left = [np.empty((0, encoder.dim), np.float16)], images()
    while some := list(itertools.islice(left, batch)):
        parts.append(_stored(encoder, some))
        done = sum(map(len, parts)) + len(refused)
        progress(done, len(paths), "reading and encoding images")
    return FileFeatures(np.concatenate(parts).astype(np.float32), refused)


def _stored(encoder: Encoder, images: Sequence[Image.Image]) -> Float[np.ndarray, "b f"]:
    """Features as galleries store them.

    Raises:
        EncoderError: when they are not finite, or too large for that.
    """
    with np.errstate(over="ignore"):  # found below
        features = encoder.encode(images).features.astype(np.float16)
    if not np.isfinite(features).all():
        raise EncoderError(f"encoder {encoder.name} gave values that are not finite or too large")
    return features
