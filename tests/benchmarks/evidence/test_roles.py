"""What was named is counted as right by both roles, and its table says of how many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.evidence.roles import RULES, Asked, Count, Told, section
from core.evidence.roles import Rule

ASPECTS = ("colour and texture", "edges", "palette", "matching places")
ONE = Told(
    Asked("splice", "tune", Path("a.png"), ("a", "b")),
    np.array([[0.9, 0.001, 0.9, 0.9], [0.9, 0.9, 0.04, 0.9], [0.9, 0.9, 0.9, 0.9]]),
    ASPECTS,
    999,
    sourced=True,
    truth=(0, 1),
    named=(0, 1),
)


def test_right_swapped_and_wrong_are_told_apart():
    swapped, half = replace(ONE, named=(1, 0)), replace(ONE, named=(0, 2))
    silent, single = replace(ONE, named=None), replace(ONE, truth=(0,), named=(0, 1))
    told = [ONE, swapped, half, silent, single]
    found = Count.of((each, each.named) for each in told)
    assert found == Count(5, 4, structure=2, appearance=1, both=1, swapped=1)


def test_a_rule_is_the_program_s_own_on_what_was_answered():
    assert ONE.by(Rule()) == (0, 1)
    assert ONE.by(RULES["appearance at the level of structure"]) is None
    unsourced = replace(ONE, sourced=False)
    assert unsourced.by(Rule()) is None
    assert unsourced.by(RULES["without any source too"]) == (0, 1)


def test_the_tables_say_of_how_many():
    count = vars(Count(40, 10, 10, 9, 9, 0))
    none = vars(Count(200, 1, 0, 0, 0, 0))
    rule = {"rule": "as it ships", "two sources": count}
    others = {"one source": none, "photographs without a source": none}
    worth = {**count, "of": 40}
    del worth["images"]
    rows = [{"images": "two sources: splice", **worth}, {"images": "one source", **worth}]
    text = section({"rules": [{**rule, **others}], "worth": rows})
    assert "| as it ships | 10 of 40 | 9 of 10 [.555, .997] | 1 of 200 | 1 of 200 |" in text
    right = "10 | 9 | 9 of 10 [.555, .997] | 0"
    assert f"| two sources: splice | 10 of 40 [.127, .412] | {right} |" in text
    assert "| one source | 10 of 40 [.127, .412] |  |  |  |  |" in text
