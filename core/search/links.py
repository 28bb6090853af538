"""The links of a graph that is walked, as plain arrays: checked, and led on where nodes go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int32, Integer, UInt64

_AT_ONCE = 64  # nodes whose links are led on at once


@dataclass(frozen=True)
class Links:
    """Where one can go from every node of a graph of several levels (HNSW)."""

    levels: Int32[np.ndarray, " m"]
    """How many levels a node is on, the lowest first; at least one."""
    links: Int32[np.ndarray, " s"]
    """Nodes that are led to: of one node after another, and of each level after level, with -1
    behind the last."""
    top: int
    """The node at which a walk begins; -1 where there is none."""

    def __len__(self) -> int:
        return len(self.levels)

    def starts(self, widths: Integer[np.ndarray, " w"]) -> UInt64[np.ndarray, " p"]:
        """Where the links of every node begin, and the last end.

        Args:
            widths: links of a node on all levels up to each, beginning with 0.
        """
        return np.concatenate([[0], np.cumsum(widths[self.levels])]).astype(np.uint64)

    def lead_somewhere(self, widths: Integer[np.ndarray, " w"]) -> bool:
        """Whether every link leads to a node of its level, and a walk begins at the top."""
        m, levels = len(self), self.levels
        if not ((levels > 0) & (levels < len(widths))).all():
            return False
        size = int(widths[levels].sum())
        if self.links.shape != (size,) or not ((self.links >= -1) & (self.links < m)).all():
            return False
        above = enumerate(self._by_level(widths, lowest=1), start=1)  # on the lowest are all
        if not all((levels[near[near >= 0]] > level).all() for level, (_, _, near) in above):
            return False
        if m == 0:
            return self.top == -1
        return 0 <= self.top < m and bool(levels[self.top] == levels.max())

    def without(
        self,
        widths: Integer[np.ndarray, " w"],
        stays: Bool[np.ndarray, " m"],
        likeness: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> Links:
        """The links of the nodes that stay, which are numbered anew in their order.

        Where a link led to a node that goes, the likest of those that lay behind it take its place,
        so that what was found by way of it still is.

        Args:
            widths: as for :meth:`starts`.
            stays: which nodes do.
            likeness: how alike the nodes of pairs are, all of which stay; (p,) of (p,) and (p,).
        """
        links, place = self.links.copy(), np.full(len(self), -1)
        for nodes, slots, near in self._by_level(widths):
            place[nodes] = np.arange(len(nodes))
            gone = (near >= 0) & ~stays[near]
            chosen = np.flatnonzero(gone.any(axis=1) & stays[nodes])
            for start in range(0, len(chosen), _AT_ONCE):
                some = chosen[start : start + _AT_ONCE]
                through = np.where(gone[some], place[near[some]], 0)
                behind = np.where(gone[some][:, :, None], near[through], -1)
                behind = np.where(stays[behind], behind, -1).reshape(len(some), -1)
                own = np.where(gone[some], -1, near[some])
                links[slots[some]] = _filled(own, behind, nodes[some], likeness)
        number = np.where(stays, np.cumsum(stays) - 1, -1)
        left, levels = links[np.repeat(stays, widths[self.levels])], self.levels[stays]
        top = int(number[self.top]) if len(self) else -1
        if top < 0 and len(levels):
            top = int(levels.argmax())
        return Links(levels, np.where(left >= 0, number[left], -1).astype(np.int32), top)

    def _by_level(
        self, widths: Integer[np.ndarray, " w"], *, lowest: int = 0
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Of every level its nodes, where their links stand, and the links; (l,), (l, k) twice."""
        starts = self.starts(widths).astype(np.int64)[:-1]
        for level, (start, end) in [*enumerate(pairwise(widths))][lowest:]:
            nodes = np.flatnonzero(self.levels > level)
            slots = starts[nodes][:, None] + np.arange(start, end)
            yield nodes, slots, self.links[slots]


def _filled(
    own: Integer[np.ndarray, "b k"],
    others: Integer[np.ndarray, "b o"],
    nodes: Integer[np.ndarray, " b"],
    likeness: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Integer[np.ndarray, "b k"]:
    """Links of nodes, with the likest of others in what is free; -1 behind the last."""
    others = np.sort(others, axis=1)
    again = np.zeros(others.shape, bool)
    again[:, 1:] = others[:, 1:] == others[:, :-1]
    there = (others[:, :, None] == own[:, None, :]).any(axis=2)
    row, column = np.nonzero((others >= 0) & ~again & ~there & (others != nodes[:, None]))
    scores = np.full(others.shape, -np.inf)
    scores[row, column] = likeness(nodes[row], others[row, column])
    ranked = np.concatenate([np.where(own >= 0, np.inf, -np.inf), scores], axis=1)
    order = np.argsort(-ranked, axis=1, kind="stable")[:, : own.shape[1]]
    best = np.take_along_axis(np.concatenate([own, others], axis=1), order, axis=1)
    return np.where(np.take_along_axis(ranked, order, axis=1) > -np.inf, best, -1)
