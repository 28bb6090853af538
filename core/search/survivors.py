"""What was found of images that are still there, after others came or went.

Images are known by a hash of all that is compared of them, never by their row or name. So what was
found of pairs of images holds in every later state of a gallery that has both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Integer, Shaped, UInt64

from core.images.joined import ManyRows

_BYTES = 16  # of the name of an image
_READ = 4_096  # rows read at once


@dataclass(frozen=True)
class Compared:
    """Pairs of rows that were looked at, each once, and which of them are links."""

    pairs: Integer[np.ndarray, "m 2"]
    linked: Bool[np.ndarray, " m"]

    @property
    def links(self) -> Integer[np.ndarray, "l 2"]:
        """The pairs that are links."""
        return self.pairs[self.linked]

    def of(self, pairs: Integer[np.ndarray, "p 2"]) -> Integer[np.ndarray, " p"]:
        """What is known of pairs: 1 for links, 0 for others, -1 where they were not looked at."""
        if not len(self.pairs):
            return np.full(len(pairs), -1)
        n = 1 + max(int(self.pairs.max()), int(pairs.max(initial=0)))
        known, asked = (rows[:, 0] * n + rows[:, 1] for rows in (self.pairs, pairs))
        place = places(known, asked)
        return np.where(place >= 0, self.linked[place], -1)

    def with_all(self, other: Compared) -> Compared:
        """These pairs and those of another, where it has more."""
        more = self.of(other.pairs) < 0
        pairs, linked = other.pairs[more], other.linked[more]
        return Compared(np.concatenate([self.pairs, pairs]), np.concatenate([self.linked, linked]))

    def moved(self, rows: Integer[np.ndarray, " n"]) -> Compared:
        """The pairs by their rows in another state; those of images that are gone go.

        Args:
            rows: row of every image there, -1 for none.
        """
        pairs = rows[self.pairs].reshape(-1, 2)
        stay = (pairs >= 0).all(axis=1)
        return Compared(pairs[stay], self.linked[stay])


def places(
    known: Integer[np.ndarray, " n"],
    asked: Integer[np.ndarray, " m"],
    *,
    order: Integer[np.ndarray, " n"] | None = None,
) -> Integer[np.ndarray, " m"]:
    """Place of every asked number among known ones, which are all different; -1 for none.

    Args:
        known: the numbers.
        asked: those that are looked for.
        order: what sorts the known ones, where that is at hand.
    """
    if not len(known):
        return np.full(len(asked), -1)
    order = np.argsort(known) if order is None else order
    place = order[np.minimum(np.searchsorted(known, asked, sorter=order), len(known) - 1)]
    return np.where(known[place] == asked, place, -1)


def names_of(
    contents: Sequence[str], compared: Shaped[ManyRows, "n ..."]
) -> UInt64[np.ndarray, "n 2"]:
    """Names of images by their contents and what is compared of them.

    Args:
        contents: hash of every image's file.
        compared: what was computed of every image.
    """
    names = np.empty((len(contents), _BYTES // 8), np.uint64)
    for start in range(0, len(contents), _READ):
        block = np.ascontiguousarray(compared[start : start + _READ])
        for row, values in enumerate(block, start):
            digest = hashlib.blake2b(contents[row].encode(), digest_size=_BYTES)
            digest.update(values.tobytes())
            names[row] = np.frombuffer(digest.digest(), "<u8")
    return names


def rows_now(
    before: UInt64[np.ndarray, "m 2"], now: UInt64[np.ndarray, "n 2"]
) -> Integer[np.ndarray, " m"]:
    """Row of every earlier image among those that are there now, -1 where it is gone.

    Of images with one name, the first is taken for the first, and so on.
    """
    rows: dict[bytes, list[int]] = {}
    for row in range(len(now) - 1, -1, -1):
        rows.setdefault(now[row].tobytes(), []).append(row)
    left = (rows.get(name.tobytes()) for name in before)
    return np.array([each.pop() if each else -1 for each in left], np.int64)
