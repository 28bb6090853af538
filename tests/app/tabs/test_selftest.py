"""The self-test's handlers: a variation, both answers, a tally, and words where it cannot go on."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from app.page.events import Given
from app.page.state import open_page
from app.tabs.attribute import selftest_layout
from app.tabs.attribute.layout import LOCAL_SCALING, RERANKING, lay_controls
from app.tabs.attribute.selftest_handlers import SelftestHandlers, cleared
from app.views.selftest import Tally
from core.service import Session
from tests.app import tiny

NOBODY = gr.Request(session_hash="somebody0")


@pytest.fixture
def handlers(session: Session, gallery_folder: Path) -> SelftestHandlers:
    with gr.Blocks():
        page = open_page(session, gallery=str(gallery_folder), encoder="random")
        test, controls = selftest_layout.lay(page), lay_controls(page)
        return SelftestHandlers(page, controls, test, gr.State(Tally()))


def given(handlers: SelftestHandlers, image: Path | None, **more: object) -> Given:
    controls, test = handlers.controls, handlers.test
    return {
        test.image: None if image is None else str(image),
        test.way: more.get("way", "patches"),
        test.far: more.get("far", 20),
        handlers.tally: more.get("tally", Tally()),
        controls.encoder: "random",
        controls.head: "default",
        controls.scoring: [LOCAL_SCALING, RERANKING],
        controls.prior: 50,
        handlers.page.gallery: handlers.page.start,
    }


@pytest.mark.slow
def test_a_variation_is_shown_with_both_answers_and_counted(
    handlers: SelftestHandlers, tmp_path: Path
):
    picture = tiny.draw(tmp_path / "own.png", 123)
    html, tally = handlers.run(given(handlers, picture), NOBODY)
    assert html.count("<figure>") == 2
    assert "Patch synthesis, 20 % of the way" in html
    assert "With your picture in the gallery" in html
    assert "Without it" in html
    assert "of 1 variation traced" in html
    assert tally.trials == 1
    html, tally = handlers.run(given(handlers, picture, way="blend", tally=tally), NOBODY)
    assert html.count("<figure>") == 3
    assert "Also took part: " in html
    assert "of 2 variations traced" in html
    assert tally.trials == 2


def test_without_a_picture_it_says_what_to_do(handlers: SelftestHandlers):
    with pytest.raises(gr.Error, match="choose a picture of your own first"):
        handlers.run(given(handlers, None), NOBODY)


def test_another_picture_or_gallery_starts_again():
    html, tally = cleared()
    assert "drop a picture of your own" in html
    assert tally == Tally()
