"""What an answer comes to: its outcome, its sources and what else may be one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from core.config import AnswerConfig
from core.values import Answer, Group

Outcome = Literal["empty", "identical", "too few", "none", "one of", "named"]
"""What an answer comes to: the gallery is empty; the very file is in it; it has too few different
images to tell a source from chance; no image is a likely source; there is a source but several
images may be it; the source is named."""

LISTED = 3
"""Groups at most that an answer lists where it cannot name one."""

_COUNTED = 0.005  # share from which a group counts as a source; less would be printed as 0 %


def outcome(answer: Answer) -> Outcome:
    """What the answer comes to; everything that is said of an answer follows from this."""
    if not answer.groups:
        return "empty"
    if answer.identical is not None:
        return "identical"
    if answer.p_value is None:
        return "too few"
    if not sources(answer.groups):
        return "none"
    return "named" if answer.named else "one of"


def has_sources(answer: Answer) -> bool:
    """Whether the answer has candidate sources, or only the closest images."""
    return outcome(answer) in ("identical", "one of", "named")


def sources(groups: Sequence[Group]) -> list[Group]:
    """The groups that count as sources: those with a share of influence that can be printed."""
    return [group for group in groups if (group.influence or 0) >= _COUNTED]


def told_groups(answer: Answer) -> list[Group]:
    """The groups that something is said of: the sources, then those of structure and appearance."""
    found = sources(answer.groups)
    roles = answer.roles
    told = () if roles is None else (roles.structure, roles.appearance)
    return [*found, *(g for each in told for g in answer.groups if g.id == each and g not in found)]


def weak_source(answer: Answer, *, level: float = AnswerConfig().weak) -> Group | None:
    """What may be a further source, too weak to count: the best for what the sources leave.

    Args:
        answer: the answer.
        level: largest p-value of what is worth a look; nothing is given above it.
    """
    count = len(sources(answer.groups))
    if not 0 < count < len(answer.groups):
        return None
    group = answer.groups[count]
    return group if group.p_value is not None and group.p_value <= level else None


def contenders(groups: Sequence[Group]) -> Sequence[Group]:
    """The groups that an answer lists where it cannot name one: the sources and a rival."""
    return groups[: min(max(len(sources(groups)), 2), LISTED)]


def fewest(level: float) -> int:
    """Images that a null needs for p-values as small as a level."""
    return math.ceil(1 / level - 1e-9) - 1


STEADY = 40
"""Images of a null from which on p-values held wherever they were measured; of 24, photographs and
variations of other images stood out up to three times as often (docs/evidence.md, "Galleries of few
images")."""


def can_tell(count: int, *, level: float) -> bool:
    """Whether a null of so many images can tell a source from chance.

    With fewer, no p-value reaches the level, and no number of evidence is given or shown.
    """
    return count >= fewest(level)
