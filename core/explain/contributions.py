"""Why a source matched: contributions of dimensions, what those stand for, parts of the cosine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from core.encoders.baselines import Baseline
from core.heads.head import Head
from core.search.views import View
from core.values import CellParts, Contribution, Role


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


def cell_parts(view: View, query: Float[np.ndarray, " d"], row: int) -> CellParts | None:
    """The cosine of a query and a row in a view, split over the cells that its encoder describes.

    Args:
        view: the view.
        query: unit vector of the query there.
        row: the row.

    Returns:
        The parts; ``None`` where the encoder describes no cells, or the head mixes them.
    """
    cells = view.encoder.cells if isinstance(view.encoder, Baseline) else None
    if cells is None or any(part.matrix is not None for part in view.head.parts):
        return None
    products = query * np.asarray(view.vectors[row])
    return CellParts(view.name, cells, products.reshape(cells.size, -1).sum(axis=1))


def excitement(embeddings: Float[np.ndarray, "n d"], dimension: int, *, count: int) -> Excitement:
    """The gallery rows that a dimension is largest and smallest for.

    Raises:
        ValueError: when there is no such dimension.
    """
    if not 0 <= dimension < embeddings.shape[1]:
        raise ValueError(f"dimension must be in 0..{embeddings.shape[1] - 1}, got {dimension}")
    order = np.argsort(embeddings[:, dimension], kind="stable")
    return Excitement(order[::-1][:count], order[:count])


def cosine_weights(
    features: Float[np.ndarray, " f"], other: Float[np.ndarray, " d"], head: Head, *, role: Role
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " l"]]:
    """The cosine with another unit embedding as a linear function of an image's own features.

    A level's part of the image's embedding is s (x - m) W / |(x - m) W|; with the norms held at
    this image's values, the cosine is ``features @ weights + constants.sum()`` exactly, and each
    level's part of it the same of the level's own columns.

    Returns:
        The weights, and the constant of every level.
    """
    weights = np.empty(head.width, np.float32)
    constants = np.empty(len(head.parts), np.float32)
    levels = zip(head.parts, head.scales, head.spans, strict=True)
    for at, (part, scale, (columns, dims)) in enumerate(levels):
        norm = np.linalg.norm(part.mapped(features[None, columns], role=role))
        direction = other[dims] if part.matrix is None else part.matrix @ other[dims]
        weights[columns] = direction * (scale / max(float(norm), 1e-12))
        mean = part.mean_gallery if role == "gallery" else part.mean_query
        constants[at] = -(mean @ weights[columns])
    return weights, constants
