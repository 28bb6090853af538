from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import FileData, ListFiles
from PIL import Image

from app.page.state import open_page
from app.tabs.attribute import reverse_layout
from app.tabs.attribute.layout import LOCAL_SCALING, RERANKING, SCORING, lay_controls
from app.tabs.attribute.reverse_handlers import QUERY, ReverseHandlers
from app.tabs.attribute.searches import Search
from core.service import Choice, Session
from tests.app import tiny
from tests.app.calls import controls_of
from tests.app.made import answer, group

NOBODY = gr.Request(session_hash="somebody0")


@pytest.fixture
def handlers(session: Session, gallery_folder: Path) -> ReverseHandlers:
    with gr.Blocks():
        page = open_page(session, gallery=str(gallery_folder), encoder="random")
        reverse, result = reverse_layout.lay(page), reverse_layout.lay_result()
        return ReverseHandlers(page, lay_controls(page), reverse, result, gr.State(None))


@pytest.fixture
def search(session: Session, gallery_folder: Path, picture: Path) -> Search:
    choice = Choice(encoder="random", gallery=str(gallery_folder))
    return Search(str(picture), choice, 0.5, session.attribute(picture, choice, top=24))


def run(
    handlers: ReverseHandlers,
    source: Path | None,
    files: list[Path],
    *ids: int,
    asked: dict[Any, Any] | None = None,
) -> Any:
    """What was looked at, its table, its CSV and its report."""
    reverse, controls = handlers.reverse, handlers.controls
    given = {
        reverse.source: source and str(source),
        reverse.taken: ids or None,
        reverse.files: [str(file) for file in files],
        reverse.rate: 50,
        **controls_of(handlers.page, controls, scoring=(LOCAL_SCALING, RERANKING)),
        **(asked or {}),
    }
    return handlers.run(given, NOBODY)


def rows(button: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path(button.value["path"]).read_text())))


def test_what_shows_a_gallery_image_is_named_and_other_images_are_not(
    handlers: ReverseHandlers, search: Search, picture: Path, tmp_path: Path
):
    (tmp_path / "bad.jpg").write_text("no image")
    other = tiny.draw(tmp_path / "other.png", 99)
    image_id = search.answer.matches[0].image.id
    _, html, button, _ = run(handlers, picture, [other, tmp_path / "bad.jpg", picture], image_id)
    assert "Candidate source of 1 of 3 images" in html
    found = rows(button)
    assert [row["generated"] for row in found] == [picture.name, other.name, "bad.jpg"]
    assert [row["named"] for row in found] == ["yes", "no", ""]
    assert found[0]["image_id"] == str(image_id)
    assert "not an image of an accepted kind" in found[2]["problem"]


def test_a_report_holds_the_table_and_no_path_of_the_server(
    handlers: ReverseHandlers, search: Search, picture: Path, tmp_path: Path
):
    other = tiny.draw(tmp_path / "other.png", 99)
    (tmp_path / "bad.jpg").write_text("no image")
    files = [other, tmp_path / "bad.jpg", picture]
    image_id = search.answer.matches[0].image.id
    usual = {handlers.controls.scoring: [*SCORING]}
    *_, button = run(handlers, picture, files, image_id, asked=usual)
    html = Path(button.value["path"]).read_text()
    assert "Candidate source of 1 of 3 images" in html
    assert "Blue &lt;b&gt;hills&lt;/b&gt;" in html
    assert "A. Painter, CC BY 4.0" in html
    assert html.count('<img src="data:image/webp') == 3  # the source and both images
    assert "not an image of an accepted kind" in html
    assert "What this shows and does not show" in html
    assert f"--fdr 0.5 --source {image_id}" in html
    assert "random@" in html
    for folder in (tmp_path, picture.parents[1], Path(handlers.page.start)):
        assert str(folder) not in html
    other_prior = {**usual, handlers.controls.prior: 5}
    *_, button = run(handlers, picture, files, asked=other_prior)
    html = Path(button.value["path"]).read_text()
    assert "python -m core reverse" not in html
    assert "not all among the options of the command line" in html


def test_the_prior_reaches_the_confidence(
    handlers: ReverseHandlers, search: Search, picture: Path, tmp_path: Path
):
    """The table said by which prior it was made, and its confidences were those of one half."""
    image_id = search.answer.matches[0].image.id
    other = Image.open(tiny.draw(tmp_path / "other.png", 99))
    Image.blend(Image.open(picture), other, 0.2).save(tmp_path / "made.png")
    for ids in ((image_id,), ()):
        low, usual = (
            rows(
                run(
                    handlers,
                    picture,
                    [tmp_path / "made.png"],
                    *ids,
                    asked={handlers.controls.prior: p},
                )[2]
            )
            for p in (5, 50)
        )
        assert float(low[0]["confidence"]) < float(usual[0]["confidence"])
        assert low[0]["p_value"] == usual[0]["p_value"]


def test_a_row_opens_what_the_gallery_says_of_its_image(
    handlers: ReverseHandlers, search: Search, picture: Path, tmp_path: Path
):
    other = tiny.draw(tmp_path / "other.png", 99)
    image_id = search.answer.matches[3].image.id
    looked, html, *_ = run(handlers, picture, [other, picture], image_id)
    assert html.count('<img src="data:image/webp') == 3  # the source and both images
    names = [Path(file).name for file, _ in looked.rows]
    row = names.index(picture.name)
    opened = handlers.opened(looked, gr.EventData(None, {"row": row}), NOBODY)
    assert opened is not None
    assert opened.search.image == str(picture)
    assert opened.search.answer.matches[opened.index].image.id == image_id
    for wrong in ({"row": 2}, {"row": "0"}, None):
        assert handlers.opened(looked, gr.EventData(None, wrong), NOBODY) is None
    assert handlers.opened(None, gr.EventData(None, {"row": 0}), NOBODY) is None


def test_a_zip_is_looked_through_and_a_refused_one_stops_no_other(
    handlers: ReverseHandlers, search: Search, picture: Path, tmp_path: Path
):
    other = tiny.draw(tmp_path / "other.png", 99)
    (tmp_path / "bad.jpg").write_text("no image")
    (tmp_path / "broken.zip").write_text("no zip")
    names = {"a/one.png": picture, "a/bad.jpg": tmp_path / "bad.jpg", "b/one.png": other}
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as made:
        for name, file in names.items():
            made.write(file, name)
    image_id = search.answer.matches[0].image.id
    files = [tmp_path / "broken.zip", tmp_path / "made.zip", picture]
    looked, html, button, _ = run(handlers, picture, files, image_id)
    assert "Candidate source of 2 of 5 images" in html
    found = rows(button)
    named = [row["generated"] for row in found if row["named"] == "yes"]
    assert sorted(named) == ["a/one.png", picture.name]
    problems = {row["generated"]: row["problem"] for row in found if row["problem"]}
    assert set(problems) == {"broken.zip", "a/bad.jpg"}
    assert "not a zip of images" in problems["broken.zip"]
    place = [row["generated"] for row in found].index("a/one.png")
    opened = handlers.opened(looked, gr.EventData(None, {"row": place}), NOBODY)
    assert opened is not None
    assert Path(opened.search.image).read_bytes() == picture.read_bytes()


def test_a_page_that_is_loaded_anew_shows_what_was_found(
    handlers: ReverseHandlers, search: Search, picture: Path, monkeypatch: pytest.MonkeyPatch
):
    name = handlers.page.start
    found = run(handlers, picture, [picture], search.answer.matches[0].image.id)
    looked, html, csv_button, report = found
    monkeypatch.setattr(
        "app.tabs.attribute.reverse_handlers.left_in",
        lambda _, page, *a, **o: looked if page == "old" else None,
    )
    again = handlers.again("old", None, name, NOBODY)
    assert again[:2] == (looked, html)
    for button, old in zip(again[2:], (csv_button, report), strict=True):
        assert Path(button.value["path"]).read_text() == Path(old.value["path"]).read_text()
    nothing = (gr.skip(),) * 4
    assert handlers.again("older", None, name, NOBODY) == nothing
    assert handlers.again("old", None, "another gallery", NOBODY) == nothing
    assert handlers.again("old", looked, name, NOBODY) == nothing
    assert handlers.of_gallery(looked, name)[4:] == nothing
    assert handlers.of_gallery(looked, "another gallery")[4] is None
    assert handlers.of_gallery(looked, name)[0] is None  # a source is chosen for one gallery


def test_several_sources_are_looked_for_at_once(
    handlers: ReverseHandlers, search: Search, picture: Path, tmp_path: Path
):
    other = tiny.draw(tmp_path / "other.png", 99)
    ids = [match.image.id for match in search.answer.matches[:2]]
    looked, html, button, _ = run(handlers, picture, [other, picture], *ids)
    assert "Candidate sources of 1 of 2 images" in html
    assert html.count('class="ws-case ws-sought"') == 2
    found = rows(button)
    assert [row["named"] for row in found] == ["yes", "no", "no", "no"]
    assert (found[0]["generated"], found[0]["image_id"]) == (picture.name, str(ids[0]))
    assert {(row["generated"], row["image_id"]) for row in found} == {
        (name, str(i)) for name in (other.name, picture.name) for i in ids
    }
    opened = handlers.opened(looked, gr.EventData(None, {"row": 0}), NOBODY)
    assert opened is not None
    assert opened.search.answer.matches[opened.index].image.id == ids[0]


def test_what_cannot_be_named_is_told_before_the_run(handlers: ReverseHandlers):
    told = handlers.foretell(["a.png"] * 3, 5, handlers.page.start, NOBODY)
    assert "unless at least 3 of them stand out" in told.value
    assert told.visible
    told = handlers.foretell(["a.png", "b.png", "c.zip"], 5, handlers.page.start, NOBODY)
    assert not told.visible  # nobody knows how many there are
    assert "nothing can" in handlers.foretell(["c.zip"], 1, handlers.page.start, NOBODY).value
    assert not handlers.foretell(None, 5, handlers.page.start, NOBODY).visible
    assert "nothing can be named" in handlers.foretell(None, 1, handlers.page.start, NOBODY).value


def test_an_image_of_ones_own_is_looked_for_too(handlers: ReverseHandlers, tmp_path: Path):
    own = tiny.draw(tmp_path / "own.png", 77)
    other = tiny.draw(tmp_path / "other.png", 99)
    _, html, button, _ = run(handlers, own, [other, own])
    assert "Candidate source of 1 of 2 images" in html
    first = rows(button)[0]
    assert (first["generated"], first["source"], first["image_id"]) == ("own.png", "own.png", "")


def test_a_stop_keeps_what_was_looked_at(
    handlers: ReverseHandlers, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    query, asked = Session.query, []

    def stopping(session: Session, workspace: Any, source: Any) -> Any:
        asked.append(source)
        if len(asked) == 3:  # what may be the source is one of them
            handlers.page.jobs.stop("attribute", NOBODY)
        return query(session, workspace, source)

    monkeypatch.setattr(Session, "query", stopping)
    _, html, *_ = run(handlers, picture, [picture] * 5)
    assert "2 of 5 images" in html


def test_the_last_answer_offers_its_images(
    handlers: ReverseHandlers, search: Search, picture: Path
):
    offered = handlers.offer(search)
    assert offered.visible
    first = search.answer.matches[0].image
    assert offered.choices[:2] == [
        ("Your image", QUERY),
        ("Candidate source 1: Blue <b>hills</b>", str(first.id)),
    ]
    assert handlers.take(search, QUERY, NOBODY)[:2] == (str(picture), None)
    shown, taken, _ = handlers.take(search, str(first.id), NOBODY)
    assert Path(shown).is_file()
    assert taken == (first.id,)
    assert not handlers.offer(None).visible


def test_what_the_last_answer_calls_close_is_offered_as_that(
    handlers: ReverseHandlers, search: Search
):
    """All of its images were called candidates, those of an answer without a source too."""
    source, other = group(1, influence=0.9, title="Hills"), group(2, influence=0.0, title="Lake")
    found = replace(search, answer=answer(source, other, none=0.1))
    assert [label for label, _ in handlers.offer(found).choices[1:]] == [
        "Candidate source 1: Hills",
        "Close image 2: Lake",
    ]
    none = replace(search, answer=answer(other, none=1.0, named=False, p_value=0.3))
    assert [label for label, _ in handlers.offer(none).choices[1:]] == ["Close image 1: Lake"]


def test_a_gallery_that_went_is_told_in_words(handlers: ReverseHandlers, search: Search):
    gone = replace(search, choice=replace(search.choice, gallery="/nowhere"))
    with pytest.raises(gr.Error):
        handlers.take(gone, str(search.answer.matches[0].image.id), NOBODY)


def test_wrong_use_is_told(handlers: ReverseHandlers, picture: Path, tmp_path: Path):
    with pytest.raises(gr.Error, match="choose the source"):
        run(handlers, None, [picture])
    with pytest.raises(gr.Error, match="add some images"):
        run(handlers, picture, [])
    with pytest.raises(gr.Error, match="too many"):
        run(handlers, picture, [picture] * 201)
    (tmp_path / "bad.jpg").write_text("no image")
    with pytest.raises(gr.Error, match="accepted are JPEG"):
        run(handlers, tmp_path / "bad.jpg", [picture])


def test_uploads_only_are_taken(handlers: ReverseHandlers, picture: Path):
    with pytest.raises(gr.Error, match="was not uploaded"):
        handlers.reverse.files.preprocess(ListFiles([FileData(path=str(picture))]))
