"""A first visit, timed: server start, first paint, answers; every tab; eight visitors at once.

python -m benchmarks.speed.visit

First paint is the browser's own first-contentful-paint. The first answer is that to a picture that
is dropped on the page once it is ready, and that nobody asked about before. What moves by itself is
counted on every tab and after the drop. It ends with the most memory that the server held, and with
status 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gradio_client import Client, handle_file
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.speed.bars import Bars
from benchmarks.speed.server import memory, served
from core.cli.console import say
from core.gallery.examples import read_examples
from core.gallery.gallery import SHIPPED

_VISITORS = 8
_WAIT = 120
_MOST = 1_500  # MB of resident memory
_ANSWERED = 2.0  # seconds from a drop to its answer
_SHIFTED = 0.05  # cumulative layout shift of one step of a visit

_TABS = {
    "Compare": ("#ws-over", "#ws-over-found table"),
    "Disentanglement": ("#ws-measure", "#ws-measures tbody tr"),
    "Map": ("#ws-map-draw", ".ws-map.drawn"),
    "Gallery": (None, "#ws-gallery-shelf img"),
}
"""By tab after the first: what is clicked, and what is there when it is done."""

_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"

_DROP = """(encoded) => {
  document.querySelectorAll('.ws-answer').forEach(each => { each.dataset.before = ''; });
  const bytes = Uint8Array.from(atob(encoded), each => each.charCodeAt(0));
  const held = new DataTransfer(), target = document.querySelector('.ws-header h1');
  held.items.add(new File([bytes], 'own.png', { type: 'image/png' }));
  for (const name of ['dragover', 'drop']) target.dispatchEvent(
    new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: held }));
}"""
"""Drops a picture on the page, after marking the answer that is there."""

_ANSWER = ".ws-answer:not([data-before]) h2"

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
    bars = Bars()
    with served([sys.executable, "app.py", "--port", str(port)], url) as process:
        _browse(url, bars)
        say(f"resident memory: {memory(process.pid) / 1e6:,.0f} MB after the first visitor")
        _crowd(url)
        say(f"resident memory: {memory(process.pid) / 1e6:,.0f} MB after {_VISITORS} more")
        peak = memory(process.pid, "VmHWM")
    bars.hold("resident memory at most", peak / 1e6, _MOST, "MB")
    bars.end()


def _browse(url: str, bars: Bars) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for number, size in enumerate(((1440, 900), (390, 844))):
            _settle(browser, url, bars, size=size, number=number)
        page = browser.new_page()
        page.set_default_timeout(1e3 * _WAIT)
        page.goto(url)
        for encoder in ("Wellspring MoCo", "Wellspring DINO"):
            for tab, (click, ready) in _TABS.items():
                began = time.monotonic()
                _open(page, tab, encoder, click=click)
                page.locator(ready).first.wait_for(state="visible")
                page.wait_for_function(_IDLE)
                say(f"{tab} with {encoder}: {time.monotonic() - began:.1f} s")
        browser.close()


def _settle(browser: Browser, url: str, bars: Bars, *, size: tuple[int, int], number: int) -> None:
    """A visit of every tab: first paint, the answer to a new picture, and how far things moved."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(1e3 * _WAIT)
    page.add_init_script(_SHIFTS)
    page.goto(url)
    page.wait_for_selector(".ws-pair img")
    page.wait_for_function(_IDLE)
    say(f"{width} wide: first contentful paint {page.evaluate(_PAINTED) / 1e3:.2f} s")
    _moved(page, bars, f"{width} wide, opened")
    encoded = _new_picture(number)
    began = time.monotonic()
    page.evaluate(_DROP, encoded)
    page.wait_for_selector(_ANSWER)
    bars.hold(f"{width} wide, from a drop to its answer", time.monotonic() - began, _ANSWERED, "s")
    _moved(page, bars, f"{width} wide, a picture dropped")
    for tab, (_, ready) in _TABS.items():
        page.get_by_role("tab", name=tab, exact=True).click()
        if tab in ("Map", "Gallery"):  # these open on what the others are asked for
            page.locator(ready).first.wait_for(state="visible")
        _moved(page, bars, f"{width} wide, {tab}")
    page.close()


def _moved(page: Page, bars: Bars, what: str) -> None:
    """Hold what moved by itself since the last time against its bar, once the page is still."""
    page.wait_for_timeout(500)  # until what follows has begun
    page.wait_for_function(_IDLE)
    page.wait_for_timeout(2_000)  # pictures that come late
    bars.hold(f"{what}: cumulative layout shift", page.evaluate("window.shifts"), _SHIFTED)
    page.evaluate("window.shifts = 0")


def _new_picture(number: int) -> str:
    """A picture that nobody asked about before, in base64: an example, turned."""
    with Image.open(read_examples(SHIPPED)[number].file) as image:
        turned, held = ImageOps.mirror(image.convert("RGB")), io.BytesIO()
    turned.save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


def _open(page: Page, tab: str, encoder: str, *, click: str | None) -> None:
    """Go to a tab, choose an encoder where there is a choice, and set it to work."""
    page.get_by_role("tab", name=tab, exact=True).click()
    if click is not None:
        page.get_by_label(re.compile("^Encoder( on the left)?$")).locator("visible=true").click()
        page.get_by_role("option", name=encoder, exact=True).click()
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
