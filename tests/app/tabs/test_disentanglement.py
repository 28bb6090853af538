from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from app.page.events import Given
from app.page.state import open_page
from app.tabs.disentanglement.handlers import Handlers, telling
from app.tabs.disentanglement.layout import lay_controls, lay_result
from app.views import disentanglement as views
from core.gallery.build import update
from core.gallery.source import Source
from core.service import Choice, DimensionView, Disentanglement, Session, load_encoder
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


def given(handlers: Handlers, head: str = "whiten") -> Given:
    controls = handlers.controls
    return {
        controls.encoder: "histogram",
        controls.head: head,
        handlers.page.gallery: handlers.page.start,
    }


@pytest.fixture(scope="module")
def found(session: Session, with_factors: Path) -> Disentanglement:
    return session.disentanglement(Choice("histogram", "whiten", str(with_factors)))


def test_everything_is_shown_for_a_gallery_with_examples_and_factors(handlers: Handlers):
    shown = handlers.measure(given(handlers), NOBODY)
    result = handlers.result
    assert "times less correlated" in shown[result.overview]
    assert "DCI disentanglement" in shown[result.table]
    assert "Domain AUC" in shown[result.table]
    assert shown[result.factors.column].visible
    assert all(shown[matrix.row].visible for matrix in result.matrices)
    assert shown[result.dimension.chosen].value in range(COUNT)


def test_gallery_without_examples_and_factors_hides_what_it_cannot_show(
    session: Session, gallery_folder: Path
):
    found = session.disentanglement(Choice("histogram", "whiten", str(gallery_folder)))
    assert views.correlation_map(found.after, views.ACROSS) is None
    assert views.importance_map(found.after) is None
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
        assert views.importance_map(stage) is not None


def test_telling_dimension_is_the_most_important_one(found: Disentanglement):
    report = found.after.by_factor
    assert report is not None
    importance = np.zeros_like(report.importance)
    importance[1, 3] = 1
    stage = dataclasses.replace(
        found.after, by_factor=dataclasses.replace(report, importance=importance)
    )
    assert telling(stage) == found.after.factor_dimensions[3]


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
    assert views.number(value) == text
