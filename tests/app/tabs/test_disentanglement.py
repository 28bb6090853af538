from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from app.page.events import Given
from app.page.state import open_page
from app.tabs.disentanglement.handlers import Handlers
from app.tabs.disentanglement.layout import lay_controls, lay_result
from app.views import disentanglement as views
from app.views import measures
from core.gallery.build import update
from core.gallery.source import Source
from core.service import (
    THEMES,
    Choice,
    DimensionView,
    Disentanglement,
    Estimate,
    Session,
    load_encoder,
)
from core.values import Cancelled, Progress
from tests.app import tiny

NOBODY = gr.Request(session_hash="somebody0")
COUNT = 40


@pytest.fixture(scope="module")
def with_factors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of two factors, with ten examples that each have a source."""
    folder = tmp_path_factory.mktemp("factors")
    images, queries = folder / "images", folder / "gallery" / "queries"
    images.mkdir()
    rows: list[dict[str, str]] = []
    for i in range(COUNT):
        tiny.draw(images / f"{i:02}.png", i)
        rows.append({"file_name": f"{i:02}.png", "colour": "ab"[i % 2], "size": "xy"[i % 4 // 2]})
    (images / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    update(folder / "gallery", Source(images), [load_encoder("histogram", device="cpu")])
    queries.mkdir()
    listed: list[dict[str, object]] = []
    for i in range(10):
        tiny.draw(queries / f"q{i}.png", i)
        listed.append({"file": f"q{i}.png", "sources": [f"{i:02}.png"], "kind": "copy"})
    (queries / "queries.json").write_text(json.dumps({"queries": listed}))
    return folder / "gallery"


@pytest.fixture(scope="module")
def handlers(session: Session, with_factors: Path) -> Handlers:
    with gr.Blocks():
        page = open_page(session, gallery=str(with_factors), encoder="histogram")
        controls, result = lay_controls(page), lay_result(page)
    return Handlers(page, controls, result)


def given(handlers: Handlers, head: str = "whiten", *, beside: str = "") -> Given:
    controls = handlers.controls
    return {
        controls.encoder: "histogram",
        controls.head: head,
        controls.beside.dropdown: beside,
        controls.beside_head: "center",
        handlers.page.gallery: handlers.page.start,
    }


@pytest.fixture(scope="module")
def found(session: Session, with_factors: Path) -> Disentanglement:
    return session.disentanglement(Choice("histogram", "whiten", str(with_factors)))


def test_everything_is_shown_for_a_gallery_with_examples_and_factors(handlers: Handlers):
    shown = handlers.measure(given(handlers), NOBODY)
    result = handlers.result
    assert "After the head: spread over the dimensions better" in shown[result.overview]
    assert shown[result.matrices[0].titles[0]] == "Before the head"
    assert "DCI disentanglement" in shown[result.table]
    assert "Domain AUC" in shown[result.table]
    for name in ("Mean |correlation|", "RankMe", "DCI informativeness"):
        assert name in shown[result.table]
        assert name in shown[result.overview], "one number had two names"
    assert shown[result.factors.column].visible
    assert all(shown[matrix.row].visible for matrix in result.matrices)
    numbers = shown[result.dimension.numbers]
    assert shown[result.dimension.chosen].value == numbers[0]
    assert len(shown[result.dimension.named]) == len(numbers) > 1
    scales = [shown[plot].to_dict()["data"][0]["zmax"] for plot in result.factors.plots]
    assert scales[0] == scales[1] > 0
    event: Any = SimpleNamespace(index=1)
    assert handlers.pick(numbers, event)[0] == numbers[1]


def test_two_heads_stand_side_by_side_with_their_names(handlers: Handlers):
    shown = handlers.measure(given(handlers, beside="histogram"), NOBODY)
    result = handlers.result
    titles = [shown[title] for title in result.matrices[0].titles]
    assert titles == ["Baseline: histogram (whitened)", "Baseline: histogram (centred)"]
    assert (
        f"{titles[1]} against {titles[0]}: spread over the dimensions worse"
        in (shown[result.overview])
    )
    csv, whole = (Path(shown[button]) for button in result.downloads)
    lines = csv.read_text().splitlines()
    assert lines[0].startswith(f"level,measure,{titles[0]} value,{titles[0]} low")
    assert {line.split(",")[1] for line in lines[1:]} >= {"rankme", "mig", "domain_auc"}
    told = json.loads(whole.read_text())
    assert told["right_name"] == titles[1]
    assert len(told["left"]["real"]) == len(told["left"]["dimensions"])
    assert {m["change"] for m in told["measures"]} <= {
        "better",
        "worse",
        "no clear difference",
        "not tested",
    }


def test_levels_of_a_network_are_measured_alone(session: Session, gallery_folder: Path):
    choice = Choice("random", "whiten", str(gallery_folder))
    found = session.disentanglement(choice)
    sizes = [level.label_free.dimensions for level in found.after.levels.values()]
    assert len(sizes) > 1 and sum(sizes) == found.after.label_free.dimensions
    words = {"titles": ("A", "B"), "judged": "B"}
    html = measures.levels_html((found.before, found.after), **words)
    assert all(f">{name.capitalize()}</th>" in html for name in found.after.levels)
    bare = dataclasses.replace(found.after, levels={})
    assert "no level in common" in measures.levels_html((bare, found.after), **words)


def test_the_headline_follows_from_the_measures(found: Disentanglement):
    """It told one measure, whatever the others said."""
    table = found.table()

    def as_if(*gains: tuple[str, float, float]) -> str:
        told = {name: Estimate((low + high) / 2, low, high) for name, low, high in gains}
        changed = [
            dataclasses.replace(each, values=(1.0, 1.0), gain=told.get(each.name)) for each in table
        ]
        return measures.headline(changed, who="The head")

    spread = ("rankme", 1.0, 2.0)
    of = sum(each.name in THEMES["spread"] for each in table)
    assert of > 2
    told = f"The head: spread over the dimensions better (1 of {of} measures)."
    assert as_if(spread) == told  # those that no interval tests count too
    mixed = as_if(spread, ("total_correlation", -2.0, -1.0), ("domain_auc", -0.1, 0.1))
    assert f"mixed (1 of {of} measures better, 1 worse)" in mixed
    assert mixed.endswith("real and generated images together not clearly different.")
    assert as_if() == "Too few images to tell a change from chance."


def test_gallery_without_examples_and_factors_hides_what_it_cannot_show(
    session: Session, gallery_folder: Path
):
    found = session.disentanglement(Choice("histogram", "whiten", str(gallery_folder)))
    assert views.correlation_map(found.after, views.ACROSS) is None
    assert views.importance_map(found.after, most=1) is None
    assert views.accuracy_words(found.after) == ""
    assert views.correlation_map(found.after, views.WITHIN_REAL) is not None


def test_results_are_kept_and_the_features_are_measured_once(
    session: Session, found: Disentanglement, with_factors: Path
):
    def refuse(_done: int, _total: int, what: str) -> None:
        if "features" in what and "Measuring" in what:
            raise AssertionError("measured again")

    choice = Choice("histogram", "whiten", str(with_factors))
    assert session.disentanglement(choice).after is found.after
    assert session.is_measured(choice)
    assert not session.is_measured(dataclasses.replace(choice, head="center"))
    other = session.disentanglement(dataclasses.replace(choice, head="center"), progress=refuse)
    assert other.before is found.before
    assert other.after is not found.after


def test_stopped_work_says_so_and_can_be_repeated(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
):
    def stopped(*_: object, progress: Progress, **__: object) -> None:
        handlers.page.jobs.stop("disentanglement", NOBODY)
        progress(1, 2, "half")

    monkeypatch.setattr(handlers.page.session, "disentanglement", stopped)
    with pytest.raises(gr.Error, match="start again"):
        handlers.measure(given(handlers), NOBODY)
    monkeypatch.undo()
    assert handlers.measure(given(handlers), NOBODY)


def test_cancelled_measure_is_not_kept(session: Session, with_factors: Path):
    choice = Choice("histogram", "logdet", str(with_factors))

    def stop(_done: int, _total: int, what: str) -> None:
        if "embedding" in what:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        session.disentanglement(choice, progress=stop)
    assert session.disentanglement(choice).after.label_free.images == COUNT


def test_dimension_is_described(handlers: Handlers):
    choice = handlers.choice(given(handlers))
    words, spread, values, most, least = handlers.look(choice, 0, NOBODY)
    assert "variance" in words
    assert (len(most), len(least)) == (6, 6)
    assert {name for _, name in most}.isdisjoint(name for _, name in least)
    assert [trace.name for trace in spread.data] == ["Gallery", "Examples, one by one"]
    assert values.visible
    with pytest.raises(gr.Error, match=r"dimension must be in 0\.\."):
        handlers.look(choice, 10_000, NOBODY)


def test_figures_fit_light_and_dark(found: Disentanglement):
    for stage in (found.before, found.after):
        for which in ("real", "synthetic", "cross"):
            figure = views.correlation_map(stage, which)
            assert figure is not None
            assert figure.to_dict()["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
            assert figure.to_dict()["data"][0]["zmin"] == -1
        assert views.importance_map(stage, most=1) is not None


def test_the_most_telling_dimensions_come_first(found: Disentanglement):
    report = found.after.by_factor
    assert report is not None
    importance = np.zeros_like(report.importance)
    importance[1, 3] = 1
    stage = dataclasses.replace(
        found.after, by_factor=dataclasses.replace(report, importance=importance)
    )
    assert views.telling(stage, count=1) == [found.after.factor_dimensions[3]]
    bare = dataclasses.replace(stage, by_factor=None)
    assert views.telling(bare, count=2) == found.after.dimensions[:2].tolist()


def test_a_dimension_is_named_by_the_factor_that_it_follows():
    values, none = np.zeros(4, np.float32), np.zeros(0, np.float32)
    view = DimensionView(
        3, values, none, explained={"colour": 0.4}, groups={"red": values, "": values}
    )
    assert views.dimension_name(view) == "colour, red to none"
    faint = dataclasses.replace(view, explained={"colour": 0.05})
    assert views.dimension_name(faint) == ""


def test_words_for_dimensions_that_follow_nothing():
    values, none = np.zeros(4, np.float32), np.zeros(0, np.float32)
    view = DimensionView(3, values, none, explained={}, groups={})
    assert "names no factors" in views.dimension_words(view)
    faint = dataclasses.replace(view, explained={"colour": 0.001})
    assert "No known factor" in views.dimension_words(faint)
    assert views.by_value(view) is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1344.0, "1,344"), (0.24271, "0.243"), (7672.53, "7,673")]
)
def test_numbers_are_short(value: float, text: str):
    assert measures.number(value) == text
