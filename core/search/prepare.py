"""What ranking needs of a gallery under an encoder and a head: heads, views and groups.

Each is computed once and kept with the gallery's artefacts.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Integer

from core.config import PATCHES, GroupConfig, HeadConfig, ScoreConfig, ViewConfig
from core.encoders.network import levels_of
from core.gallery.artefacts import Codec, Key, arrays
from core.gallery.gallery import Gallery
from core.gallery.manifest import Records
from core.heads.fit import fit_head
from core.heads.head import Head
from core.search.carried import crop_links_of, graph_of
from core.search.carried_walk import Carried
from core.search.extra_views import EXTRA_VIEWS, HEAD
from core.search.graph import (
    Graph,
    csls_means_of,
    graph_codec,
    neighbour_graph,
    worth_linking,
)
from core.search.near_duplicates import near_duplicate_groups, parsed_hashes
from core.search.ranking import Collection
from core.search.served import served
from core.search.views import View
from core.search.walk import Walk
from core.values import Encoder, ImageRecord, Progress, no_progress

_LOOKED_AT = 64_000_000  # bytes of vectors whose norms are looked at when they are read again
_ROUNDING = 1e-3  # by which the norm of a unit row may exceed 1

HEAD_CODEC = Codec[Head](save=Head.save, load=Head.load)


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
    return gallery.artefacts.get(Key.of("head", compute, **given), compute, codec=HEAD_CODEC)


def image_hashes(records: Sequence[ImageRecord]) -> Integer[np.ndarray, " n"]:
    """The first 63 bits of the content hashes of images."""
    return Records.of(records).hashes


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

    The first view is the encoder's embedding. The edges of the images and their palette are others,
    where the gallery has them and the encoder has space: baselines are scored without, since they
    are what others are compared with.

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
    halved = len(gallery) > config.exact
    vectors = _vectors(gallery, encoder, head, halved=halved, progress=progress)
    patches = gallery.patches(encoder)
    fitted = head.fitted_on(image_hashes(gallery.records))
    features = gallery.features(encoder)
    embedding = View("embedding", encoder, head, features, vectors, fitted=fitted)
    views = [_linked(gallery, embedding, config=config, progress=progress)]
    groups = np.arange(len(gallery))
    if grouped:
        groups = _groups(gallery, views[0], config=config, progress=progress)
    network = len(gallery) > 1 and gallery.patch_head(encoder) is not None
    for how in config.views if network else ():
        described_by = EXTRA_VIEWS.get(how.name)
        if described_by and gallery.key_of(described_by) in gallery.encoder_keys:
            view = _extra_view(gallery, how, exact=config.exact, progress=progress)
            views.append(_linked(gallery, view, config=config, progress=progress))
    found = [_searchable(gallery, view, groups, config=config) for view in views]
    if config.search == "auto":
        found = [served(gallery, view, progress=progress) for view in found]
    kept = None if config.view(PATCHES) is None else patches
    return Collection(tuple(found), groups, kept, gallery.records, config)


def _extra_view(gallery: Gallery, how: ViewConfig, *, exact: int, progress: Progress) -> View:
    """A view beside the encoder's."""
    encoder, features = EXTRA_VIEWS[how.name], gallery.features(EXTRA_VIEWS[how.name])
    head = fitted_head(gallery, encoder, config=HEAD, progress=progress)
    fitted = np.ones(len(gallery), bool)
    if len(gallery) <= exact:  # made in less time than it takes to read them
        vectors = head(features, role="gallery")
    else:
        vectors = _vectors(gallery, encoder, head, halved=True, progress=progress)
    kept = (encoder, head, features, vectors)
    return View(how.name, *kept, weight=how.weight, trust=how.trust, fitted=fitted)


def _vectors(
    gallery: Gallery, encoder: Encoder, head: Head, *, halved: bool, progress: Progress
) -> Float[np.ndarray, "n d"]:
    """Unit rows of all images under a head, memory-mapped where they were kept.

    Those of many images are ``halved``, float16, which moves a cosine by some 1e-5.
    """
    kind = np.float16 if halved else np.float32

    def compute() -> _Vectors:
        features = gallery.features(encoder)
        with _finite(gallery, encoder):
            return _Vectors(head(features, role="gallery", progress=progress).astype(kind))

    def whole(found: Mapping[str, np.ndarray]) -> bool:
        rows = found["vectors"]
        if rows.shape != (len(gallery), head.dim) or rows.dtype != kind:
            return False
        few = rows if rows.nbytes <= _LOOKED_AT else rows[:0]
        norms = np.linalg.norm(few.astype(np.float32), axis=1)
        return bool((norms < 1 + _ROUNDING).all())

    given = {"features": gallery.digest(encoder), "head": head.identity, "halved": halved}
    key = Key.of("vectors", compute, **given)
    return gallery.artefacts.get(key, compute, codec=arrays(_Vectors, whole=whole)).vectors


def _linked(gallery: Gallery, view: View, *, config: ScoreConfig, progress: Progress) -> View:
    """A view with its neighbour graph, to be found when it is asked for, and what is walked."""
    n = len(gallery)
    large = n > config.exact
    given = {**_inputs(gallery, view, config=config), "images": gallery.identity}

    def key(kind: str) -> Key:
        return Key.of(kind, neighbour_graph, **given)

    @functools.cache
    def carried() -> Carried:
        return Carried(gallery, view, walk=key("walk"), neighbours=key("neighbours"))

    def linked() -> Walk:
        hashes = parsed_hashes(gallery.records.texts("phash"), n=n)
        return carried().walk(worth_linking(view.vectors, hashes), progress=progress)

    @functools.cache
    def walk() -> Walk:
        return gallery.artefacts.get(
            key("walk"),
            linked,
            codec=Codec(
                save=lambda found, folder: found.save(folder / "walk.npz"),
                load=lambda folder: Walk.load(folder / "walk.npz", view.vectors),
            ),
        )

    def found() -> Graph:
        if large:
            return carried().graph(walk(), progress=progress)
        every = functools.partial(neighbour_graph, view.vectors, walk=None, progress=progress)
        return graph_of(gallery, view, every, progress=progress)

    @functools.cache
    def graph() -> Graph:
        return gallery.artefacts.get(key("neighbours"), found, codec=graph_codec(n, walked=large))

    walked = config.search == "hnsw" or (config.search == "auto" and large)
    return replace(view, graph=graph, walk=walk() if walked else None)


def _groups(
    gallery: Gallery, view: View, *, config: ScoreConfig, progress: Progress
) -> Integer[np.ndarray, " n"]:
    """Near-duplicate group of every image: by perceptual hash and vector, and by crops."""
    limits, n, vectors = GroupConfig(), len(gallery), view.vectors
    local = gallery.patches(view.encoder)

    def compute() -> _Groups:
        assert view.graph is not None
        near, cosines = view.graph().rows, view.graph().cosines[:, : limits.crop_neighbours]
        links = None
        if local is not None:
            crops = np.where(cosines >= limits.crop_cosine, near[:, : cosines.shape[1]], -1)
            links = crop_links_of(gallery, view, crops, config=limits.crops, progress=progress)
        return _Groups(
            near_duplicate_groups(
                vectors,
                gallery.records.texts("phash"),
                neighbours=near[:, : limits.neighbours],
                limits=limits,
                links=links,
                progress=progress,
            )
        )

    def whole(found: Mapping[str, np.ndarray]) -> bool:
        groups = found["groups"]
        fits = groups.shape == (n,) and groups.dtype.kind in "iu"
        return fits and bool(((groups >= 0) & (groups < n)).all())

    given = {**_inputs(gallery, view, config=config), "images": gallery.identity}
    key = Key.of("groups", compute, **given, limits=limits)
    return gallery.artefacts.get(key, compute, codec=arrays(_Groups, whole=whole)).groups


def _searchable(
    gallery: Gallery,
    view: View,
    groups: Integer[np.ndarray, " n"],
    *,
    config: ScoreConfig,
) -> View:
    """A view with its CSLS means."""
    if not config.local_scaling:
        return view
    assert view.graph is not None
    graph, k = view.graph, config.neighbours
    given = {**_inputs(gallery, view, config=config), "walks": view.walk is not None}
    key = Key.of("csls", csls_means_of, **given, groups=np.asarray(groups), neighbours=k)

    def compute() -> _Means:
        return _Means(csls_means_of(graph(), view.vectors, groups, k=k, walk=view.walk))

    found = gallery.artefacts.get(key, compute, codec=_means_of(len(groups)))
    return replace(view, csls_means=found.csls_means)


def _inputs(gallery: Gallery, view: View, *, config: ScoreConfig) -> dict[str, object]:
    """What all that follows from the neighbours of a view depends on."""
    return {
        "features": gallery.digest(view.encoder),
        "head": view.head.identity,
        "walked": len(gallery) > config.exact,
    }


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
