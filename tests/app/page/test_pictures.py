from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from PIL import Image

from app.page.pictures import example_picture, example_pictures, fetchable
from app.ui import build, launch_options
from core.gallery.build import Source, update
from core.report import conclusion
from core.service import BUILTIN, Session, load_encoder, read_examples
from tests.app import tiny
from tests.app.calls import call

Served = tuple[gr.Blocks, str]


@pytest.fixture(scope="module")
def small_webps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery that keeps small WebP images itself, so that no thumbnails are made of them."""
    gallery = tmp_path_factory.mktemp("webp") / "gallery"
    (gallery / "images").mkdir(parents=True)
    for seed in range(4):
        file = tiny.draw(gallery / f"{seed}.png", seed)
        with Image.open(file) as image:
            image.save(gallery / "images" / f"{seed}.webp")
        file.unlink()
    encoder = load_encoder("histogram", device="cpu")
    update(gallery, Source(gallery / "images"), [encoder])
    assert not list(gallery.glob("thumbnails/*/*"))
    return gallery


@pytest.fixture(params=["small", BUILTIN])
def served(
    request: pytest.FixtureRequest,
    small_webps: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Served]:
    """The app, started from one folder, with a temporary directory, its gallery in neither."""
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "temporary" / "gradio"))
    gallery = str(small_webps) if request.param == "small" else BUILTIN
    blocks = build(Session(), gallery=gallery)
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield blocks, address
    blocks.close()


def files_in(value: Any) -> list[str]:
    """Paths of all files in what a handler returned."""
    if isinstance(value, dict):
        own = [value["path"]] if "path" in value else []
        return own + [path for each in value.values() for path in files_in(each)]
    return [path for each in value for path in files_in(each)] if isinstance(value, list) else []


def test_small_images_are_shown_wherever_the_gallery_lies(served: Served):
    """Gradio refused the files, and its error named their path on the server."""
    blocks, address = served
    told = call(blocks, address, "examples_of", [None], visitor="somebody0")
    assert told["success"], told["output"]
    found = files_in(told["output"]["data"])
    assert len(found) >= 4
    for path in found:
        shown = httpx.get(f"{address}gradio_api/file={path}")
        assert shown.headers["content-type"].startswith("image/")


def test_an_error_that_is_not_for_people_names_no_path(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object, **__: object) -> None:
        raise FileNotFoundError("/srv/secret/gallery.json")

    blocks, address = served
    monkeypatch.setattr(Session, "gallery", broken)
    told = call(blocks, address, "examples_of", [None], visitor="somebody0")
    assert not told["success"]
    assert "fault of the program" in told["output"]["error"]
    assert "secret" not in json.dumps(told)


def test_a_picture_that_is_gone_breaks_nothing(tmp_path: Path):
    assert not Path(fetchable(tmp_path / "gone.webp")).exists()


def test_a_mixture_to_start_from_has_both_sources_named_and_failures_stay_in_view():
    """Starting from the first mixture, people read that it has one source, with over 99 %."""
    session = Session()
    start = next(f for f, name in example_pictures(session, BUILTIN) if name.startswith("A mix"))
    (chosen,) = [e for e in read_examples(session.gallery().store.folder) if e.chosen]
    assert Path(start) == chosen.file
    found = session.attribute(chosen.file)
    assert {group.best.image.path for group in conclusion.sources(found.groups)} == {
        *chosen.sources
    }
    assert found.named
    shown = [name for _, name in example_pictures(session, BUILTIN)]
    assert len(shown) == 12
    assert all("\nMade from " in name for name in shown)
    assert any("feature inversion" in name for name in shown)  # whose sources are not found


def test_examples_are_found_by_number():
    session = Session()
    shown = [file for file, _ in example_pictures(session, BUILTIN)]
    assert [example_picture(session, BUILTIN, n) for n in (1, len(shown))] == [shown[0], shown[-1]]
    for number in (0, -1, len(shown) + 1):
        assert example_picture(session, BUILTIN, number) is None
