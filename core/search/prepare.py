"""What ranking needs of a gallery under an encoder and a head: heads, views and groups.

Each is computed once and kept with the gallery's artefacts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Integer

from core.config import GroupConfig, HeadConfig, ScoreConfig
from core.encoders.network import levels_of
from core.gallery.artefacts import Codec, Key, arrays, digest_of
from core.gallery.gallery import Gallery
from core.heads.fit import fit_head
from core.heads.head import Head
from core.search.crops import crop_links
from core.search.edges import EDGES, HEAD
from core.search.index import Index, csls_means, neighbours
from core.search.near_duplicates import near_duplicate_groups
from core.search.ranking import Collection
from core.search.views import View
from core.values import Encoder, ImageRecord, Progress, no_progress

_LOOKED_AT = 64_000_000  # bytes of vectors whose norms are looked at when they are read again
_ROUNDING = 1e-3  # by which the norm of a unit row may exceed 1

_HEAD = Codec[Head](save=Head.save, load=Head.load)


@dataclass(frozen=True)
class _Vectors:
    vectors: Float[np.ndarray, "n d"]


@dataclass(frozen=True)
class _Groups:
    groups: Integer[np.ndarray, " n"]


@dataclass(frozen=True)
class _Means:
    csls_means: Float[np.ndarray, " n"]


def fitted_head(
    gallery: Gallery,
    encoder: Encoder,
    *,
    config: HeadConfig,
    synthetic: Float[np.ndarray, "m f"] | None = None,
    progress: Progress = no_progress,
) -> Head:
    """A head fitted on a gallery's features; kept, so that the next call only reads it.

    Raises:
        GalleryError: when the gallery lacks the encoder, is damaged, or too small for the kind.
    """
    levels = levels_of(encoder)

    def compute() -> Head:
        features = gallery.features(encoder)
        with _finite(gallery, encoder):
            head = fit_head(
                features, config=config, levels=levels, synthetic=synthetic, progress=progress
            )
        return head.with_images(image_hashes(gallery.records))

    given = {"features": gallery.digest(encoder), "levels": levels, "config": config}
    given |= {"synthetic": synthetic}
    return gallery.artefacts.get(Key.of("head", compute, **given), compute, codec=_HEAD)


def image_hashes(records: Sequence[ImageRecord]) -> Integer[np.ndarray, " n"]:
    """The first 63 bits of the content hashes of images."""
    return np.array([int(record.sha256[:16], 16) >> 1 for record in records], np.int64)


def prepare(
    gallery: Gallery,
    encoder: Encoder,
    head: Head,
    *,
    config: ScoreConfig,
    grouped: bool = True,
    progress: Progress = no_progress,
) -> Collection:
    """A gallery as it is ranked under an encoder and a head.

    The first view is the encoder's embedding. The edges of the images are a second one, where the
    gallery has them and the encoder has space: baselines are scored without, since they are what
    others are compared with.

    Args:
        gallery: the gallery.
        encoder: one that it has features of.
        head: the head of the embedding.
        config: how candidates are found and ranked.
        grouped: whether near-duplicates are looked for; else every image is a group of its own.
        progress: told of what is computed; may raise ``Cancelled``.

    Raises:
        GalleryError: when the gallery lacks the encoder, or is damaged.
    """
    vectors = _vectors(gallery, encoder, head)
    patches = gallery.patches(encoder)
    groups = np.arange(len(gallery))
    if grouped:
        groups = _groups(gallery, encoder, head, vectors, progress=progress)
    fitted = head.fitted_on(image_hashes(gallery.records))
    features = gallery.features(encoder)
    views = [View("embedding", encoder, head, features, vectors, fitted=fitted)]
    has_edges = gallery.key_of(EDGES) in gallery.encoder_keys and len(gallery) > 1
    if config.edges and has_edges and gallery.patch_head(encoder) is not None:
        own = fitted_head(gallery, EDGES, config=HEAD)
        drawn = gallery.features(EDGES)
        edges = View("edges", EDGES, own, drawn, own(drawn, role="gallery"))
        how = {"weight": config.edges_weight, "trust": config.edges_trust}
        views.append(replace(edges, **how, fitted=np.ones(len(gallery), bool)))
    found = [_searchable(gallery, view, groups, config=config) for view in views]
    kept = patches if config.rerank else None
    return Collection(tuple(found), groups, kept, gallery.records, config)


def _vectors(gallery: Gallery, encoder: Encoder, head: Head) -> Float[np.ndarray, "n d"]:
    """Unit rows of all images under a head, memory-mapped where they were kept."""

    def compute() -> _Vectors:
        with _finite(gallery, encoder):
            return _Vectors(head(gallery.features(encoder), role="gallery"))

    def whole(found: Mapping[str, np.ndarray]) -> bool:
        rows = found["vectors"]
        if rows.shape != (len(gallery), head.dim) or rows.dtype != np.float32:
            return False
        norms = np.linalg.norm(rows, axis=1) if rows.nbytes <= _LOOKED_AT else np.zeros(0)
        return bool((norms < 1 + _ROUNDING).all())

    key = Key.of("vectors", compute, features=gallery.digest(encoder), head=head.identity)
    return gallery.artefacts.get(key, compute, codec=arrays(_Vectors, whole=whole)).vectors


def _groups(
    gallery: Gallery,
    encoder: Encoder,
    head: Head,
    vectors: Float[np.ndarray, "n d"],
    *,
    progress: Progress,
) -> Integer[np.ndarray, " n"]:
    """Near-duplicate group of every image: by perceptual hash and vector, and by crops."""
    limits, n = GroupConfig(), len(gallery)
    local = gallery.patches(encoder)

    def compute() -> _Groups:
        near = neighbours(vectors, k=max(limits.neighbours, limits.crop_neighbours)).rows
        links = None
        if local is not None:
            crops = near[:, : limits.crop_neighbours]
            links = crop_links(crops, local, load=gallery.thumbnail, progress=progress)
        return _Groups(
            near_duplicate_groups(
                vectors,
                [record.phash for record in gallery.records],
                neighbours=near[:, : limits.neighbours],
                max_hash_distance=limits.max_hash_distance,
                min_cosine=limits.min_cosine,
                links=links,
            )
        )

    def whole(found: Mapping[str, np.ndarray]) -> bool:
        groups = found["groups"]
        fits = groups.shape == (n,) and groups.dtype.kind in "iu"
        return fits and bool(((groups >= 0) & (groups < n)).all())

    given = {"images": gallery.identity, "features": gallery.digest(encoder), "limits": limits}
    key = Key.of("groups", compute, **given, head=head.identity)
    return gallery.artefacts.get(key, compute, codec=arrays(_Groups, whole=whole)).groups


def _searchable(
    gallery: Gallery,
    view: View,
    groups: Integer[np.ndarray, " n"],
    *,
    config: ScoreConfig,
) -> View:
    """A view with its CSLS means and, where a graph is searched, that."""
    identity = digest_of([gallery.digest(view.encoder), view.head.identity, np.asarray(groups)])
    k = config.neighbours
    if config.local_scaling:
        key = Key.of("csls", csls_means, view=identity, neighbours=k)
        found = gallery.artefacts.get(
            key, lambda: _Means(csls_means(view.vectors, groups, k=k)), codec=_means_of(len(groups))
        )
        view = replace(view, csls_means=found.csls_means)
    if config.search == "exact":
        return view
    key = Key.of("graph", csls_means, view=identity, scaled=config.local_scaling, neighbours=k)
    means = view.csls_means
    graph = gallery.artefacts.get(
        key,
        lambda: Index.build(view.vectors, csls_means=means, kind=config.search),
        codec=Codec(
            save=lambda index, folder: index.save(folder / "graph.faiss"),
            load=lambda folder: Index.load(
                folder / "graph.faiss", shape=view.vectors.shape, csls_means=means
            ),
        ),
    )
    return replace(view, graph=graph)


def _means_of(n: int) -> Codec[_Means]:
    def whole(found: Mapping[str, np.ndarray]) -> bool:
        means = found["csls_means"]
        return means.shape == (n,) and means.dtype.kind == "f"

    return arrays(_Means, whole=whole)


@contextlib.contextmanager
def _finite(gallery: Gallery, encoder: Encoder) -> Iterator[None]:
    """Turn a head's refusal of stored features into a ``GalleryError``."""
    try:
        yield
    except ValueError as error:
        raise gallery.damaged(f"features of {encoder.name} are damaged ({error})") from error
