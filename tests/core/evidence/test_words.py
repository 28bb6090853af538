"""Every outcome has one sentence; no rounding claims all or nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evidence.conclusion import outcome
from core.evidence.outcomes import sentence
from core.evidence.words import (
    ELSEWHERE,
    about_roles,
    about_scope,
    holding,
    missing,
    number,
    odds,
    percent,
    points,
    role_in,
    share,
    stands_out_by,
    sure_share,
    sureness,
    title_or_path,
    why_none,
)
from core.values import (
    Answer,
    Aspect,
    Group,
    ImageRecord,
    Match,
    Roles,
    Scale,
    Scope,
    Surroundings,
)


def group(i: int, *, influence: float, confidence: float = 0.9, title: str = "") -> Group:
    record = ImageRecord(i, f"folder/{i}.png", "0" * 64, "0" * 16, 40, 30, title=title)
    return Group(i, (i,), Match(record, 0.8, 1.0, i), 0.004, confidence, influence)


def answer(*groups: Group, **values: object) -> Answer:
    matches = tuple(one.best for one in groups)
    none = 1.0 - sum(one.influence for one in groups)
    numbers: dict[str, object] = {"p_value": 0.004, "null_size": 800, "named": True, **values}
    return Answer(
        matches=matches,
        groups=groups,
        none=none,
        null_id="null",
        encoder="e@1",
        head="h@1",
        gallery="g@1",
        **numbers,
    )


HILLS = group(1, influence=0.9, title="Hills")
LAKE = group(2, influence=0.05, title="Lake")
RIVAL = group(3, influence=0.0, title="Moor")
WEAK = group(4, influence=0.0, confidence=0.3)
NUMBERS = {"p_value": None, "confidence": None, "influence": None}
UNTOLD = Answer(
    **{
        **vars(answer(WEAK, null_size=12, named=False, p_value=None)),
        "groups": (Group(**{**vars(WEAK), **NUMBERS}),),
        "none": None,
    }
)


@pytest.mark.parametrize(
    ("found", "what", "words"),
    [
        (answer(), "empty", "The gallery is empty, so it holds no candidate source."),
        (
            UNTOLD,
            "too few",
            "This gallery has too few different images to tell a source from chance.",
        ),
        (answer(HILLS, identical=1), "identical", "Candidate source: Hills, the very same file."),
        (
            answer(LAKE, identical=2, p_value=None),
            "identical",
            "Candidate source: Lake, the very same file.",
        ),
        (
            answer(WEAK, named=False, prior=0.005),
            "none",
            "None of these images is likely to be a source at a prior of 0.5 %.",
        ),
        (
            answer(HILLS, RIVAL, named=False),
            "one of",
            "One of these is very likely a source: Hills; Moor.",
        ),
        (
            answer(HILLS, LAKE, RIVAL, named=False),
            "one of",
            "One or more of these are very likely sources: Hills; Lake.",
        ),
        (answer(HILLS, RIVAL), "named", "Candidate source, very likely: Hills."),
        (
            answer(HILLS, LAKE),
            "named",
            "2 candidate sources, very likely: Hills; Lake.",
        ),
    ],
)
def test_every_outcome_has_one_sentence(found: Answer, what: str, words: str):
    assert outcome(found) == what
    assert sentence(found) == words


def test_what_does_not_stand_out_is_told_from_what_is_unlikely():
    """A rare score with a low confidence was said not to stand out."""
    assert "None of these images stands out as a source" in sentence(answer(WEAK, p_value=0.3))
    assert "is likely to be a source" in sentence(answer(WEAK))


def test_a_gallery_that_cannot_tell_has_no_number_in_its_words():
    """Beside "too few different images" stood "over 99 %" and a p-value."""
    assert odds(UNTOLD) == "That takes 19 images, near-duplicates counted once; there are 12."
    assert missing(0) == "That takes 19 images, near-duplicates counted once."
    assert "%" not in sentence(UNTOLD) + odds(UNTOLD)
    assert (share(None), number(None)) == ("", "")


def test_an_empty_gallery_and_the_very_file_have_no_odds():
    assert odds(answer(p_value=None)) == ""
    assert "(p" not in odds(answer(HILLS, identical=1))


def test_an_image_without_a_title_is_called_by_its_path():
    assert title_or_path(WEAK.best.image) == "folder/4.png"
    assert title_or_path(HILLS.best.image) == "Hills"
    found = answer(group(5, influence=0.9))
    assert sentence(found, name=lambda image: f"#{image.id}").endswith(": #5.")


@pytest.mark.parametrize(
    ("p_value", "words"),
    [
        (0.002, "About 1 in 500 images without a source here stand out as far (p = 0.002)."),
        (0.29, "About 29 % of images without a source here stand out as far."),
        (0.994, "Nearly all images without a source here stand out as far."),
        (1.0, "Nearly all images without a source here stand out as far."),
        (
            1 / 801,
            "Fewer than 1 in 800 images without a source here stand out as far (p ≤ 0.0013).",
        ),
    ],
)
def test_odds_are_the_p_value_in_words(p_value: float, words: str):
    assert odds(answer(HILLS, p_value=p_value)) == words


def test_few_images_are_said_to_make_a_p_value_unsure():
    """Of 24 images, pictures without a source stood out three times as often as was said."""
    few = {"p_value": 0.04, "null_size": 24}
    assert odds(answer(HILLS, **few)).endswith("more images make this surer.")
    assert "fewer than 40 images" in odds(answer(HILLS, p_value=1 / 25, null_size=24))
    assert "surer" not in odds(answer(HILLS, p_value=0.3, null_size=24))
    assert "surer" not in odds(answer(HILLS, p_value=0.04, null_size=40))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0 %"),
        (0.0099, "under 1 %"),
        (0.5, "50 %"),
        (0.99, "99 %"),
        (0.9997, "over 99 %"),
        (1.0, "100 %"),
    ],
)
def test_no_rounded_share_claims_all_or_nothing(value: float, words: str):
    """Confidence 99.97 % was printed as 100 %."""
    assert share(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ""),
        (0.986, "98 %"),
        (0.99, "99 %"),
        (0.898, "89 %"),
        (0.497, "49 %"),
        (0.9997, "over 99 %"),
        (0.42, "42 %"),
    ],
)
def test_a_confidence_is_not_rounded_up_to_another_word(value: float | None, words: str):
    """ "Very likely" stood beside 99 %, from which it is "almost certainly"."""
    assert sure_share(value) == words


@pytest.mark.parametrize(("value", "words"), [(0.1, "10 %"), (0.00012, "0.012 %"), (0.5, "50 %")])
def test_a_small_probability_is_never_nothing(value: float, words: str):
    assert percent(value) == words


@pytest.mark.parametrize("p_value", [0.0, -0.1, 1.1])
def test_odds_refuse_what_is_no_p_value(p_value: float):
    with pytest.raises(ValueError, match="p_value"):
        odds(answer(HILLS, p_value=p_value))


@pytest.mark.parametrize(
    ("p_values", "wanted"),
    [
        ({}, ""),
        ({"pattern": 0.2, "edges": 0.06}, "Weak: edges, pattern."),
        ({"pattern": 0.2, "edges": 0.05}, "Some: edges; weak: pattern."),
        ({"pattern": 0.02, "edges": 0.01}, "Strong: edges; some: pattern."),
        ({"all together": 0.01, "edges": 0.02}, "Some: edges."),
        (
            {"all together": 0.01, "edges": 0.2},
            "It stands out in no single aspect, but by all of them together.",
        ),
        ({"a": 0.03, "b": 0.01, "c": 0.02, "d": 1.0}, "Strong: b; some: c, a; weak: d."),
    ],
)
def test_aspects_that_are_rare_by_themselves_are_told_the_rarest_first(p_values, wanted):
    aspects = tuple(Aspect(*each) for each in p_values.items())
    found = Group(**{**vars(HILLS), "aspects": aspects})
    assert stands_out_by(found, level=0.05) == wanted


@pytest.mark.parametrize(
    ("confidence", "word"),
    [(0.999, "almost certainly"), (0.95, "very likely"), (0.6, "probably"), (0.2, "perhaps")],
)
def test_confidence_has_a_word(confidence: float, word: str):
    assert sureness(confidence) == word


AROUND = Surroundings(images=800, holds="rendered still lifes", nearest=0.1, usual=0.6, nearer=1.0)


@pytest.mark.parametrize(
    ("nearer", "words"),
    [
        (
            1.0,
            "Yours is a picture of another kind: it is farther from its closest image here",
        ),
        (0.97, "farther from its closest image here than nearly all of these are from theirs."),
        (0.4, "Yours is of their kind: it is as close to them as they are to one another."),
    ],
)
def test_why_none_stands_out_is_measured(nearer: float, words: str):
    """94 of 94 photographs were answered with "none", and with no word why."""
    around = replace(AROUND, nearer=nearer)
    found = why_none(answer(WEAK, named=False, surroundings=around))
    assert found.startswith("This gallery holds 800 rendered still lifes. ")
    assert words in found


def test_nothing_is_said_of_why_where_a_source_is_found_or_nothing_is_known():
    assert why_none(answer(HILLS, surroundings=AROUND)) == ""
    assert why_none(answer(WEAK, named=False)) == ""
    assert holding(answer(WEAK, surroundings=replace(AROUND, holds=""))) == (
        "This gallery holds 800 images."
    )


@pytest.mark.parametrize(
    ("score", "shown"), [(-2.0, 0), (0.0, 0), (1.0, 25), (4.0, 100), (9.0, 100)]
)
def test_scores_are_shown_from_nothing_in_common_to_the_very_same(score: float, shown: int):
    match = replace(HILLS.best, score=score)
    found = answer(HILLS, scale=Scale(0.0, 4.0))
    assert points(match, found) == shown
    assert points(match, answer(HILLS)) is None
    assert points(match, answer(HILLS, identical=1)) == 100


@given(
    p_value=st.floats(1e-4, 1),
    confidences=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    influences=st.lists(st.floats(0, 1), min_size=6, max_size=6),
    named=st.booleans(),
)
def test_no_sentence_has_a_number_and_no_phrase_contradicts_itself(
    p_value: float, confidences: list[float], influences: list[float], named: bool
):
    """ "About over 99 %" was printed."""
    total = max(sum(influences), 1)
    groups = [
        replace(group(i, influence=influences[i] / total, title="Hills"), confidence=sure)
        for i, sure in enumerate(confidences)
    ]
    found = answer(*groups, p_value=p_value, named=named)
    said = sentence(found)
    assert not re.search(r"\d+ ?%", said)
    told = f"{said} {odds(found)} {why_none(found)}"
    assert not re.search(r"[Aa]bout (over|under|100 %|0 %)", told)
    assert told.count("%") <= 1


SCOPE = Scope("licence = CC0", "licence CC0", passing=212, images=800)


def test_what_a_filter_leaves_is_said_in_every_outcome():
    among = "among the 212 of 800 images with licence CC0"
    named = answer(HILLS, scope=SCOPE)
    assert sentence(named).startswith(f"Candidate source {among}, ")
    assert sentence(answer(HILLS, named=False, scope=SCOPE)).startswith(
        f"{among.capitalize()}, one"
    )
    none = sentence(answer(WEAK, named=False, scope=SCOPE))
    assert none.startswith("None of the 212 of 800 images with licence CC0 ")
    same = answer(HILLS, identical=HILLS.best.image.id, scope=SCOPE)
    assert sentence(same).startswith(f"Candidate source {among}: ")
    assert "among" not in sentence(answer(HILLS))


def test_a_filter_says_what_its_evidence_refers_to_and_what_it_hides():
    assert about_scope(answer(HILLS)) == ""
    found = about_scope(answer(HILLS, scope=SCOPE))
    assert "measured against the whole gallery" in found
    assert ELSEWHERE not in found
    hiding = answer(WEAK, named=False, surroundings=AROUND, scope=replace(SCOPE, outside=True))
    assert about_scope(hiding).endswith(ELSEWHERE)
    assert why_none(hiding) == ""


def test_two_roles_are_told_with_how_rare_each_is_and_one_source_is_not():
    found = answer(HILLS, RIVAL, roles=Roles(1, 3, 0.0061, 0.07))
    assert about_roles(found) == (
        "Its structure is nearest to Hills, its appearance to Moor: of images without a source "
        "here, at most 1 in 163 stand out as far in structure, and 1 in 14 in appearance."
    )
    assert [role_in(i, found) for i in (1, 3, 2)] == ["structure", "appearance", ""]
    assert about_roles(answer(HILLS, RIVAL)) == role_in(1, answer(HILLS)) == ""
