"""Neighbours of gallery images by the whole embedding: of one image, and under two encoders."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int32

from core.search.graph import Graph, neighbour_graph
from core.service.workspace import Workspace
from core.values import GalleryError, ImageRecord, Progress


def near_images(
    workspace: Workspace, image_id: int, *, top: int, progress: Progress
) -> tuple[tuple[ImageRecord, float], ...]:
    """The images nearest to an image of the gallery, each with its cosine, best first.

    Args:
        workspace: the gallery as an encoder sees it.
        image_id: the image.
        top: images wanted; at most 32 are known.
        progress: told of what is computed; may raise ``Cancelled``.

    Raises:
        GalleryError: when no image has that id.
    """
    gallery = workspace.gallery
    if image_id not in gallery.row_of:
        raise GalleryError(f"the gallery has no image {image_id}")
    graph, row = _graph(workspace, progress=progress), gallery.row_of[image_id]
    pairs = zip(graph.rows[row, :top].tolist(), graph.cosines[row, :top].tolist(), strict=True)
    return tuple((gallery.records[other], cosine) for other, cosine in pairs if other >= 0)


Seen = tuple[Workspace, str]
"""A gallery as an encoder sees it, on a level or, for the empty text, on all."""


def shared_neighbours(
    one: Seen, other: Seen, *, k: int, progress: Progress
) -> Float[np.ndarray, " n"]:
    """Share of every image's k nearest under one encoder or level that are so under another.

    Two encoders without anything in common share k / (n - 1) on average.

    Args:
        one: the first.
        other: the second.
        k: neighbours of each image.
        progress: told of images compared; may raise ``Cancelled``.

    Raises:
        ValueError: when they do not describe the same images.
    """
    if one[0].gallery.records != other[0].gallery.records:
        raise ValueError("neighbours can be compared within one gallery only")
    mine, theirs = (_graph(*seen, progress=progress).rows for seen in (one, other))
    return overlap(mine[:, :k], theirs[:, :k])


def mean_shared_neighbours(
    one: Seen, other: Seen, *, progress: Progress
) -> Float[np.ndarray, " n"]:
    """Average overlap of every image's nearest under two encoders, over all that are known.

    Args:
        one: the first.
        other: the second.
        progress: told of images compared; may raise ``Cancelled``.

    Raises:
        ValueError: as :func:`shared_neighbours`.
    """
    if one[0].gallery.records != other[0].gallery.records:
        raise ValueError("neighbours can be compared within one gallery only")
    mine, theirs = (_graph(*seen, progress=progress).rows for seen in (one, other))
    return average_overlap(mine, theirs)


def average_overlap(
    one: Int32[np.ndarray, "n k"], other: Int32[np.ndarray, "n k"]
) -> Float[np.ndarray, " n"]:
    """Mean over all depths of what two rankings have in common (Webber et al., 2010).

    It tells apart images that keep as many of their first few; -1 stands for no entry.
    """
    depths = range(1, one.shape[1] + 1)
    return np.mean([overlap(one[:, :k], other[:, :k]) for k in depths], axis=0)


def overlap(
    one: Int32[np.ndarray, "n k"], other: Int32[np.ndarray, "n k"]
) -> Float[np.ndarray, " n"]:
    """Share of every row's entries that are in the other's; -1 stands for no entry."""
    present = one >= 0
    both = (one[:, :, None] == other[:, None, :]).any(axis=2) & present
    return both.sum(axis=1) / np.maximum(present.sum(axis=1), 1)


def _graph(workspace: Workspace, level: str = "", *, progress: Progress) -> Graph:
    view = workspace.collection.views[0]
    if view.graph is not None and not level:
        return view.graph()
    vectors, walk = (workspace.vectors_of(level), None) if level else (view.vectors, view.walk)
    return neighbour_graph(vectors, walk=walk, progress=progress)
