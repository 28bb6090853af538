"""Many trials come to shares by way and to how often each word for a confidence was right."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from core.evidence.outcomes import NONE
from core.service.selftest import Trial
from core.service.trials import (
    Claim,
    Tally,
    Verdict,
    by_confidence,
    by_way,
    tally_of,
    verdict_of,
)
from core.values import Answer, Group, ImageRecord, Match


def record(number: int) -> ImageRecord:
    return ImageRecord(number, f"{number}.png", "0" * 64, "0" * 16, 8, 8)


def answer(*groups: tuple[int, float, float]) -> Answer:
    """An answer whose groups are images by number, confidence and influence."""
    found = [
        Group(n, (n,), Match(record(n), 0.5, 1.0, n), 0.01, sure, share)
        for n, sure, share in groups
    ]
    return Answer(tuple(g.best for g in found), tuple(found), 0.1, 0.01, "null")


def trial(present: Answer, absent: Answer, *, partner: int | None = None) -> Trial:
    taken = None if partner is None else record(partner)
    return Trial("blend", 0.5, record(9), taken, Image.new("RGB", (8, 8)), present, absent)


def test_a_verdict_says_what_both_answers_claim_and_whether_they_are_right():
    found = verdict_of(
        trial(answer((9, 0.97, 0.9), (1, 0.2, 0.0)), answer((1, 0.6, 0.8), (2, 0.1, 0.0)))
    )
    assert (found.found, found.first, found.false) == (True, True, True)
    assert (found.confidence, found.p_value) == (0.97, 0.01)
    assert found.claims == (
        Claim("very likely", True, 0.97),
        Claim("probably", False, 0.6),
    )


def test_the_image_that_was_mixed_in_is_right_and_counted_apart():
    """Blended to the end, recall was 0 of 2 beside "almost certainly: 2 times, 2 right"."""
    both = trial(answer((4, 0.8, 0.5), (9, 0.7, 0.4)), answer((4, 0.9, 0.9)), partner=4)
    found = verdict_of(both)
    assert (found.found, found.first, found.false) == (True, False, False)
    assert found.confidence == 0.7
    assert [(claim.right, claim.partner) for claim in found.claims] == [(True, False), (True, True)]
    assert [(b.right, b.partner) for b in by_confidence([found])] == [(1, 1), (1, 0)]


def test_an_answer_without_a_source_is_right_where_none_is_there():
    """They were counted as what is said "perhaps", a word that no such answer has."""
    nothing = answer((1, 0.02, 0.0), (2, 0.01, 0.0))
    for partner, right in ((None, [False, True]), (4, [False, False])):
        found = verdict_of(trial(nothing, replace(nothing), partner=partner))
        assert [claim.right for claim in found.claims] == right
        (band,) = by_confidence([found])
        assert (band.word, band.claims, band.right, band.mean) == (NONE, 2, sum(right), None)


def test_of_several_sources_that_are_named_all_must_have_taken_part():
    two = replace(answer((9, 0.9, 0.5), (1, 0.8, 0.4)), named=True)
    assert [c.right for c in verdict_of(trial(two, two)).claims] == [False, False]
    (one_of, _) = verdict_of(trial(replace(two, named=False), two)).claims
    assert one_of == Claim("very likely", True, 0.9)


def test_where_nothing_can_be_told_there_is_no_claim():
    bare = Answer((), (), None, None, "null")
    found = verdict_of(trial(bare, bare))
    assert found.claims == ()
    assert found.confidence is None
    assert by_confidence([found]) == []


def verdict(way: str, *, found: bool, false: bool = False, claims: tuple[Claim, ...] = ()):
    return Verdict(way, 0.5, found, found, false, 0.9, 0.01, claims)


def test_shares_are_by_way_in_their_order_and_add_up():
    verdicts = [
        verdict("paste", found=True),
        verdict("blend", found=False, false=True),
        verdict("paste", found=False),
    ]
    assert list(by_way(verdicts)) == ["paste", "blend"]
    assert by_way(verdicts)["paste"] == Tally(2, 1, 1, 0)
    assert tally_of(verdicts) == Tally(3, 1, 1, 1)


def test_words_for_confidence_are_held_against_the_outcome():
    claims = (
        Claim(NONE, True),
        Claim("almost certainly", True, 0.999),
        Claim("very likely", True, 0.95),
        Claim("very likely", False, 0.93),
    )
    bands = by_confidence([verdict("paste", found=True, claims=claims)])
    assert [(b.word, b.claims, b.right) for b in bands] == [
        ("almost certainly", 1, 1),
        ("very likely", 2, 1),
        (NONE, 1, 1),
    ]
    assert bands[1].mean == pytest.approx(0.94)
