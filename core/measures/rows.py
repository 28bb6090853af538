"""Which rows and columns of an embedding are measured: the same on every surface.

Real images are those of a gallery; synthetic ones were generated, and belong to their sources where
those are known. Axes beside those of ``core.values``: ``m`` sampled rows or leading dimensions,
``p`` pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from core.config import MeasureConfig
from core.heads.rows import unit_rows
from core.images.joined import ManyRows


@dataclass(frozen=True)
class Pairs:
    """Real and synthetic embeddings that belong together, row by row: one for each set of sources.

    Images made from the same sources are not independent, and count as one pair.
    """

    real: Float[np.ndarray, "p d"]
    """Mean embedding of the sources."""
    synthetic: Float[np.ndarray, "p d"]
    """Mean embedding of the images made from them."""

    def some(self, chosen: Integer[np.ndarray, " _"]) -> Pairs:
        """The pairs of some rows."""
        return Pairs(self.real[chosen], self.synthetic[chosen])


@dataclass(frozen=True)
class Rows:
    """What is measured of one embedding."""

    real: Float[np.ndarray, "n d"]
    synthetic: Float[np.ndarray, "q d"]
    pairs: Pairs
    order: Integer[np.ndarray, " d"] | None = None
    """All dimensions, the leading ones first; ``None``: those that vary most come first."""

    def part(self, span: slice) -> Rows:
        """The same images in some of the dimensions, such as those of one level.

        The leading ones stay in their order where the whole has one.
        """
        pairs = Pairs(self.pairs.real[:, span], self.pairs.synthetic[:, span])
        real, synthetic = self.real[:, span], self.synthetic[:, span]
        order = None if self.order is None else np.arange(real.shape[1])
        return Rows(real, synthetic, pairs, order)


def sampled(n: int, *, config: MeasureConfig) -> Integer[np.ndarray, " m"]:
    """The images of a gallery of n that are measured, ascending: all, or a random sample."""
    rng = np.random.default_rng(config.seed)
    return np.sort(rng.permutation(n)[: config.images])


def leading(rows: Rows, *, count: int) -> Integer[np.ndarray, " m"]:
    """Numbers of the leading dimensions of an embedding, ``count`` of them at most."""
    order = rows.order
    if order is None:
        order = np.argsort(-rows.real.var(axis=0), kind="stable")
    return order[:count]


def paired_dimensions(rows: Rows, *, config: MeasureConfig) -> Integer[np.ndarray, " m"]:
    """The few leading dimensions that so many pairs allow to be compared."""
    many = len(rows.pairs.real) // config.pairs_per_dimension
    return leading(rows, count=max(min(config.shown, many), 2))


def pair_up(
    sources: Sequence[Sequence[int]],
    real: Float[ManyRows, "n d"],
    synthetic: Float[np.ndarray, "q d"],
) -> Pairs:
    """Pair the means of each set of sources and of the images made from it.

    Args:
        sources: rows of ``real`` from which each synthetic image was made; none where unknown.
        real: embeddings of the possible sources.
        synthetic: embeddings of the generated images.
    """
    made: dict[tuple[int, ...], list[int]] = {}
    for row, own in enumerate(sources):
        if own:
            made.setdefault(tuple(sorted(set(own))), []).append(row)
    one = [unit_rows(real[list(own)], dtype=np.float32).mean(axis=0) for own in made]
    two = [synthetic[rows].mean(axis=0) for rows in made.values()]
    width = synthetic.shape[1]
    return Pairs(np.array(one).reshape(-1, width), np.array(two).reshape(-1, width))


def standardised(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Columns of mean 0 and variance 1, in float64; a constant column becomes zero."""
    varying = np.ptp(rows, axis=0) > 0
    whole = rows.astype(np.float64)
    centred = np.where(varying, whole - whole.mean(axis=0), 0)
    return centred / np.where(varying, whole.std(axis=0), 1)
