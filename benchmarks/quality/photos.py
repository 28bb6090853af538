"""A gallery of some photographs, for measurements that would take hours among all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.images.listing import list_images
from core.search.extra_views import with_extra_views
from core.values import Encoder, Progress


def some_photos(
    folder: Path, count: int, encoders: Sequence[Encoder], *, cache: Path, progress: Progress
) -> Path:
    """A gallery of as many images below a folder, drawn with the seed 0, under some encoders."""
    encoders, target = with_extra_views(encoders), cache / f"photos-{count}"
    if (target / "gallery.json").is_file():
        made = Gallery.open(target)
        if {*map(made.key_of, encoders)} <= {*made.encoder_keys}:
            return target
    images = [path.relative_to(folder).as_posix() for path in list_images(folder)]
    chosen = np.sort(np.random.default_rng(0).permutation(len(images))[:count])
    source = Source(folder, tuple(images[i] for i in chosen), prune=True)
    update(target, source, encoders, progress=progress)
    return target
