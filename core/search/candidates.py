"""Candidates of a query: what every view finds, deeper where copies fill the first places."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from core.config import ScoreConfig
from core.search.engine import Among
from core.search.query import Query
from core.search.views import View


@dataclass(frozen=True)
class Allowed:
    """What a ranking may find."""

    left_out: Integer[np.ndarray, " m"]
    """Rows that are not there."""
    among: Among | None
    """The rows that may be found, those left out included; ``None`` for all."""
    images: int
    """Rows that a search can find, those left out included."""
    groups: int
    """Groups that can be found."""

    def has(self, row: int) -> bool:
        """Whether a row can be found."""
        return row not in self.left_out and (self.among is None or bool(self.among.rows[row]))


@dataclass(frozen=True)
class Finder:
    """Finds the candidates of queries among the images of a gallery."""

    views: tuple[View, ...]
    groups: Integer[np.ndarray, " n"]
    """Near-duplicate group of every image: the row of its first member."""
    config: ScoreConfig

    def allowed(self, without: Integer[np.ndarray, " m"] | None, among: Among | None) -> Allowed:
        """What a ranking may find."""
        left_out = np.empty(0, np.int64) if without is None else without
        gone = distinct(self.groups[left_out])
        if among is None:
            return Allowed(left_out, None, len(self.groups), self._groups - gone)
        groups = distinct(np.asarray(self.groups)[among.rows])
        return Allowed(left_out, among, int(among.rows.sum()), groups - gone)

    def find(
        self, query: Query, *, k: int, allowed: Allowed
    ) -> tuple[Integer[np.ndarray, " r"], int]:
        """Candidates of all views, then the rest of what the first one finds; how many are which.

        The candidates' places are shared evenly by the views.
        """
        most = max(self.config.candidates // len(self.views), 1)
        chosen = np.empty(0, np.int64)
        rest = chosen
        for place, (view, vector) in enumerate(zip(self.views, query.vectors, strict=True)):
            wanted = max(k, self.config.candidates) if place == 0 else most
            rows = self._searched(view, vector, depth=wanted, allowed=allowed)
            count = self._candidates(rows, most=most)
            rest = rows[count:] if place == 0 else rest
            chosen = np.concatenate([chosen, rows[:count][~np.isin(rows[:count], chosen)]])
        return np.concatenate([chosen, rest[~np.isin(rest, chosen)]]), len(chosen)

    def _searched(
        self,
        view: View,
        vector: Float[np.ndarray, " d"],
        *,
        depth: int,
        allowed: Allowed,
    ) -> Integer[np.ndarray, " r"]:
        """The best rows by one view, deeper where copies fill the first places.

        Otherwise a source with more copies than there are candidates would have no rival to stand
        out against.
        """
        depth = min(depth + len(allowed.left_out), allowed.images)
        while depth:
            found = view.index.search(vector[None], k=depth, among=allowed.among).rows[0]
            rows = found[(found >= 0) & ~np.isin(found, allowed.left_out)]
            enough = distinct(self.groups[rows]) >= min(self._needed, allowed.groups)
            if depth == allowed.images or enough:
                return rows
            depth = min(2 * depth, allowed.images)
        return np.empty(0, np.int64)

    def _candidates(self, rows: Integer[np.ndarray, " m"], *, most: int) -> int:
        """How many of the first rows are candidates: more where copies fill the first places."""
        count = min(most, len(rows))
        if distinct(self.groups[rows[:count]]) >= self._needed:
            return count
        places = firsts(self.groups[rows])
        return max(count, int(places[: self._needed][-1]) + 1) if len(places) else count

    @functools.cached_property
    def _groups(self) -> int:
        """Groups that there are."""
        return distinct(self.groups)

    @functools.cached_property
    def _needed(self) -> int:
        """Groups that must be among the candidates."""
        return min(self.config.groups, self.config.candidates, self._groups)


def firsts(groups: Integer[np.ndarray, " m"]) -> Integer[np.ndarray, " g"]:
    """Where every group comes for the first time, in order."""
    return np.sort(np.unique(groups, return_index=True)[1])


def distinct(groups: Integer[np.ndarray, " m"]) -> int:
    """How many different groups there are."""
    return int(np.count_nonzero(np.diff(np.sort(groups)))) + 1 if len(groups) else 0
