"""Every kind of long work is stopped in its midst: nothing of it goes on after the stop."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest

from app.api import Endpoints
from app.page.fetch import Fetcher
from app.page.jobs import METER
from app.page.state import Page, open_page
from app.tabs.attribute import batch_layout, layout, reverse_layout
from app.tabs.attribute.batch_handlers import BatchHandlers
from app.tabs.attribute.handlers import Handlers as AttributeHandlers
from app.tabs.attribute.reason_handlers import ReasonHandlers
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
from core.gallery.remove import remove
from core.service import Session
from tests.app import small, tiny
from tests.app.calls import controls_of

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


def stopped(work: Callable[[Any], object], stopper: Stopper, *, again: str = "") -> None:
    with pytest.raises(gr.Error, match=f"What was finished is kept; .*{again}"):
        work(stopper)
    assert stopper.ended_there


def test_the_null_of_a_first_answer(fresh: Path, picture: Path):
    """The button only left the page: the null was fitted to its end."""
    with gr.Blocks():
        page = opened(fresh)
        query, controls = layout.lay_query(page), layout.lay_controls(page)
        handlers = AttributeHandlers(page, query, controls)
    given = {**controls_of(page, controls, head="whiten"), query.image: str(picture)}
    stopper = Stopper(page, "attribute", at=NULL)
    stopped(lambda progress: handlers.search(given, NOBODY, progress), stopper)
    assert stopper.told.count(NULL) == 1
    assert handlers.search(given, NOBODY)[0].answer.matches


def test_judging_dimensions_ends_with_the_page(fresh: Path, picture: Path):
    with gr.Blocks():
        page = opened(fresh)
        query, controls = layout.lay_query(page), layout.lay_controls(page)
        handlers = AttributeHandlers(page, query, controls)
        why = ReasonHandlers(page, layout.lay_result(page).downloads)
    given = {**controls_of(page, controls, head="whiten"), query.image: str(picture)}
    search = handlers.search(given, NOBODY)[0]
    found = why.explain(search, 0, None, NOBODY)[0]
    told: list[str] = []

    def closed(_steps: object, desc: str) -> None:
        told.append(desc)
        if desc == "refitting the head on resamples":
            page.jobs.stop_all(NOBODY)

    with pytest.raises(gr.Error, match="What was finished is kept"):
        why.judge(search, found, NOBODY, closed)
    assert told.index("refitting the head on resamples") == len(told) - 1


def test_the_files_of_an_answer(fresh: Path, picture: Path):
    """They refitted the head, where judging it was stopped, to the end."""
    with gr.Blocks():
        page = opened(fresh)
        query, controls = layout.lay_query(page), layout.lay_controls(page)
        handlers = AttributeHandlers(page, query, controls)
        why = ReasonHandlers(page, layout.lay_result(page).downloads)
    given = {**controls_of(page, controls, head="whiten"), query.image: str(picture)}
    search = handlers.search(given, NOBODY)[0]
    found = why.explain(search, 0, None, NOBODY)[0]
    stopper = Stopper(page, "attribute", at="refitting the head")
    stopped(lambda progress: why.export(search, found, NOBODY, progress), stopper)
    assert all(Path(file).stat().st_size for file in why.export(search, found, NOBODY))


def fetching(page: Page, fetcher: Fetcher) -> AttributeHandlers:
    with gr.Blocks():
        query, controls = layout.lay_query(page), layout.lay_controls(page)
        return AttributeHandlers(page, query, controls, fetcher)


def test_fetching_a_picture(fresh: Path):
    """A stop had no effect until the address answered, up to 15 seconds, and none then."""

    async def resolve(_host: str) -> list[str]:
        await asyncio.sleep(10)
        return []

    page, started = opened(fresh), time.monotonic()
    handlers = fetching(page, Fetcher(resolve))
    stopped(
        lambda progress: handlers.fetched("https://slow.example/a.png", NOBODY, progress),
        Stopper(page, "attribute", at="Fetching"),
    )
    assert time.monotonic() - started < 5


def test_a_picture_that_comes_as_it_is_stopped(fresh: Path, picture: Path):
    page = opened(fresh)

    async def resolve(_host: str) -> list[str]:
        page.jobs.stop("attribute", NOBODY)
        return ["93.184.215.14"]

    content = httpx.ByteStream(picture.read_bytes())
    web = httpx.MockTransport(lambda _: httpx.Response(200, stream=content))
    handlers = fetching(page, Fetcher(resolve, lambda _: web))
    with pytest.raises(gr.Error, match="What was finished is kept"):
        handlers.fetched("https://pictures.example/a.png", NOBODY)


def for_many(folder: Path) -> tuple[BatchHandlers, dict[Any, Any]]:
    with gr.Blocks():
        page = opened(folder)
        controls = layout.lay_controls(page)
        batch, result = batch_layout.lay(page), batch_layout.lay_result()
        handlers = BatchHandlers(page, controls, batch, result, gr.State(None))
    files = sorted(map(str, (folder.parent / "images").glob("*.png")))
    asked = {batch.files: files, handlers.done: None}
    return handlers, {**controls_of(page, controls, head="center"), **asked}


def test_packing_the_answers(fresh: Path):
    """Up to 200 images and their candidates were decoded and written, whoever had left."""
    handlers, given = for_many(fresh)
    given[handlers.batch.files] = given[handlers.batch.files][:4]
    done, _ = list(handlers.run(given, NOBODY))[-1]
    stopper = Stopper(handlers.page, "attribute", at=tiny.NAMES[2])
    stopped(lambda progress: handlers.pack(done, NOBODY, progress), stopper)
    packed = handlers.pack(done, NOBODY).value["path"]
    with zipfile.ZipFile(packed) as kept:
        assert tiny.NAMES[3] in kept.read("report.html").decode()


def test_several_images(fresh: Path):
    handlers, given = for_many(fresh)
    page, files = handlers.page, given[handlers.batch.files]
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
        handlers = ReverseHandlers(page, controls, reverse, result, gr.State(None))
    files = sorted(map(str, (fresh.parent / "images").glob("*.png")))
    given = {
        **controls_of(page, controls, head="identity"),
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
    _, html, *_ = handlers.run(given, NOBODY, stopper)
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


def mapped(folder: Path) -> MapHandlers:
    with gr.Blocks():
        page = opened(folder)
        cards = Cards(page.session)
        return MapHandlers(page, lay_map(page, cards.peek, cards.pictures), cards)


def asked_of_the_map(handlers: MapHandlers, **values: str) -> dict[Any, Any]:
    tab, page = handlers.tab, handlers.page
    given = {"encoder": "random", "head": "identity", "second": "", "level": "", "other_level": ""}
    given |= values
    return {
        **{getattr(tab, name): value for name, value in given.items()},
        tab.colour: DOMAIN,
        tab.image: None,
        tab.state: None,
        page.marked: None,
        page.gallery: page.start,
    }


@pytest.mark.parametrize(
    ("at", "values"),
    [
        ("Infomax", {"head": "infomax"}),
        ("looking for crops among near-duplicates", {}),
        (NULL, {}),
        ("comparing all images", {}),
    ],
)
def test_drawing_a_map(fresh: Path, at: str, values: dict[str, str]):
    """Its head and its null were fitted to their ends, though the button said that all stopped.

    The other process that lays the map out ends too: its folder is removed after it.
    """
    handlers = mapped(fresh)
    given, stopper = asked_of_the_map(handlers, **values), Stopper(handlers.page, "map", at=at)
    stopped(lambda progress: handlers.draw(given, NOBODY, progress), stopper, again="draw it again")
    assert not list(fresh.rglob("map-*/map.npz"))


def test_drawing_a_map_beside_another(tmp_path: Path):
    handlers = mapped(small.make(tmp_path))  # another test's map has the nulls already
    handlers.draw(asked_of_the_map(handlers, encoder="histogram"), NOBODY)
    given = asked_of_the_map(handlers, encoder="histogram", second="random")
    stopped(
        lambda progress: handlers.draw(given, NOBODY, progress),
        Stopper(handlers.page, "map", at=NULL),
        again="draw it again",
    )


ENDPOINTS = [
    (Endpoints.attribute, ("histogram", "center", 3)),
    (Endpoints.compare, ("histogram", "center", "random", "center")),
    (Endpoints.factors, ("histogram", "center")),
    (Endpoints.project, ("histogram", "center", 3)),
    (Endpoints.selftest, ("histogram", "center", "blend")),
]


@pytest.mark.parametrize(("call", "values"), ENDPOINTS)
def test_an_endpoint(fresh: Path, picture: Path, call: Any, values: tuple[Any, ...]):
    """Whoever called it had left, and the null was fitted to its end, charged to nobody."""
    page = opened(fresh)
    asked = values if call is Endpoints.factors else (str(picture), *values)
    stopped(
        lambda progress: call(Endpoints(page), *asked, request=NOBODY, progress=progress),
        Stopper(page, "api", at=NULL),
        again="ask again",
    )


def test_an_endpoint_is_charged_while_it_works(fresh: Path, picture: Path):
    left = iter(["", "your hour is over; try again in 6 minutes"])
    scope = {METER: lambda: next(left)}
    asker: Any = SimpleNamespace(session_hash="ann", request=SimpleNamespace(scope=scope))
    with pytest.raises(gr.Error, match=r"Stopped: your hour is over"):
        Endpoints(opened(fresh)).attribute(str(picture), "histogram", "center", 3, request=asker)


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


@pytest.mark.parametrize("at", ["looking at the files", "copying the files", "comparing files"])
def test_adding_images(gallery: GalleryHandlers, tmp_path: Path, at: str):
    """All files were decoded, hashed and copied to the last, and the copies stayed."""
    with zipfile.ZipFile(tmp_path / "trip.zip", "w") as packed:
        packed.write(tiny.draw(tmp_path / "0.png", 0), "0.png")
    library = gallery.library
    name, _ = library.build(tmp_path / "trip.zip", ["histogram"])
    files = [str(tiny.draw(tmp_path / f"new-{seed}.png", 100 + seed)) for seed in range(3)]
    stopped(
        lambda progress: gallery.add(name, files, NOBODY, progress),
        Stopper(gallery.page, "gallery", at=at),
    )
    assert [path.name for path in gallery.session.gallery(name).root.glob("*.png")] == ["0.png"]


@pytest.mark.parametrize(
    ("work", "more", "at"),
    [
        ("duplicates", ["histogram"], NULL),
        ("fit", ["histogram", "infomax"], "Infomax"),
        ("verify", [], "checking thumbnails"),
        ("refresh", [None], "reading and encoding images"),
        ("refresh", [None], "comparing files with blocked images"),
        ("remove", [[0]], "Changing the gallery"),
    ],
)
def test_work_on_a_gallery(gallery: GalleryHandlers, work: str, more: list[Any], at: str):
    name = gallery.page.start
    if "blocked" in at:
        remove(Path(name), [0], block=True)
    for seed in range(BATCH + 1 if work == "refresh" else 0):
        tiny.draw(gallery.session.gallery(name).root / f"new-{seed}.png", 100 + seed)
    stopped(
        lambda progress: getattr(gallery, work)(name, *more, NOBODY, progress),
        Stopper(gallery.page, "gallery", at=at),
    )
