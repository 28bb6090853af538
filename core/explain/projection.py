"""The 2-D map of a gallery. No other module uses UMAP; opening a saved map does not load it.

UMAP (McInnes, Healy and Melville, arXiv 1802.03426) is fitted on a stratified sample. All other
images and every query are placed by Shepard's interpolation between their nearest fitted images, so
that placing one is a matrix-vector product and an image of the sample lands on its own point.

The fit runs in a process of its own, which ends at once when it is cancelled: see
:mod:`core.images.apart`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Integer

from core.config import ProjectionConfig
from core.heads.rows import unit_rows
from core.images.apart import answer, computed_apart
from core.images.arrays import read_arrays
from core.images.files import cache_home, new_file
from core.values import GalleryError, Progress, no_progress

_BLOCK = 512  # rows placed at once
_TIE = 1e-6  # cosines closer to 1 than this count as the same image
_MODULE = "core.explain.projection"
_ROUNDS = "rounds"  # file in which a fit tells how far it is
_KEPT = ("points", "fitted", "neighbours")


@dataclass(frozen=True)
class Map:
    """Where every image of a gallery lies on the map."""

    points: Float32[np.ndarray, "n 2"]
    fitted: Integer[np.ndarray, " m"]
    """Rows that UMAP was fitted on, ascending."""
    anchors: Float32[np.ndarray, "m d"]
    """Unit embeddings of the fitted rows, by which all else is placed."""
    neighbours: int
    """Anchors that a point is placed by at most."""

    def save(self, path: Path) -> None:
        """Write the map as npz, whole or not at all; its anchors stay in the gallery alone."""
        with new_file(path) as partial, partial.open("wb") as file:
            np.savez(file, **{name: vars(self)[name] for name in _KEPT})

    @classmethod
    def load(cls, path: Path, embeddings: Float[np.ndarray, "n d"]) -> Map:
        """Open a map that :meth:`save` wrote.

        Args:
            path: the file.
            embeddings: what was laid out.

        Raises:
            GalleryError: if the file cannot be read or is not a map of them.
        """
        try:
            points, fitted, neighbours = read_arrays(path, _KEPT).values()
            neighbours = int(neighbours)
        except (ValueError, TypeError, OverflowError) as error:
            raise GalleryError(f"{path.name} is not a readable map") from error
        known = _is_layout(points, fitted) and len(points) == len(embeddings) and neighbours > 0
        if not known:
            raise GalleryError(f"{path.name} is not a map of this gallery")
        return cls(points, fitted, unit_rows(embeddings[fitted], dtype=np.float32), neighbours)


def fit_map(
    embeddings: Float[np.ndarray, "n d"],
    *,
    config: ProjectionConfig,
    strata: Sequence[str] | None = None,
    progress: Progress = no_progress,
) -> Map:
    """Lay out a gallery by cosine.

    Args:
        embeddings: one row per image; (n, d).
        config: size of the sample, neighbours, seed.
        strata: a label per image, such as its folder, whose proportions the sample keeps.
        progress: told of rounds of UMAP and of images placed; may cancel between them.

    Raises:
        ValueError: if a value is not finite or there is not one label per row.
    """
    n = len(embeddings)
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings to lay out must be finite")
    if strata is not None and len(strata) != n:
        raise ValueError(f"{n} embeddings need as many strata, got {len(strata)}")
    fitted = _sample(n, config.fit_points, strata=strata, seed=config.seed)
    points = np.zeros((n, 2), np.float32)
    anchors = unit_rows(embeddings[fitted], dtype=np.float32)
    points[fitted] = _layout(anchors, config, progress)
    others = np.setdiff1d(np.arange(n), fitted)
    for start in range(0, len(others), _BLOCK):
        progress(len(fitted) + start, n, "placing")
        rows = others[start : start + _BLOCK]
        unit = unit_rows(embeddings[rows], dtype=np.float32)
        points[rows] = _interpolate(unit, anchors, points=points[fitted], k=config.neighbours)
    progress(n, n, "placing")
    return Map(points, fitted, anchors, config.neighbours)


def place(layout: Map, queries: Float[np.ndarray, "q d"]) -> Float32[np.ndarray, "q 2"]:
    """Where queries lie among the images of a map.

    Raises:
        ValueError: if the map is empty, or the queries have another width or are not finite.
    """
    m, d = layout.anchors.shape
    if m == 0 or queries.shape[1] != d:
        raise ValueError(f"a map of {m} anchors of width {d} cannot place {queries.shape[1]} wide")
    if not np.isfinite(queries).all():
        raise ValueError("embeddings to place must be finite")
    points = layout.points[layout.fitted]
    unit = unit_rows(queries, dtype=np.float32)
    return _interpolate(unit, layout.anchors, points=points, k=layout.neighbours)


def _sample(
    n: int, size: int, *, strata: Sequence[str] | None, seed: int
) -> Integer[np.ndarray, " m"]:
    """Rows drawn at even steps through the shuffled strata, so that each gives its share."""
    if n <= size:
        return np.arange(n)
    shuffled = np.random.default_rng(seed).permutation(n)
    labels = np.zeros(n) if strata is None else np.unique(strata, return_inverse=True)[1]
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return np.sort(order[(np.arange(size) * n + n // 2) // size])


def _layout(
    unit: Float[np.ndarray, "m d"], config: ProjectionConfig, progress: Progress
) -> Float[np.ndarray, "m 2"]:
    """UMAP, or principal components where there are too few images for its neighbourhoods."""
    if len(unit) <= config.neighbours + 1:
        return _principal_components(unit)
    return computed_apart(
        _MODULE,
        unit,
        json.dumps(asdict(config)),
        go_on=lambda folder: _tell(folder / _ROUNDS, progress),
        failed="the map could not be laid out",
    )


def _tell(rounds: Path, progress: Progress) -> None:
    """Report the rounds of a running fit."""
    told = rounds.read_text(errors="replace") if rounds.is_file() else ""
    done, total = (re.findall(r"(\d+)/(\d+);", told) or [("0", "0")])[-1]
    what = "laying out" if int(total) else "comparing all images to lay them out"
    progress(int(done), int(total), what)


def fit_apart(unit: Float[np.ndarray, "m d"], folder: Path) -> Float[np.ndarray, "m 2"]:
    """Fit UMAP to vectors; runs in its own process.

    What is compiled for it is kept: to compile takes eight seconds, and a small map none. After an
    error it is compiled anew, since what is kept may be damaged.
    """
    kept = cache_home() / "compiled"
    with contextlib.suppress(OSError):
        kept.mkdir(parents=True, exist_ok=True)
        os.environ["NUMBA_CACHE_DIR"] = str(kept)
    try:
        return fit_umap(unit, folder)
    except Exception:
        shutil.rmtree(kept, ignore_errors=True)
        raise


def fit_umap(unit: Float[np.ndarray, "m d"], folder: Path) -> Float[np.ndarray, "m 2"]:
    """Fit UMAP to vectors, telling its rounds in a file of the folder."""
    import numba  # noqa: PLC0415 - loading takes seconds; opening a map must not wait for it

    numba.njit = partial(numba.njit, cache=True)
    from umap import UMAP  # noqa: PLC0415

    config = ProjectionConfig(**json.loads(sys.argv[2]))
    with (folder / _ROUNDS).open("w") as rounds:
        bar = {"file": rounds, "disable": False, "bar_format": "{n_fmt}/{total_fmt};"}
        reducer = UMAP(
            n_neighbors=config.neighbours,
            min_dist=config.min_dist,
            metric="cosine",
            random_state=config.seed,
            n_jobs=1,
            tqdm_kwds=bar,
        )
        return np.asarray(reducer.fit_transform(unit), np.float32)


def _principal_components(unit: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m 2"]:
    """First two principal components, or fewer and zeros; the largest loading is positive."""
    if not len(unit):
        return np.zeros((0, 2))
    left, values, right = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    largest = np.argmax(np.abs(right), axis=1)[:, None]
    scores = left * values * np.sign(np.take_along_axis(right, largest, axis=1)[:, 0])
    return np.pad(scores, ((0, 0), (0, 2)))[:, :2]


def _interpolate(
    queries: Float[np.ndarray, "q d"],
    anchors: Float[np.ndarray, "m d"],
    *,
    points: Float[np.ndarray, "m 2"],
    k: int,
) -> Float32[np.ndarray, "q 2"]:
    """Mean of the k nearest anchors' points by weight (cos - cos_k) / (1 - cos).

    The weight is Shepard's: it vanishes at the k-th neighbour, so that a point does not jump when
    its neighbours change, and has a pole at cosine 1, so that an anchor lands on its own point.
    """
    cosines = queries @ anchors.T
    k = min(k, len(anchors))
    rows = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    near = np.take_along_axis(cosines, rows, axis=1)
    weights = (near - near.min(axis=1, keepdims=True) + _TIE) / (np.maximum(1 - near, 0) + _TIE)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("qk,qkc->qc", weights, points[rows]).astype(np.float32)


def _is_layout(points: np.ndarray, fitted: np.ndarray) -> bool:
    """Whether arrays from a file are points and rows among them."""
    rows = fitted.ndim == 1 and np.issubdtype(fitted.dtype, np.integer)
    floats = points.ndim == 2 and points.shape[1] == 2 and points.dtype == np.float32
    if not (rows and floats and np.isfinite(points).all()):
        return False
    return not len(fitted) or bool(0 <= fitted.min() <= fitted.max() < len(points))


if __name__ == "__main__":
    answer(fit_apart)
