"""What is found once of a gallery and kept with it: its null, its map and its clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from core.config import GroupConfig, NullConfig, ProjectionConfig, ScoreConfig
from core.evidence.null import Null, fit_null
from core.explain.clusters import ClusterKind, cluster
from core.explain.projection import Map, fit_map
from core.gallery.artefacts import Codec, Key, arrays, code_version, digest_of
from core.gallery.gallery import Gallery
from core.search.prepare import prepare
from core.search.ranking import Collection
from core.search.views import View
from core.values import GalleryError, Progress

MOST = 0.002
"""Images that come and go, to those that were there, up to which a large gallery's null is kept:
of its 2,000 queries four would be others, less than it is sure of (docs/decisions/013)."""


@dataclass(frozen=True)
class _NullOf(Null):
    """A null, the images of the gallery now, and how many there were when it was fitted."""

    images: Integer[np.ndarray, " n"]
    """Hashes of the images that are there."""
    fitted: Integer[np.ndarray, " 1"]
    """Images when it was fitted."""
    changed: Integer[np.ndarray, " 1"]
    """Images that came or went since then."""


@dataclass(frozen=True)
class _Clusters:
    """Clusters as they are kept."""

    labels: Integer[np.ndarray, " n"]


def null_of(
    gallery: Gallery,
    collection: Collection,
    *,
    score: ScoreConfig,
    config: NullConfig,
    progress: Progress,
) -> Null:
    """The null of a scoring.

    Args:
        gallery: where it is kept.
        collection: the gallery as it is ranked.
        score: how it is ranked.
        config: how the null is fitted.
        progress: called while it is; may raise ``Cancelled``.
    """
    key = Key.of(
        "null",
        fit_null,
        views=[
            (gallery.digest(v.encoder), v.head.identity, v.weight, v.trust, *_seen(v))
            for v in collection.views
        ],
        groups=np.asarray(collection.groups),
        score=score,
        config=config,
    )
    aspects = len(collection.aspect_names)

    def whole(kept: Mapping[str, np.ndarray]) -> bool:
        if any(kept[name].shape != (1,) for name in ("fitted", "changed") if name in kept):
            return False
        values, count = [kept[each.name] for each in fields(Null)], len(kept["strengths"])
        fit = [array.shape for array in values] == [(count, aspects), (count,)] * 2
        return fit and all(a.dtype.kind == "f" and (np.diff(a, axis=0) >= 0).all() for a in values)

    def fitted() -> Null:
        return fit_null(collection, config=config, progress=progress)

    def carried() -> Null:
        if len(gallery) <= score.exact:
            return fitted()
        embedding, *others = collection.views
        of = [(embedding.name, embedding.encoder.identity, embedding.head.identity)]
        of += [(v.name, v.encoder.identity, digest_of(v.head.config)) for v in others]
        about = {"views": of, "reading": gallery.header.reading, "score": score, "config": config}
        about |= {"grouping": (GroupConfig(), code_version(prepare.__module__))}
        state, images = Key.of("nulls", fit_null, **about), np.asarray(gallery.records.hashes)
        codec = arrays(_NullOf, whole=whole)
        found, changed = gallery.artefacts.latest(state, codec=codec), np.zeros(1, np.int64)
        if found is not None:
            changed = found.changed + count_changed(found.images, images)
        if found is None or changed[0] > MOST * found.fitted[0]:
            counts = {"fitted": np.array([len(images)]), "changed": 0 * changed}
            found = _NullOf(**_values(fitted()), images=images, **counts)
        else:
            found = replace(found, images=images, changed=changed)
        gallery.artefacts.keep(state, found, codec=codec)
        return Null(**_values(found))

    return gallery.artefacts.get(key, carried, codec=arrays(Null, whole=whole))


def _values(null: Null) -> dict[str, np.ndarray]:
    """The arrays of a null, by their names."""
    return {each.name: getattr(null, each.name) for each in fields(Null)}


def count_changed(before: Integer[np.ndarray, " m"], now: Integer[np.ndarray, " n"]) -> int:
    """How many images came or went, by their hashes; several images may have one."""
    place = np.unique(np.concatenate([before, now]), return_inverse=True)[1]
    counts = (np.bincount(some, minlength=len(place)) for some in np.split(place, [len(before)]))
    return int(np.abs(np.subtract(*counts)).sum())


def map_of(
    gallery: Gallery,
    vectors: Float[np.ndarray, "n d"],
    inputs: Mapping[str, object],
    *,
    config: ProjectionConfig | None,
    progress: Progress,
) -> Map:
    """The 2-D map of a gallery's images.

    Args:
        gallery: where it is kept.
        vectors: a unit row for each image.
        inputs: what the rows follow from.
        config: how the map is laid out; as usual by default.
        progress: called while it is; may raise ``Cancelled``.
    """
    config = config or ProjectionConfig()
    strata = [r.source or r.path.rpartition("/")[0] for r in gallery.records]
    return gallery.artefacts.get(
        Key.of("map", fit_map, **inputs, config=config, strata=strata),
        lambda: fit_map(vectors, config=config, strata=strata, progress=progress),
        codec=Codec(
            save=lambda found, folder: found.save(folder / "map.npz"),
            load=lambda folder: _loaded(folder / "map.npz", vectors),
        ),
    )


def clusters_of(
    gallery: Gallery,
    rows: Float[np.ndarray, "n _d"],
    inputs: Mapping[str, object],
    *,
    kind: ClusterKind,
    progress: Progress,
) -> Integer[np.ndarray, " n"]:
    """Cluster of every image, the largest first, -1 for none.

    Args:
        gallery: where they are kept.
        rows: what is clustered, one row for each image.
        inputs: what the rows follow from.
        kind: how they are clustered.
        progress: called while they are found; may raise ``Cancelled``.
    """

    def compute() -> _Clusters:
        progress(0, 1, "finding clusters")
        return _Clusters(cluster(rows, kind=kind, progress=progress))

    def whole(kept: Mapping[str, np.ndarray]) -> bool:
        labels, n = kept["labels"], len(gallery)
        integers = labels.dtype.kind in "iu" and labels.shape == (n,)
        return integers and bool(((labels >= -1) & (labels < n)).all())

    key = Key.of("clusters", cluster, **inputs, clusters=kind)
    found = gallery.artefacts.get(key, compute, codec=arrays(_Clusters, whole=whole))
    return np.asarray(found.labels)


def _loaded(path: Path, vectors: Float[np.ndarray, "n d"]) -> Map:
    """A map that is kept; one that has nothing to place others by is damaged.

    Raises:
        GalleryError: when it is.
    """
    found = Map.load(path, vectors)
    if len(vectors) and not len(found.fitted):
        raise GalleryError(f"{path.name} is not a map of this gallery")
    return found


def _seen(view: View) -> list[np.ndarray]:
    """The images that a view's head was fitted on, where that matters."""
    return [] if view.fitted is None else [np.asarray(view.fitted)]
