from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest

from app.page.state import open_page
from app.tabs import gallery as gallery_tab
from app.tabs.gallery.handlers import BUILTIN, Handlers
from app.tabs.gallery.layout import DATASET, FOLDER, ZIP, build_choices, lay
from app.tabs.gallery.shelf_handlers import ShelfHandlers
from app.tabs.gallery.shelf_layout import IN, OUT
from core.config import ServerConfig
from core.service import Session, encoder_infos
from core.values import Cancelled
from tests.app import small, tiny

ANN: Any = SimpleNamespace(session_hash="ann-visits")
BOB: Any = SimpleNamespace(session_hash="bob-visits")
QUIET: Any = lambda *_, **__: None  # noqa: E731 - stands for a progress bar


@pytest.fixture(scope="module")
def builtin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("gallery"))


@pytest.fixture
def make(tmp_path: Path, builtin: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Handlers]:
    monkeypatch.setattr("core.service.opening.SHIPPED", builtin)

    def made(*, hosted: bool = False) -> Handlers:
        session = Session(server=ServerConfig(hosted=hosted, max_images=6))
        session.library.home = tmp_path / "home"
        with gr.Blocks():
            page = open_page(session, gallery=BUILTIN, encoder="histogram")
            tab = lay(page)
            return Handlers(page, tab, ShelfHandlers(page, tab.shelf))

    return made


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "trip.zip", "w") as packed:
        for seed in range(4):
            packed.write(tiny.draw(tmp_path / f"{seed}.png", seed), f"{seed}.png")
    return tmp_path / "trip.zip"


def build(
    handlers: Handlers, kind: str = ZIP, *, who: Any = ANN, **source: object
) -> dict[Any, Any]:
    tab = handlers.tab
    given = {
        tab.kind: kind,
        tab.archive: source.get("archive"),
        tab.folder: source.get("folder", ""),
        tab.dataset: source.get("dataset", ""),
        tab.encoders: ["histogram"],
    }
    return handlers.build(given, who, QUIET)


def opened(handlers: Handlers, found: dict[Any, Any]) -> str:
    return found[handlers.page.gallery]


def test_a_zip_is_built_and_every_tab_looks_at_it(make, archive: Path) -> None:
    handlers = make()
    found = build(handlers, archive=str(archive))
    name = opened(handlers, found)
    assert "holds 4 images: 4 added" in found[handlers.tab.status]
    shown = handlers.show(name, ANN)
    assert "<dd>4</dd>" in shown[handlers.tab.facts]
    assert "Baseline: histogram" in shown[handlers.tab.facts]
    assert shown[handlers.tab.changes].visible
    names = [value for _, value in shown[handlers.tab.opened].choices]
    assert names == [BUILTIN, name]
    assert handlers.open(BUILTIN, ANN)[:2] == (BUILTIN, "")


def test_the_embedded_gallery_says_why_it_is_not_changed(make) -> None:
    handlers = make()
    shown = handlers.show(BUILTIN, ANN)
    assert not shown[handlers.tab.changes].visible
    assert "read-only" in shown[handlers.tab.locked].value
    assert "2 generated images" in shown[handlers.tab.facts]
    with pytest.raises(gr.Error, match="build one of your own"):
        handlers.remove(BUILTIN, [0], ANN, QUIET)


def test_a_folder_is_built_and_a_gallery_in_a_folder_is_opened(
    make, tmp_path: Path, builtin: Path
) -> None:
    handlers = make()
    name = opened(handlers, build(handlers, FOLDER, folder=str(builtin.parent / "images")))
    assert "<dd>12</dd>" in handlers.show(name, ANN)[handlers.tab.facts]
    copy = tmp_path / "copy"
    shutil.copytree(builtin, copy)
    assert opened(handlers, build(handlers, FOLDER, folder=str(copy))) == str(copy)


@pytest.mark.parametrize(
    ("kind", "source", "what"),
    [
        (ZIP, {}, "give a zip, a folder or a dataset first"),
        (DATASET, {"dataset": " "}, "give a zip, a folder or a dataset first"),
        (FOLDER, {"folder": "/nowhere-at-all"}, "neither a folder, a zip, nor a dataset"),
        (FOLDER, {"folder": "EMPTY"}, "no image"),
        (ZIP, {"archive": "BAD"}, "damaged, cut short or not a zip"),
        (ZIP, {"archive": "SLIP"}, "only relative paths"),
        (ZIP, {"archive": "BOMB"}, "unpacks to more than"),
    ],
)
def test_refusals_say_what_is_wrong(
    make, tmp_path: Path, kind: str, source: dict[str, str], what: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as packed:
        packed.writestr("../../out.png", b"x")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.png", bytes(5_000_000))
    handlers = make()
    handlers.library.server = replace(handlers.library.server, max_unpacked_bytes=1_000_000)
    files = {
        "EMPTY": tmp_path / "empty",
        "BAD": tmp_path / "bad.zip",
        "SLIP": tmp_path / "slip.zip",
        "BOMB": tmp_path / "bomb.zip",
    }
    given = {key: str(files.get(value, value)) for key, value in source.items()}
    with pytest.raises(gr.Error, match=what):
        build(handlers, kind, **given)
    assert not (tmp_path.parent / "out.png").exists()


def test_a_stopped_build_is_told_and_goes_on(
    make, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers = make()

    def stopped(*_: object, **__: object) -> None:
        raise Cancelled

    with monkeypatch.context() as patched:
        patched.setattr("core.service.building.update", stopped)
        with pytest.raises(gr.Error, match="build again with the same source"):
            build(handlers, archive=str(archive))
    assert "4 added" in build(handlers, archive=str(archive))[handlers.tab.status]


def test_images_are_chosen_removed_added_and_checked(make, archive: Path, tmp_path: Path) -> None:
    handlers = make()
    name = opened(handlers, build(handlers, archive=str(archive)))
    asked, words = handlers.pictures.ask([1])
    assert asked.visible and "Remove 1 image from the gallery?" in words
    assert "1 removed" in handlers.remove(name, [1], ANN, QUIET)[handlers.tab.status]
    with pytest.raises(gr.Error, match="choose images first"):
        handlers.remove(name, [], ANN, QUIET)
    new = tiny.draw(tmp_path / "new.png", 8)
    assert "1 added" in handlers.add(name, [str(new)], ANN, QUIET)[handlers.tab.status]
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(gr.Error, match="not an image"):
        handlers.add(name, [str(tmp_path / "bad.png")], ANN, QUIET)
    assert handlers.verify(name, ANN, QUIET) == "Every file is there and whole."
    gallery = handlers.session.gallery(name)
    handlers.session.thumbnails(gallery, gallery.records)[0].write_bytes(b"x")
    assert "Not as they should be: 1 file." in handlers.verify(name, ANN, QUIET)


def wanted(handlers: Handlers, name: str, **given: Any) -> dict[Any, Any]:
    """What decides which pictures are shown; all of them by default."""
    shelf = handlers.tab.shelf
    usual = {"search": "", "column": "", "value": "", "order": "added", "which": IN}
    usual |= {"leaf": 1, "chosen": []}
    found = {getattr(shelf, key): value for key, value in {**usual, **given}.items()}
    return {handlers.page.gallery: name, **found}


def ids_in(html: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-id="(\d+)"', html)]


def test_pictures_are_found_sorted_and_turned(make, tmp_path: Path) -> None:
    (folder := tmp_path / "photos").mkdir()
    rows = ["file_name,creator,year"]
    for seed in range(40):
        tiny.draw(folder / f"{seed}.png", seed)
        rows += [f"{seed}.png,{'Ann <b>' if seed < 3 else ''},{2000 - seed}"]
    (folder / "metadata.csv").write_text("\n".join(rows))
    handlers = make()
    name, pictures = (
        opened(handlers, build(handlers, FOLDER, folder=str(folder))),
        handlers.pictures,
    )

    def look(**given: Any) -> list[int]:
        return ids_in(pictures.look(wanted(handlers, name, **given), ANN)[0])

    first = handlers.show(name, ANN)
    html = first[handlers.tab.shelf.pictures]
    assert len(ids_in(html)) == 36 and "1 / 2" in html and "1 to 36 of 40 found." in html
    assert [label for label, _ in first[handlers.tab.shelf.column].choices] == [
        "any column",
        "creator",
        "year",
    ]
    ann = look(column="creator", value="=Ann <b>")
    assert ann == look(search="ANN") and len(ann) == 3
    assert len(look(column="creator", value="=")) == 36  # of 37, on this page
    assert look(order="newest")[0] == 39
    assert look(order="year", search="199")[:1] == [2]  # 1990 is of 10.png
    values, _, _ = pictures.values(wanted(handlers, name, column="creator"), ANN)
    assert values.choices == [("anything", ""), ("no value (37)", "="), ("Ann <b> (3)", "=Ann <b>")]
    assert "No image has that" in pictures.look(wanted(handlers, name, search="zzz"), ANN)[0]

    def told(data: object, **given: Any) -> dict[Any, Any]:
        event: Any = SimpleNamespace(_data=data)
        return pictures.told(wanted(handlers, name, **given), ANN, event)

    shelf = handlers.tab.shelf
    turned = told({"leaf": 2}, chosen=[39])
    assert len(ids_in(turned[shelf.pictures])) == 4
    assert turned[shelf.pictures].count('aria-pressed="true"') == 1
    assert told({"chosen": [3, 5, 99, "7", True]})[shelf.chosen] == [3, 5]
    for bad in (None, 3, {"chosen": "3"}, {"leaf": True}):
        assert told(bad)[shelf.chosen] == []
    assert told({"leaf": 10**9}, chosen=[39])[shelf.pictures] == turned[shelf.pictures]
    assert len(pictures.every(wanted(handlers, name), ANN)[shelf.chosen]) == 40


def test_opted_out_images_are_no_answer_until_it_is_undone(make, archive: Path) -> None:
    handlers = make()
    name = opened(handlers, build(handlers, archive=str(archive)))
    shelf, pictures = handlers.tab.shelf, handlers.pictures
    with pytest.raises(gr.Error, match="choose images first"):
        pictures.opt_out(name, [], ANN)
    words, undo, button = pictures.opt_out(name, [1, 2], ANN)
    assert "Opted out: 2 images, 2 in all" in words and button.visible
    handlers.finish(name, ANN, QUIET)
    shown = handlers.again(wanted(handlers, name), ANN)
    assert ids_in(shown[shelf.pictures]) == [0, 3]
    assert "2 images, 2 opted out" in shown[handlers.tab.title]
    assert shown[shelf.which].visible
    out = pictures.turned(wanted(handlers, name, which=OUT), ANN)
    assert ids_in(out[shelf.pictures]) == [1, 2]
    assert (out[shelf.opt_in].visible, out[shelf.opt_out].visible) == (True, False)
    assert "1 to 2 of 2" in out[shelf.pictures]
    words, undo, button = pictures.undo(name, undo, ANN)
    assert "Opted in again: 2 images; all are part of answers" in words
    assert undo is None and not button.visible
    one, two = (pictures.opt_out(name, [i], ANN)[0] for i in (1, 2))
    assert one != two, "the second time looked like nothing"
    assert "1 image still opted out" in pictures.opt_in(name, [1], ANN)[0]
    pictures.opt_in(name, [2], ANN)
    assert len(handlers.session.gallery(name)) == 4
    with pytest.raises(gr.Error, match="build one of your own"):
        pictures.opt_out(BUILTIN, [0], ANN)
    assert ids_in(handlers.show(BUILTIN, ANN)[shelf.pictures]) == []  # nothing there to choose


def test_a_gallery_is_shown_by_its_new_name(make, archive: Path) -> None:
    handlers = make()
    name = opened(handlers, build(handlers, archive=str(archive)))
    said, choices, title = handlers.rename(name, " Trip  to *Rome* ", ANN)
    assert said == "Renamed." and "Trip to \\*Rome\\*" in title
    assert ("Trip to *Rome*", name) in choices.choices
    other = handlers.show(BUILTIN, ANN)[handlers.tab.opened]
    assert ("Trip to *Rome*", name) in other.choices
    for bad in ("", "  "):
        with pytest.raises(gr.Error, match="needs a name"):
            handlers.rename(name, bad, ANN)
    with pytest.raises(gr.Error, match="build one of your own"):
        handlers.rename(BUILTIN, "mine", ANN)


def test_a_gallery_is_built_with_any_encoder_that_is_here(make, monkeypatch) -> None:
    names = [name for _, name in build_choices()]
    assert {"lite0", "moco", "dino", "histogram"} <= {*names}
    here = [info for info in encoder_infos() if info.here or info.name == "dino-vits16"]
    infos = [replace(info, here=True) for info in here]
    monkeypatch.setattr("app.tabs.gallery.layout.encoder_infos", lambda: infos)
    label = next(label for label, name in build_choices() if name == "dino-vits16")
    assert label.endswith("Apache-2.0")


def test_what_became_of_every_row_is_told_and_can_be_downloaded(make, tmp_path: Path) -> None:
    (folder := tmp_path / "photos").mkdir()
    for seed in range(4):
        tiny.draw(folder / f"{seed}.png", seed)
    (folder / "metadata.csv").write_text("file_name,creator\n0.png,Ann\nx.png,Bo\n")
    (folder / "layers.psd").write_bytes(b"8BPS")
    handlers = make()
    tab = handlers.tab
    found = build(handlers, FOLDER, folder=str(folder))
    said = found[tab.status].replace("\\", "")
    assert "2 rows, 1 matched" in said and "row 2 'x.png'" in said and "1 PSD" in said
    table = Path(found[tab.account].value["path"]).read_text()
    assert "row without image,metadata.csv,2,x.png," in table
    assert "image without row,,,1.png," in table and "kind not read,,,layers.psd,PSD" in table
    (folder / "3.png").unlink()
    name = opened(handlers, found)
    kept = handlers.refresh(name, [], ANN, QUIET)[tab.status]
    assert "holds 4 images" in kept and "no longer where they were" in kept
    dropped = handlers.prune(name, [], ANN, QUIET)[tab.status]
    assert "holds 3 images" in dropped and "no longer" not in dropped
    template = Path(handlers.fill_in(name, ANN).value["path"]).read_text()
    assert template.splitlines()[:2] == [
        "file_name,source,creator,licence,url,title",
        "0.png,,Ann,,,",
    ]


def test_near_duplicates_are_rows_and_a_head_is_fitted(make, archive: Path, tmp_path: Path) -> None:
    handlers = make()
    name = opened(handlers, build(handlers, archive=str(archive)))
    pictures, words = handlers.duplicates(name, "histogram", ANN, QUIET)
    assert not pictures.value
    assert "No two images" in words
    shutil.copy(tmp_path / "2.png", tmp_path / "again.png")
    handlers.add(name, [str(tmp_path / "again.png")], ANN, QUIET)
    pictures, words = handlers.duplicates(name, "histogram", ANN, QUIET)
    assert [item["caption"] for item in pictures.value] == ["Group 1\n2", "Group 1\nagain"]
    assert "1 group of near-duplicates. Images that repeat another: 1." in words
    assert "Centred, fitted to Baseline: histogram" in handlers.fit(
        name, "histogram", "center", ANN, QUIET
    )


# Hosted


def test_a_visitor_s_gallery_is_nobody_else_s(make, archive: Path) -> None:
    handlers = make(hosted=True)
    name = opened(handlers, build(handlers, archive=str(archive)))
    assert "<dd>4</dd>" in handlers.show(name, ANN)[handlers.tab.facts]
    for work in (
        lambda: handlers.show(name, BOB),
        lambda: handlers.open(name, BOB),
        lambda: handlers.pictures.look(wanted(handlers, name), BOB),
        lambda: handlers.pictures.opt_out(name, [0], BOB),
        lambda: handlers.rename(name, "mine", BOB),
        lambda: handlers.finish(name, BOB, QUIET),
        lambda: handlers.remove(name, [0], BOB, QUIET),
        lambda: handlers.add(name, [], BOB, QUIET),
        lambda: handlers.refresh(name, None, BOB, QUIET),
        lambda: handlers.verify(name, BOB, QUIET),
        lambda: handlers.duplicates(name, "histogram", BOB, QUIET),
        lambda: handlers.fit(name, "histogram", "center", BOB, QUIET),
    ):
        with pytest.raises(gr.Error, match="not here, or has expired"):
            work()
    assert name not in [
        value for _, value in handlers.show(BUILTIN, BOB)[handlers.tab.opened].choices
    ]


def test_a_hosted_page_takes_no_folder(make, builtin: Path) -> None:
    handlers = make(hosted=True)
    assert FOLDER not in [value for _, value in handlers.tab.kind.choices]
    with pytest.raises(gr.Error, match="give a zip"):
        build(handlers, FOLDER, folder=str(builtin))
    with pytest.raises(gr.Error, match="not a dataset named"):
        build(handlers, DATASET, dataset=str(builtin))


@pytest.fixture
def served(make, archive: Path) -> Iterator[tuple[str, Path]]:
    handlers = make(hosted=True)
    name = opened(handlers, build(handlers, archive=str(archive)))
    folder = handlers.session.visitors.gallery(ANN.session_hash, name)
    with gr.Blocks() as blocks:
        page = open_page(handlers.session, gallery=BUILTIN, encoder="histogram")
        gallery_tab.create(page)
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True)
    yield address, folder
    blocks.close()


def test_file_routes_and_the_api_give_nothing_of_a_visitor(served: tuple[str, Path]) -> None:
    address, folder = served
    for file in (next(folder.glob("thumbnails/*/*.webp")), folder / "gallery.json"):
        reply = httpx.get(f"{address}gradio_api/file={file}")
        assert reply.status_code in (403, 404), reply.status_code
    assert httpx.get(f"{address}gradio_api/info").json()["named_endpoints"] == {}
