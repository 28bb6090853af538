from __future__ import annotations

import base64
import csv
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from app import views_map
from app.common import Asked, open_page
from app.stops import Stops
from app.tabs import map as map_tab
from app.tabs.map_desk import NONE, Cards, Desk, Drawn, rows_of
from app.views_map import Drawing, Groups, Panel, Scene
from core.gallery.examples import Example
from core.service.session import Session
from core.values import Cancelled, ImageRecord
from tests.app import small, tiny

PAGE: Any = SimpleNamespace(session_hash="page-0001")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("map"))


@pytest.fixture
def desk(session: Session, folder: Path) -> Iterator[Desk]:
    with gr.Blocks():
        page = open_page(session, gallery=str(folder), encoder="random")
        cards = Cards(session)
        yield Desk(page, map_tab.lay(page, cards), cards)


def draw(desk: Desk, **changes: object) -> dict[Any, Any]:
    tab = desk.tab
    given = {
        tab.encoder: changes.get("encoder", "random"),
        tab.head: changes.get("head", "default"),
        tab.beside: changes.get("beside", NONE),
        tab.colour: changes.get("colour", views_map.DOMAIN),
        tab.image: changes.get("image"),
        tab.state: changes.get("state"),
        tab.state: changes.get("state"),
        desk.page.gallery: desk.page.start,
    }
    return desk.draw(given, PAGE, lambda *_, **__: None)  # pyright: ignore[reportArgumentType]


def event(payload: object) -> gr.EventData:
    return gr.EventData(None, payload)


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_the_map_holds_every_image_and_example(desk: Desk):
    shown = draw(desk)
    value = shown[desk.tab.map]
    assert value["n"] == small.COUNT
    assert json.loads(json.dumps(value)) == {**value, "links": [list(e) for e in value["links"]]}
    x, y = (floats(value["panels"][0][axis]) for axis in "xy")
    assert len(x) == len(y) == small.COUNT + 2
    assert min(x[: small.COUNT].min(), y[: small.COUNT].min()) >= 0
    assert max(x[: small.COUNT].max(), y[: small.COUNT].max()) <= 1
    assert value["links"] == [(0, 3)]
    known = np.array([x[small.COUNT], y[small.COUNT]])
    np.testing.assert_allclose(known, [x[3], y[3]], atol=1e-3)  # the same picture as its source
    assert [entry["count"] for entry in value["legend"]] == [small.COUNT, 2]


def test_two_encoders_share_one_selection(desk: Desk):
    value = draw(desk, beside="histogram")[desk.tab.map]
    titles = [panel["title"] for panel in value["panels"]]
    assert titles[1] == "Baseline: histogram"
    assert value["panels"][0]["x"] != value["panels"][1]["x"]


def test_a_factor_colours_the_points_and_its_groups_can_be_chosen(desk: Desk):
    shown = draw(desk, colour="factor:colour")
    legend = shown[desk.tab.map]["legend"]
    assert {entry["name"]: entry["count"] for entry in legend} == {
        "red": 4,
        "green": 4,
        "blue": 4,
        "Generated examples": 2,
    }
    drawn = shown[desk.tab.state]
    chosen = desk.choose(drawn, "green")
    rows = [row for row in range(small.COUNT) if row % 3 == 1]
    assert chosen[desk.tab.map]["chosen"] == rows
    assert len(chosen[desk.tab.chosen].value) == 4
    assert "4 gallery images selected; all green." in chosen[desk.tab.words]


@pytest.mark.parametrize("colour", [views_map.DENSITY, views_map.MEANS])
def test_clusters_cover_every_image(desk: Desk, colour: str):
    drawn = draw(desk)[desk.tab.state]
    shown = desk.recolour(drawn, colour, PAGE)
    legend = shown[desk.tab.map]["legend"]
    assert sum(entry["count"] for entry in legend) == small.COUNT + 2
    assert shown[desk.tab.map]["ticket"] == drawn.drawing.ticket


def test_recolouring_keeps_the_selection(desk: Desk):
    drawn = draw(desk)[desk.tab.state]
    sent = event({"ticket": drawn.drawing.ticket, "rows": [5, 3]})
    selected = desk.select(drawn, sent)[desk.tab.state]
    shown = desk.recolour(selected, "factor:colour", PAGE)
    assert shown[desk.tab.map]["chosen"] == [3, 5]


def test_a_second_encoder_and_an_image_keep_the_selection(desk: Desk, tmp_path: Path):
    """A map that was laid out again had forgotten what was selected on it."""
    drawn = draw(desk)[desk.tab.state]
    rows = [3, small.COUNT + 1]
    sent = event({"ticket": drawn.drawing.ticket, "rows": rows})
    selected = desk.select(drawn, sent)[desk.tab.state]
    image = tiny.draw(tmp_path / "mine.png", 7)
    shown = draw(desk, state=selected, beside="histogram", image=str(image))
    assert shown[desk.tab.map]["chosen"] == rows
    assert "1 gallery image and 1 generated example selected" in shown[desk.tab.words]


def test_a_selection_follows_images_that_moved_and_drops_those_that_left():
    old, new = (Scene(tuple(record(i) for i in ids), ()) for ids in ((0, 1, 2), (2, 0)))
    drawing = Drawing("t", old, (), Groups(("all",), (0, 0, 0)), chosen=[1, 2])
    assert views_map.kept_rows(drawing, new) == [0]


def test_a_failure_drops_an_image_that_cannot_be_opened_and_no_other(desk: Desk, tmp_path: Path):
    """A bad file stayed in its place, and every later map failed on it."""
    (tmp_path / "bad.png").write_text("no image")
    good = tiny.draw(tmp_path / "good.png", 7)
    assert desk.refused(str(tmp_path / "bad.png")) is None
    assert desk.refused(str(good)) == desk.refused(None) == gr.skip()


def test_a_selection_can_be_downloaded(desk: Desk):
    drawn = draw(desk)[desk.tab.state]
    rows = [3, small.COUNT]
    found = desk.select(drawn, event({"ticket": drawn.drawing.ticket, "rows": rows}))
    table = Path(found[desk.tab.table].value["path"]).read_text()
    read = list(csv.DictReader(io.StringIO(table)))
    assert [row["file"] for row in read] == ["picture-03.png", "known.png"]
    assert [row["domain"] for row in read] == ["gallery", "generated"]
    assert read[0]["colour"] == "red"
    nothing = desk.select(drawn, event({"ticket": drawn.drawing.ticket, "rows": []}))
    assert not nothing[desk.tab.table].visible
    assert "Nothing is selected" in nothing[desk.tab.words]


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
def test_selections_that_are_none_are_refused(desk: Desk, change: dict[str, object]):
    drawing = draw(desk)[desk.tab.state].drawing
    good = {"ticket": drawing.ticket, "rows": [1, 1, 0]}
    assert rows_of(good, drawing) == [0, 1]
    with pytest.raises(gr.Error):
        rows_of({**good, **change}, drawing)
    for payload in (None, [], "x"):
        with pytest.raises(gr.Error):
            rows_of(payload, drawing)


def test_an_image_is_placed_among_its_nearest(desk: Desk, tmp_path: Path):
    image = tiny.draw(tmp_path / "mine.png", 7)
    shown = draw(desk, image=str(image))
    you = shown[desk.tab.map]["panels"][0]["you"]
    assert you["near"][0] == 7
    panel = shown[desk.tab.map]["panels"][0]
    np.testing.assert_allclose(you["at"], [floats(panel[axis])[7] for axis in "xy"], atol=1e-3)
    assert "nearest is picture-07" in shown[desk.tab.near]
    near = shown[desk.tab.neighbours].value
    assert len(near) == 8
    assert near[0]["caption"].startswith("cosine 1.00\npicture-07")


def test_a_bad_image_is_refused_in_words(desk: Desk, tmp_path: Path):
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(gr.Error, match="not an image of an accepted kind"):
        draw(desk, image=str(tmp_path / "bad.png"))


def test_a_card_shows_a_point_of_a_map_that_was_drawn(desk: Desk):
    drawn = draw(desk, colour="factor:colour")[desk.tab.state]
    ticket = drawn.drawing.ticket
    card = desk.cards.peek({"ticket": ticket, "row": 4})
    assert card is not None
    assert (card["name"], card["note"]) == ("picture-04", "green")
    assert card["picture"].startswith("data:image/webp;base64,")
    example = desk.cards.peek({"ticket": ticket, "row": small.COUNT})
    assert example is not None
    assert example["note"] == "Generated, patch synthesis: 1 known source"


@pytest.mark.parametrize("row", [-1, small.COUNT + 2, "0", None, True, 1.0])
def test_cards_answer_for_no_other_points(desk: Desk, row: object):
    ticket = draw(desk)[desk.tab.state].drawing.ticket
    assert desk.cards.peek({"ticket": ticket, "row": row}) is None
    assert desk.cards.peek({"ticket": "guess", "row": 0}) is None
    assert desk.cards.peek(["row"]) is None


def test_stopping_leaves_the_page_as_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    def stopped(*_: object, **__: object) -> None:
        raise Cancelled

    monkeypatch.setattr(desk.session, "layout", stopped)
    assert list(draw(desk)) == [desk.tab.near]


def test_a_stop_reaches_its_own_page_only():
    stops = Stops()
    with stops.running("a", lambda *_: None) as report:
        assert not stops.stop("b")
        report(0, 1, "goes on")
        thread = threading.Thread(target=stops.stop, args=("a",))
        thread.start()
        thread.join()
        with pytest.raises(Cancelled):
            report(1, 1, "ends")
    assert not stops.stop("a")


# Views


def record(number: int, **fields: Any) -> ImageRecord:
    return ImageRecord(number, f"a/{number}.png", "0" * 64, "0" * 16, 8, 8, **fields)


def test_many_groups_share_the_last_colour():
    records = tuple(record(i, extra={"k": f"v{i % 30}"}) for i in range(90))
    scene = Scene(records, (Example(Path("q.png"), (), ""),))
    groups = views_map.group(scene, "factor:k")
    value: Any = views_map.value(
        Drawing("t", scene, (Panel("m", np.zeros((91, 2))),), groups, chosen=[2])
    )
    names = [entry["name"] for entry in value["legend"]]
    assert names[10:] == ["20 more", "Generated examples"]
    assert [entry["count"] for entry in value["legend"]] == [3] * 10 + [60, 1]
    of = np.frombuffer(base64.b64decode(value["groups"]), "<u2")
    assert np.bincount(of).tolist() == [3] * 10 + [60, 1]


def test_columns_that_name_every_image_are_no_colouring():
    records = tuple(record(i, extra={"seed": str(i), "kind": "ab"[i % 2]}) for i in range(9))
    keys = [key for _, key in views_map.colourings(Scene(records, ()))]
    assert "factor:kind" in keys
    assert "factor:seed" not in keys
    with pytest.raises(ValueError, match="cannot be coloured"):
        views_map.group(Scene(records, ()), "factor:seed")


def test_missing_values_are_a_grey_group_at_the_end():
    records = tuple(record(i, extra={"kind": "ab"[i % 2]} if i else {}) for i in range(9))
    groups = views_map.group(Scene(records, ()), "factor:kind")
    assert groups.names[-1] == "Not given"
    value: Any = views_map.value(
        Drawing("t", Scene(records, ()), (Panel("m", np.zeros((9, 2))),), groups)
    )
    assert value["legend"][-1]["shade"] == 11


def test_the_map_fills_the_square_whatever_its_outliers():
    """One far point had squeezed all others into a corner."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1_000, 2)) * [9, 1] + 100
    points[0] = [10_000, 100]
    first, second = views_map.within_square(points, points[:3])
    assert first.min() >= 0
    assert first.max() <= 1
    np.testing.assert_allclose(first[:3], second)
    assert (np.quantile(first, 0.95, axis=0) - np.quantile(first, 0.05, axis=0) > 0.5).all()
    for axis in (0, 1):  # nobody passes anybody
        order = np.argsort(points[:, axis])
        assert (np.diff(first[order, axis]) >= 0).all()


def test_the_square_takes_points_that_are_all_alike():
    same = np.full((4, 2), 3.0)
    np.testing.assert_allclose(views_map.within_square(same, same)[0], 0.5, atol=1e-6)


def test_a_selection_names_the_groups_that_the_legend_joins():
    records = tuple(record(i, extra={"k": f"v{i % 30:02}"}) for i in range(90))
    scene = Scene(records, ())
    groups = views_map.group(scene, "factor:k")
    rows = [row for row in range(90) if row % 30 >= 20]
    words = views_map.selection_words(scene, rows, groups, shown=60)
    assert "v20 (3), v21 (3)" in words
    assert "v29 (3)" in words
    every = views_map.selection_words(scene, range(90), groups, shown=60)
    assert "v11 (3), 18 more groups" in every


def test_no_cell_of_the_table_is_a_formula():
    scene = Scene((record(0, title="=1+1", creator="@x", extra={"k": "-2"}),), ())
    groups = Groups(("=A",), (0,))
    rows = list(csv.reader(io.StringIO(views_map.table(scene, [0], [], groups))))
    assert not any(cell.startswith(("=", "@", "-")) for row in rows for cell in row)


# The public endpoint


@pytest.fixture(scope="module")
def client(session: Session, folder: Path) -> Iterator[Client]:
    with gr.Blocks() as blocks:
        page = open_page(session, gallery=str(folder), encoder="random")
        with gr.Tab("Map"):
            map_tab.create(page)
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True)
    yield Client(address, verbose=False)
    blocks.close()


def test_project_is_the_one_public_endpoint(client: Client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert list(named) == ["/project"]


def test_project_places_an_image(client: Client, tmp_path: Path):
    image = handle_file(tiny.draw(tmp_path / "mine.png", 7))
    found = client.predict(image, "random", "default", 2, api_name="/project")
    assert found["nearest"][0]["file"] == "picture-07.png"
    assert len(found["nearest"]) == 2
    assert np.isfinite([found["x"], found["y"]]).all()
    with pytest.raises(AppError, match="minimum value 1"):
        client.predict(image, "random", "default", 0, api_name="/project")


def test_drawn_is_what_the_state_holds(desk: Desk):
    assert isinstance(draw(desk)[desk.tab.state], Drawn)
    assert desk.cleared()[desk.tab.map] is None
    assert Desk.wanted(None, 2, None, None) == 3
    assert Desk.wanted(None, 2, Asked("a.png", "random"), None) == gr.skip()
