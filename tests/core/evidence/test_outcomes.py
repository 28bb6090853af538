"""Every outcome has its words wherever answers stand among others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

import core
from core.evidence.conclusion import Outcome, outcome
from core.evidence.outcomes import (
    COUNTED,
    LABELS,
    PAIR_LABELS,
    PAIRS,
    WORDS,
    Kind,
    Pair,
    confidence_of,
    in_short,
    kind_of,
    sentence,
    why_unnamed,
)
from core.evidence.words import TOO_FEW
from core.values import Answer, Group, ImageRecord, Match


def group(i: int, *, influence: float, confidence: float = 0.95) -> Group:
    record = ImageRecord(i, f"folder/{i}.png", "0" * 64, "0" * 16, 40, 30, title=f"Hills {i}")
    return Group(i, (i,), Match(record, 0.8, 1.0, i), 0.004, confidence, influence)


ONE, OTHER = group(1, influence=0.6), group(2, influence=0.3, confidence=0.7)
WEAK = group(3, influence=0.0)
BARE = replace(WEAK, p_value=None, confidence=None, influence=None)


def answer(*groups: Group, named: bool = True, **values: int | float | None) -> Answer:
    given = {"p_value": 0.004, "null_size": 800, "none": 0.1, **values}
    names = {"null_id": "n", "encoder": "e@1", "head": "h@1", "gallery": "g@1"}
    matches = tuple(one.best for one in groups)
    return Answer(matches=matches, groups=groups, named=named, **names, **given)


EXAMPLES: Mapping[Outcome, tuple[Answer, str]] = {
    "empty": (answer(p_value=None, named=False), "The gallery is empty"),
    "identical": (answer(ONE, identical=1), "Candidate source, the very same file"),
    "too few": (answer(BARE, p_value=None, named=False), TOO_FEW),
    "none": (answer(WEAK, p_value=0.4, named=False), "None stands out"),
    "one of": (
        answer(ONE, WEAK, named=False),
        "One of these, very likely: Hills 1; Hills 3",
    ),
    "named": (answer(ONE, OTHER), "2 candidate sources, probably"),
}


def test_the_confidence_shown_is_the_one_that_is_worded():
    """A mixture was "2 candidate sources, probably", and beside it stood 95 %."""
    assert confidence_of(answer(ONE, OTHER)) == 0.7
    assert confidence_of(answer(ONE, WEAK, named=False)) == 0.95
    assert confidence_of(answer(WEAK, p_value=0.4, named=False)) == WEAK.confidence
    assert confidence_of(answer(BARE, p_value=None, named=False)) is None
    assert confidence_of(answer(named=False)) is None


@pytest.mark.parametrize("table", [WORDS, EXAMPLES])
def test_every_outcome_has_an_entry(table: Mapping[Outcome, object]):
    assert set(table) == set(get_args(Outcome))


@pytest.mark.parametrize(
    ("table", "of"), [(LABELS, Kind), (COUNTED, Kind), (PAIRS, Pair), (PAIR_LABELS, Pair)]
)
def test_every_kind_has_different_words(table: Mapping[str, str], of: object):
    assert set(table) == set(get_args(of))
    assert len(set(table.values())) == len(table)


@pytest.mark.parametrize("found", EXAMPLES)
def test_an_answer_in_short_says_what_its_sentence_says(found: Outcome):
    given, told = EXAMPLES[found]
    assert outcome(given) == found
    assert in_short(given) == told
    assert told.partition(",")[0].rstrip(".").partition(" stands")[0] in sentence(given)


@pytest.mark.parametrize("found", EXAMPLES)
def test_what_is_not_named_says_why(found: Outcome):
    """An empty gallery was told to have too few different images."""
    given, _ = EXAMPLES[found]
    assert bool(why_unnamed(given)) != (kind_of(given) == "named")


@pytest.mark.parametrize(
    "words", ["One or more of these", "None of {these}", "The gallery is empty"]
)
def test_outcomes_are_worded_in_one_module(words: str):
    """The sentence stood in one module, and the few words of a table in another."""
    root = Path(core.__file__).parents[1]
    found = [
        path.relative_to(root).as_posix()
        for folder in ("core", "app")
        for path in (root / folder).rglob("*.py")
        if words in path.read_text(encoding="utf-8")
    ]
    assert found == ["core/evidence/outcomes.py"]
