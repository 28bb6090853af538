"""Engines: what finds rows near a query, which are then scored from the vectors themselves.

A walk through a graph by FAISS is one, a table of LanceDB (:mod:`core.search.lance`) another.
Whoever ranks, judges or explains does not know which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Integer

from core.gallery.filters import Filter
from core.search.walk import Walk

FEWEST = 256
"""Rows that are looked for at least, so that local scaling has some to choose from."""
_WHOLE = 4  # a walk to more than this part of the rows takes longer than comparing them


@dataclass(frozen=True, eq=False)
class Among:
    """The images that a search may find."""

    rows: Bool[np.ndarray, " n"]
    """Which of all images they are."""
    where: Filter | None = None
    """The filter that just these pass, for engines that filter by themselves."""


@runtime_checkable
class Engine(Protocol):
    """Finds rows by cosine."""

    def nearest(
        self, queries: Float[np.ndarray, "q d"], *, k: int, among: Among | None
    ) -> Integer[np.ndarray, "q m"]:
        """Rows near every query in any order, most of the k nearest among them; -1 for none.

        Args:
            queries: unit rows.
            k: rows wanted; more may come back.
            among: the rows that may be found; all where it is ``None``.
        """
        ...


@dataclass(frozen=True)
class Walked:
    """Finds rows by a walk; compares all that may be found where that is quicker.

    Among some of the rows it walks the farther the fewer they are, and gives all of them where
    comparing these is quicker or the walk found too few.
    """

    walk: Walk
    n: int
    """Rows that there are; a walk may leave copies out."""

    def nearest(
        self, queries: Float[np.ndarray, "q d"], *, k: int, among: Among | None
    ) -> Integer[np.ndarray, "q m"]:
        """Rows that the walk finds; all that there are where that is quicker."""
        rows = None if among is None else among.rows
        count, there = max(FEWEST, k), self.n if rows is None else int(rows.sum())
        beam = -(-count * self.n // max(there, 1))
        if there and beam * _WHOLE <= there:
            found = self.walk.search(queries, k=count, beam=beam, among=rows)
            if rows is None:
                return found
            if (found >= 0).all():  # copies that no link leads to may pass where the linked do not
                apart = np.flatnonzero(rows & ~self.walk.linked(self.n))
                return np.concatenate([found, _repeated(apart, len(queries))], axis=1)
        every = np.arange(self.n) if rows is None else np.flatnonzero(rows)
        return _repeated(every, len(queries))


def _repeated(rows: np.ndarray, q: int) -> Integer[np.ndarray, "q m"]:
    """The same rows for every query."""
    return np.broadcast_to(rows, (q, len(rows)))
