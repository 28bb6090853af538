"""Pictures of every tab, and a recording, for the documents: ``python -m tests.screenshots``.

``python -m tests.screenshots tour`` takes the recording alone.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, ViewportSize, sync_playwright

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
_SHOWN = 2_000  # milliseconds that a picture of the recording stays where there is to be read
_STEP = 70  # milliseconds of a frame in which something moves
_GLIDE = 7  # frames of a way of the pointer
_MOST = 3_000_000  # bytes of the recording

_POINTER = """() => {
  const held = document.createElement('div');
  held.innerHTML = '<svg width="26" height="30"><path d="M2 2v22l6-5 4 9 5-2-4-9h8z" '
    + 'fill="#111" stroke="#fff" stroke-width="2"/></svg>';
  held.style.cssText = 'position:fixed;left:0;top:0;z-index:99999;pointer-events:none';
  document.body.append(held);
  addEventListener('pointermove', (event) => {
    held.style.transform = `translate(${event.clientX}px, ${event.clientY}px)`;
  }, true);
  addEventListener('pointerdown', () => held.animate(
    [{ filter: 'drop-shadow(0 0 8px #2a9d93)' }, { filter: 'none' }], 500), true);
}"""
"""Draws the pointer, which a screenshot leaves out."""


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


class Recording:
    """Frames of a page in which somebody acts, each with the time that it stays."""

    def __init__(self, page: Page) -> None:
        self.page, self.frames, self.stays = page, list[Image.Image](), list[int]()
        self.at = (_STAGE["width"] / 2, _STAGE["height"] / 2)
        page.evaluate(_POINTER)

    def keep(self, stay: int = _STEP) -> None:
        """A frame as the page is now."""
        shot = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.frames.append(shot.resize((shot.width * 3 // 4, shot.height * 3 // 4)))
        self.stays.append(stay)

    def glide(self, target: Locator, *, click: bool = False) -> None:
        """Move the pointer to the middle of something, frame by frame, and click there."""
        box = target.bounding_box()
        assert box is not None
        (x, y), to = self.at, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for step in range(1, _GLIDE + 1):
            share = step / _GLIDE
            self.page.mouse.move(x + (to[0] - x) * share, y + (to[1] - y) * share)
            self.keep()
        self.at = to
        if click:
            self.page.mouse.click(*to)
            self.page.wait_for_timeout(60)
            self.keep(3 * _STEP)

    def save(self, file: Path) -> None:
        """Write all frames as one animation."""
        first, *others = self.frames
        first.save(
            file,
            save_all=True,
            append_images=others,
            duration=self.stays,
            quality=70,
            method=6,
            minimize_size=True,
        )


def record(browser: Browser, url: str) -> None:
    """The first minute as an animation: an answer, its pair, and what every tab makes of it."""
    page = browser.new_page(viewport=_STAGE)
    page.set_default_timeout(_WAIT)
    page.goto(f"{url}?__theme=light")
    page.wait_for_selector(".ws-pair img")
    page.wait_for_function(STILL)
    page.wait_for_timeout(1_500)
    shown = Recording(page)
    shown.keep(_SHOWN)
    _pair(page, shown)
    for number, said in ((2, "None of"), (1, "andidate source")):
        shown.glide(page.locator("#ws-examples button").nth(number), click=True)
        page.locator("#ws-answer h2", has_text=said).wait_for()
        page.wait_for_function(STILL)
        page.wait_for_timeout(1_500)  # the answer and its pictures fade in
        shown.keep(_SHOWN)
    shown.glide(page.get_by_role("tab", name="Map", exact=True))
    _open(page, "map")
    shown.keep(_SHOWN)
    stage = page.locator(".ws-map-stage").first
    shown.glide(stage)
    for _ in range(6):
        page.mouse.wheel(0, -160)
        page.wait_for_timeout(400)  # pictures come as they fit
        shown.keep(2 * _STEP)
    shown.keep(_SHOWN)
    shown.glide(page.get_by_role("tab", name="Gallery", exact=True))
    _open(page, "gallery")
    shown.keep(_SHOWN)
    _test(page)
    shown.keep(2 * _SHOWN)
    page.close()
    shown.save(OUT / "tour.webp")


def _pair(page: Page, shown: Recording) -> None:
    """What can be done with two images: links that light up, zoom, and the wipe."""
    page.locator(".ws-pair").scroll_into_view_if_needed()
    shown.keep(_SHOWN // 2)
    dots = page.locator(".ws-side-by-side .ws-dots g")
    for dot in dots.all()[:2]:
        shown.glide(dot)
        shown.keep(_SHOWN // 2)
    shown.glide(page.locator(".ws-side-by-side .ws-frame").first, click=True)
    for key in ("+", "+", "ArrowLeft", "ArrowUp", "0"):
        page.keyboard.press(key)
        page.wait_for_timeout(200)
        shown.keep(4 * _STEP)
    shown.glide(page.get_by_role("button", name="Wipe", exact=True), click=True)
    page.wait_for_timeout(300)
    for at in (*range(50, 14, -6), *range(14, 86, 8)):
        page.locator(".ws-wipe-at").fill(str(at))
        shown.keep()
    shown.keep(_SHOWN // 2)
    page.evaluate("() => scrollTo(0, 0)")


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
        for width in () if "tour" in sys.argv[1:] else WIDTHS:
            for theme in ("light", "dark"):
                shoot(browser, url, theme=theme, width=width)
        record(browser, url)
        browser.close()
    blocks.close()
    if (size := (OUT / "tour.webp").stat().st_size) > _MOST:
        sys.stderr.write(f"the recording has {size:,} bytes, more than {_MOST:,}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
