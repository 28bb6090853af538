"""What an answer costs: how often the network is passed, and how often each file is decoded."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from app.page.state import open_page
from app.tabs.attribute import batch_layout, layout
from app.tabs.attribute.batch_handlers import BatchHandlers
from app.tabs.attribute.handlers import Handlers
from app.tabs.attribute.reason_handlers import ReasonHandlers
from app.views import matches, reasons
from core.gallery.build import update
from core.gallery.source import Source
from core.service import Choice, NetworkEncoder, Session, load_encoder
from tests.app import tiny
from tests.app.calls import controls_of

NOBODY = gr.Request(session_hash="somebody0")
COUNT = 8


def draw(path: Path, seed: int) -> Path:
    """A picture so large that its thumbnail is another file."""
    with Image.open(tiny.draw(path, seed)) as small:
        small.resize((640, 480)).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = tmp_path_factory.mktemp("large") / "images"
    images.mkdir()
    for seed in range(COUNT):
        draw(images / f"picture-{seed}.png", seed)
    update(images.parent / "gallery", Source(images), [load_encoder("random", device="cpu")])
    return images.parent / "gallery"


@pytest.fixture
def session(folder: Path) -> Session:
    """Nothing but the gallery is open."""
    found = Session()
    found.workspace(Choice("random", gallery=str(folder)))
    matches.picture_of.cache_clear()
    return found


@pytest.fixture
def passes(session: Session) -> Iterator[list[int]]:
    encoder, found = session.encoder("random"), list[int]()
    assert isinstance(encoder, NetworkEncoder)
    hook = encoder.backbone.register_forward_hook(lambda *_: found.append(1))
    yield found
    hook.remove()


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a file was opened as an image, by the hash of its bytes."""
    found, opened = Counter[str](), Image.open

    def noted(file: Any, *rest: Any, **more: Any) -> Image.Image:
        data = file.getvalue() if isinstance(file, io.BytesIO) else Path(file).read_bytes()
        found[hashlib.sha256(data).hexdigest()] += 1
        return opened(file, *rest, **more)

    monkeypatch.setattr(Image, "open", noted)
    return found


def of(path: Path | str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_an_answer_with_reasons_and_files(
    session: Session, folder: Path, passes: list[int], decodes: Counter[str], tmp_path: Path
):
    """A query was decoded four times and hashed once more, its source at every other reading."""
    with gr.Blocks():
        page = open_page(session, gallery=str(folder), encoder="random")
        query, controls = layout.lay_query(page), layout.lay_controls(page)
        handlers = Handlers(page, query, controls)
        why = ReasonHandlers(page, layout.lay_result(page).downloads)
    image = draw(tmp_path / "query.png", 100)
    asked = {query.image: str(image), **controls_of(page, controls)}
    decodes.clear()
    search = handlers.search(asked, NOBODY)[0]
    assert (len(passes), decodes[of(image)]) == (1, 1)
    source = folder.parent / "images" / search.answer.matches[0].image.path
    assert decodes[of(source)] == 0
    found = why.explain(search, 0, None, NOBODY)[0]
    why.look(search, found, reasons.PLAIN, NOBODY)
    files = why.export(search, found, NOBODY)
    assert all(Path(file).stat().st_size for file in files)
    assert len(passes) == 2  # the query's and its source's
    # once as the network takes it, once as the page shows it
    assert (decodes[of(image)], decodes[of(source)]) == (2, 2)


def test_a_batch_of_two(
    session: Session, folder: Path, passes: list[int], decodes: Counter[str], tmp_path: Path
):
    with gr.Blocks():
        page = open_page(session, gallery=str(folder), encoder="random")
        controls = layout.lay_controls(page)
        batch, result = batch_layout.lay(page), batch_layout.lay_result()
        handlers = BatchHandlers(page, controls, batch, result, gr.State(None))
    files = [str(draw(tmp_path / f"query-{seed}.png", seed)) for seed in (100, 101)]
    asked = {batch.files: files, handlers.done: None, **controls_of(page, controls)}
    decodes.clear()
    done, _ = list(handlers.run(asked, NOBODY))[-1]
    assert (len(passes), [decodes[of(file)] for file in files]) == (2, [1, 1])
    handlers.pack(done, NOBODY)
    assert len(passes) == 2
    assert [decodes[of(file)] for file in files] == [2, 2]  # and once small, for the reports
    originals = (folder.parent / "images").glob("*.png")
    assert sum(decodes[of(file)] for file in originals) == 0  # thumbnails do
