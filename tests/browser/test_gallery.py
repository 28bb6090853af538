from __future__ import annotations

import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.ui import build, launch_options
from core.service import Change, Session
from core.values import Progress
from tests.app import small, tiny

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Visit = Callable[..., Page]
_WAIT = 60_000  # milliseconds; a busy machine is slow, not broken
expect.set_options(timeout=_WAIT)


QUICKLY = """async (_, those) => {
  for (const each of [...document.querySelectorAll(those)].slice(0, 3)) {
    each.click();
    await new Promise((done) => setTimeout(done, 60));
  }
}"""
"""Clicks the first three of those that a selector finds, quicker than a server answers."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    found = Session()
    found.library.home = tmp_path_factory.mktemp("home")
    return found


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="module")
def url(browser: Browser, session: Session, gallery: Path) -> Iterator[str]:
    blocks = build(session, gallery=str(gallery), encoder="random")
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield address
    blocks.close()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / f"{tmp_path.name}.zip", "w") as packed:
        for seed in range(3):
            packed.write(tiny.draw(tmp_path / f"{seed}.png", seed), f"{seed}.png")
        packed.write(tmp_path / "2.png", "again.png")
    return tmp_path / f"{tmp_path.name}.zip"


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#ws-gallery-shelf [data-id]").first).to_be_visible()


def unfold(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("button", name=re.compile(f"^{name}")).click()


def give(page: Page, file: Path) -> None:
    """Choose the zip and the quickest encoder, and build."""
    unfold(page, "Build one of your own")
    page.set_input_files("#ws-gallery-zip input[type=file]", file)
    page.wait_for_selector("#ws-gallery-zip .file-preview")
    coders = page.locator("#ws-gallery-coders")
    checked = coders.locator("input:checked")
    while checked.count():
        checked.first.uncheck()
    coders.get_by_label("Baseline: histogram").check()
    page.locator("#ws-gallery-build").click()


def test_a_zip_becomes_the_gallery_of_every_tab(visit: Visit, archive: Path, theme: str):
    page = visit(theme=theme)
    open_tab(page)
    give(page, archive)
    expect(page.locator("#ws-gallery-status")).to_contain_text("holds 4 images")
    unfold(page, "About it", "Check it")
    expect(page.locator("#ws-gallery-facts")).not_to_contain_text("Random weights")
    unfold(page, "Change it")
    page.locator("#ws-gallery-name :is(input, textarea)").fill("Holiday pictures")
    page.locator("#ws-gallery-rename").click()
    expect(page.locator("#ws-gallery-title")).to_contain_text("Holiday pictures")
    page.locator("#ws-gallery-find").click()
    expect(page.locator("#ws-gallery-twins-words")).to_contain_text("1 group")
    expect(page.locator("#ws-gallery-twins button img")).to_have_count(2)
    page.locator("#ws-gallery-steps").get_by_role("button", name="map").click()
    page.wait_for_selector(".ws-map.drawn")
    expect(page.locator("button.ws-map-key")).to_contain_text("Gallery images4")


def test_an_image_is_chosen_and_removed_once_that_is_confirmed(visit: Visit, archive: Path):
    page = visit()
    open_tab(page)
    give(page, archive)
    shelf = page.locator("#ws-gallery-shelf [data-id]")
    expect(shelf).to_have_count(4)
    shelf.first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#ws-gallery-chosen")).to_contain_text("1 image chosen")
    page.locator("#ws-gallery-remove").click()
    page.locator("#ws-gallery-kept").click()
    expect(page.locator("#ws-gallery-removed")).to_be_hidden()
    page.locator("#ws-gallery-remove").click()
    page.locator("#ws-gallery-removed").click()
    expect(page.locator("#ws-gallery-status")).to_contain_text("1 removed")
    expect(shelf).to_have_count(3)
    page.get_by_role("tab", name="Attribute").click()
    expect(page.locator("#ws-answer")).to_contain_text("compared with the 3 images")


def test_found_images_are_opted_out_and_in_again(visit: Visit, tmp_path: Path, theme: str):
    with zipfile.ZipFile(tmp_path / f"{theme}.zip", "w") as packed:
        for seed in range(5):
            packed.write(tiny.draw(tmp_path / f"{seed}.png", seed + 30), f"{seed}.png")
        packed.writestr("metadata.csv", "file_name,creator\n0.png,Ann\n1.png,Bo\n2.png,Ann\n")
    page = visit(theme=theme)
    open_tab(page)
    give(page, tmp_path / f"{theme}.zip")
    expect(page.locator("#ws-gallery-title")).to_contain_text("5 images")
    shelf = page.locator("#ws-gallery-shelf [data-id]")
    for field, wanted in (("column", "creator"), ("value", "Ann (2)")):
        page.locator(f"#ws-gallery-{field} input").click()
        page.get_by_role("option", name=wanted).click()
    expect(shelf).to_have_count(2)
    page.locator("#ws-gallery-every").click()
    expect(page.locator("#ws-gallery-shelf [aria-pressed=true]")).to_have_count(2)
    page.locator("#ws-gallery-opt-out").click()
    expect(page.locator("#ws-gallery-said")).to_contain_text("Opted out: 2 images")
    expect(page.locator("#ws-gallery-title")).to_contain_text("3 images, 2 opted out")
    expect(page.locator("#ws-examples button img")).to_have_count(3)  # no start is one of them
    expect(page.locator(".ws-shelf-none")).to_contain_text("No image has that")
    expect(page.locator("#ws-gallery-value input")).to_have_value("Ann (0)")  # as counted now
    page.locator("#ws-gallery-which").get_by_label("Opted out").check()
    expect(shelf).to_have_count(2)
    expect(page.locator("#ws-gallery-value input")).to_have_value("Ann (2)")
    page.locator("#ws-gallery-undo").click()
    expect(page.locator("#ws-gallery-said")).to_contain_text("Opted in again: 2 images")
    expect(page.locator("#ws-gallery-title")).to_contain_text("5 images")
    expect(page.locator("#ws-examples button img")).to_have_count(5)
    expect(page.locator("#ws-gallery-undo")).to_be_hidden()
    expect(shelf).to_have_count(2)


def opt_out_and_ask(page: Page) -> None:
    """Opt two of the gallery's images out, ask, undo that, and ask again, as fast as it goes."""
    shelf, said = page.locator("#ws-gallery-shelf [data-id]"), page.locator("#ws-gallery-said")
    rows = page.locator("#ws-candidates [role=option]")
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#ws-gallery-title")).not_to_contain_text("opted out")
    expect(shelf).to_have_count(small.COUNT)
    shelf.first.evaluate(QUICKLY, "#ws-gallery-shelf [data-id]")
    expect(page.locator("#ws-gallery-chosen")).to_contain_text("3 images chosen")
    page.locator("#ws-gallery-opt-out").click()
    expect(said).to_contain_text("Opted out: 3 images")
    page.get_by_role("tab", name="Attribute").click()
    page.locator("#ws-examples button").first.click()
    expect(rows).to_have_count(small.COUNT - 3)
    page.get_by_role("tab", name="Gallery").click()
    page.locator("#ws-gallery-undo").click()
    expect(said).to_contain_text("Opted in again: 3 images")
    page.get_by_role("tab", name="Attribute").click()
    page.locator("#ws-examples button").nth(1).click()
    expect(rows).to_have_count(small.COUNT)


def test_a_question_after_an_opt_out_is_answered_without_what_is_out(visit: Visit):
    """Of images chosen quickly only the first was opted out; the open tab was mistaken too."""
    page = visit()
    open_tab(page)
    for _ in range(2):
        opt_out_and_ask(page)


def test_a_zip_that_is_dropped_on_the_page_opens_what_builds_a_gallery(visit: Visit, archive: Path):
    """It was told that nothing on this part of the page takes it."""
    page = visit()
    open_tab(page)
    page.evaluate(
        """([bytes, name]) => {
          const held = new DataTransfer();
          held.items.add(new File([new Uint8Array(bytes)], name, {type: 'application/zip'}));
          document.querySelector('.ws-header h1').dispatchEvent(new DragEvent(
            'drop', {bubbles: true, cancelable: true, dataTransfer: held}));
        }""",
        [list(archive.read_bytes()), archive.name],
    )
    expect(page.locator("#ws-gallery-zip .file-preview")).to_contain_text(archive.stem[:8])
    expect(page.locator("#ws-gallery-build")).to_be_visible()
    expect(page.locator(".ws-dropped-nowhere")).to_have_count(0)


def test_a_bad_zip_is_refused_in_words(visit: Visit, tmp_path: Path, theme: str):
    (tmp_path / "bad.zip").write_text("no zip")
    page = visit(theme=theme)
    open_tab(page)
    give(page, tmp_path / "bad.zip")
    message = page.get_by_test_id("toast-body")
    expect(message).to_contain_text("is damaged, cut short or not a zip of images")
    expect(page.locator("#ws-gallery-title")).to_contain_text("images")


@pytest.mark.parametrize("width", [390, 1024])
def test_a_stopped_build_says_how_to_go_on(
    visit: Visit, archive: Path, monkeypatch: pytest.MonkeyPatch, theme: str, width: int
):
    """Its button was below the window, and its progress and Stop at the top of the page."""
    begun = threading.Event()

    def slow(*_: object, progress: Progress, **__: object) -> Change:
        begun.set()
        for _step in range(600):  # a minute at most
            progress(1, 600, "reading and encoding images")
            threading.Event().wait(0.1)
        return Change(0, 0, 0)

    page = visit(theme=theme, width=width)
    page.set_viewport_size({"width": width, "height": 700})
    open_tab(page)
    with monkeypatch.context() as patched:
        patched.setattr("core.service.building.update", slow)
        give(page, archive)
        assert begun.wait(60)
        stop = page.locator("#ws-gallery-stop-build")
        expect(page.locator("#ws-gallery-building .progress-level-inner")).to_be_in_viewport()
        expect(page.locator("#ws-gallery-build")).to_be_in_viewport()
        expect(stop).to_be_in_viewport()
        stop.click()
        told = page.get_by_test_id("toast-body")
        expect(told).to_contain_text("build again with the same source")
        expect(stop).to_be_hidden()  # while it runs, a second click is ignored
    page.locator("#ws-gallery-build").click()
    expect(page.locator("#ws-gallery-status")).to_contain_text("4 added")
    expect(page.locator("#ws-gallery-status")).to_be_in_viewport()


def test_a_lost_server_is_told(visit: Visit, theme: str):
    page = visit(theme=theme, lost=True)
    open_tab(page)
    page.route("**/gradio_api/**", lambda route: route.abort("connectionrefused"))
    unfold(page, "Check it")
    page.locator("#ws-gallery-verify").click()
    expect(page.get_by_test_id("toast-body").first).to_contain_text("start it again")


def test_narrow_pages_do_not_scroll_sideways(visit: Visit):
    page = visit()
    open_tab(page)
    page.set_viewport_size({"width": 390, "height": 900})
    unfold(page, "Build one", "Change it", "About it", "Check it")
    for width in (390, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("width => innerWidth === width", arg=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
