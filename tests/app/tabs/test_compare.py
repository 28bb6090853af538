from __future__ import annotations

import html
import json
import shutil
from pathlib import Path

import gradio as gr
import pytest

from app.page.components import query_given
from app.page.events import Given
from app.page.state import open_page
from app.tabs.compare import layout
from app.tabs.compare.handlers import Handlers, side_names
from app.views import compare as views
from app.views.names import name_of
from core.report import words
from core.service import Choice, Session, compare_answers, compare_examples
from tests.app import tiny

NOBODY = gr.Request(session_hash="somebody0")


@pytest.fixture(scope="module")
def with_examples(gallery_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small gallery with two examples: one of known source, one of none."""
    folder = tmp_path_factory.mktemp("examples") / "gallery"
    shutil.copytree(gallery_folder, folder)
    queries = folder / "queries"
    queries.mkdir()
    tiny.draw(queries / "known.png", 3)
    tiny.draw(queries / "unrelated.png", 999)
    rows = [
        {"file": "known.png", "sources": [f"{tiny.NAMES[3]}.png"], "kind": "copy"},
        {"file": "unrelated.png", "sources": [], "kind": "none"},
    ]
    (queries / "queries.json").write_text(json.dumps({"queries": rows}))
    return folder


def handlers_of(session: Session, folder: Path) -> Handlers:
    with gr.Blocks():
        page = open_page(session, gallery=str(folder), encoder="random")
        image, starts = query_given(
            page, image_id="ws-compare-query", examples_id="ws-compare-starts"
        )
        choices = layout.lay_choices(page)
        which, found = layout.lay_matches()
        examples, differing, _ = layout.lay_examples(page)
        sides = [layout.Side(*c, *f) for c, f in zip(choices, found, strict=True)]
        column, agreement = gr.Column(), gr.HTML()
    table = layout.Table(image, starts, agreement, column, which, examples, differing)
    return Handlers(page, table, (sides[0], sides[1]))


def given(handlers: Handlers, image: Path | None, *, right: str = "histogram") -> Given:
    left_side, right_side = handlers.sides
    return {
        handlers.table.image: image and str(image),
        handlers.table.which: views.ALL,
        left_side.encoder: "random",
        left_side.head: "default",
        right_side.encoder: right,
        right_side.head: "default",
        handlers.page.gallery: handlers.page.start,
    }


@pytest.fixture(scope="module")
def handlers(session: Session, with_examples: Path) -> Handlers:
    return handlers_of(session, with_examples)


def test_both_sides_find_the_picture_and_say_so(handlers: Handlers, picture: Path):
    found, agreement, left, _, matches, others, column = handlers.search(
        given(handlers, picture), NOBODY
    )
    assert "Both rank the same image first" in agreement
    assert html.escape(words.sentence(found.answers[0], name=name_of)) in left
    assert matches[0][1].startswith("1 · cos 1.00\n")
    assert "\nboth · right 1\n" in matches[0][1]
    assert "\nboth · left 1\n" in others[0][1]
    assert column.visible


def test_choice_of_matches_leaves_the_common_or_the_others(handlers: Handlers, picture: Path):
    found = handlers.search(given(handlers, picture), NOBODY)[0]
    answer, comparison = found.answers[0], found.found
    both = views.shown_rows(answer, comparison, views.BOTH)
    one = views.shown_rows(answer, comparison, views.ONE)
    assert sorted([*both, *one]) == list(range(len(answer.matches)))
    assert len(both) == len(comparison.common)
    assert len(handlers.show(found, views.BOTH, NOBODY)[0] or []) == len(both)


def test_an_image_that_only_one_side_has_is_marked(
    session: Session, handlers: Handlers, picture: Path
):
    choices = [Choice(name, gallery=handlers.page.start) for name in ("random", "histogram")]
    one, two = (session.attribute(picture, choice, top=4) for choice in choices)
    captions = views.marked_captions(one, two, there="right")
    common = {*compare_answers(one, two).common}
    for match, caption in zip(one.matches, captions, strict=True):
        assert ("\nboth · right " in caption) == (match.image.id in common)
        assert ("\nonly here\n" in caption) == (match.image.id not in common)


def test_no_image_shows_the_empty_state(handlers: Handlers):
    found, agreement, *_, column = handlers.search(given(handlers, None), NOBODY)
    assert (found, column.visible) == (None, False)
    assert "ws-empty" in agreement


def test_bad_image_is_refused_in_words_and_goes(handlers: Handlers, tmp_path: Path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    with pytest.raises(gr.Error, match="not an image of an accepted kind"):
        handlers.search(given(handlers, bad), NOBODY)
    assert handlers.refused(str(bad))[0] is None


def test_examples_are_counted_where_the_truth_is_known(handlers: Handlers):
    table, wrong = handlers.over_examples(given(handlers, None), NOBODY)
    assert "Over 2 examples" in table
    assert "1 of 1" in table
    assert "Unrelated images answered with none" in table
    assert "Images of a known source answered with none" in table
    assert not wrong.visible


def test_gallery_without_examples_says_how_to_add_some(session: Session, gallery_folder: Path):
    handlers = handlers_of(session, gallery_folder)
    words, _ = handlers.over_examples(given(handlers, None), NOBODY)
    assert "queries.json" in words


def test_sides_are_told_apart_by_their_heads_where_these_differ():
    one, two = Choice("moco"), Choice("moco", "infomax")
    names = side_names((one, two))
    assert names[0] != names[1]
    assert "independent components" in names[1]
    assert "(" not in side_names((one, one))[0]


def test_a_clear_winner_is_named(session: Session, handlers: Handlers):
    examples = session.examples(Choice("random", gallery=handlers.page.start)).examples[:1]
    answers = session.example_answers(Choice("random", gallery=handlers.page.start))
    found = compare_examples(examples * 3, answers[:1] * 3, answers[1:] * 3)
    assert views.examples_headline(found, ("A", "B")).startswith("A ranks a true source")
    same = compare_examples(examples, answers[:1], answers[:1])
    assert "Neither is better" in views.examples_headline(same, ("A", "B"))
