"""A running app and a Chromium to visit it with."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from app.ui import build, launch_options
from core.service import Session
from tests.app import tiny

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_WITHOUT = (
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,MediaRouter,"
    "PaintHolding,ThirdPartyStoragePartitioning,OptimizationHints,NetworkTimeServiceQuerying,"
    "AimEnabled,PreconnectToSearch,WebUIOmniboxPopup,WebUIOmniboxAimPopup"
)
"""Of Chromium: what Playwright leaves out itself, of which this takes the place, and two pages that
the address bar keeps for each window, which took a fifth of the time of opening one."""
_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    f"--disable-features={_WITHOUT}",
]
_WAIT = 60_000  # milliseconds; a busy machine is slow, not broken
_TRANSLATED = "() => !document.querySelector('[aria-label^=\"common.\"]')"
_LOST = re.compile(r"net::ERR_|Failed to fetch|Connection errored out")
expect.set_options(timeout=_WAIT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a visit that failed once more, and name it: see docs/decisions/029-once-more.md."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("browser"))


@pytest.fixture
def picture(gallery: Path) -> Path:
    """One that is in the gallery, under the title Blue <b>hills</b>."""
    return gallery.parent / "images" / f"{tiny.NAMES[0]}.png"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        why = "no Chromium: install Debian's package `chromium` to run the browser tests"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def url(browser: Browser, gallery: Path) -> Iterator[str]:
    """Address of the app; it asks for the browser first, so that a skip costs nothing."""
    blocks = build(Session(), gallery=str(gallery), encoder="random")
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield address
    blocks.close()


@pytest.fixture
def theme(request: pytest.FixtureRequest) -> str:
    """One of the two: half of the tests look at a light page, half at a dark one.

    What a page does depends on none; that both can be read is looked at on every tab.
    """
    return "dark" if zlib.crc32(request.node.name.encode()) % 2 else "light"


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Callable[..., Page]]:
    """Open the app in a theme and a width; at the end no error and no other host may remain.

    A page that is going to lose its server may say so on its console, and nothing else.
    """
    pages: list[Page] = []
    troubles: list[str] = []

    def heard(message: ConsoleMessage, *, lost: bool) -> None:
        if message.type == "error" and not (lost and _LOST.search(message.text)):
            troubles.append(message.text)

    def opened(
        *, theme: str = "light", width: int = 1440, query: str = "", lost: bool = False
    ) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(_WAIT)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda m: heard(m, lost=lost))
        page.on("request", lambda r: None if _ours(r.url, url) else troubles.append(r.url))
        page.goto(f"{url}?__theme={theme}&{query}")
        page.wait_for_selector("[role=tabpanel]:visible")
        page.wait_for_function(_TRANSLATED)  # before its words are there a page may lose a click
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert not troubles


def _ours(address: str, url: str) -> bool:
    return address.startswith((url, "data:", "blob:"))
