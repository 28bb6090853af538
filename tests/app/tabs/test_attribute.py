from __future__ import annotations

import csv
import io
import itertools
import json
import shlex
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import FileData, ListFiles
from gradio.utils import get_upload_folder
from PIL import Image

from app.page.events import Given, row_of
from app.page.state import open_page
from app.tabs.attribute import batch_layout
from app.tabs.attribute.batch_handlers import BatchHandlers, Done
from app.tabs.attribute.cases import MOST, Shown
from app.tabs.attribute.filter_handlers import FilterHandlers
from app.tabs.attribute.handlers import Handlers
from app.tabs.attribute.layout import (
    LOCAL_SCALING,
    RERANKING,
    lay_controls,
    lay_query,
    lay_result,
)
from app.tabs.attribute.reason_handlers import ReasonHandlers
from app.views import reasons
from core.service import Session
from core.values import GalleryError
from tests.app import tiny

BOTH = [LOCAL_SCALING, RERANKING]
NOBODY = gr.Request(session_hash="somebody0")


@pytest.fixture
def handlers(session: Session, gallery_folder: Path) -> Handlers:
    with gr.Blocks():
        page = open_page(session, gallery=str(gallery_folder), encoder="random")
        query, controls = lay_query(page), lay_controls(page)
    return Handlers(page, query, controls)


@pytest.fixture
def why(handlers: Handlers) -> ReasonHandlers:
    with gr.Blocks():
        return ReasonHandlers(handlers.page, lay_result(handlers.page).downloads)


@pytest.fixture
def batch(handlers: Handlers) -> BatchHandlers:
    with gr.Blocks():
        batch, result = batch_layout.lay(handlers.page), batch_layout.lay_result()
        return BatchHandlers(handlers.page, handlers.controls, batch, result, gr.State(None))


def given(
    handlers: Handlers | BatchHandlers,
    encoder: str = "random",
    head: str = "default",
    scoring: list[str] = BOTH,
    prior: float = 50,
    where: str | None = "",
) -> Given:
    controls = handlers.controls
    return {
        controls.encoder: encoder,
        controls.head: head,
        controls.scoring: scoring,
        controls.prior: prior,
        controls.where: where,
        handlers.page.gallery: handlers.page.start,
    }


def search(handlers: Handlers, image: Path | None, *args: object):
    values = {**given(handlers, *args), handlers.query.image: image and str(image)}
    return handlers.search(values, NOBODY)


def run(batch: BatchHandlers, files: list[Path], done: Done | None = None, **asked: Any):
    values = {**given(batch, **asked), batch.batch.files: [str(file) for file in files]}
    return list(batch.run({**values, batch.done: done}, NOBODY))


def bad(folder: Path) -> Path:
    (folder / "bad.jpg").write_text("no image")
    return folder / "bad.jpg"


def test_search_finds_the_picture_itself(handlers: Handlers, picture: Path):
    found, index, html, heading, listed, column, why = search(handlers, picture)
    assert found.answer.matches[0].image.path == picture.name
    assert (index, column.visible, why.open) == (0, True, True)
    assert "Candidate source: Blue &lt;b&gt;hills&lt;/b&gt;" in html
    assert heading == "### Candidate sources"
    assert listed.count("data-row") == tiny.COUNT
    assert '<b class="ws-points">100<' in listed


def test_without_a_source_the_reasons_are_folded(handlers: Handlers, tmp_path: Path):
    _, _, html, heading, listed, _, why = search(handlers, tiny.draw(tmp_path / "other.png", 99))
    assert (heading, why.open) == ("### Closest images", False)
    assert f"This gallery holds {tiny.COUNT} images." in html
    assert "Candidate source" not in listed


@pytest.mark.parametrize(
    "told", [None, [], {}, {"row": "1"}, {"row": -1}, {"row": True}, {"row": 1.0}]
)
def test_a_choice_that_is_no_row_is_passed_over(
    handlers: Handlers, why: ReasonHandlers, picture: Path, told: object
):
    row = row_of(gr.EventData(None, told))
    assert row == -1
    done = search(handlers, picture)[0]
    for wrong in (row, 10_000):
        assert set(map(str, why.explain(done, wrong, None, NOBODY))) == {str(gr.skip())}


def test_scoring_reaches_the_choice(handlers: Handlers, picture: Path):
    choice = search(handlers, picture, "histogram", "identity", [LOCAL_SCALING])[0].choice
    assert (choice.score.local_scaling, choice.score.views) == (True, ())
    assert (choice.encoder, choice.head) == ("histogram", "identity")


def test_a_filter_reaches_the_answer_its_words_and_its_files(
    handlers: Handlers, why: ReasonHandlers, batch: BatchHandlers, picture: Path, tmp_path: Path
):
    where = "creator is not filled"
    other = tiny.draw(tmp_path / "other.png", 99)
    done, _, html, _, listed, *_ = search(
        handlers, other, "random", "default", BOTH, 50, f" {where} "
    )
    assert done.choice.where == where
    assert f"None of the {tiny.COUNT - 1} of {tiny.COUNT} images with no creator " in html
    assert "measured against the whole gallery" in html
    assert picture.name not in {match.image.path for match in done.answer.matches}
    assert listed.count("data-row") == tiny.COUNT - 1
    found = why.explain(done, 0, None, NOBODY)[0]
    parts = sum(part.value for part in found.score_parts)
    assert parts == pytest.approx(done.answer.matches[0].score, abs=1e-5)
    files = {Path(f).suffix: Path(f) for f in why.export(done, found, NOBODY)}
    told = json.loads(files[".json"].read_text())
    assert f"--where '{where}'" in told["command"]
    scope = told["queries"][0]["scope"]
    assert (scope["where"], scope["passing"], scope["images"]) == (where, 23, 24)
    assert "of 24 images with no creator" in files[".html"].read_text()
    assert {row["where"] for row in csv.DictReader(io.StringIO(files[".csv"].read_text()))} == {
        where
    }
    rows = run(batch, [other], where=where)[-1][0].rows
    assert rows[0].answer.scope == done.answer.scope


@pytest.mark.parametrize(
    ("where", "words"),
    [("artist = A", "there are: creator, licence"), ("licence = GPL", "are: CC BY 4.0")],
)
def test_a_filter_that_means_nothing_here_is_refused_in_words(
    handlers: Handlers, picture: Path, where: str, words: str
):
    with pytest.raises(gr.Error, match=words):
        search(handlers, picture, "random", "default", BOTH, 50, where)


@pytest.mark.parametrize("where", [None, "", " "])
def test_an_empty_box_or_none_yet_is_no_filter(
    handlers: Handlers, picture: Path, where: str | None
):
    """A picture that was dropped while the page opened was never answered."""
    done = search(handlers, picture, "random", "default", BOTH, 50, where)[0]
    assert done.choice.where is None and done.answer.scope is None


def test_a_filter_goes_with_a_gallery_that_lacks_its_columns(handlers: Handlers):
    filters, there = FilterHandlers(handlers.page), "licence is filled"
    kept_of = {there: there, "licence = GPL": "", "artist = A": "", "": "", None: ""}
    for where, kept in kept_of.items():
        line, in_force, wrong = filters.keep(where, handlers.page.start, NOBODY)
        assert (line.value, in_force, wrong) == (kept, kept, "")
        assert line.info.endswith("Columns: creator, licence, url, title, path")


@pytest.mark.parametrize("where", ["licence == X", "colour = purple", "licence = GPL"])
def test_a_filter_that_cannot_be_read_leaves_the_one_before_and_says_so(
    handlers: Handlers, where: str
):
    """It stood in the address, and its words went with the toast."""
    filters, start = FilterHandlers(handlers.page), handlers.page.start
    kept, told, count = filters.submit(where, "creator is filled", start, 4, NOBODY)
    assert (kept, count) == ("creator is filled", gr.skip())
    assert 'role="alert"' in told and "Until then the filter is: creator is filled" in told
    assert "there is no filter" in filters.judge(where, "", start, NOBODY)[1]
    assert filters.submit(" licence is filled ", kept, start, 4, NOBODY) == (
        *("licence is filled", ""),
        5,
    )


def test_a_failure_leaves_the_answer_to_the_same_image_and_marks_it(
    handlers: Handlers, picture: Path, tmp_path: Path
):
    """The whole answer vanished, and the page asked for the image that it showed."""
    done, start = search(handlers, picture)[0], handlers.page.start
    _, *shown = handlers.refused(str(picture), start, done, NOBODY)
    assert "This is the answer before: by Random weights" in shown[2]
    assert "all images" in shown[2] and "Candidate source" in shown[2]
    assert all(each == gr.skip() for i, each in enumerate(shown) if i != 2)
    filtered = search(handlers, picture, "random", "default", BOTH, 50, "creator is filled")[0]
    assert "only images with creator is filled" in handlers.before(filtered)
    other = str(tiny.draw(tmp_path / "other.png", 99))
    _, search_, _, html, *_ = handlers.refused(other, start, done, NOBODY)
    assert search_ is None and "This image has no answer yet" in html
    assert "Drop, paste" not in html


def test_prior_reaches_the_confidence_and_the_sentence(
    handlers: Handlers, picture: Path, tmp_path: Path
):
    with Image.open(picture) as whole:  # the very file would be certain at any prior
        whole.resize((80, 80)).save(tmp_path / "smaller.png")
    picture = tmp_path / "smaller.png"
    even, _, usual, *_ = search(handlers, picture)
    rare, _, html, *_ = search(handlers, picture, "random", "default", BOTH, 1)
    assert rare.answer.prior == 0.01
    assert rare.answer.groups[0].confidence < even.answer.groups[0].confidence
    assert "at a prior of 1 %" in html.partition("<details")[0]
    assert "at a prior" not in usual.partition("<details")[0]


def test_shares_are_summed_by_a_column_that_there_is(handlers: Handlers, picture: Path):
    one = search(handlers, picture)[0]
    first, second, *rest = one.answer.groups
    groups = (replace(first, influence=0.6), replace(second, influence=0.3), *rest)
    done = replace(one, answer=replace(one.answer, groups=groups))
    column, by, table = handlers.sum_up(done, None, NOBODY)
    assert column.visible
    assert (by.value, by.choices) == ("creator", [("Creator", "creator"), ("Licence", "licence")])
    assert "A. Painter" in table
    assert "None of these" in table
    assert "CC BY 4.0" in handlers.sum_up(done, "licence", NOBODY)[2]
    assert handlers.sum_up(done, "gone", NOBODY)[1].value == "creator"
    assert not handlers.sum_up(None, "creator", NOBODY)[0].visible


def test_sums_that_are_the_bar_again_are_left_out(handlers: Handlers, picture: Path):
    """Below one source stood its creator, with the same two shares."""
    done = search(handlers, picture)[0]
    assert not handlers.sum_up(done, None, NOBODY)[0].visible


def test_an_answer_without_sources_has_no_sums(handlers: Handlers, tmp_path: Path):
    done = search(handlers, tiny.draw(tmp_path / "other.png", 99))[0]
    assert not handlers.sum_up(done, None, NOBODY)[0].visible


def test_no_image_shows_the_empty_state(handlers: Handlers):
    found, _, html, _, _, column, _ = search(handlers, None)
    assert found is None
    assert str(tiny.COUNT) in html
    assert not column.visible


def test_explanation_and_dimension_of_the_chosen_match(
    handlers: Handlers, why: ReasonHandlers, picture: Path
):
    done = search(handlers, picture)[0]
    found, pair, levels, reading, record, words, _, single, *_ = why.explain(done, 0, None, NOBODY)
    assert found.match.id == done.answer.matches[0].image.id
    assert reading.value == reasons.MATCHING
    assert pair.count("<img") == 4
    assert "Subject" in levels
    assert found.match.path in record
    assert f"{found.cosine:.3f}" in words
    assert not single.visible  # until it is known which dimensions are stable
    most, least, where = why.excite(done, found, 0, NOBODY)
    assert "end" in where
    assert len(most) == len(least) == 6
    assert {path for path, _ in most}.isdisjoint(path for path, _ in least)
    assert why.look(done, found, reasons.PARTS, NOBODY) != pair


def test_stable_dimensions_alone_are_drawn_after_the_answer(
    handlers: Handlers, why: ReasonHandlers, picture: Path
):
    done = search(handlers, picture, "random", "whiten")[0]
    found = why.explain(done, 0, None, NOBODY)[0]
    words, single, bars, dimension = why.judge(done, found, NOBODY)
    judged = handlers.session.dimensions(done.choice)
    assert judged is not None
    stable = [p.dimension for p in found.contributions[:16] if judged.stable[p.dimension]]
    assert [number for _, number in dimension.choices] == stable
    assert single.visible == bool(stable)
    assert f"Drawn: {len(stable)} of 16" in words or "none is drawn" in words
    assert not stable or len(bars.data[0].x) == len(stable)


def test_after_a_change_of_the_gallery_dimensions_are_not_those_of_the_answer(
    handlers: Handlers, why: ReasonHandlers, picture: Path
):
    """An answer from before an opt-out was judged by a head of fewer dimensions: IndexError."""
    done = search(handlers, picture, "random", "whiten")[0]
    found = why.explain(done, 0, None, NOBODY)[0]
    assert why.export(done, found, NOBODY)[0] != gr.skip()
    before = replace(done, identity="0" * 16)
    words, single, *_ = why.judge(before, found, NOBODY)
    assert "has changed since" in words
    assert not single.visible
    assert why.export(before, found, NOBODY)[0] == gr.skip()


def test_heads_that_take_long_to_fit_are_not_judged(
    handlers: Handlers, why: ReasonHandlers, picture: Path
):
    done = search(handlers, picture, "histogram", "infomax")[0]
    found = why.explain(done, 0, None, NOBODY)[0]
    words, single, bars, _ = why.judge(done, found, NOBODY)
    assert "not checked" in words
    assert single.visible
    assert len(bars.data[0].x) == 16


def test_a_gallery_that_cannot_be_resampled_is_not_judged(
    handlers: Handlers, why: ReasonHandlers, picture: Path, monkeypatch: pytest.MonkeyPatch
):
    """A resample of three images may hold one of them alone, which no head can be fitted on."""

    def fails(*_: object, **__: object) -> None:
        raise GalleryError("all are the same")

    monkeypatch.setattr("core.service.session.dimensions", fails)
    done = search(handlers, picture, "random", "center")[0]
    found = why.explain(done, 0, None, NOBODY)[0]
    assert "not checked" in why.judge(done, found, NOBODY)[0]
    assert all(why.export(done, found, NOBODY))


def test_encoder_without_space_has_no_heatmap(
    handlers: Handlers, why: ReasonHandlers, picture: Path
):
    done = search(handlers, picture, "histogram")[0]
    _, pair, _, reading, *_ = why.explain(done, 0, reasons.MATCHING, NOBODY)
    assert not reading.visible
    assert "highlighted" not in pair


def test_refused_file_is_taken_off_the_page_and_a_good_one_stays(
    handlers: Handlers, picture: Path, tmp_path: Path
):
    start = handlers.page.start
    assert handlers.refused(str(bad(tmp_path)), start, None, NOBODY)[0] is None
    assert handlers.refused(str(picture), start, None, NOBODY)[0] is not None


def test_an_unreadable_file_leaves_the_answer_from_before(
    handlers: Handlers, picture: Path, tmp_path: Path
):
    before = search(handlers, picture)[0]
    image, *shown = handlers.refused(str(bad(tmp_path)), handlers.page.start, before, NOBODY)
    assert image == before.image
    assert all(value == gr.skip() for value in shown)


def test_error_tells_what_to_do(handlers: Handlers, tmp_path: Path):
    with pytest.raises(gr.Error, match="accepted are JPEG"):
        search(handlers, bad(tmp_path))


def test_phone_photo_is_turned_upright(handlers: Handlers, picture: Path, tmp_path: Path):
    turned = Image.open(picture).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / "phone.png", exif=exif)
    assert search(handlers, tmp_path / "phone.png")[0].answer.matches[0].image.path == picture.name


def test_files_hold_the_answer_and_no_server_path(
    handlers: Handlers, why: ReasonHandlers, picture: Path, gallery_folder: Path
):
    """The command named the folder of the gallery on the server."""
    done = search(handlers, picture, "random", "default", [LOCAL_SCALING], 20)[0]
    found = why.explain(done, 0, None, NOBODY)[0]
    files = {Path(path).suffix: Path(path) for path in why.export(done, found, NOBODY)}
    assert {path.stem for path in files.values()} == {f"wellspring-{picture.stem}"}
    report = json.loads(files[".json"].read_text())
    assert report["queries"][0]["matches"][0]["path"] == picture.name
    assert next(csv.DictReader(io.StringIO(files[".csv"].read_text())))["cosine"]
    words = shlex.split(report["command"])
    assert words[:4] == ["python", "-m", "core", "attribute"]
    out = [word for name in ("edges", "palette", "patches") for word in ("--leave-out", name)]
    options = [*out, "--prior", "0.2", "--top", "60", picture.name]
    assert [word for word in words if word in options] == options
    assert report["settings"]["prior"] == "0.2"
    assert "patches" not in report["settings"]["views"]
    assert report["queries"][0]["shares"]["creator"] == pytest.approx(
        {"A. Painter": report["queries"][0]["groups"][0]["influence"]}
    )
    html = files[".html"].read_text()
    assert "<b>hills</b>" not in html
    assert "Blue &lt;b&gt;hills&lt;/b&gt;" in html
    for path in files.values():
        for folder in (picture.parent, gallery_folder, gallery_folder.parent):
            assert str(folder) not in path.read_text()


def test_batch_answers_in_order_and_goes_on_after_a_bad_file(
    batch: BatchHandlers, gallery_folder: Path, tmp_path: Path
):
    images = gallery_folder.parent / "images"
    pictures = [images / f"{name}.png" for name in tiny.NAMES[:2]]
    steps = run(batch, [pictures[0], bad(tmp_path), pictures[1]])
    done, html = steps[-1]
    rows = done.rows
    assert [row.name for row in rows] == [pictures[0].name, "bad.jpg", pictures[1].name]
    assert "is not an image of an accepted kind" in rows[1].problem
    assert "1 of 3 images" in steps[0][1]
    assert "Blue &lt;b&gt;hills&lt;/b&gt;" in html
    assert html.count('<img src="data:image/webp') == 4


def test_a_row_of_the_batch_opens_its_case(
    batch: BatchHandlers, handlers: Handlers, picture: Path, tmp_path: Path
):
    done, _ = run(batch, [bad(tmp_path), picture])[-1]
    opened = batch.opened(done, gr.EventData(None, {"row": 1}))
    assert opened is not None
    assert opened.search.image == str(picture)
    found, index, html, *_ = handlers.shown(opened.search, "", index=2)
    assert (found, index) == (opened.search, 2)
    assert "Blue &lt;b&gt;hills&lt;/b&gt;" in html
    for wrong in (0, 2, -1):  # refused, beyond, none
        assert batch.opened(done, gr.EventData(None, {"row": wrong})) is None
    assert batch.opened(None, gr.EventData(None, {"row": 0})) is None


def test_a_table_that_grows_is_sent_more_and_more_rarely(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("app.tabs.attribute.cases.time.monotonic", lambda: now[0])
    shown, sent = Shown(), []
    for rows in range(1, 201):
        now[0] += 0.4
        if shown.due(rows):
            sent.append(rows)
    assert sent[0] == 1
    assert len(sent) < 40
    steps = [after - before for before, after in itertools.pairwise(sent)]
    assert steps[-2] > steps[0]


def test_batch_stops_where_the_fault_is_no_image_s(
    batch: BatchHandlers, picture: Path, monkeypatch: pytest.MonkeyPatch
):
    """A gallery that cannot be used gave every image the same row."""

    def damaged(*_: object, **__: object) -> None:
        raise GalleryError("the gallery is damaged")

    monkeypatch.setattr(batch.page.session, "attribute", damaged)
    with pytest.raises(gr.Error, match="the gallery is damaged"):
        run(batch, [picture, picture])


def asked_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that a session is asked about from now on."""
    attribute, asked = Session.attribute, list[str]()

    def noting(session: Session, image: Any, *args: Any, **options: Any) -> Any:
        asked.append(Path(image).name)
        return attribute(session, image, *args, **options)

    monkeypatch.setattr(Session, "attribute", noting)
    return asked


def test_a_stopped_batch_goes_on_where_it_was(
    batch: BatchHandlers, gallery_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """It began again from nothing."""
    files = [gallery_folder.parent / "images" / f"{name}.png" for name in tiny.NAMES[:4]]
    asked = asked_of(monkeypatch)
    told = batch.page.jobs.stop

    def stop(*_: object, desc: str = "") -> None:
        if files[2].name in desc:
            told("attribute", NOBODY)

    values = {**given(batch), batch.batch.files: [*map(str, files)], batch.done: None}
    done, html = list(batch.run(values, NOBODY, stop))[-1]
    assert "3 of 4 images, then stopped" in html
    assert "“Find their sources” goes on" in html
    done, html = run(batch, [*files, files[0]], done)[-1]
    assert asked == [file.name for file in files]
    assert "goes on" not in html
    assert [row.name for row in done.rows] == [file.name for file in (*files, files[0])]
    whole, _ = run(batch, files)[-1]
    assert done.rows[:4] == whole.rows


def test_what_was_answered_otherwise_is_asked_again(
    batch: BatchHandlers, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = [picture, bad(tmp_path)]
    done, _ = run(batch, files)[-1]
    asked = asked_of(monkeypatch)
    run(batch, files, done)
    assert asked == ["bad.jpg"]  # which has no answer that could be kept
    others = (
        {"encoder": "histogram"},
        {"head": "center"},
        {"scoring": [RERANKING]},
        {"prior": 20},
        {"where": "creator is not filled"},
    )
    for other in others:
        asked.clear()
        run(batch, files, done, **other)
        assert asked == [picture.name, "bad.jpg"], other
    asked.clear()
    run(batch, files, replace(done, answering=("another", *done.answering[1:])))  # a generation
    assert asked == [picture.name, "bad.jpg"]


def test_a_page_that_is_loaded_anew_shows_what_was_answered(
    batch: BatchHandlers, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It lost the table of Several, which may have taken minutes."""
    name = batch.page.start
    done, html = run(batch, [picture, bad(tmp_path)])[-1]
    before: dict[str, Done] = {"old": done}
    monkeypatch.setattr(
        "app.tabs.attribute.batch_handlers.left_in", lambda _, page, *a, **o: before.get(page)
    )
    assert batch.again("old", None, name, NOBODY) == (done, html)
    nothing = (gr.skip(), gr.skip())
    assert batch.again("older", None, name, NOBODY) == nothing
    assert batch.again("old", None, "another gallery", NOBODY) == nothing
    assert batch.again("old", done, name, NOBODY) == nothing  # asked here meanwhile
    before["old"] = replace(done, total=5)  # the page went while it worked
    again, html = batch.again("old", None, name, NOBODY)
    assert again.stopped
    assert "2 of 5 images, then stopped" in html
    assert batch.of_gallery(done, name) == (gr.skip(),) * 3
    assert batch.of_gallery(done, "another gallery")[0] is None


def zipped(folder: Path, files: dict[str, Path]) -> Path:
    with zipfile.ZipFile(folder / "all.zip", "w") as made:
        for name, file in files.items():
            made.write(file, name)
    return folder / "all.zip"


def test_a_batch_takes_zips_and_a_refused_one_stops_no_other(
    batch: BatchHandlers, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = tiny.draw(tmp_path / "other.png", 99)
    archive = zipped(tmp_path, {"a/one.png": picture, "bad.jpg": bad(tmp_path), "b/one.png": other})
    (tmp_path / "broken.zip").write_text("no zip")
    files = [tmp_path / "broken.zip", archive, picture]
    done, html = run(batch, files)[-1]
    names = ["broken.zip", "a/one.png", "b/one.png", "bad.jpg", picture.name]
    assert [row.name for row in done.rows] == names
    assert "not a zip of images" in done.rows[0].problem
    assert "not an image of an accepted kind" in done.rows[3].problem
    assert "5 images" in html
    opened = batch.opened(done, gr.EventData(None, {"row": 1}))
    assert opened is not None
    assert Path(opened.search.image).read_bytes() == picture.read_bytes()
    assert batch.batch.files.temp_files >= {opened.search.image}  # it goes as uploads go
    with zipfile.ZipFile(batch.pack(done, NOBODY).value["path"]) as packed:
        rows = list(csv.DictReader(io.StringIO(packed.read("answers.csv").decode())))
        html = packed.read("report.html").decode()
    assert [row["file"] for row in rows] == names
    assert "a/one.png" in html
    assert get_upload_folder() not in html
    asked = asked_of(monkeypatch)
    run(batch, files, done)
    assert asked == ["bad.jpg"]  # what comes out of a zip is known again too


def test_a_zip_of_too_many_is_refused_by_itself(
    batch: BatchHandlers, picture: Path, tmp_path: Path
):
    archive = zipped(tmp_path, {f"{i}.png": picture for i in range(MOST + 1)})
    done, _ = run(batch, [archive, picture])[-1]
    assert "holds 201 images; at most 200" in done.rows[0].problem
    assert done.rows[1].answer is not None
    archive = zipped(tmp_path, {f"{i}.png": picture for i in range(MOST)})
    with pytest.raises(gr.Error, match="201 pictures are too many at once; give at most 200"):
        run(batch, [archive, picture])


def test_batch_is_packed_with_adjusted_levels(batch: BatchHandlers, picture: Path, tmp_path: Path):
    done, _ = run(batch, [picture, bad(tmp_path)])[-1]
    with zipfile.ZipFile(batch.pack(done, NOBODY).value["path"]) as packed:
        assert set(packed.namelist()) == {
            "answers.csv",
            "report.html",
            "report.csv",
            "report.json",
        }
        rows = list(csv.DictReader(io.StringIO(packed.read("answers.csv").decode())))
        report = json.loads(packed.read("report.json"))
        html = packed.read("report.html").decode()
        texts = [packed.read(name).decode() for name in packed.namelist()]
    queries = report["queries"]
    assert [row["file"] for row in rows] == [picture.name, "bad.jpg"]
    assert rows[1]["problem"]
    assert len(queries) == 1
    assert queries[0]["p_adjusted"] == pytest.approx(queries[0]["p_value"])
    assert [each["query"] for each in report["refused"]] == ["bad.jpg"]
    assert "2 images: 1 with a named source, 1 left out." in html
    assert html.count('src="data:image/jpeg') == 3 + 3  # the query twice, candidates
    for text in texts:
        assert str(tmp_path) not in text
        assert str(picture.parents[1]) not in text


def test_stopped_batch_packs_what_was_done(batch: BatchHandlers, picture: Path):
    values = {**given(batch), batch.batch.files: [str(picture)] * 5, batch.done: None}
    work = batch.run(values, NOBODY)
    done, _ = next(work)
    work.close()
    assert batch.pack(done, NOBODY).visible
    assert not batch.pack(None, NOBODY).visible


@pytest.mark.parametrize(("count", "message"), [(0, "add some images"), (MOST + 1, "too many")])
def test_batch_refuses_nothing_and_too_much(
    batch: BatchHandlers, picture: Path, count: int, message: str
):
    with pytest.raises(gr.Error, match=message):
        run(batch, [picture] * count)


def test_batch_takes_uploads_only(batch: BatchHandlers, picture: Path):
    with pytest.raises(gr.Error, match="was not uploaded"):
        batch.batch.files.preprocess(ListFiles([FileData(path=str(picture))]))
