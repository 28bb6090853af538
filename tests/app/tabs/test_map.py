from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from app.page.state import Marked, PageQuery, open_page
from app.tabs.map.cards import Cards, Drawn, rows_of
from app.tabs.map.handlers import Handlers
from app.tabs.map.layout import lay
from app.views.scene import DENSITY, DOMAIN, MEANS
from core.service import Session
from core.values import Cancelled
from tests.app import small, tiny

PAGE: Any = SimpleNamespace(session_hash="page-0001")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("map"))


@pytest.fixture
def handlers(session: Session, folder: Path) -> Iterator[Handlers]:
    with gr.Blocks():
        page = open_page(session, gallery=str(folder), encoder="random")
        cards = Cards(session)
        yield Handlers(page, lay(page, cards.peek, cards.pictures), cards)


def draw(handlers: Handlers, **changes: object) -> dict[Any, Any]:
    tab = handlers.tab
    given = {
        tab.encoder: changes.get("encoder", "random"),
        tab.head: changes.get("head", "default"),
        tab.level: changes.get("level", ""),
        tab.second: changes.get("second", ""),
        tab.other_level: changes.get("other_level", ""),
        tab.colour: changes.get("colour", DOMAIN),
        tab.image: changes.get("image"),
        tab.state: changes.get("state"),
        handlers.page.marked: changes.get("marked"),
        handlers.page.gallery: handlers.page.start,
    }
    return handlers.draw(given, PAGE, lambda *_, **__: None)  # pyright: ignore[reportArgumentType]


def event(payload: object) -> gr.EventData:
    return gr.EventData(None, payload)


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_the_map_holds_every_image_and_example(handlers: Handlers):
    shown = draw(handlers)
    value = shown[handlers.tab.map]
    assert value["n"] == small.COUNT
    assert json.loads(json.dumps(value)) == {
        **value,
        "links": [list(e) for e in value["links"]],
        "marks": [list(e) for e in value["marks"]],
    }
    x, y = (floats(value["panels"][0][axis]) for axis in "xy")
    assert len(x) == len(y) == small.COUNT + 2
    assert min(x[: small.COUNT].min(), y[: small.COUNT].min()) >= 0
    assert max(x[: small.COUNT].max(), y[: small.COUNT].max()) <= 1
    assert value["links"] == [(0, 3)]
    known = np.array([x[small.COUNT], y[small.COUNT]])
    np.testing.assert_allclose(known, [x[3], y[3]], atol=1e-3)  # the same picture as its source
    assert [entry["count"] for entry in value["legend"]] == [small.COUNT, 2]


def test_two_encoders_share_one_selection(handlers: Handlers):
    value = draw(handlers, second="histogram")[handlers.tab.map]
    titles = [panel["title"] for panel in value["panels"]]
    assert titles[1] == "Baseline: histogram"
    assert value["panels"][0]["x"] != value["panels"][1]["x"]


def test_a_second_encoder_that_is_left_out_is_told(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
):
    """One map was drawn where two had been asked for, without a word."""
    told: list[str] = []
    monkeypatch.setattr(gr, "Info", lambda words, **_: told.append(words))
    assert len(draw(handlers, second="histogram")[handlers.tab.map]["panels"]) == 2
    assert told == []
    assert len(draw(handlers, second="dino-vits16")[handlers.tab.map]["panels"]) == 1
    assert "does not describe this gallery yet" in told[0]


def test_two_levels_of_an_encoder_lie_side_by_side(handlers: Handlers, tmp_path: Path):
    """Encoders alone could be put beside one another."""
    image = str(tiny.draw(tmp_path / "mine.png", 7))
    shown = draw(handlers, level="pattern", other_level="subject", image=image, colour=MEANS)
    drawn, panels = shown[handlers.tab.state], shown[handlers.tab.map]["panels"]
    whole = draw(handlers)[handlers.tab.map]["panels"][0]
    encoder = whole["title"]
    assert [panel["title"] for panel in panels] == [f"{encoder} · pattern", f"{encoder} · subject"]
    assert len({panel["x"] for panel in (*panels, whole)}) == 3
    assert all(panel["you"] for panel in panels)
    assert drawn.level == "pattern"
    assert sum(drawn.dims) < handlers.session.workspace(drawn.choice).head.dim
    assert f"{encoder} · subject" in shown[handlers.tab.moved_words]
    assert list(drawn.nearest) == [encoder], "what is nearest is by all levels, and told once"
    with pytest.raises(gr.Error, match="no level 'pattern'"):
        draw(handlers, encoder="histogram", level="pattern")


def test_a_factor_colours_the_points_and_its_groups_can_be_chosen(handlers: Handlers):
    shown = draw(handlers, colour="factor:colour")
    legend = shown[handlers.tab.map]["legend"]
    assert {entry["name"]: entry["count"] for entry in legend} == {
        "red": 4,
        "green": 4,
        "blue": 4,
        "Generated examples": 2,
    }
    drawn = shown[handlers.tab.state]
    chosen = handlers.linked.choose(drawn, "green")
    rows = [row for row in range(small.COUNT) if row % 3 == 1]
    assert chosen[handlers.tab.map]["chosen"] == rows
    assert len(chosen[handlers.tab.chosen].value) == 4
    assert "4 gallery images selected; all green." in chosen[handlers.tab.words]


@pytest.mark.parametrize("colour", [DENSITY, MEANS])
def test_clusters_cover_every_image(handlers: Handlers, colour: str):
    drawn = draw(handlers)[handlers.tab.state]
    shown = handlers.recolour(drawn, colour, PAGE)
    legend = shown[handlers.tab.map]["legend"]
    assert sum(entry["count"] for entry in legend) == small.COUNT + 2
    assert shown[handlers.tab.map]["ticket"] == drawn.drawing.ticket


def test_recolouring_keeps_the_selection(handlers: Handlers):
    drawn = draw(handlers)[handlers.tab.state]
    sent = event({"ticket": drawn.drawing.ticket, "rows": [5, 3]})
    selected = handlers.linked.select(drawn, sent)[handlers.tab.state]
    shown = handlers.recolour(selected, "factor:colour", PAGE)
    assert shown[handlers.tab.map]["chosen"] == [3, 5]


def test_a_second_encoder_and_an_image_keep_the_selection(handlers: Handlers, tmp_path: Path):
    """A map that was laid out again had forgotten what was selected on it."""
    drawn = draw(handlers)[handlers.tab.state]
    rows = [3, small.COUNT + 1]
    sent = event({"ticket": drawn.drawing.ticket, "rows": rows})
    selected = handlers.linked.select(drawn, sent)[handlers.tab.state]
    image = tiny.draw(tmp_path / "mine.png", 7)
    shown = draw(handlers, state=selected, second="histogram", image=str(image))
    assert shown[handlers.tab.map]["chosen"] == rows
    assert "1 gallery image and 1 generated example selected" in shown[handlers.tab.words]


def test_a_failure_drops_an_image_that_cannot_be_opened_and_no_other(
    handlers: Handlers, tmp_path: Path
):
    """A bad file stayed in its place, and every later map failed on it."""
    (tmp_path / "bad.png").write_text("no image")
    good = tiny.draw(tmp_path / "good.png", 7)
    assert handlers.refused(str(tmp_path / "bad.png")) is None
    assert handlers.refused(str(good)) == handlers.refused(None) == gr.skip()


def test_a_selection_can_be_downloaded(handlers: Handlers):
    drawn = draw(handlers)[handlers.tab.state]
    rows = [3, small.COUNT]
    found = handlers.linked.select(drawn, event({"ticket": drawn.drawing.ticket, "rows": rows}))
    table = Path(found[handlers.tab.table].value["path"]).read_text()
    read = list(csv.DictReader(io.StringIO(table)))
    assert [row["file"] for row in read] == ["picture-03.png", "known.png"]
    assert [row["domain"] for row in read] == ["gallery", "generated"]
    assert read[0]["colour"] == "red"
    nothing = handlers.linked.select(drawn, event({"ticket": drawn.drawing.ticket, "rows": []}))
    assert not nothing[handlers.tab.table].visible
    assert "Nothing is selected" in nothing[handlers.tab.words]


@pytest.mark.parametrize(
    "change",
    [
        {"ticket": "another"},
        {"rows": [0, 10**9]},
        {"rows": [-1]},
        {"rows": ["0"]},
        {"rows": [True]},
        {"rows": [0.5]},
        {"rows": "0"},
        {"rows": None},
        {"rows": [0] * 1000},
    ],
)
def test_selections_that_are_none_are_refused(handlers: Handlers, change: dict[str, object]):
    drawing = draw(handlers)[handlers.tab.state].drawing
    good = {"ticket": drawing.ticket, "rows": [1, 1, 0]}
    assert rows_of(good, drawing) == [0, 1]
    with pytest.raises(gr.Error):
        rows_of({**good, **change}, drawing)
    for payload in (None, [], "x"):
        with pytest.raises(gr.Error):
            rows_of(payload, drawing)


def test_an_image_is_placed_among_its_nearest(handlers: Handlers, tmp_path: Path):
    image = tiny.draw(tmp_path / "mine.png", 7)
    shown = draw(handlers, image=str(image))
    you = shown[handlers.tab.map]["panels"][0]["you"]
    assert you["near"][0] == 7
    panel = shown[handlers.tab.map]["panels"][0]
    np.testing.assert_allclose(you["at"], [floats(panel[axis])[7] for axis in "xy"], atol=1e-3)
    assert r"nearest is picture\-07" in shown[handlers.tab.near]
    near = shown[handlers.tab.neighbours].value
    assert len(near) == 8
    assert near[0]["caption"].startswith("100 of 100\npicture-07")


def test_a_bad_image_is_refused_in_words(handlers: Handlers, tmp_path: Path):
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(gr.Error, match="not an image of an accepted kind"):
        draw(handlers, image=str(tmp_path / "bad.png"))


def test_a_card_shows_a_point_of_a_map_that_was_drawn(handlers: Handlers):
    drawn = draw(handlers, colour="factor:colour")[handlers.tab.state]
    ticket = drawn.drawing.ticket
    card = handlers.cards.peek({"ticket": ticket, "row": 4})
    assert card is not None
    assert (card["name"], card["note"]) == ("picture-04", "green")
    assert card["picture"].startswith("data:image/webp;base64,")
    example = handlers.cards.peek({"ticket": ticket, "row": small.COUNT})
    assert example is not None
    assert example["note"] == "Generated, patch synthesis: 1 known source"


@pytest.mark.parametrize("row", [-1, small.COUNT + 2, "0", None, True, 1.0])
def test_cards_answer_for_no_other_points(handlers: Handlers, row: object):
    ticket = draw(handlers)[handlers.tab.state].drawing.ticket
    assert handlers.cards.peek({"ticket": ticket, "row": row}) is None
    assert handlers.cards.peek({"ticket": "guess", "row": 0}) is None
    assert handlers.cards.peek(["row"]) is None


def test_stopping_leaves_the_page_as_it_was(handlers: Handlers, monkeypatch: pytest.MonkeyPatch):
    def stopped(*_: object, **__: object) -> None:
        raise Cancelled

    monkeypatch.setattr(handlers.session, "layout", stopped)
    with pytest.raises(gr.Error, match="draw it again"):
        draw(handlers)


def test_drawn_is_what_the_state_holds(handlers: Handlers):
    assert isinstance(draw(handlers)[handlers.tab.state], Drawn)
    assert handlers.cleared()[handlers.tab.map] is None
    assert Handlers.wanted(None, 2, None, None, "a") == 3
    assert Handlers.wanted(None, 2, PageQuery("a.png", "random"), None, "a") == gr.skip()


def test_a_map_of_the_gallery_that_was_open_before_is_drawn_anew(handlers: Handlers):
    drawn = draw(handlers)[handlers.tab.state]
    assert Handlers.wanted(drawn, 2, None, None, drawn.choice.gallery) == gr.skip()
    assert Handlers.wanted(drawn, 2, None, None, "another") == 3


def test_nothing_is_drawn_while_another_tab_is_open(handlers: Handlers):
    given = {handlers.page.tab: "attribute"}
    assert handlers.follow(given, gr.Request()) == {handlers.tab.near: gr.skip()}


def test_what_another_tab_points_at_is_marked_where_its_image_is_asked(
    handlers: Handlers, tmp_path: Path
):
    image = str(tiny.draw(tmp_path / "mine.png", 7))
    marked = Marked(5, image, "Candidate source", 1)
    shown = draw(handlers, image=image, marked=marked)
    value = shown[handlers.tab.map]
    assert value["marked"] == {"row": 5, "label": "Candidate source", "id": 1}
    assert ("ring", "Candidate source") in value["marks"]
    drawn, start = shown[handlers.tab.state], handlers.page.start
    again = Marked(6, image, "Close image", 2)
    assert handlers.mark(drawn, again, image, start)[1]["marked"]["row"] == 6
    for other in ((marked, image), (again, "another.png"), (None, image)):
        assert handlers.mark(drawn, *other, start) == (gr.skip(), gr.skip())
    assert handlers.mark(drawn, again, image, "another") == (gr.skip(), gr.skip())


def test_what_was_made_from_all_selected_gallery_images_is_asked(handlers: Handlers):
    tab, page = handlers.tab, handlers.page
    drawn = draw(handlers)[tab.state]
    assert not handlers.linked.selected(drawn, [3])[tab.made].visible
    several = handlers.linked.selected(drawn, [2, 5, small.COUNT])
    assert several[tab.made].visible
    asked = handlers.linked.seek(several[tab.state], None)
    assert asked[page.sought].image_ids == (2, 5), "an example is no image of the gallery"
    assert asked[tab.go] == "Attribute/Reverse"
    only_examples = handlers.linked.selected(drawn, [small.COUNT])
    with pytest.raises(gr.Error, match="select 1 to 24 gallery images"):
        handlers.linked.seek(only_examples[tab.state], None)


def test_an_image_is_asked_about_from_the_map(handlers: Handlers):
    tab, page = handlers.tab, handlers.page
    drawn = draw(handlers)[tab.state]

    def ask(payload: object) -> dict[Any, Any]:
        return handlers.linked.ask(drawn, None, "random", PAGE, event(payload))

    near = ask({"act": "near", "row": 4})
    assert len(near[tab.map]["chosen"]) == small.COUNT  # it and its eleven nearest
    assert r"Selected with picture\-04" in near[tab.words]
    made = ask({"act": "made", "row": 4})
    assert made[page.sought].image_ids == (4,)
    assert made[tab.go] == "Attribute/Reverse"
    came = ask({"act": "ask", "row": small.COUNT})
    assert Path(came[page.asked].image).name == "known.png"
    for payload in (
        {"act": "ask", "row": 0},
        {"act": "made", "row": small.COUNT},
        {"act": "near", "row": -1},
        {"act": "near", "row": True},
        {"act": "drop", "row": 0},
        None,
    ):
        with pytest.raises(gr.Error):
            ask(payload)


def test_one_selected_image_shows_its_record_and_several_what_they_share(handlers: Handlers):
    tab = handlers.tab
    drawn = draw(handlers)[tab.state]

    def select(rows: list[int]) -> dict[Any, Any]:
        sent = event({"ticket": drawn.drawing.ticket, "rows": rows})
        return handlers.linked.select(drawn, sent)

    one = select([4])
    assert "picture-04" in one[tab.point].value
    assert not one[tab.shared].visible
    several = select([1, 4, 7])
    assert not several[tab.point].visible
    assert "green" in several[tab.shared].value
    picked = handlers.linked.pick(several[tab.state], gr.SelectData(None, {"index": 1, "value": 0}))
    assert picked[tab.map]["chosen"] == [4]


def test_two_encoders_say_what_moved_and_an_encoder_beside_itself_moves_nothing(handlers: Handlers):
    tab = handlers.tab
    shown = draw(handlers, second="histogram")
    assert "would share" in shown[tab.moved_words]
    assert len(shown[tab.movers].value) == small.COUNT
    same = draw(handlers, second="random")
    assert "100 % on average" in same[tab.moved_words]


def test_small_pictures_are_given_of_gallery_images_alone(handlers: Handlers):
    ticket = draw(handlers)[handlers.tab.state].drawing.ticket
    found = handlers.cards.pictures({"ticket": ticket, "rows": [0, 5]})
    assert found is not None
    assert all(each.startswith("data:image/webp") for each in found)
    for rows in ([small.COUNT], [-1], ["0"], [True], 0, None, [0] * 65):
        assert handlers.cards.pictures({"ticket": ticket, "rows": rows}) is None
    assert handlers.cards.pictures({"ticket": "guess", "rows": [0]}) is None
