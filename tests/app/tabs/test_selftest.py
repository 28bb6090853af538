"""The self-test's handlers: variations, both answers, a tally, and words where it cannot go on."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app.page.events import Given
from app.page.state import open_page
from app.tabs.attribute import selftest_layout
from app.tabs.attribute.layout import LOCAL_SCALING, RERANKING, lay_controls
from app.tabs.attribute.selftest_handlers import MOST, SelftestHandlers, cleared
from core.service import SelfTest, Session, Tally, by_confidence
from tests.app import tiny
from tests.app.calls import controls_of

NOBODY = gr.Request(session_hash="somebody0")


@pytest.fixture
def handlers(session: Session, gallery_folder: Path) -> SelftestHandlers:
    with gr.Blocks():
        page = open_page(session, gallery=str(gallery_folder), encoder="random")
        test, controls = selftest_layout.lay(page), lay_controls(page)
        result = selftest_layout.lay_result()
        return SelftestHandlers(page, controls, test, result, gr.State(Tally()))


def given(handlers: SelftestHandlers, image: Path | None, **more: object) -> Given:
    controls, test = handlers.controls, handlers.test
    return {
        test.image: None if image is None else str(image),
        test.files: more.get("files"),
        test.ways: more.get("ways", ["patches"]),
        test.far: more.get("far", 20),
        handlers.tally: more.get("tally", Tally()),
        **controls_of(handlers.page, controls, scoring=(LOCAL_SCALING, RERANKING)),
    }


def run(handlers: SelftestHandlers, image: Path | None, **more: object) -> tuple[Any, ...]:
    """What is shown last."""
    return list(handlers.run(given(handlers, image, **more), NOBODY))[-1]


def zipped(folder: Path, *files: Path) -> Path:
    with zipfile.ZipFile(folder / "own.zip", "w") as made:
        for file in files:
            made.write(file, f"trip/{file.name}")
    return folder / "own.zip"


@pytest.mark.slow
def test_a_variation_is_shown_with_both_answers_and_counted(
    handlers: SelftestHandlers, tmp_path: Path
):
    picture = tiny.draw(tmp_path / "own.png", 123)
    done, html, tally = run(handlers, picture)
    assert html.count("<figure>") == 2
    assert "Patch synthesis, 20 % of the way" in html
    assert "With your picture in the gallery" in html
    assert "Without it" in html
    assert "of 1 variation traced" in html
    assert (tally.trials, len(done.lines)) == (1, 1)
    _, html, tally = run(handlers, picture, ways=["blend"], tally=tally)
    assert html.count("<figure>") == 3
    assert "Also took part: " in html
    assert "of 2 variations traced" in html
    assert tally.trials == 2


def test_several_pictures_and_a_zip_make_a_benchmark(handlers: SelftestHandlers, tmp_path: Path):
    pictures = [tiny.draw(tmp_path / f"own-{i}.png", 300 + i) for i in range(3)]
    (tmp_path / "bad.jpg").write_text("no image")
    (tmp_path / "bad.zip").write_text("no zip")
    names = [zipped(tmp_path, *pictures[:2]), tmp_path / "bad.jpg", tmp_path / "bad.zip"]
    files = [str(file) for file in (*names, pictures[2])]
    done, html, tally = run(handlers, None, files=files, ways=["blend", "paste"])
    assert tally.trials == 6
    assert ">6 trials<" in html
    assert html.count("not an image of an accepted kind") == 1
    assert html.count("not a zip of images") == 1
    assert f"{sum(v.found for v in done.verdicts)} of 6" in html
    assert html.count('<img src="data:image/webp') == 24  # and both answers' first candidates
    assert "What both answers say, with the picture and without, against outcome" in html
    told = [html.count(f">{words}<") for words in ("No other image named", "Another image named")]
    assert sum(told) == 6
    assert html.count(">Right<") == 1, "rows had another sense of it than the table above them"
    said = sum(band.claims for band in by_confidence(done.verdicts))
    assert said == 12
    for row in (0, 7):
        case = handlers.opened(done, gr.EventData(None, {"row": row}))
        assert "With your picture in the gallery" in case
        assert "Also took part: " in case
        assert "This visit" not in case
    for none in (-1, 99):
        assert handlers.opened(done, gr.EventData(None, {"row": none})) == gr.skip()
    button = handlers.export(done)
    rows = list(csv.DictReader(io.StringIO(Path(button.value["path"]).read_text())))
    assert [row["picture"] for row in rows] == [
        *["trip/own-0.png"] * 2,
        *["trip/own-1.png"] * 2,
        "bad.jpg",
        "bad.zip",
        *["own-2.png"] * 2,
    ]
    assert rows[0]["way"] == "Blended with another image"
    assert {row["traced"] for row in rows} <= {"yes", "no", ""}
    assert rows[4]["problem"]
    assert str(tmp_path) not in Path(button.value["path"]).read_text()


def test_a_picture_that_the_gallery_holds_is_tested_without_it(
    handlers: SelftestHandlers, picture: Path, tmp_path: Path
):
    """It was refused: most people try a picture that they know to be there."""
    _, html, tally = run(handlers, picture, ways=["blend"])
    assert "The gallery holds this picture, as Blue &lt;b&gt;hills&lt;/b&gt;; for the test" in html
    assert tally.trials == 1
    own = tiny.draw(tmp_path / "own.png", 123)
    done, html, _ = run(handlers, None, files=[str(own), str(picture)], ways=["blend"])
    assert html.count("in the gallery, taken out") == 1
    rows = list(csv.DictReader(io.StringIO(Path(handlers.export(done).value["path"]).read_text())))
    assert [row["taken_out"] for row in rows] == ["", "Blue <b>hills</b>"]


def test_a_stop_keeps_the_trials_that_were_made(
    handlers: SelftestHandlers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pictures = [str(tiny.draw(tmp_path / f"own-{i}.png", 400 + i)) for i in range(4)]
    make, made = SelfTest.run, []

    def stopping(self: SelfTest, *args: Any, **options: Any) -> Any:
        made.append(args)
        if len(made) == 3:
            handlers.page.jobs.stop("attribute", NOBODY)
        return make(self, *args, **options)

    monkeypatch.setattr(SelfTest, "run", stopping)
    done, html, tally = run(handlers, None, files=pictures, ways=["blend"])
    assert 2 <= len(done.lines) < 4
    assert tally.trials == len(done.lines)
    assert f">{len(done.lines)} of 4 trials<" in html
    assert ">Stopped. What was made stays here" in html
    assert handlers.export(done).visible


def test_a_stop_before_the_first_trial_ends_is_told(
    handlers: SelftestHandlers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nothing came: the page said neither that it had stopped nor that there was nothing."""
    pictures = [str(tiny.draw(tmp_path / f"own-{i}.png", 400 + i)) for i in range(2)]
    make = SelfTest.run

    def stopping(self: SelfTest, *args: Any, **options: Any) -> Any:
        handlers.page.jobs.stop("attribute", NOBODY)
        return make(self, *args, **options)

    monkeypatch.setattr(SelfTest, "run", stopping)
    with pytest.raises(gr.Error, match="Stopped"):
        run(handlers, None, files=pictures, ways=["patches"])


def test_wrong_use_is_told(handlers: SelftestHandlers, tmp_path: Path):
    with pytest.raises(gr.Error, match="choose a picture of your own first"):
        run(handlers, None)
    own = tiny.draw(tmp_path / "own.png", 123)
    with pytest.raises(gr.Error, match="choose at least one way"):
        run(handlers, own, ways=[])
    files = [str(own)] * (MOST // 2 + 1)
    with pytest.raises(gr.Error, match=f"that is {MOST + 2} trials; at most {MOST}"):
        run(handlers, None, files=files, ways=["blend", "paste"])
    with pytest.raises(gr.Error, match="too many at once"):
        run(handlers, None, files=[str(own)] * (MOST + 1))


def test_the_single_picture_is_carried_unless_another_was_given(handlers: SelftestHandlers):
    assert handlers.carry("a.png", None, None) == ("a.png", "a.png")
    assert handlers.carry("b.png", "a.png", "a.png") == ("b.png", "b.png")
    for nothing in (("a.png", "own.png", None), ("b.png", "own.png", "a.png"), (None, None, None)):
        assert handlers.carry(*nothing) == (gr.skip(), gr.skip())


def test_another_picture_or_gallery_starts_again_and_the_tally_stays(handlers: SelftestHandlers):
    done, html, button = cleared()
    assert done is None
    assert "drop a picture of your own" in html
    assert not button.visible
    assert not handlers.export(None).visible


def test_what_was_measured_follows_the_ways_and_the_dial(handlers: SelftestHandlers):
    at_first = handlers.test.measured.value
    assert handlers.measured(["patches"], 50) == at_first
    assert "Patch synthesis" in at_first
    assert handlers.measured(["patches"], 100) != at_first
    assert "not measured here" in handlers.measured(["blend"], 51)
