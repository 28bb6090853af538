"""A head fitted to known pairs of generated images and images of a gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from core.config import HeadConfig
from core.encoders.files import features_of
from core.encoders.load import shipped_heads
from core.encoders.network import levels_of
from core.gallery.gallery import Gallery
from core.heads.fit import fit_head
from core.heads.head import Head
from core.heads.paired import MOST_EXEMPLARS, PairFeatures, fit_paired_head
from core.images.files import file_digest
from core.measures.pairs import read_pairs
from core.search.prepare import image_hashes
from core.values import Encoder, GalleryError, Progress, no_progress

Known = Sequence[tuple[str, int]]
"""A generated image, by its path relative to the pairs file, and the row of its exemplar."""


def paired_head(
    gallery: Gallery,
    encoder: Encoder,
    known: Known,
    *,
    folder: Path,
    config: HeadConfig,
    progress: Progress = no_progress,
) -> Head:
    """Fit a head to known pairs of a gallery.

    The maps stand behind the head that comes with the encoder or, where there is none or it was
    fitted on these very images, behind a whitening of the pairs' images: nothing else of the
    gallery has a part in the fit, as :mod:`core.heads.paired` asks for.

    Args:
        gallery: a gallery that has the encoder.
        encoder: the encoder.
        known: what :func:`known_pairs` gives.
        folder: the folder that the generated images' paths are relative to.
        config: as :func:`core.heads.paired.fit_paired_head` takes it.
        progress: told of what is computed; may raise ``Cancelled``.

    Raises:
        GalleryError: when the exemplars are too few, or a generated image cannot be read.
    """
    generated = sorted({name for name, _ in known})
    place = {name: number for number, name in enumerate(generated)}
    made = np.array([place[name] for name, _ in known])
    source = np.array([row for _, row in known])
    features = _encoded(folder, generated, encoder, progress)
    own = np.asarray(gallery.features(encoder), np.float32)
    rows = np.concatenate([features, own[np.unique(source)]])
    base = _base(gallery, encoder, rows, config, progress=progress)
    found = PairFeatures(features[made], own[source], made, source)
    return fit_paired_head(base, found, config=config, progress=progress)


def known_pairs(gallery: Gallery, pairs: Path, *, progress: Progress = no_progress) -> Known:
    """The pairs whose exemplars are images of a gallery, which are known by their contents.

    Others are left out. A generated image with several exemplars is as many pairs.

    Args:
        gallery: the gallery.
        pairs: the table of pairs, beside the files.
        progress: told of exemplars read; may raise ``Cancelled``.

    Raises:
        GalleryError: when there are none, or their exemplars are too many of the gallery's images.
    """
    rows = {record.sha256: row for row, record in enumerate(gallery.records)}
    listed = [(pair.generated, name) for pair in read_pairs(pairs) for name in pair.exemplars]
    exemplars: dict[str, str] = {}
    for done, (_, name) in enumerate(listed):
        progress(done, len(listed), "reading the exemplars")
        exemplars[name] = file_digest(pairs.parent / name)
    known = [(made, rows[exemplars[name]]) for made, name in listed if exemplars[name] in rows]
    if not known:
        raise GalleryError(
            f"no exemplar of {pairs.name} is an image of the gallery; index the exemplars with it"
        )
    count = len({row for _, row in known})
    if count > MOST_EXEMPLARS * len(gallery):
        raise GalleryError(
            f"{count} of the gallery's {len(gallery)} images are exemplars of {pairs.name}: with "
            f"more than {MOST_EXEMPLARS:.0%} p-values would be too small; index more images, or "
            "name fewer pairs"
        )
    return known


def _base(
    gallery: Gallery,
    encoder: Encoder,
    features: Float[np.ndarray, "m f"],
    config: HeadConfig,
    *,
    progress: Progress,
) -> Head:
    """The encoder's own head, where it was fitted on other images; else a whitening of these."""
    shipped = shipped_heads(encoder.name).embedding
    if shipped is not None and shipped.fitted_on(image_hashes(gallery.records)) is None:
        return shipped
    plain = replace(config, kind="whiten", shrinkage=None)
    return fit_head(features, config=plain, levels=levels_of(encoder), progress=progress)


def _encoded(
    folder: Path, names: Sequence[str], encoder: Encoder, progress: Progress
) -> Float[np.ndarray, "m f"]:
    """Features of images in their order, which all have to be there."""
    found = features_of(encoder, [folder / name for name in names], progress=progress)
    for path, reason in found.refused.items():
        raise GalleryError(f"{path.relative_to(folder).as_posix()} cannot be taken: {reason}")
    return found.features
