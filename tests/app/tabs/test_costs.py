"""What an answer costs: how often the network is passed, and how often each file is decoded."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from app.api import Endpoints
from app.page.state import open_page
from app.tabs.attribute import batch_layout, layout, reverse_layout
from app.tabs.attribute.batch_handlers import BatchHandlers
from app.tabs.attribute.handlers import Handlers
from app.tabs.attribute.reason_handlers import ReasonHandlers
from app.tabs.attribute.reverse_handlers import ReverseHandlers
from app.tabs.compare import layout as compare_layout
from app.tabs.compare.handlers import Handlers as CompareHandlers
from app.views import compare, matches, reasons
from core.encoders.network import Reading
from core.gallery.build import update
from core.gallery.source import Source
from core.service import Choice, NetworkEncoder, Session, load_encoder
from tests.app import tiny
from tests.app.calls import controls_of
from tests.core.cli.calls import call, said

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
    hook = encoder.folded.register_forward_hook(lambda *_: found.append(1))
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
    assert (decodes[of(image)], decodes[of(source)]) == (1, 1)  # for the network and the page


def test_a_jpeg_is_decoded_once_more_where_its_small_scale_is_too_coarse_to_show(
    session: Session, folder: Path, passes: list[int], decodes: Counter[str], tmp_path: Path
):
    """The scale that the network takes is that of the gallery's images, to the last bit."""
    large, small = tmp_path / "large.jpg", tmp_path / "small.jpg"
    with Image.open(draw(tmp_path / "query.png", 100)) as image:
        image.resize((1600, 1200)).save(large)
        image.resize((320, 256)).save(small)
    gallery = session.gallery(str(folder))
    decodes.clear()
    for file in (large, small):
        session.attribute(file, Choice("random", gallery=str(folder)))
        shown, _ = session.pair(file, gallery, gallery.records[0].id)
        assert session.pair(file, gallery, gallery.records[0].id)[0] is shown
    assert [decodes[of(file)] for file in (large, small)] == [2, 1]
    assert len(passes) == 2


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


def test_an_answer_of_the_api(
    session: Session, folder: Path, passes: list[int], decodes: Counter[str], tmp_path: Path
):
    with gr.Blocks():
        api = Endpoints(open_page(session, gallery=str(folder), encoder="random"))
    image = str(draw(tmp_path / "query.png", 100))
    decodes.clear()
    api.attribute(image, "random", "default", 5, by="source")
    assert (len(passes), decodes[of(image)]) == (1, 1)


def test_two_heads_share_what_their_encoder_saw(
    session: Session, folder: Path, passes: list[int], decodes: Counter[str], tmp_path: Path
):
    """Each side of a comparison decoded the image, and passed it through the same network."""
    with gr.Blocks():
        page = open_page(session, gallery=str(folder), encoder="random")
        api = Endpoints(page)
        table, sides, _ = compare_layout.lay(page)
        handlers = CompareHandlers(page, table, sides)
    image = str(draw(tmp_path / "query.png", 100))
    decodes.clear()
    api.compare(image, "random", "whiten", "random", "center")
    assert (len(passes), decodes[of(image)]) == (1, 1)
    other = str(draw(tmp_path / "other.png", 101))
    given: dict[Any, Any] = {table.image: other, page.filter: "", table.which: compare.ALL}
    for side, head in zip(sides, ("whiten", "center"), strict=True):
        given |= {side.encoder: "random", side.head: head, page.gallery: str(folder)}
    decodes.clear()
    found, chosen, *_ = handlers.search(given, NOBODY)
    assert (len(passes), decodes[of(other)]) == (2, 1)
    handlers.explain(found, chosen, None, NOBODY)
    assert (len(passes), decodes[of(other)]) == (3, 1)  # and its source, for both sides


def test_a_reverse_look_up_of_an_upload(
    session: Session, folder: Path, passes: list[int], decodes: Counter[str], tmp_path: Path
):
    """The upload was decoded again for the table, and more than twelve images made it so anew."""
    with gr.Blocks():
        page = open_page(session, gallery=str(folder), encoder="random")
        controls = layout.lay_controls(page)
        reverse, result = reverse_layout.lay(page), reverse_layout.lay_result()
        handlers = ReverseHandlers(page, controls, reverse, result, gr.State(None))
    source = str(draw(tmp_path / "source.png", 99))
    made = [str(draw(tmp_path / f"made-{seed}.png", seed)) for seed in range(100, 114)]
    given = {
        reverse.source: source,
        reverse.taken: None,
        reverse.files: made,
        reverse.rate: 5,
        **controls_of(page, controls),
    }
    decodes.clear()
    handlers.run(given, NOBODY)
    assert len(passes) == 15
    assert [decodes[of(file)] for file in (source, *made)] == [1] * 15


def test_a_batch_of_fourteen_of_the_command_line(
    folder: Path, decodes: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All were answered first: of more than twelve each was decoded and passed once more."""
    read, seen = NetworkEncoder.read, Counter[str]()

    def counted(self: NetworkEncoder, image: Image.Image) -> Reading:
        seen[hashlib.sha256(image.tobytes()).hexdigest()] += 1
        return read(self, image)

    monkeypatch.setattr(NetworkEncoder, "read", counted)
    files = [draw(tmp_path / f"query-{seed}.png", seed) for seed in range(100, 114)]
    decodes.clear()
    report = tmp_path / "report.json"
    result = call("attribute", *files, "--gallery", folder, "--json", "--report", report)
    assert len(said(result)) == len(json.loads(report.read_text())["queries"]) == 14
    assert [decodes[of(file)] for file in files] == [1] * 14
    assert sum(count == 1 for count in seen.values()) >= 14
