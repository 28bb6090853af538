"""Frames of the map in a browser, beside bare ways to move as many points.

python -m benchmarks.speed.frames

The points are the built-in gallery's, each many times somewhere near its place; nothing else is
made. Chromium draws without a graphics card here, on the processor alone, the slowest case there
is, and shows 60 frames a second at most. Times between frames depend on what else the machine does,
the time that a processor spends on a frame hardly: that is held to bars, with status 1 where one is
missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.speed.bars import Bars
from benchmarks.speed.crowd import POINTS, Crowd, app_over, canvas_page, plotly_page
from core.service import Choice

STAGE = ".ws-map-stage"
WAYS = ("move", "zoom")
_STEP = 1.5  # of one click of the map's button
_CLICKS = {"afar": 0, "middle": 4, "near": 8}
_FRAME = 1e3 / 60  # milliseconds
_JITTER = 1.0  # of the timestamps of frames that are in time, milliseconds
_WAIT = 300_000  # milliseconds
OWN, WHOLE = 1e3 / 120, 1e3 / 60
"""Most that the page's own thread, and all of Chromium, may take of a processor for a frame of the
map, milliseconds."""
_SIZE = {"width": 1440, "height": 900}

_DRAG: dict[str, Any] = {"gestureSourceType": "touch", "speed": 400}
_WHEEL: dict[str, Any] = {"gestureSourceType": "mouse", "speed": 600}
_GESTURES = {
    "move": [
        {**_DRAG, "xDistance": 200, "yDistance": 120},
        {**_DRAG, "xDistance": -200, "yDistance": 60},
        {**_DRAG, "xDistance": 0, "yDistance": -180},
    ],
    "zoom": [{**_WHEEL, "yDistance": 600}, {**_WHEEL, "yDistance": -600}],
}
_WATCH = """() => {
  const rows = [];
  let inputs = 0, on = true;
  for (const kind of ['pointermove', 'wheel']) addEventListener(kind, () => inputs++, true);
  const tick = (now) => { rows.push([now, inputs]); if (on) requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  window.watched = () => { on = false; return rows; };
}"""
console = Console(width=120)


@dataclass(frozen=True)
class Frames:
    """What was seen while an open page was moved."""

    times: np.ndarray
    """From each frame that follows an input to the frame before it, milliseconds."""
    main: float
    """Time of a processor that the page's own thread took for a frame, milliseconds; the mean."""
    whole: float
    """The same of all of Chromium."""

    @property
    def rate(self) -> float:
        """Frames a second over all."""
        return 1e3 * len(self.times) / float(self.times.sum())

    @property
    def in_time(self) -> float:
        """Share of the frames that came a sixtieth of a second after the one before."""
        return float((self.times <= _FRAME + _JITTER).mean())

    @property
    def cells(self) -> list[str]:
        """The same as cells of a table."""
        middle, late = np.quantile(self.times, [0.5, 0.95]).tolist()
        numbers = f"{self.rate:.0f}", f"{middle:.1f}", f"{late:.1f}", f"{self.in_time:.0%}"
        return [*numbers, f"{self.main:.1f}", f"{self.whole:.1f}"]


def frames(page: Page, way: str, *, where: str = STAGE, times: int = 2) -> Frames:
    """Frames while what a page shows is dragged by a finger (``move``) or zoomed by the wheel.

    Chromium makes the gestures itself, an input or more for each frame; to the page they are real.
    """
    box = page.locator(where).first.bounding_box()
    assert box is not None
    middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    own, spent = page.context.new_cdp_session(page), _spent(page)
    page.evaluate(_WATCH)
    before = spent()
    for _ in range(times):
        for gesture in _GESTURES[way]:
            own.send("Input.synthesizeScrollGesture", {**middle, **gesture, "preventFling": True})
    main, whole = 1e3 * (spent() - before)
    rows = np.array(page.evaluate("window.watched()"), np.float64)
    moved = np.diff(rows[:, 1]) > 0
    return Frames(np.diff(rows[:, 0])[moved], main / len(rows), whole / len(rows))


def _spent(page: Page) -> Callable[[], np.ndarray]:
    """Seconds of a processor that the page's own thread has taken so far, and all of Chromium."""
    own, browser = page.context.new_cdp_session(page), page.context.browser
    assert browser is not None
    whole = browser.new_browser_cdp_session()
    own.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> np.ndarray:
        metrics: list[dict[str, Any]] = own.send("Performance.getMetrics")["metrics"]
        processes = whole.send("SystemInfo.getProcessInfo")["processInfo"]
        tasks = next(each["value"] for each in metrics if each["name"] == "TaskDuration")
        return np.array([tasks, sum(each["cpuTime"] for each in processes)])

    return spent


def open_map(browser: Browser, address: str) -> Page:
    """The app's page, its map drawn and in view with its pictures."""
    page = browser.new_page(viewport=_SIZE)  # pyright: ignore[reportArgumentType]
    page.set_default_timeout(_WAIT)
    page.goto(address)
    page.get_by_role("tab", name="Map").click()
    page.wait_for_selector(".ws-map.drawn")
    page.locator(STAGE).scroll_into_view_if_needed()
    page.wait_for_timeout(3_000)  # until pictures are there
    return page


def main() -> None:
    """Print frames of the map and of the bare ways: moved and zoomed; from afar, nearer, near."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    crowd = Crowd(parser.parse_args().points)
    points = crowd.layout(Choice()).points
    crowd.examples(Choice())  # so that the page need not wait for them
    title = f"{len(points):,} points, no graphics card, {os.cpu_count()} cores, load before: "
    table = Table(
        "what", "frames/s", "median ms", "95 % ms", "in time", "own thread, ms", "Chromium, ms",
        title=f"{title}{os.getloadavg()[0]:.1f}",
    )  # fmt: skip
    found: dict[str, Frames] = {}

    def tell(what: str, page: Page, **more: Any) -> None:
        for way in WAYS:
            seen = found[f"{what}, {way}"] = frames(page, way, **more)
            table.add_row(f"{what}, {way}", *seen.cells)

    with app_over(crowd) as address, _chromium() as browser:
        page = open_map(browser, address)
        box = page.locator(STAGE).bounding_box()
        assert box is not None
        size = round(box["width"]), round(box["height"])
        _at_levels(page, lambda level: tell(f"map, {level}", page))
        page.close()
        with _opened(browser, canvas_page(*size, len(points)), "canvas") as page:
            tell("a canvas alone", page, where="canvas")
        for level, clicks in _CLICKS.items():
            html = plotly_page(*size, points, zoom=_STEP**clicks)
            with _opened(browser, html, _PLOTLY) as page:
                tell(f"plotly, {level}", page, where=_PLOTLY, times=1)
    console.print(table)
    bars = Bars()
    for level in _CLICKS:
        for way in WAYS:
            ours = found[f"map, {level}, {way}"]
            bars.hold(f"map, {level}, {way}: own thread", ours.main, OWN, "ms a frame")
            bars.hold(f"map, {level}, {way}: Chromium", ours.whole, WHOLE, "ms a frame")
    for level in _CLICKS:
        for way in WAYS:
            ours = found[f"map, {level}, {way}"]
            bare, theirs = found[f"a canvas alone, {way}"], found[f"plotly, {level}, {way}"]
            console.print(
                f"{level}, {way}: frames a second / canvas {ours.rate / bare.rate:.2f}, "
                f"/ plotly {ours.rate / theirs.rate:.1f}; own thread / canvas "
                f"{ours.main / bare.main:.1f}, / plotly {ours.main / theirs.main:.2f}"
            )
    bars.end()


_PLOTLY = ".nsewdrag"


def _at_levels(page: Page, work: Callable[[str], None]) -> None:
    """Do something at each level of detail of the map."""
    at = 0
    for level, clicks in _CLICKS.items():
        for _ in range(clicks - at):
            page.get_by_role("button", name="Zoom in").click()
        at = clicks
        page.wait_for_timeout(2_000)  # until pictures are there
        work(level)


@contextmanager
def _chromium() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def _opened(browser: Browser, html: str, ready: str) -> Iterator[Page]:
    """A page of a text, once something is there."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        page = browser.new_page(viewport=_SIZE)  # pyright: ignore[reportArgumentType]
        page.set_default_timeout(_WAIT)
        page.goto(file.as_uri())
        page.wait_for_selector(ready)
        page.wait_for_timeout(2_000)
        yield page
        page.close()


if __name__ == "__main__":
    main()
