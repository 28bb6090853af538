"""Influence: a query as a non-negative mixture of the sources that may have gone into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

from core.heads.rows import unit_rows


@dataclass(frozen=True)
class Influences:
    """Shares of a query; they and ``none`` sum to 1."""

    shares: Float[np.ndarray, " n"]
    """Share of every source, in [0, 1]."""
    none: float
    """Share of none of them."""


def decompose(
    query: Float[np.ndarray, " d"], sources: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, " n"]:
    """Non-negative weights w that minimise ||q - sum_j w_j s_j|| for unit q and unit s_j.

    Non-negativity alone makes the weights sparse: a source that explains nothing beyond what others
    explain gets 0. Two copies of one source may share its weight in any way, so pass one vector per
    group of near-duplicates. Solved by the active-set method of Lawson and Hanson (Solving Least
    Squares Problems, 1974, chapter 23).

    Args:
        query: embedding of the query, of any length; (d,).
        sources: embeddings of a few dozen candidates, one per group; (n, d).

    Raises:
        ValueError: if a value is not finite.
    """
    if not (np.isfinite(query).all() and np.isfinite(sources).all()):
        raise ValueError("embeddings to decompose must be finite")
    if not len(sources):
        return np.zeros(0)
    return nnls(unit_rows(sources, dtype=np.float64).T, unit_rows(query, dtype=np.float64))[0]


def influences(weights: Float[np.ndarray, " n"], *, none: float) -> Influences:
    """Shares (1 - none) w_j / sum(w); all of the query is ``none`` where every weight is 0.

    Args:
        weights: non-negative weights of :func:`decompose`; (n,).
        none: share that belongs to no source, in [0, 1].

    Raises:
        ValueError: if ``none`` is no share or a weight is negative or not finite.
    """
    if not 0 <= none <= 1:
        raise ValueError(f"none must be in [0, 1], got {none}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("weights must be finite and not negative")
    total = weights.sum(dtype=np.float64)
    if total == 0:
        return Influences(np.zeros(len(weights)), 1.0)
    return Influences((1 - none) * (weights / total), none)


def contested(strengths: Float[np.ndarray, "n p"]) -> Float[np.ndarray, " n"]:
    """How much of a query every source explains, each patch given to the source that does it best.

    Args:
        strengths: how well every source explains every patch, 0 for not at all; (n, p).
    """
    best = strengths == strengths.max(axis=0, initial=0)
    shared = strengths * best / np.maximum(best.sum(axis=0), 1)
    return shared.sum(axis=1)
