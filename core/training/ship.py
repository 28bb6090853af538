"""The heads that encoders come with, fitted on a gallery of photographs.

``python -m core.training.ship GALLERY lite0 moco`` writes ``head`` and ``patch_head`` beside the
weights of each. A small gallery is described better by these than by heads of its own.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.config import HeadConfig
from core.encoders.load import load_encoder
from core.encoders.network import levels_of
from core.encoders.registry import bundled_folder
from core.gallery.gallery import Gallery
from core.heads.fit import fit_head
from core.heads.head import Head
from core.search.prepare import image_hashes

SHIPPED = HeadConfig(k=256)
"""Fewer dimensions than a gallery of one's own would get: the file is half as large."""


def ship(gallery: Gallery, name: str) -> None:
    """Fit the heads of an encoder on a gallery, and write them beside its weights.

    Raises:
        GalleryError: when the gallery has no features of the encoder.
    """
    encoder = load_encoder(name)
    features = gallery.features(encoder)
    head = halved(fit_head(features, config=SHIPPED, levels=levels_of(encoder)))
    head.with_images(image_hashes(gallery.records)).save(bundled_folder(name) / "head")
    patch_head = gallery.patch_head(encoder)
    if patch_head is not None:
        patch_head.save(bundled_folder(name) / "patch_head")


def halved(head: Head) -> Head:
    """The same head with every number rounded to half precision, so that its file is half."""

    def rounded(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float16).astype(np.float32)

    parts = tuple(
        replace(part, **{name: rounded(array) for name, array in part.arrays().items()})
        for part in head.parts
    )
    return replace(head, parts=parts)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("encoder", nargs="+")
    options = parser.parse_args()
    for name in options.encoder:
        ship(Gallery.open(options.gallery, read_only=True), name)


if __name__ == "__main__":
    main()
