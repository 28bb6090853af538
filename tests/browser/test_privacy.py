"""Two visitors of a hosted app: what one uploads or builds, the other never sees."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import httpx
import pytest
from gradio.utils import get_upload_folder
from playwright.sync_api import Browser, Page, Route, expect

from app.guard import pages
from app.guard.guard import Guard
from app.guard.rates import Rate
from app.ui import build, launch_options
from core.config import ServerConfig
from core.service import Session
from tests.app import tiny
from tests.app.calls import call

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

_WAIT = 60_000  # milliseconds; a busy machine is slow, not broken
SECRET = "unpublished sketch"


class Served(NamedTuple):
    """An app that strangers share, and where it keeps what is theirs."""

    address: str
    blocks: gr.Blocks
    kept: Path
    guard: Guard


@pytest.fixture(scope="module")
def served(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    kept = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(kept))
        session = Session(server=ServerConfig(hosted=True))
        guard, blocks = Guard(session), build(session, gallery="builtin", encoder="thumbnail")
        guard.watch(blocks)
        options = launch_options(guard)
        _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **options)
        yield Served(address, blocks, kept, guard)
        blocks.close()


@pytest.fixture
def enter(browser: Browser, served: Served) -> Iterator[Callable[[], Page]]:
    """Each visitor comes with a browser profile of their own."""
    contexts = []

    def entered() -> Page:
        contexts.append(browser.new_context(viewport={"width": 1440, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(_WAIT)
        page.goto(served.address)
        page.wait_for_selector(".ws-empty")
        return page

    yield entered
    for context in contexts:
        context.close()


def test_a_visitor_sees_nothing_of_another(
    enter: Callable[[], Page], served: Served, tmp_path: Path
):
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as packed:
        for seed in range(3):
            packed.write(tiny.draw(tmp_path / f"{seed}.png", seed), f"{SECRET} {seed}.png")
    owner, other = enter(), enter()

    owner.set_input_files("#ws-query input[type=file]", tiny.draw(tmp_path / f"{SECRET}.png", 7))
    owner.wait_for_selector(".ws-answer")
    owner.get_by_role("tab", name="Gallery").click()
    owner.get_by_role("button", name=re.compile("^Build one")).click()
    owner.set_input_files("#ws-gallery-zip input[type=file]", tmp_path / "own.zip")
    owner.wait_for_selector("#ws-gallery-zip .file-preview")
    coders = owner.locator("#ws-gallery-coders")
    while coders.locator("input:checked").count():
        coders.locator("input:checked").first.uncheck()
    coders.get_by_label("Baseline: histogram").check()
    owner.locator("#ws-gallery-build").click()
    expect(owner.locator("#ws-gallery-status")).to_contain_text("holds 3 images", timeout=_WAIT)
    expect(owner.locator("#ws-gallery-shelf")).to_contain_text(SECRET, timeout=_WAIT)
    (folder,) = served.kept.glob("*/*/galleries/*")

    # The page: the galleries that the other can open, and all that it says.
    other.get_by_role("tab", name="Gallery").click()
    expect(other.locator("#ws-gallery-title")).to_contain_text("images", timeout=_WAIT)
    other.get_by_label("Open a gallery").click()
    expect(other.get_by_role("option")).to_have_count(1)
    assert SECRET not in other.content()
    assert folder.name not in other.content()

    # The handlers behind the page, called by hand with the name of a gallery that is not one's own.
    told = call(served.blocks, served.address, "open", [folder.name], visitor="stranger0")
    assert told["success"] is False
    assert SECRET not in json.dumps(told)

    # The file routes: the gallery, and an upload by what is known of it, its name and content.
    names = [*folder.rglob("*.webp"), folder / "gallery.json", folder / "manifest.parquet"]
    content = hashlib.sha256((tmp_path / f"{SECRET}.png").read_bytes()).hexdigest()
    uploads = Path(get_upload_folder())
    for guess in (*names, uploads, uploads / content / f"{SECRET}.png"):
        assert httpx.get(f"{served.address}gradio_api/file={guess}").status_code in (403, 404)


def test_a_page_loaded_anew_finds_its_table_and_no_other_browser_does(
    enter: Callable[[], Page], tmp_path: Path
):
    owner, other = enter(), enter()
    owner.get_by_role("tab", name="Several").click()
    owner.set_input_files("#ws-files input[type=file]", tiny.draw(tmp_path / f"{SECRET}.png", 7))
    owner.wait_for_selector("#ws-files .file-preview")
    owner.locator("#ws-run").click()
    expect(owner.locator("#ws-download-zip")).to_be_visible(timeout=_WAIT)
    number = owner.evaluate("sessionStorage.getItem('wellspring-page')")
    owner.reload()
    expect(owner.locator("#ws-batch")).to_contain_text(SECRET, timeout=_WAIT)

    other.evaluate("number => sessionStorage.setItem('wellspring-page', number)", number)
    other.reload()
    noted = "number => ![null, number].includes(sessionStorage.getItem('wellspring-page'))"
    other.wait_for_function(noted, arg=number)  # it was asked for, and there was nothing
    other.get_by_role("tab", name="Several").click()
    expect(other.locator("#ws-batch .ws-empty")).to_be_visible(timeout=_WAIT)
    assert SECRET not in other.content()


def test_the_page_says_how_long_to_wait(
    enter: Callable[[], Page], served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Gradio's page had words for a full queue only, without a time."""
    page = enter()
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#ws-gallery-title")).to_contain_text("images", timeout=_WAIT)
    page.get_by_role("tab", name="Attribute").click()
    monkeypatch.setattr(served.guard.limits, "requests", Rate(1, 600))
    served.guard.limits.requests.use("127.0.0.1")
    page.set_input_files("#ws-query input[type=file]", tiny.draw(tmp_path / "x.png", 7))
    expect(page.get_by_text("too many requests came from you; try again in").first).to_be_visible()


def test_a_page_whose_connection_broke_goes_on(enter: Callable[[], Page]):
    """It asked for ever what a list of open routes did not hold."""
    page, broken = enter(), []

    def cut(route: Route) -> None:
        broken.append(route.request.url)
        if len(broken) > 1:
            route.continue_()
        else:
            route.abort()

    page.route("**/queue/data*", cut)
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_role("tab", name="Map").click()
    lost = page.get_by_text("Connection to the server was lost")
    expect(lost).to_be_visible(timeout=_WAIT)
    expect(lost).to_have_count(0, timeout=_WAIT)
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#ws-gallery-title")).to_contain_text("images", timeout=_WAIT)


def test_a_page_that_the_server_forgot_says_so(
    enter: Callable[[], Page], served: Served, monkeypatch: pytest.MonkeyPatch
):
    """It went on with what its states begin with, and answered from another gallery."""
    monkeypatch.setattr(pages, "OPENING", 0.2)
    page = enter()
    states: Any = served.blocks.state_holder
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#ws-gallery-title")).to_contain_text("images", timeout=_WAIT)
    queue, quiet = served.blocks._queue, 0
    while quiet < 10:  # a page that still loads would make itself known again
        page.wait_for_timeout(100)
        quiet = 0 if len(queue) or any(queue.active_jobs) else quiet + 1
    for name in list(states.session_data):
        states.forget(name)
    page.get_by_role("tab", name="Map").click()
    told = page.get_by_text("the server does not know this page any more").first
    expect(told).to_be_visible(timeout=_WAIT)
    page.reload()
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#ws-gallery-title")).to_contain_text("images", timeout=_WAIT)
