"""Folders of images to one packed array of squares, kept whole on the training device."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from core.config import ImageLimits
from core.images.arrays import save_array
from core.images.decode import LoadedImage, decode_ahead
from core.images.files import new_file
from core.images.listing import list_images
from core.values import Progress, TrainingError, no_progress

logger = logging.getLogger(__name__)


def pack(
    folders: Sequence[Path], *, size: int, cache: Path, progress: Progress = no_progress
) -> UInt8[np.ndarray, "n 3 size size"]:
    """All images below the folders, squeezed to squares as the encoder sees them, memory-mapped.

    Args:
        folders: searched in their order; images that cannot be read are left out and logged.
        size: side of the squares, pixels.
        cache: folder for the packed file, named by the size and by the path, length and time of
            change of every file, so that a changed image is packed anew.
        progress: called after every image.

    Raises:
        TrainingError: when no image is found.
    """
    paths = [path for folder in folders for path in list_images(folder.absolute())]
    named_by = "\n".join([str(size), *map(_stamp, paths)])
    key = hashlib.sha256(named_by.encode(errors="surrogateescape")).hexdigest()[:16]
    packed = cache / f"images-{key}.npy"
    if not packed.exists():
        squares = list(_squares(paths, size, progress))
        if not squares:
            named = ", ".join(map(str, folders))
            raise TrainingError(f"no image below {named} can be read")
        with new_file(packed) as partial:
            save_array(partial, np.stack(squares))
    return np.load(packed, mmap_mode="r", allow_pickle=False)


def _stamp(path: Path) -> str:
    """What tells a file from another and from what it was before."""
    try:
        state = path.stat()
    except OSError:  # it is gone, and will be left out
        return str(path)
    return f"{path} {state.st_size} {state.st_mtime_ns}"


def _squares(paths: Sequence[Path], size: int, progress: Progress):  # noqa: ANN202 - a generator
    limits = ImageLimits()
    for done, (path, loaded) in enumerate(decode_ahead(paths, limits=limits, workers=2, fit=size)):
        progress(done + 1, len(paths), "packing images")
        if not isinstance(loaded, LoadedImage):
            logger.warning("left out %s: %s", path, loaded)
            continue
        square = loaded.image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
        yield np.asarray(square).transpose(2, 0, 1)
