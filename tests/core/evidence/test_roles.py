"""Two groups are named by their roles where each is rare in its own, and else nothing is said."""

from __future__ import annotations

import numpy as np
import pytest

from core.evidence.roles import Rule, find_roles
from core.search.ranking import PLACES, TOGETHER

NAMES = ("colour and texture", "parts", "edges", "palette", PLACES, TOGETHER)
GROUPS = 6


def p_values(**small: tuple[int, float]) -> np.ndarray:
    """Groups of which none stands out, but for one p-value in each of some aspects."""
    called = {"places": PLACES, "colour": "colour and texture"}
    found = np.full((GROUPS, len(NAMES)), 0.7)
    for name, (group, value) in small.items():
        found[group, NAMES.index(called.get(name, name))] = value
    return found


def find(values: np.ndarray, *, names=NAMES, sourced=True, null_size=999, rule=None):
    return find_roles(
        values, names, sourced=sourced, null_size=null_size, level=0.05, rule=rule
    )  # fmt: skip


def test_the_rarest_in_each_role_is_found_whatever_its_rank():
    found = find(p_values(places=(0, 0.004), palette=(5, 0.02)))
    assert found is not None
    structure, appearance = found
    assert (structure.place, appearance.place) == (0, 5)
    assert (structure.p_value, appearance.p_value) == pytest.approx((0.008, 0.04))


def test_each_aspect_of_a_role_tells_it_and_none_else_does():
    for structure in ("edges", "places"):
        for appearance in ("colour", "palette"):
            assert find(p_values(**{structure: (1, 0.01), appearance: (2, 0.01)}))
    assert find(p_values(parts=(1, 1e-6), palette=(2, 0.01))) is None
    assert find(p_values(places=(1, 0.01), parts=(2, 1e-6))) is None


def test_one_group_that_is_first_in_both_roles_is_no_two():
    both = p_values(places=(0, 0.001), palette=(0, 0.002))
    both[3, NAMES.index("palette")] = 0.003
    assert find(both) is None


@pytest.mark.parametrize(
    ("structure", "appearance", "told"),
    [(0.024, 0.049, True), (0.026, 0.01, False), (0.01, 0.051, False)],
)
def test_both_have_to_be_rare_counting_the_aspects_that_were_looked_at(structure, appearance, told):
    found = find(p_values(places=(0, structure), palette=(1, appearance)))
    assert (found is not None) == told


def test_the_level_of_appearance_is_that_of_the_rule():
    values = p_values(places=(0, 0.01), palette=(1, 0.04))
    assert find(values) is not None
    assert find(values, rule=Rule(looser=1.0)) is None


def test_an_answer_without_a_source_has_no_roles():
    values = p_values(places=(0, 0.01), palette=(1, 0.01))
    assert find(values, sourced=False) is None
    assert find(values, sourced=False, rule=Rule(sourced=False)) is not None


def test_no_p_value_is_below_what_the_null_can_tell():
    """Fitted tails give 1e-15 in galleries of a hundred images."""
    values = p_values(places=(0, 1e-15), palette=(1, 1e-15))
    found = find(values, null_size=99)
    assert found is not None
    assert found[0].p_value == found[1].p_value == pytest.approx(2 / 100)
    assert find(values, null_size=29) is None, "twice 1/30 is more than the level"


def test_without_an_aspect_of_a_role_there_is_none():
    """A baseline has neither edges nor a palette beside it."""
    values = p_values(places=(0, 0.001), palette=(1, 0.001))
    assert find(values[:, :2], names=NAMES[:2]) is None
    assert find(values[:, 2:], names=NAMES[2:]) is not None, "the palette alone is enough"
    assert find(values[:0]) is None
