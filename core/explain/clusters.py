"""Groups of images that lie together: dense regions of a map, or k means of embeddings."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Integer

from core.images.apart import answer, computed_apart
from core.values import Progress, no_progress

ClusterKind = Literal["density", "means"]
"""``density``: HDBSCAN of the map's points; ``means``: k means of the embeddings."""

_MAX_MEANS = 10
AT_ONCE = 5_000  # rows whose dense regions are found in a tenth of a second
_MODULE = "core.explain.clusters"


def cluster(
    rows: Float[np.ndarray, "n d"],
    *,
    kind: ClusterKind,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Integer[np.ndarray, " n"]:
    """Cluster of every row, the largest first; -1 where a row is in none.

    ``density`` is HDBSCAN (Campello, Moulavi and Sander, 2013) whose smallest cluster is 1 % of
    the rows, five at least; ``means`` is k means with k near the square root of n / 2, 10 at most.

    Args:
        rows: what is clustered.
        kind: how.
        seed: of k means.
        progress: asked a few times a second, since the time of HDBSCAN grows as the square of the
            rows; where it raises ``Cancelled``, the process that finds dense regions ends.

    Raises:
        ValueError: when a value is not finite.
    """
    if not np.isfinite(rows).all():
        raise ValueError("rows to cluster must be finite")
    if len(rows) < 2:
        return np.zeros(len(rows), np.int64)
    labels = _density(rows, progress) if kind == "density" else _means(rows, seed)
    return _by_size(labels)


def _density(rows: Float[np.ndarray, "n d"], progress: Progress) -> Integer[np.ndarray, " n"]:
    if len(rows) <= AT_ONCE:
        return _dense(rows)
    return computed_apart(
        _MODULE,
        rows,
        go_on=lambda _: progress(0, 1, "finding clusters"),
        failed="clusters could not be found",
    )


def _dense(rows: Float[np.ndarray, "n d"]) -> Integer[np.ndarray, " n"]:
    from sklearn.cluster import HDBSCAN  # noqa: PLC0415 - sklearn takes seconds

    smallest = min(max(len(rows) // 100, 5), len(rows))
    # the default of copy warns, which has sklearn's types call it a text
    copied: dict[str, Any] = {"copy": True}
    found = HDBSCAN(min_cluster_size=smallest, min_samples=min(5, len(rows)), **copied)
    return found.fit_predict(rows)


def _means(rows: Float[np.ndarray, "n d"], seed: int) -> Integer[np.ndarray, " n"]:
    from sklearn.cluster import MiniBatchKMeans  # noqa: PLC0415 - the same

    k = min(max(round(math.sqrt(len(rows) / 2)), 2), _MAX_MEANS)
    found = MiniBatchKMeans(k, random_state=seed, batch_size=1_024)
    return found.fit_predict(np.ascontiguousarray(rows, np.float32))


def _by_size(labels: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
    """Labels numbered anew, the largest cluster first; negative ones become -1."""
    names, counts = np.unique(labels[labels >= 0], return_counts=True)
    place = np.full(int(labels.max(initial=-1)) + 2, -1)
    place[names[np.argsort(-counts, kind="stable")]] = np.arange(len(names))
    return place[np.where(labels >= 0, labels, -1)]


if __name__ == "__main__":
    answer(lambda rows, _folder: _dense(rows))
