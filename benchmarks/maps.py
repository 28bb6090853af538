"""Linear maps that are compared with whitening: on augmentation pairs, on both domains, on pairs.

None of them is a head of the program: two use known pairs, the others are what the table tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy import linalg

from core.config import HeadConfig
from core.heads.fit import fit_head, whitening
from core.heads.head import Head

_STEPS, _BATCH, _RATE, _TEMPERATURE = 150, 64, 1e-3, 0.07


@dataclass(frozen=True)
class Maps:
    """One map a side."""

    gallery: Head
    query: Head


def shared(head: Head) -> Maps:
    """A head of the program."""
    return Maps(head, head)


def linear(
    real: Float[np.ndarray, " f"],
    synthetic: Float[np.ndarray, " f"],
    matrix: Float[np.ndarray, "f d"] | None = None,
) -> Head:
    """Centre each side by its mean, then the matrix, then unit length."""
    cast = None if matrix is None else matrix.astype(np.float32)
    return Head(HeadConfig(), real.astype(np.float32), synthetic.astype(np.float32), cast)


def both_domains(
    real: Float[np.ndarray, "n f"], synthetic: Float[np.ndarray, "m f"], *, config: HeadConfig
) -> Maps:
    """Fitted on real and unpaired synthetic features, each centred by its own mean."""
    means = real.mean(0), synthetic.mean(0)
    fitted = fit_head(np.concatenate([real - means[0], synthetic - means[1]]), config=config)
    return shared(linear(*means, fitted.matrix))


def separate(
    real: Float[np.ndarray, "n f"],
    synthetic: Float[np.ndarray, "m f"],
    *,
    shrinkage: float,
    symmetric: bool,
) -> Maps:
    """Each domain whitened by its own covariance: symmetric is ZCA, else PCA, whose axes differ."""
    sides = []
    for rows in (real, synthetic):
        k = len(rows[0]) if symmetric else min(512, len(rows) - 1)
        basis, scales = whitening(np.cov(rows.T, bias=True), k=k, shrinkage=shrinkage)
        matrix = (basis * scales) @ basis.T if symmetric else basis * scales
        sides.append(linear(rows.mean(0), rows.mean(0), matrix))
    return Maps(*sides)


def views_cca(
    real: Float[np.ndarray, "n f"],
    views: tuple[Float[np.ndarray, "m f"], Float[np.ndarray, "m f"]],
    *,
    k: int,
    shrinkage: float,
    weighted: bool,
) -> Maps:
    """CCA of two random views of the same images, in closed form.

    Both views are drawn alike, so both sides share one covariance C, here that of the gallery, and
    one map: the leading eigenvectors of C^(-1/2) S C^(-1/2) with the symmetrised cross-covariance S
    of the views, after C^(-1/2). The eigenvalues are the canonical correlations; ``weighted``
    multiplies each dimension by the root of its correlation, which makes the inner product the
    expected one of the other view.
    """
    basis, scales = whitening(np.cov(real.T, bias=True), k=real.shape[1], shrinkage=shrinkage)
    white = [(view - view.mean(0)) @ (basis * scales) for view in views]
    cross = white[0].T @ white[1] / len(white[0])
    correlations, axes = linalg.eigh((cross + cross.T) / 2)
    correlations, axes = correlations[::-1][:k], axes[:, ::-1][:, :k]
    if weighted:
        axes = axes * np.sqrt(np.clip(correlations, 0, None))
    mean = real.mean(0)
    return shared(linear(mean, mean, (basis * scales) @ axes))


def paired_cca(
    real: Float[np.ndarray, "m d"], synthetic: Float[np.ndarray, "m d"], *, k: int, ridge: float
) -> tuple[Float[np.ndarray, "d k"], Float[np.ndarray, "d k"]]:
    """Ridge CCA of known pairs; the two maps, each dimension weighted as in :func:`views_cca`."""
    white = []
    for rows in (real, synthetic):
        covariance = np.cov(rows.T, bias=True)
        values, vectors = linalg.eigh(covariance + ridge * np.trace(covariance) / len(covariance)
                                      * np.eye(len(covariance)))  # fmt: skip
        white.append((vectors / np.sqrt(values)) @ vectors.T)
    cross = (real - real.mean(0)).T @ (synthetic - synthetic.mean(0)) / len(real)
    left, correlations, right = linalg.svd(white[0] @ cross @ white[1])
    weights = np.sqrt(correlations[:k])
    return white[0] @ left[:, :k] * weights, white[1] @ right[:k].T * weights


def paired_infonce(
    real: Float[np.ndarray, "m d"],
    synthetic: Float[np.ndarray, "m d"],
    clusters: Sequence[str],
    *,
    seed: int,
) -> tuple[Float[np.ndarray, "d d"], Float[np.ndarray, "d d"]]:
    """Two linear maps from the identity by symmetric InfoNCE on pairs (Wang et al. 2023).

    A batch holds one pair of each of its clusters, so that no two of its images share a source.
    """
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    for row, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(row)
    groups = list(members.values())
    sides = [torch.from_numpy(rows.astype(np.float32)) for rows in (real, synthetic)]
    maps = [torch.eye(real.shape[1]).requires_grad_() for _ in sides]
    optimiser = torch.optim.Adam(maps, lr=_RATE)
    for _ in range(_STEPS):
        drawn = rng.permutation(len(groups))[:_BATCH]
        rows = [groups[g][rng.integers(len(groups[g]))] for g in drawn]
        one, two = (
            torch.nn.functional.normalize(side[rows] @ matrix, dim=1)
            for side, matrix in zip(sides, maps, strict=True)
        )
        logits, target = one @ two.T / _TEMPERATURE, torch.arange(len(rows))
        loss = sum(torch.nn.functional.cross_entropy(x, target) for x in (logits, logits.T))
        optimiser.zero_grad()
        loss.backward()  # pyright: ignore[reportAttributeAccessIssue]
        optimiser.step()
    return maps[0].detach().numpy(), maps[1].detach().numpy()


def appended(head: Head, matrix: Float[np.ndarray, "d k"]) -> Head:
    """A head followed by one more matrix; its rows need not be of unit length in between."""
    first = np.eye(head.dim, dtype=np.float32) if head.matrix is None else head.matrix
    return replace(head, matrix=(first @ matrix).astype(np.float32))
