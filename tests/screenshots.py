"""Pictures of every tab, and a recording, for the documents: ``python -m tests.screenshots``."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from app.ui import build, launch_options
from core.service.session import Session

READY = {
    "attribute": (None, ".ws-pair img"),
    "compare": ("#ws-compare-starts button >> nth=0", "#ws-left img"),
    "disentanglement": ("#ws-measure", "#ws-measures tbody tr"),
    "map": ("#ws-map-draw", "#ws-map canvas"),
    "gallery": (None, "#ws-gallery-shelf img"),
}
"""By tab: what is clicked once, and what is there when it is done."""

STILL = """() => ![...document.querySelectorAll('.wrap.translucent:not(.hide)')]
  .some(e => e.offsetParent)"""

OWN = Path(__file__).parents[1] / "assets" / "gallery" / "queries" / "q-024.webp"
"""A picture of one's own: it is in no gallery."""
OUT = Path(__file__).parents[1] / "docs" / "screenshots"
WIDTHS = {1440: 900, 390: 844}
_WAIT = 120_000  # milliseconds; some tabs compute when they open
_SCALE = {1440: 0.75, 390: 1.0}
_STAGE: ViewportSize = {"width": 1200, "height": 760}
_SHOWN = 2_200  # milliseconds that each picture of the recording stays


def shoot(browser: Browser, url: str, *, theme: str, width: int) -> None:
    """Every tab in one theme and width, after one example was asked about."""
    page = browser.new_page(viewport={"width": width, "height": WIDTHS[width]})
    page.set_default_timeout(_WAIT)
    page.goto(f"{url}?__theme={theme}&example=1")
    page.wait_for_selector(".ws-pair img")
    for tab in READY:
        _open(page, tab)
        _save(page, tab, theme=theme, width=width)
    _test(page)
    _save(page, "test", theme=theme, width=width)
    page.close()


def _save(page: Page, name: str, *, theme: str, width: int) -> None:
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    size = (int(shot.width * _SCALE[width]), int(shot.height * _SCALE[width]))
    shot.resize(size).save(OUT / f"{name}-{theme}-{width}.webp", quality=82, method=6)


def record(browser: Browser, url: str) -> None:
    """The first minute as an animation: an answer, its pair, and what every tab makes of it."""
    page = browser.new_page(viewport=_STAGE)
    page.set_default_timeout(_WAIT)
    page.goto(f"{url}?__theme=light")
    page.wait_for_selector(".ws-pair img")
    page.wait_for_timeout(1_500)
    frames = [_frame(page)]
    page.locator(".ws-pair").scroll_into_view_if_needed()
    frames.append(_frame(page))
    page.get_by_role("button", name="Wipe", exact=True).click()
    page.wait_for_timeout(500)
    frames.append(_frame(page))
    page.evaluate("() => scrollTo(0, 0)")
    page.locator("#ws-examples button").nth(2).click()
    page.locator("#ws-answer h2", has_text="None of").wait_for()
    page.wait_for_function(STILL)
    frames.append(_frame(page))
    page.locator("#ws-examples button").nth(1).click()
    page.locator("#ws-answer h2", has_text="andidate source").wait_for()
    page.wait_for_function(STILL)
    page.wait_for_timeout(1_500)  # the answer and its pictures fade in
    frames.append(_frame(page))
    for tab in ("map", "gallery"):
        _open(page, tab)
        frames.append(_frame(page))
    _test(page)
    frames.append(_frame(page))
    page.close()
    first, *others = frames
    first.save(
        OUT / "tour.webp",
        save_all=True,
        append_images=others,
        duration=_SHOWN,
        quality=70,
        method=6,
    )


def _frame(page: Page) -> Image.Image:
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return shot.resize((shot.width * 3 // 4, shot.height * 3 // 4))


def _test(page: Page) -> None:
    """Trace a variation of a picture that is in no gallery."""
    page.get_by_role("tab", name="Attribute", exact=True).click()
    page.get_by_role("tab", name="Test", exact=True).click()
    page.set_input_files("#ws-own input[type=file]", OWN)
    page.locator("#ws-own img").wait_for()
    page.locator("#ws-run-test").click()
    page.locator("#ws-test [role=status]").wait_for()
    page.wait_for_function(STILL)
    page.evaluate("() => scrollTo(0, 0)")
    page.wait_for_timeout(1_500)


def _open(page: Page, tab: str) -> None:
    """Go to a tab, let it compute what it shows, and wait until it stands still."""
    name = tab.capitalize()
    page.get_by_role("tab", name=name, exact=True).click()
    click, ready = READY[tab]
    if click is not None:
        page.locator(click).click()
    page.locator(ready).first.wait_for(state="attached")
    page.wait_for_function(STILL)
    page.evaluate("() => scrollTo(0, 0)")
    page.wait_for_timeout(1_500)  # pictures fade in


def main() -> int:
    """Take all pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("no Chromium: install Debian's package `chromium`\n")
        return 1
    OUT.mkdir(parents=True, exist_ok=True)
    blocks = build(Session())
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width in WIDTHS:
            for theme in ("light", "dark"):
                shoot(browser, url, theme=theme, width=width)
        record(browser, url)
        browser.close()
    blocks.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
