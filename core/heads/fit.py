"""Fit a head on a stream of features: centre, whiten, rotate, every level by itself.

No labels and no pairs. Whitening each side attains the optimum of CCA when both domains already
share one basis, which is what contrastive learning gives; the other kinds orient the same
embedding (``infomax``, ``logdet``) or are controls (``identity``, ``center``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy import linalg

from core.config import HeadConfig
from core.heads.head import CHUNK, Head, LinearHead, check_finite, check_width
from core.heads.rotation import zca_rotation
from core.images.joined import ManyRows
from core.values import GalleryError, Level, Progress, no_progress

SMALLEST_SHRINKAGE = 0.03
"""Shrinkage where images are many: with less, noise in the weakest directions counts too much."""


class _Moments:
    """Running mean and, where asked for, scatter matrix of rows."""

    def __init__(self, dim: int, *, scatter: bool) -> None:
        self.count = 0
        self.mean = np.zeros(dim)
        self.scatter = np.zeros((dim, dim)) if scatter else None

    def add(self, rows: Float[np.ndarray, "n f"]) -> None:
        """Merge float64 rows (Chan, Golub & LeVeque 1979), their mean's shift as one more row."""
        delta = rows.mean(axis=0) - self.mean
        total = self.count + len(rows)
        if self.scatter is not None:
            shift = delta * np.sqrt(self.count * len(rows) / total)
            centred = np.vstack([rows - (self.mean + delta), shift])
            self.scatter += centred.T @ centred
        self.mean += delta * (len(rows) / total)
        self.count = total


class _Sample:
    """Uniform sample of a stream: the rows that drew the smallest keys, however it is batched."""

    def __init__(self, dim: int, *, size: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._keys = np.full(size, np.inf)  # inf: a free place
        self._rows = np.empty((size, dim), np.float32)

    def add(self, rows: Float[np.ndarray, "n f"]) -> None:
        """Offer rows; one of a small key takes the place of a row of a larger one."""
        size = len(self._keys)
        keys = np.concatenate([self._keys, self._random.random(len(rows))])
        kept = np.argsort(keys, kind="stable")[:size]
        entering, places = kept[kept >= size], np.setdiff1d(np.arange(size), kept)
        self._rows[places] = rows[entering - size]
        self._keys[places] = keys[entering]

    @property
    def rows(self) -> Float[np.ndarray, "n f"]:
        """The sample, float32, in an order that does not depend on the batches."""
        return self._rows[np.argsort(self._keys)[: np.isfinite(self._keys).sum()]]


class HeadFitter:
    """Collects statistics of features batch by batch, then solves for the head."""

    def __init__(self, config: HeadConfig, dim: int, *, levels: Sequence[Level] = ()) -> None:
        if config.kind == "identity" and config.per_domain:
            raise ValueError(
                "per_domain has no use with the kind 'identity', which centres nothing"
            )
        self._config, self._levels = config, tuple(levels) or (Level("embedding", dim),)
        if sum(level.width for level in self._levels) != dim:
            raise ValueError(f"the levels have not {dim} features in all: {self._levels}")
        self._dim = dim
        self._parts = [_Part(config, level.width) for level in self._levels]

    def update(self, features: Float[np.ndarray, "n f"], *, synthetic: bool = False) -> None:
        """Take in a batch of gallery features, or of unpaired synthetic ones.

        Of the synthetic features only the mean is used, and only with ``per_domain``.

        Raises:
            ValueError: for features of another width or a row that is not finite, which is named
                by its number among all rows of its kind so far.
        """
        check_width(features, self._dim)
        if len(features) == 0:
            return
        start = 0
        for part, level in zip(self._parts, self._levels, strict=True):
            part.update(features[:, start : start + level.width], synthetic=synthetic)
            start += level.width

    def finish(self, *, progress: Progress = no_progress) -> Head:
        """Solve for the head.

        Raises:
            GalleryError: when there are too few different images to fit the kind.
            Cancelled: when ``progress`` raises it.
        """
        parts = tuple(part.finish(progress=progress) for part in self._parts)
        return Head(self._config, parts, tuple(level.weight for level in self._levels))


class _Part:
    """The statistics of one level's features."""

    def __init__(self, config: HeadConfig, dim: int) -> None:
        self._config, self._dim = config, dim
        self._real = _Moments(dim, scatter=config.kind not in ("identity", "center"))
        self._synthetic = _Moments(dim, scatter=False)
        self._sample: _Sample | None = None
        if config.kind == "infomax":
            self._sample = _Sample(dim, size=config.max_samples, seed=config.seed)

    def update(self, features: Float[np.ndarray, "n f"], *, synthetic: bool) -> None:
        moments = self._synthetic if synthetic else self._real
        rows = features.astype(np.float64)
        check_finite(rows, first=moments.count)
        moments.add(rows)
        if self._sample is not None and not synthetic:
            self._sample.add(rows)

    def finish(self, *, progress: Progress) -> LinearHead:
        if self._config.kind == "identity":
            zeros = np.zeros(self._dim, np.float32)
            return LinearHead(zeros, zeros)
        gallery = self._mean(self._real, "gallery")
        query = self._mean(self._synthetic, "synthetic") if self._config.per_domain else gallery
        matrix = None if self._config.kind == "center" else self._matrix(progress)
        return LinearHead(gallery, query, matrix)

    def _mean(self, moments: _Moments, what: str) -> Float[np.ndarray, " f"]:
        if moments.count < 2:
            raise GalleryError(
                f"A head of kind '{self._config.kind}' needs at least 2 {what} images, "
                f"got {moments.count}."
            )
        return moments.mean.astype(np.float32)

    def _matrix(self, progress: Progress) -> Float[np.ndarray, "f d"]:
        progress(0, 1, "Whitening")
        assert self._real.scatter is not None
        count, alpha = self._real.count, self._config.shrinkage
        covariance = self._real.scatter / count
        if alpha is None:
            alpha = max(optimal_shrinkage(covariance, count), SMALLEST_SHRINKAGE)
        k = min(self._config.k, count - 1)
        basis, scales = whitening(covariance, k=k, shrinkage=alpha)
        progress(1, 1, "Whitening")
        matrix = basis * scales
        if self._config.kind == "logdet":
            matrix = matrix @ zca_rotation(basis)
        if self._sample is not None:
            from core.heads.infomax import infomax_rotation  # noqa: PLC0415 - its imports take seconds

            rows = (self._sample.rows - self._real.mean.astype(np.float32)) @ matrix.astype("f4")
            matrix = matrix @ infomax_rotation(rows.astype(np.float64), progress=progress)
        return matrix.astype(np.float32)


def optimal_shrinkage(covariance: Float[np.ndarray, "f f"], n: int) -> float:
    """The weight of the mean variance that brings a covariance of n rows nearest to the truth.

    Bodnar, Gupta and Parolya 2014 (On the strong convergence of the optimal linear shrinkage
    estimator, 1308.2608), with the identity as target: tr(C)^2 / n over |C|^2 - tr(C)^2 / f, at
    most 1. For n beyond the effective number of dimensions it vanishes.
    """
    square = float(np.trace(covariance)) ** 2
    spread = float((covariance**2).sum()) - square / len(covariance)
    return min(square / n / spread, 0.99) if spread > 0 else 0.0


def whitening(
    covariance: Float[np.ndarray, "f f"], *, k: int, shrinkage: float
) -> tuple[Float[np.ndarray, "f d"], Float[np.ndarray, " d"]]:
    """Orthonormal basis V and scales s, for which x @ (V * s) is white under the shrunk covariance.

    PCA whitening, largest variance first, of (1 - a) C + a tr(C)/f I (the form of Ledoit & Wolf
    2004; a is ``shrinkage``, which :func:`optimal_shrinkage` gives where none is set). Directions
    in which the data do not vary are dropped, so d <= min(k, f, rank of C).

    Raises:
        GalleryError: when the covariance is zero.
    """
    f = len(covariance)
    values, vectors = linalg.eigh(covariance, subset_by_index=(max(f - k, 0), f - 1))
    varying = values > max(values[-1] * f * np.finfo(np.float64).eps, np.finfo(np.float64).tiny)
    if not varying.any():
        raise GalleryError("A whitening head needs at least 2 different images; all are the same.")
    values, vectors = values[varying][::-1], vectors[:, varying][:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(len(values))])  # one sign everywhere
    shrunk = (1 - shrinkage) * values + shrinkage * np.trace(covariance) / f
    return vectors, 1 / np.sqrt(shrunk)


def refit_head(head: Head, features: Float[np.ndarray, "n f"]) -> Head:
    """A head of the same settings fitted on other features, up to a rotation.

    The iterative kinds are refitted as their whitening: they rotate it, which changes no cosine.
    A head that centres queries by synthetic features keeps their mean.

    Raises:
        GalleryError: when there are too few different images.
    """
    config = head.config
    if config.kind in ("infomax", "logdet"):
        config = replace(config, kind="whiten")
    fitted = fit_head(features, config=replace(config, per_domain=False), levels=head.levels)
    if not head.config.per_domain:
        return fitted
    pairs = zip(fitted.parts, head.parts, strict=True)
    return replace(
        fitted, parts=tuple(replace(new, mean_query=old.mean_query) for new, old in pairs)
    )


def fit_head(
    features: Float[ManyRows, "n f"],
    *,
    config: HeadConfig,
    levels: Sequence[Level] = (),
    synthetic: Float[np.ndarray, "m f"] | None = None,
    progress: Progress = no_progress,
) -> Head:
    """Fit a head to arrays, which may be memory-mapped float16; see :class:`HeadFitter`.

    Raises:
        ValueError, GalleryError, Cancelled: as :class:`HeadFitter`.
    """
    fitter = HeadFitter(config, features.shape[1], levels=levels)
    for start in range(0, len(features), CHUNK):
        progress(start, len(features), "Reading features")
        fitter.update(features[start : start + CHUNK])
    if synthetic is not None:
        for start in range(0, len(synthetic), CHUNK):
            fitter.update(synthetic[start : start + CHUNK], synthetic=True)
    return fitter.finish(progress=progress)
