"""A first visit, timed: server start, first paint, first answer; every tab; eight visitors at once.

python -m benchmarks.speed.visit

It ends with the most memory that the server held, and with status 1 above 1.5 GB.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.speed.server import memory, served
from core.cli.console import say
from core.gallery.examples import read_examples
from core.gallery.gallery import SHIPPED

_VISITORS = 8
_WAIT = 120
_MOST = 1.5e9  # bytes of resident memory

_TABS = {
    "Compare": ("#ws-over", "#ws-over-found table"),
    "Disentanglement": ("#ws-measure", "#ws-factor-most img"),
    "Map": ("#ws-map-draw", ".ws-map.drawn"),
    "Gallery": (None, "#ws-gallery-shelf img"),
}
"""By tab after the first: what is clicked, and what is there when it is done."""

_SHIFTS = """window.shifts = 0;
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({type: 'layout-shift', buffered: true});"""

_IDLE = """() => ![...document.querySelectorAll('.wrap.translucent:not(.hide)')]
  .some(e => e.offsetParent)"""


def main() -> None:
    """Start the app as a user would, visit it, and print what a visitor waits for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=7877)
    port = parser.parse_args().port
    url = f"http://127.0.0.1:{port}/"
    with served([sys.executable, "app.py", "--port", str(port)], url) as process:
        _browse(url)
        say(f"resident memory: {memory(process.pid) / 1e6:,.0f} MB after the first visitor")
        _crowd(url)
        say(f"resident memory: {memory(process.pid) / 1e6:,.0f} MB after {_VISITORS} more")
        peak = memory(process.pid, "VmHWM")
    say(f"resident memory: {peak / 1e6:,.0f} MB at most (allowed: {_MOST / 1e6:,.0f} MB)")
    if peak > _MOST:
        raise SystemExit(1)


def _browse(url: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, height in ((1440, 900), (390, 844)):
            _settle(browser, url, width=width, height=height)
        page = browser.new_page()
        page.set_default_timeout(1e3 * _WAIT)
        for visit in ("first", "second"):
            began = time.monotonic()
            page.goto(url)
            page.wait_for_selector("#ws-examples img")
            painted = time.monotonic()
            page.locator("#ws-examples button").first.click()
            page.wait_for_selector(".ws-answer h2")
            answered = time.monotonic()
            say(f"{visit} visit: page {painted - began:.1f} s, answer {answered - painted:.1f} s")
        for encoder in ("MoCo", "DINO"):
            for tab, (click, ready) in _TABS.items():
                began = time.monotonic()
                _open(page, tab, encoder, click=click)
                page.locator(ready).first.wait_for(state="visible")
                page.wait_for_function(_IDLE)
                say(f"{tab} with {encoder}: {time.monotonic() - began:.1f} s")
        browser.close()


def _settle(browser: Browser, url: str, *, width: int, height: int) -> None:
    """Open a page until its first example is answered and explained: how far things moved."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(1e3 * _WAIT)
    page.add_init_script(_SHIFTS)
    page.goto(url)
    page.wait_for_selector(".ws-pair img")
    page.wait_for_function(_IDLE)
    page.wait_for_timeout(3_000)  # pictures that come late
    say(f"{width} wide: cumulative layout shift {page.evaluate('window.shifts'):.3f}")
    page.close()


def _open(page: Page, tab: str, encoder: str, *, click: str | None) -> None:
    """Go to a tab, choose an encoder where there is a choice, and set it to work."""
    page.get_by_role("tab", name=tab, exact=True).click()
    if click is not None:
        page.get_by_label(re.compile("^Encoder( on the left)?$")).locator("visible=true").click()
        page.get_by_role("option", name=re.compile(encoder)).click()
        page.wait_for_function(_IDLE)
        page.locator(click).click()
        page.wait_for_timeout(500)  # until it has begun


def _crowd(url: str) -> None:
    """Each visitor asks for another example, all at once and then alone: the answers must agree."""
    files = [example.file for example in read_examples(SHIPPED)[:_VISITORS]]
    clients = [Client(url, verbose=False) for _ in files]

    def ask(client: Client, file: Path) -> tuple[str, float]:
        began = time.monotonic()
        found = client.predict(handle_file(file), api_name="/attribute")
        return found["answer"], time.monotonic() - began

    with ThreadPoolExecutor(_VISITORS) as pool:
        together = list(pool.map(ask, clients, files))
    alone = [ask(client, file) for client, file in zip(clients, files, strict=True)]
    same = sum(one[0] == two[0] for one, two in zip(together, alone, strict=True))
    say(
        f"{_VISITORS} visitors at once: slowest {max(t for _, t in together):.1f} s, alone "
        f"{max(t for _, t in alone):.1f} s; {same} of {_VISITORS} answers as when alone, "
        f"{len({answer for answer, _ in together})} different"
    )


if __name__ == "__main__":
    main()
