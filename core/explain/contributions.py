"""Why a source matched: contributions of dimensions, what those stand for, parts of the cosine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from scipy.optimize import linear_sum_assignment

from core.heads.head import Head
from core.values import Contribution, ImageRecord, Role


@dataclass(frozen=True)
class Excitement:
    """Gallery rows at the two ends of one embedding dimension."""

    most: Integer[np.ndarray, " k"]
    least: Integer[np.ndarray, " k"]


def contributions(
    query: Float[np.ndarray, " d"], source: Float[np.ndarray, " d"], *, top: int | None = None
) -> tuple[Contribution, ...]:
    """Parts q_i s_i of the cosine of two unit embeddings, the largest magnitudes first.

    The parts of all dimensions sum to the cosine.
    """
    products = query.astype(np.float64) * source
    cosine = float(products.sum())
    order = np.argsort(-np.abs(products), kind="stable")[:top]
    return tuple(
        Contribution(
            dimension=int(i),
            value=float(products[i]),
            share=float(products[i]) / cosine if cosine else 0.0,
            query=float(query[i]),
            source=float(source[i]),
        )
        for i in order
    )


def excitement(embeddings: Float[np.ndarray, "n d"], dimension: int, *, count: int) -> Excitement:
    """The gallery rows that a dimension is largest and smallest for.

    Raises:
        ValueError: when there is no such dimension.
    """
    if not 0 <= dimension < embeddings.shape[1]:
        raise ValueError(f"dimension must be in 0..{embeddings.shape[1] - 1}, got {dimension}")
    order = np.argsort(embeddings[:, dimension], kind="stable")
    return Excitement(order[::-1][:count], order[:count])


def matched_similarity(
    one: Float[np.ndarray, "n d"], two: Float[np.ndarray, "n d2"]
) -> Float[np.ndarray, " d"]:
    """|correlation| of every dimension of one embedding with its partner in another.

    Partners are matched one to one so that the sum is largest (Hungarian assignment, as for the
    mean correlation coefficient of Hyvärinen and Morioka 2016); 0 for a dimension left over.
    """
    width = one.shape[1]
    products = np.abs(_standard(one).T @ _standard(two)) / len(one)
    found = np.zeros(width)
    rows, columns = linear_sum_assignment(products, maximize=True)
    found[rows] = np.minimum(products[rows, columns], 1)
    return found


def factors_of(records: Sequence[ImageRecord]) -> dict[str, list[str]]:
    """Free columns of the metadata with at least two values, each of which comes twice."""
    found: dict[str, list[str]] = {}
    for name in sorted({key for record in records for key in record.extra}):
        values = [record.extra.get(name, "") for record in records]
        counts = np.unique(values, return_counts=True)[1]
        if len(counts) > 1 and counts.min() > 1:
            found[name] = values
    return found


def factor_codes(records: Sequence[ImageRecord]) -> dict[str, Integer[np.ndarray, " n"]]:
    """The factors of the metadata, their values as integer codes."""
    return {
        name: np.unique(values, return_inverse=True)[1]
        for name, values in factors_of(records).items()
    }


def factor_shares(
    embeddings: Float[np.ndarray, "n d"], factors: Mapping[str, Integer[np.ndarray, " n"]]
) -> Float[np.ndarray, "d m"]:
    """Share of every dimension's variance that each factor explains; 0 where chance explains more.

    Kelley's epsilon squared (1935): the correlation ratio less what a factor of as many values
    explains of nothing, so that factors of many values have no advantage.

    Args:
        embeddings: one row per image.
        factors: the value of every image, as codes 0, 1, ..., by factor.
    """
    n, width = embeddings.shape
    rows = _standard(embeddings)
    shares = np.zeros((width, len(factors)))
    for m, codes in enumerate(factors.values()):
        counts = np.bincount(codes)
        sums = np.stack([np.bincount(codes, weights=column) for column in rows.T], axis=1)
        explained = (sums**2 / counts[:, None]).sum(axis=0) / n
        varies = (rows**2).sum(axis=0) > 0
        adjusted = 1 - (1 - explained) * (n - 1) / max(n - len(counts), 1)
        shares[:, m] = np.where(varies, np.clip(adjusted, 0, 1), 0)
    return shares


def _standard(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Columns of mean 0 and variance 1; those that do not vary stay 0."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    spread = centred.std(axis=0)
    return centred / np.where(spread > 1e-12, spread, np.inf)


def cosine_weights(
    features: Float[np.ndarray, " f"], other: Float[np.ndarray, " d"], head: Head, *, role: Role
) -> tuple[Float[np.ndarray, " f"], float]:
    """The cosine with another unit embedding as a linear function of an image's own features.

    The image's embedding is (x - m) W / |(x - m) W|; with the norm held at this image's value,
    the cosine is ``features @ weights + constant`` exactly.

    Returns:
        The weights and the constant.
    """
    mean = head.mean_gallery if role == "gallery" else head.mean_query
    direction = other if head.matrix is None else head.matrix @ other
    mapped = features - mean if head.matrix is None else (features - mean) @ head.matrix
    weights = direction / max(float(np.linalg.norm(mapped)), 1e-12)
    return weights.astype(np.float32), -float(mean @ weights)
