"""Shares of influence in whole percent: all that is shown of one answer adds up to 100."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from core.evidence.conclusion import sources
from core.evidence.words import share
from core.values import Answer, Group


class Percents:
    """An answer's shares of influence in words.

    Each is rounded up or down so that all of them, with that of none, add up to 100 %: up go those
    that lose most by rounding down (the method of the largest remainder).
    """

    def __init__(self, answer: Answer) -> None:
        self._sourced = bool(sources(answer.groups))
        groups = [group for group in answer.groups if group.influence]
        shares = [group.influence or 0.0 for group in groups]
        self._none = answer.none
        *found, self._none_whole = _whole([*shares, answer.none or 0.0], total=100)
        self._groups = {group.id: each for group, each in zip(groups, found, strict=True)}

    @property
    def none(self) -> str:
        """The share of "none of these" beside those of sources; nothing where there is no source.

        Without one it is all of the image, which the sentence has said.
        """
        return share(self._none, whole=self._none_whole) if self._sourced else ""

    def of(self, *groups: Group) -> str:
        """The share of one group, or of several together; nothing where it is not known."""
        known = [group.influence for group in groups if group.influence is not None]
        whole = sum(self._groups.get(group.id, 0) for group in groups)
        return share(sum(known), whole=whole) if known else ""

    def by_value(self, sums: Mapping[str, float]) -> dict[str, str]:
        """The shares summed by what a column says, see :func:`core.evidence.shares.shares_by`."""
        whole = _whole(list(sums.values()), total=100 - self._none_whole)
        return {key: share(sums[key], whole=each) for key, each in zip(sums, whole, strict=True)}


def _whole(shares: Sequence[float], *, total: int) -> list[int]:
    """Shares in whole percent that add up to a total."""
    found = [math.floor(100 * each) for each in shares]
    lost = sorted(range(len(shares)), key=lambda i: found[i] - 100 * shares[i])
    for i in lost[: max(total - sum(found), 0)]:
        found[i] += 1
    return found
