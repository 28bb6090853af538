"""What is known of an example is said in its caption and beside the answer, failures too."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.views.answer import answer_html
from app.views.stated_sources import known_sources, made_from
from core.service import Example
from core.values import Answer
from tests.app.made import answer, group

HILLS, LAKE = group(1, influence=0.9, title="Hills"), group(2, influence=0.0, title="Lake")
RECORDS = (HILLS.best.image, LAKE.best.image)
NONE = answer(group(1, influence=0.0, title="Hills"), LAKE, none=1.0, named=False, p_value=0.3)


def example(*sources: str) -> Example:
    return Example(Path("q.webp"), sources, "mixed")


def test_a_caption_says_of_what_an_example_was_made():
    hills, lake = (record.path for record in RECORDS)
    assert made_from(example(hills, lake), RECORDS) == "Made from Hills and from Lake"
    assert made_from(example(), RECORDS) == "Made from no image of this gallery"
    assert "no longer in this gallery" in made_from(example("gone.webp"), RECORDS)


@pytest.mark.parametrize(
    ("sources", "found", "said"),
    [
        (["image-1"], answer(HILLS, LAKE, none=0.1), "Known source: found first."),
        (
            ["image-2"],
            answer(HILLS, LAKE, none=0.1),
            "Known source: not found: Lake, at place 2, is too weak to count.",
        ),
        (
            ["image-1", "image-2"],
            answer(HILLS, LAKE, none=0.1),
            "Known sources: 1 of 2 found; not found: Lake, at place 2, is too weak to count.",
        ),
        (["image-2"], answer(HILLS, none=0.1), "Known source: not found: Lake."),
        (
            ["image-1", "image-2"],
            answer(HILLS, group(2, influence=0.3, title="Lake"), none=0.1),
            "Known sources: both found.",
        ),
        ([], NONE, "Known source: none in this gallery, and none is named."),
        (
            [],
            answer(HILLS, none=0.1),
            "Known source: none in this gallery, and 1 image named.",
        ),
    ],
)
def test_an_answer_is_held_against_what_is_known(sources: list[str], found: Answer, said: str):
    """A mixture of two was answered with one of them, and nothing on the page said so."""
    paths = {record.path.partition(".")[0].rpartition("/")[2]: record.path for record in RECORDS}
    assert known_sources(example(*map(paths.__getitem__, sources)), found, RECORDS) == said
    assert said in answer_html(found, known=said)


def test_nothing_is_said_of_what_is_no_example():
    found = answer(HILLS, none=0.1)
    assert known_sources(None, found, RECORDS) == ""
    assert "Known source" not in answer_html(found)
