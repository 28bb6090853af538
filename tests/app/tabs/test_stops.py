"""Every kind of long work is stopped in its midst: nothing of it goes on after the stop."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app.page.state import Page, open_page
from app.tabs.attribute import batch_layout, layout, reverse_layout
from app.tabs.attribute.batch_handlers import BatchHandlers
from app.tabs.attribute.handlers import Handlers as AttributeHandlers
from app.tabs.attribute.reverse_handlers import ReverseHandlers
from app.tabs.compare import layout as compare_layout
from app.tabs.compare.handlers import Handlers as CompareHandlers
from app.tabs.disentanglement.handlers import Handlers as DisentanglementHandlers
from app.tabs.disentanglement.layout import lay_controls, lay_result
from app.tabs.gallery.handlers import Handlers as GalleryHandlers
from app.tabs.gallery.layout import ZIP
from app.tabs.gallery.layout import lay as lay_gallery
from app.tabs.gallery.shelf_handlers import ShelfHandlers
from app.tabs.map.handlers import Cards
from app.tabs.map.handlers import Handlers as MapHandlers
from app.tabs.map.layout import lay as lay_map
from app.views import compare as compare_views
from app.views.scene import DOMAIN
from core.config import BuildConfig
from core.service import Session
from tests.app import small, tiny

NOBODY = gr.Request(session_hash="somebody0")
BATCH = BuildConfig().batch
NULL = "measuring how images without a source stand out"


class Stopper:
    """A progress bar whose reader stops a tab's work when a step is told of."""

    def __init__(self, page: Page, tab: str, *, at: str) -> None:
        self.page, self.tab, self.at = page, tab, at
        self.told: list[str] = []

    def __call__(self, _steps: object, desc: str) -> None:
        self.told.append(desc)
        if self.at in desc:
            self.page.jobs.stop(self.tab, NOBODY)

    @property
    def ended_there(self) -> bool:
        """Whether the work ended at the first step that was to be its last."""
        return [self.at in what for what in self.told].index(True) == len(self.told) - 1


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery that nobody has asked: no null, no map, no heads."""
    return tiny.make(tmp_path_factory.mktemp("untouched"))


@pytest.fixture
def fresh(untouched: Path, tmp_path: Path) -> Path:
    """A copy of it, beside a copy of its images."""
    shutil.copytree(untouched.parent / "images", tmp_path / "images")
    copied = shutil.copytree(untouched, tmp_path / "gallery")
    header = json.loads((copied / "gallery.json").read_text())
    assert header["root"] == str(untouched.parent / "images")
    (copied / "gallery.json").write_text(json.dumps({**header, "root": str(tmp_path / "images")}))
    return copied


@pytest.fixture(scope="module")
def with_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("examples"))


def opened(folder: Path) -> Page:
    return open_page(Session(), gallery=str(folder), encoder="random")


def controls_of(page: Page, controls: layout.Controls, head: str) -> dict[Any, Any]:
    return {
        controls.encoder: "random",
        controls.head: head,
        controls.scoring: [layout.LOCAL_SCALING],
        controls.prior: 50,
        controls.where: "",
        page.gallery: page.start,
    }


def stopped(work: Callable[[Any], object], stopper: Stopper) -> None:
    with pytest.raises(gr.Error, match="What was finished is kept"):
        work(stopper)
    assert stopper.ended_there


def test_the_null_of_a_first_answer(fresh: Path, picture: Path):
    """The button only left the page: the null was fitted to its end."""
    with gr.Blocks():
        page = opened(fresh)
        query, controls = layout.lay_query(page), layout.lay_controls(page)
        handlers = AttributeHandlers(page, query, controls, layout.lay_result(page).downloads)
    given = {**controls_of(page, controls, "whiten"), query.image: str(picture)}
    stopper = Stopper(page, "attribute", at=NULL)
    stopped(lambda progress: handlers.search(given, NOBODY, progress), stopper)
    assert stopper.told.count(NULL) == 1
    assert handlers.search(given, NOBODY)[0].answer.matches


def test_judging_dimensions_ends_with_the_page(fresh: Path, picture: Path):
    with gr.Blocks():
        page = opened(fresh)
        query, controls = layout.lay_query(page), layout.lay_controls(page)
        handlers = AttributeHandlers(page, query, controls, layout.lay_result(page).downloads)
    given = {**controls_of(page, controls, "whiten"), query.image: str(picture)}
    search = handlers.search(given, NOBODY)[0]
    found = handlers.explain(search, 0, None, NOBODY)[0]
    told: list[str] = []

    def closed(_steps: object, desc: str) -> None:
        told.append(desc)
        page.jobs.stop_all(NOBODY)

    with pytest.raises(gr.Error, match="What was finished is kept"):
        handlers.judge(search, found, NOBODY, closed)
    assert told == ["refitting the head on resamples"]


def test_several_images(fresh: Path):
    with gr.Blocks():
        page = opened(fresh)
        controls = layout.lay_controls(page)
        batch, result = batch_layout.lay(page), batch_layout.lay_result()
        handlers = BatchHandlers(page, controls, batch, result)
    files = sorted(map(str, (fresh.parent / "images").glob("*.png")))
    given = {**controls_of(page, controls, "center"), batch.files: files}
    stopped(
        lambda progress: list(handlers.run(given, NOBODY, progress)),
        Stopper(page, "attribute", at=NULL),
    )
    stopper = Stopper(page, "attribute", at=tiny.NAMES[2])
    done, html = list(handlers.run(given, NOBODY, stopper))[-1]
    assert stopper.ended_there
    assert [row.name for row in done.rows] == [Path(file).name for file in files[:3]]
    assert f"3 of {len(files)} images" in html


def test_reverse_look_up(fresh: Path, picture: Path):
    with gr.Blocks():
        page = opened(fresh)
        controls = layout.lay_controls(page)
        reverse, result = reverse_layout.lay(page), reverse_layout.lay_result()
        handlers = ReverseHandlers(page, controls, reverse, result)
    files = sorted(map(str, (fresh.parent / "images").glob("*.png")))
    given = {
        **controls_of(page, controls, "identity"),
        reverse.source: str(picture),
        reverse.taken: None,
        reverse.files: files,
        reverse.rate: 5,
    }
    stopped(
        lambda progress: handlers.run(given, NOBODY, progress),
        Stopper(page, "attribute", at=NULL),
    )
    stopper = Stopper(page, "attribute", at=tiny.NAMES[2])
    _, html, _ = handlers.run(given, NOBODY, stopper)
    assert stopper.ended_there
    assert f"3 of {len(files)} images" in html


def compared(folder: Path) -> CompareHandlers:
    with gr.Blocks():
        page = opened(folder)
        table, sides, _ = compare_layout.lay(page)
    return CompareHandlers(page, table, sides)


def sides(handlers: CompareHandlers, picture: Path | None = None) -> dict[Any, Any]:
    left, right = handlers.sides
    return {
        handlers.table.image: picture and str(picture),
        handlers.table.which: compare_views.ALL,
        left.encoder: "histogram",
        left.head: "center",
        right.encoder: "histogram",
        right.head: "whiten",
        handlers.page.gallery: handlers.page.start,
        handlers.page.filter: "",
    }


def test_comparing_two_rankings(fresh: Path, picture: Path):
    handlers = compared(fresh)
    stopped(
        lambda progress: handlers.search(sides(handlers, picture), NOBODY, progress),
        Stopper(handlers.page, "compare", at=NULL),
    )


def test_comparing_over_the_examples(with_examples: Path):
    handlers = compared(with_examples)
    stopped(
        lambda progress: handlers.over_examples(sides(handlers), NOBODY, progress),
        Stopper(handlers.page, "compare", at="answering the examples"),
    )


def test_measuring_disentanglement(with_examples: Path):
    with gr.Blocks():
        page = opened(with_examples)
        controls, result = lay_controls(page), lay_result(page)
    handlers = DisentanglementHandlers(page, controls, result)
    given = {
        controls.encoder: "random",
        controls.head: "whiten",
        controls.beside.dropdown: "",
        controls.beside_head: "center",
        page.gallery: page.start,
    }
    for at in (NULL, "reading the examples", "Measuring the features"):
        stopped(
            lambda progress: handlers.measure(given, NOBODY, progress),
            Stopper(page, "disentanglement", at=at),
        )


def test_laying_out_a_map(fresh: Path):
    """The other process that lays the map out ends too: its folder is removed after it."""
    with gr.Blocks():
        page = opened(fresh)
        cards = Cards(page.session)
        handlers = MapHandlers(page, lay_map(page, cards.peek, cards.pictures), cards)
    tab = handlers.tab
    given = {
        tab.encoder: "histogram",
        tab.head: "identity",
        tab.second: "",
        tab.colour: DOMAIN,
        tab.image: None,
        tab.state: None,
        page.gallery: page.start,
    }
    with pytest.raises(gr.Error, match="draw it again"):
        handlers.draw(given, NOBODY, stopper := Stopper(page, "map", at="comparing all images"))
    assert stopper.ended_there
    assert not list(fresh.rglob("map-*/map.npz"))


@pytest.fixture
def gallery(fresh: Path, tmp_path: Path) -> GalleryHandlers:
    with gr.Blocks():
        page = opened(fresh)
        page.session.library.home = tmp_path / "home"
        tab = lay_gallery(page)
        return GalleryHandlers(page, tab, ShelfHandlers(page, tab.shelf))


def test_building_a_gallery(gallery: GalleryHandlers, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "trip.zip", "w") as packed:
        for seed in range(BATCH + 1):
            packed.write(tiny.draw(tmp_path / f"{seed}.png", seed), f"{seed}.png")
    tab, page = gallery.tab, gallery.page
    given = {
        tab.kind: ZIP,
        tab.archive: str(tmp_path / "trip.zip"),
        tab.folder: "",
        tab.dataset: "",
        tab.encoders: ["histogram"],
    }
    stopper = Stopper(page, "gallery", at="reading and encoding images")
    with pytest.raises(gr.Error, match="build again with the same source"):
        gallery.build(given, NOBODY, stopper)
    assert stopper.ended_there
    done = gallery.build(given, NOBODY, Stopper(page, "gallery", at="never"))
    assert f"holds {BATCH + 1} images" in done[tab.status]


@pytest.mark.parametrize(
    ("work", "more", "at"),
    [
        ("duplicates", ["histogram"], NULL),
        ("fit", ["histogram", "infomax"], "Infomax"),
        ("verify", [], "checking thumbnails"),
        ("refresh", [None], "reading and encoding images"),
    ],
)
def test_work_on_a_gallery(gallery: GalleryHandlers, work: str, more: list[Any], at: str):
    name = gallery.page.start
    for seed in range(BATCH + 1 if work == "refresh" else 0):
        tiny.draw(gallery.session.gallery(name).root / f"new-{seed}.png", 100 + seed)
    stopped(
        lambda progress: getattr(gallery, work)(name, *more, NOBODY, progress),
        Stopper(gallery.page, "gallery", at=at),
    )
