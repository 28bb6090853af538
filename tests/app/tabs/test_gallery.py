from __future__ import annotations

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
from app.tabs.gallery.layout import DATASET, FOLDER, ZIP, lay
from core.config import ServerConfig
from core.service import Session
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
    monkeypatch.setattr("core.service.session.SHIPPED", builtin)

    def made(*, hosted: bool = False) -> Handlers:
        session = Session(server=ServerConfig(hosted=hosted, max_images=6))
        session.library.home = tmp_path / "home"
        with gr.Blocks():
            page = open_page(session, gallery=BUILTIN, encoder="histogram")
            return Handlers(page, lay(page))

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
    click: Any = SimpleNamespace(index=1)
    chosen, _ = handlers.pick(name, "", 1, [], click, ANN)
    assert chosen.value == [1]
    assert handlers.pick(name, "", 1, [1], click, ANN)[0].value == []
    assert handlers.pick(name, "3.PNG", 1, [1], SimpleNamespace(index=0), ANN)[0].value == [1, 3]
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
        lambda: handlers.browse(name, "", 1, BOB),
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
