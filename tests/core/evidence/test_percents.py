"""Shares as they are shown add up to 100 %, and each stands for the share that it rounds."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from core.evidence.percents import Percents
from core.values import Answer, Group, ImageRecord, Match


def _answer(*influences: float) -> Answer:
    """A group for each share, and none for the rest."""
    groups: list[Group] = []
    for i, share in enumerate(influences):
        record = ImageRecord(i, f"{i}.png", "0" * 64, "0" * 16, 40, 30)
        groups.append(Group(i, (i,), Match(record, 0.8, 1.0, i), 0.004, 0.9, share))
    none = max(1.0 - sum(influences), 0.0)
    return Answer(tuple(g.best for g in groups), tuple(groups), none, 0.004, "null")


def _told(answer: Answer) -> list[str]:
    percents = Percents(answer)
    return [*(percents.of(group) for group in answer.groups), percents.none]


def test_shares_of_a_mixture_add_up():
    """One by one they were 34, 34, 21 and 12 %: 101 % of an image."""
    assert _told(_answer(0.336, 0.336, 0.207)) == ["34 %", "33 %", "21 %", "12 %"]


def test_shares_summed_by_a_column_add_up_beside_the_same_share_of_none():
    percents = Percents(_answer(0.336, 0.336, 0.207))
    sums = {"Ada": 0.440, "": 0.225, "Ben": 0.214}  # one by one 44, 22 and 21 %
    assert percents.by_value(sums) == {"Ada": "44 %", "": "23 %", "Ben": "21 %"}
    assert percents.none == "12 %"


def test_shares_of_several_groups_together_are_what_theirs_add_up_to():
    answer = _answer(0.336, 0.336, 0.207)
    assert Percents(answer).of(*answer.groups[:2]) == "67 %"


def test_the_share_of_none_stands_beside_those_of_sources_alone():
    """ "None of these 100 %" stood beside a candidate of 25 %."""
    assert Percents(_answer(0.9)).none == "10 %"
    assert Percents(_answer(0.0)).none == ""


@given(st.lists(st.floats(0.02, 1), min_size=2, max_size=8))
def test_whatever_the_shares_are_they_add_up(weights: list[float]):
    total = sum(weights)
    *shares, none = (weight / total for weight in weights)
    told = [int(re.sub(r" %$", "", each)) for each in _told(_answer(*shares)) if each[0].isdigit()]
    small = [each for each in (*shares, none) if each < 0.01]
    assert 100 - len(small) <= sum(told) <= 100
    for share, each in zip([s for s in (*shares, none) if s >= 0.01], told, strict=True):
        assert abs(100 * share - each) < 1 + 1e-9
