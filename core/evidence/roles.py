"""Which group gave a query its structure and which its appearance, where two of them stand out so.

Structure shows in edges and matching places, appearance in colours and texture. In a role a group
has the smallest p-value of the role's aspects times their number (Bonferroni): each is the share
of null queries of which *some* group stands out as far, so that it counts all groups already.
Nothing is said where one group is first in both roles: then there is one source. The aspects and
the levels were chosen on known pairs (docs/decisions/031).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from core.search.ranking import PLACES


@dataclass(frozen=True)
class Rule:
    """What tells a role, and how rare it has to be."""

    structure: tuple[str, ...] = ("edges", PLACES)
    """Aspects that tell who gave the structure."""
    appearance: tuple[str, ...] = ("colour and texture", "palette")
    """Aspects that tell who gave the appearance."""
    looser: float = 2.0
    """The level of appearance is so many times that of structure, which is the answer's: a rare
    structure comes first, and then few images have another one's appearance by chance."""
    sourced: bool = True
    """Whether the answer has to have a source."""


@dataclass(frozen=True)
class Standing:
    """The group that stands out most in a role."""

    place: int
    """Its place among the groups."""
    p_value: float
    """Share of null queries of which some group stands out as far in the role, at most."""


def find_roles(
    p_values: Float[np.ndarray, "g a"],
    names: Sequence[str],
    *,
    sourced: bool,
    null_size: int,
    level: float,
    rule: Rule | None = None,
) -> tuple[Standing, Standing] | None:
    """The groups of the structure and of the appearance; nothing where two cannot be told.

    Args:
        p_values: of every group in every aspect.
        names: names of the aspects.
        sourced: whether the answer has a source.
        null_size: queries of the null: no p-value is stated below what one of them is worth.
        level: largest p-value at which a group stands out.
        rule: what tells a role; the one that was measured by default.
    """
    rule = rule or Rule()
    if rule.sourced and not sourced:
        return None
    structure = _first(p_values, names, rule.structure, null_size)
    appearance = _first(p_values, names, rule.appearance, null_size)
    if structure is None or appearance is None or structure.place == appearance.place:
        return None
    rare = structure.p_value <= level and appearance.p_value <= rule.looser * level
    return (structure, appearance) if rare else None


def _first(
    p_values: Float[np.ndarray, "g a"],
    names: Sequence[str],
    aspects: Sequence[str],
    null_size: int,
) -> Standing | None:
    """The group that stands out most in some aspects; nothing where none of them is compared."""
    columns = [place for place, name in enumerate(names) if name in aspects]
    if not columns or not len(p_values):
        return None
    smallest = p_values[:, columns].min(axis=1)
    place = int(smallest.argmin())
    least = max(float(smallest[place]), 1 / (null_size + 1))
    return Standing(place, min(len(columns) * least, 1.0))
