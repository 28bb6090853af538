"""What follows from an answer's numbers before anything is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.evidence.conclusion import can_tell, contenders, fewest, sources, told_groups, weak_source
from core.values import Answer, Group, ImageRecord, Match, Roles


def group(i: int, influence: float, p_value: float = 0.004) -> Group:
    record = ImageRecord(i, f"{i}.png", "0" * 64, "0" * 16, 40, 30)
    return Group(i, (i,), Match(record, 0.8, 1.0, i), p_value, 0.9, influence)


def answer(*influences: float, p_value: float = 0.004) -> Answer:
    """A group for each share, the last with a p-value of its own."""
    groups = [group(i, share) for i, share in enumerate(influences)]
    groups[-1] = group(len(groups) - 1, influences[-1], p_value)
    none = 1.0 - sum(influences)
    return Answer(tuple(g.best for g in groups), tuple(groups), none, 0.004, "null")


@pytest.mark.parametrize(("level", "images"), [(0.05, 19), (0.01, 99), (0.5, 1), (0.049, 20)])
def test_the_fewest_images_just_reach_the_level(level: float, images: int):
    assert fewest(level) == images
    assert 1 / (images + 1) <= level < 1 / images


def test_a_null_can_tell_where_it_has_the_fewest_images():
    assert (can_tell(18, level=0.05), can_tell(19, level=0.05)) == (False, True)


def test_a_share_that_would_be_printed_as_nothing_makes_no_source():
    assert sources(answer(0.9, 0.006, 0.004).groups) == list(answer(0.9, 0.006, 0.004).groups[:2])


def test_an_answer_that_cannot_choose_lists_the_sources_and_a_rival_but_three_at_most():
    assert len(contenders(answer(0.9, 0.0, 0.0).groups)) == 2
    assert len(contenders(answer(0.3, 0.2, 0.2, 0.1).groups)) == 3


@pytest.mark.parametrize(("p_value", "is_there"), [(0.2, True), (0.21, False)])
def test_what_may_be_a_further_source_is_the_best_of_the_rest(p_value: float, is_there: bool):
    found = answer(0.9, 0.0, p_value=p_value)
    assert weak_source(found) == (found.groups[1] if is_there else None)
    assert weak_source(answer(0.0, 0.0, p_value=p_value)) is None


def test_something_is_said_of_sources_and_of_what_has_a_role_once():
    found = answer(0.6, 0.3, 0.0, 0.0)
    assert [group.id for group in told_groups(found)] == [0, 1]
    for roles, told in ((Roles(0, 3, 0.01, 0.02), [0, 1, 3]), (Roles(1, 0, 0.01, 0.02), [0, 1])):
        assert [group.id for group in told_groups(replace(found, roles=roles))] == told
