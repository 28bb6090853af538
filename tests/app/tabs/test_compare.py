from __future__ import annotations

import html
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.page.events import Given
from app.page.state import PageQuery, compared, open_page, side_names
from app.tabs.compare import layout
from app.tabs.compare.handlers import Handlers
from app.views import compare as views
from app.views import reasons
from app.views.names import name_of
from core.report import conclusion, outcomes
from core.service import Choice, Session, compare_answers, compare_examples
from core.values import Explanation
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
        table, sides, _ = layout.lay(page)
    return Handlers(page, table, sides)


def given(
    handlers: Handlers, image: Path | None, *, right: str = "histogram", where: str = ""
) -> Given:
    left_side, right_side = handlers.sides
    return {
        handlers.table.image: image and str(image),
        handlers.table.which: views.ALL,
        left_side.encoder: "random",
        left_side.head: "default",
        right_side.encoder: right,
        right_side.head: "default",
        handlers.page.gallery: handlers.page.start,
        handlers.page.filter: where,
    }


@pytest.fixture(scope="module")
def handlers(session: Session, with_examples: Path) -> Handlers:
    return handlers_of(session, with_examples)


def test_both_sides_find_the_picture_and_say_so(handlers: Handlers, picture: Path):
    found, first, agreement, left, _, matches, others, title, column = handlers.search(
        given(handlers, picture), NOBODY
    )
    assert first == found.answers[0].matches[0].image.id
    assert "Both rank the same image first" in agreement
    assert html.escape(outcomes.sentence(found.answers[0], name=name_of)) in left
    assert matches[0][1].startswith("1 · 100 of 100\n")
    assert "\nboth · right 1\n" in matches[0][1]
    assert "\nboth · left 1\n" in others[0][1]
    assert title == "### Candidate sources"
    assert column.visible


def test_a_comparison_is_of_the_filter_and_says_so(handlers: Handlers, picture: Path):
    """It looked at all images without a word of the filter that Attribute had."""
    values = given(handlers, picture, where="creator is not filled")
    found, _, agreement, *_ = handlers.search(values, NOBODY)
    assert f"Looked at 23 of {tiny.COUNT} images with no creator only." in agreement
    assert {choice.where for choice in found.choices} == {"creator is not filled"}
    assert handlers.refilter("compare", "", found, 1) == 2
    for tab, where in (("attribute", ""), ("compare", "creator is not filled")):
        assert handlers.refilter(tab, where, found, 1) == gr.skip()
    _, *shown = handlers.refused(str(picture), found)
    assert "This is the comparison before" in shown[2] and "images with no creator" in shown[2]
    assert "before: Random weights and" in shown[2] and shown[0] == gr.skip()


@pytest.mark.parametrize(
    ("sure", "title"),
    [
        ((True, True), "Candidate sources"),
        ((False, False), "Closest images"),
        ((True, False), "Candidate sources on the left only"),
        ((False, True), "Candidate sources on the right only"),
    ],
)
def test_matches_are_called_sources_only_where_some_stand_out(
    handlers: Handlers, picture: Path, sure: tuple[bool, bool], title: str
):
    answers = handlers.search(given(handlers, picture), NOBODY)[0].answers
    assert all(map(conclusion.has_sources, answers))
    none = [replace(answer, groups=(), none=1.0) for answer in answers]
    left, right = (a if own else n for a, n, own in zip(answers, none, sure, strict=True))
    assert views.both_title(left, right) == title


def test_choice_of_matches_leaves_the_common_or_the_others(handlers: Handlers, picture: Path):
    found = handlers.search(given(handlers, picture), NOBODY)[0]
    answer, comparison = found.answers[0], found.found
    both = views.shown_rows(answer, comparison, views.BOTH)
    one = views.shown_rows(answer, comparison, views.ONE)
    assert sorted([*both, *one]) == list(range(len(answer.matches)))
    assert len(both) == len(comparison.common)
    assert len(handlers.show(found, views.BOTH, NOBODY)[0] or []) == min(len(both), 12)


def test_both_sides_give_their_reasons_for_the_match_that_is_selected(
    handlers: Handlers, picture: Path
):
    found, first, *_ = handlers.search(given(handlers, picture), NOBODY)
    event: Any = SimpleNamespace(index=2)
    chosen, _ = handlers.on_right(found, views.ALL, event)
    assert chosen == found.answers[1].matches[2].image.id
    looked, _, levels, left, left_by, right, _ = handlers.explain(found, chosen, None, NOBODY)
    names = side_names(found.choices)
    for name, answer in zip(names, found.answers, strict=True):
        ids = [match.image.id for match in answer.matches]
        assert f"{name}: place {ids.index(chosen) + 1}" in looked
        assert f'<th scope="col">{name}' in levels
    assert "ws-side-by-side" in left and "ws-side-by-side" in right
    assert "ws-note" in left_by
    beyond: Any = SimpleNamespace(index=99)
    assert handlers.on_left(found, views.ONE, beyond)[0] is None
    assert handlers.on_left(None, views.ALL, event)[0] is None
    own = handlers.explain(found, first, None, NOBODY)[2]
    total = sum(p.value for p in _explained(handlers, found, first).score_parts)
    assert f"{total:+.2f}" in own


def test_marks_are_chosen_for_both_sides_and_a_side_without_them_says_so(
    handlers: Handlers, picture: Path
):
    found, first, *_ = handlers.search(given(handlers, picture), NOBODY)
    marked = handlers.explain(found, first, None, NOBODY)[1]
    choices = [name for name, _ in marked.choices]
    assert marked.visible and marked.value == choices[0] and choices[-1] == reasons.PLAIN
    assert reasons.PARTS in choices
    _, again, _, left, _, right, _ = handlers.explain(found, first, reasons.PARTS, NOBODY)
    assert again.value == reasons.PARTS
    assert "parts of the cosine highlighted" in left
    assert "Parts of the cosine: none here" in right, "a histogram has no places"
    assert handlers.explain(found, first, "gone", NOBODY)[1].value == choices[0]


def test_each_level_is_marked_on_both_sides(handlers: Handlers, picture: Path):
    """Level by level there was a table alone; the heat was that of the whole cosine."""
    found, first, *_ = handlers.search(given(handlers, picture, right="random"), NOBODY)
    levels = [
        reasons.reading_of_level(each) for each in _explained(handlers, found, first).level_parts
    ]
    marked = handlers.explain(found, first, None, NOBODY)[1]
    offered = [name for name, _ in marked.choices if name in levels]
    assert len(offered) > 1, "the very file stands out on every level"
    pairs = set[str]()
    for level in offered:
        _, again, _, left, _, right, _ = handlers.explain(found, first, level, NOBODY)
        assert again.value == level
        assert f"{level.lower()} highlighted" in left and f"{level.lower()} highlighted" in right
        pairs.add(left)
    whole = handlers.explain(found, first, reasons.PARTS, NOBODY)[3]
    assert len({*pairs, whole}) == len(offered) + 1, "each has heat of its own"


def _explained(handlers: Handlers, found: Any, image_id: int) -> Explanation:
    return handlers.page.session.explain(found.image, image_id, found.choices[0])


def test_a_comparison_is_given_as_files(handlers: Handlers, picture: Path):
    found = handlers.search(given(handlers, picture), NOBODY)[0]
    csv, whole = (Path(path).read_text() for path in handlers.export(found))
    lines = csv.splitlines()
    assert lines[0].startswith("id,path,title,left: Random weights rank,left: Random weights score")
    assert len(lines) == 1 + tiny.COUNT
    told = json.loads(whole)
    assert told["query"] == picture.name
    assert str(picture.parent) not in whole
    assert told["left"]["name"] == "Random weights"
    assert told["agreement"]["overlaps"]["1"] == 1.0
    assert [m["id"] for m in told["left"]["matches"]] == [
        match.image.id for match in found.answers[0].matches
    ]


def test_it_begins_with_an_image_where_nothing_was_asked(handlers: Handlers):
    name = handlers.page.start
    file, count = handlers.begin(name, "compare", None, None, 0, NOBODY)
    assert count == 1 and Path(file).is_file()
    for tab, image, asked in (
        ("map", None, None),
        ("compare", file, None),
        ("compare", None, PageQuery(file, "random")),
    ):
        assert handlers.begin(name, tab, image, asked, 1, NOBODY) == (gr.skip(),) * 2
    assert handlers.begin(name, "compare", None, PageQuery(None, "random"), 1, NOBODY)[1] == 2


@pytest.mark.parametrize(
    ("names", "told", "pair"),
    [
        (["lite0", "dino", "moco"], None, ("moco", "dino")),
        (["lite0", "dino", "moco", "mocov3-vits"], None, ("mocov3-vits", "dino")),
        (["dino", "moco", "mocov3-vits", "dino-vits16"], None, ("mocov3-vits", "dino-vits16")),
        (["lite0", "dino", "moco"], "lite0", ("lite0", "dino")),
        (["lite0", "histogram"], None, ("lite0", "histogram")),
        (["histogram"], None, ("histogram", "histogram")),
    ],
)
def test_moco_is_compared_with_dino_where_both_are_there(
    handlers: Handlers, names: list[str], told: str | None, pair: tuple[str, str]
):
    page = replace(handlers.page, insisted=told is not None, encoder=told or "lite0")
    assert compared(page, names) == pair
    assert compared(page, names, left=names[-1])[0] == names[-1]


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
    found, first, agreement, *_, column = handlers.search(given(handlers, None), NOBODY)
    assert (found, first, column.visible) == (None, None, False)
    assert handlers.explain(found, first, None, NOBODY) == tuple(gr.skip() for _ in range(7))
    assert "ws-empty" in agreement


def test_bad_image_is_refused_in_words_and_goes(handlers: Handlers, tmp_path: Path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    with pytest.raises(gr.Error, match="not an image of an accepted kind"):
        handlers.search(given(handlers, bad), NOBODY)
    assert handlers.refused(str(bad), None)[0] is None


def test_examples_are_counted_where_the_truth_is_known(handlers: Handlers):
    table, wrong, *files = handlers.over_examples(given(handlers, None), NOBODY)
    assert "Over 2 examples" in table
    assert "The gallery has" not in table
    assert "1 of 1" in table
    assert "Unrelated images answered with none" in table
    assert "Images of a known source answered with none" in table
    assert "Random weights less Baseline: histogram: +0.00 (+0.00 to +0.00)" in table
    assert not wrong.visible
    csv, whole = (Path(button.value["path"]).read_text() for button in files)
    assert csv.splitlines()[0] == "measure,side,value,low,high,examples"
    assert "a source among the first 1,left: Random weights,1.0," in csv
    assert json.loads(whole)["examples"] == 2


def test_examples_that_are_not_counted_are_told(
    session: Session, with_examples: Path, tmp_path: Path
):
    """Map said 31 generated examples and Compare 30, and neither why."""
    folder = shutil.copytree(with_examples, tmp_path / "gallery")
    listing = folder / "queries" / "queries.json"
    rows = json.loads(listing.read_text())["queries"]
    rows.append({**rows[0], "chosen": True})
    listing.write_text(json.dumps({"queries": rows}))
    handlers = handlers_of(session, folder)
    table, *_ = handlers.over_examples(given(handlers, None), NOBODY)
    assert "Over 2 examples" in table
    assert "The gallery has 3 examples: 1 of them was made to show an answer" in table


def test_gallery_without_examples_says_how_to_add_some(session: Session, gallery_folder: Path):
    handlers = handlers_of(session, gallery_folder)
    words, *_ = handlers.over_examples(given(handlers, None), NOBODY)
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
