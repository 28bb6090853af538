"""Frames of the map in a browser: a made gallery of 50,000 points, moved and zoomed.

python -m benchmarks.speed.frames

Chromium draws without a graphics card here, on the processor alone, which is the slowest case; 60
frames a second are the most that it shows.
"""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import dataclass

import gradio as gr
import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from app.page.theme import STYLESHEETS, theme
from app.tabs.map.drawing import drawing
from app.views import map as views
from app.views.images import data_uri
from app.views.map import Drawing
from app.views.scene import Scene, group
from core.cli.console import say
from core.values import ImageRecord

POINTS = 50_000
_ISLANDS = 40

_MOVE = """async ([way, count]) => {
  const stage = document.querySelector('.ws-map-stage'), times = [];
  const box = stage.getBoundingClientRect();
  const at = (type, x, y) => stage.dispatchEvent(new PointerEvent(type, {
    pointerId: 1, clientX: box.left + x, clientY: box.top + y, bubbles: true }));
  stage.setPointerCapture = () => {};
  const frame = () => new Promise(requestAnimationFrame);
  if (way === 'move') at('pointerdown', 400, 300);
  let last = await frame();
  for (let i = 0; i < count; i++) {
    const [x, y] = [400 + 150 * Math.sin(i / 15), 300 + 100 * Math.cos(i / 20)];
    if (way === 'move') at('pointermove', x, y);
    else stage.dispatchEvent(new WheelEvent('wheel', { deltaY: i < count / 2 ? -30 : 30,
      clientX: box.left + 300, clientY: box.top + 250, cancelable: true }));
    const now = await frame();
    times.push(now - last);
    last = now;
  }
  if (way === 'move') at('pointerup', 400, 300);
  return times;
}"""


@dataclass(frozen=True)
class Frames:
    """Times between frames, milliseconds."""

    times: np.ndarray

    @property
    def rate(self) -> float:
        """Frames a second over all."""
        return 1e3 * len(self.times) / float(self.times.sum())

    def __str__(self) -> str:
        late = float(np.quantile(self.times, 0.95))
        return f"{self.rate:.0f} frames a second, 95 % of them within {late:.0f} ms"


def page_of(points: int = POINTS) -> gr.Blocks:
    """A page with nothing but a map of made points in islands, with groups, names and pictures."""
    rng = np.random.default_rng(0)
    of = rng.integers(0, _ISLANDS, points)
    places = rng.uniform(size=(_ISLANDS, 2))[of] + rng.normal(0, 0.04, (points, 2))
    records = tuple(
        ImageRecord(i, f"{i}.png", "0" * 64, "0" * 16, 8, 8, extra={"k": f"group {island % 9}"})
        for i, island in enumerate(of.tolist())
    )
    scene = Scene(records, ())
    panel = views.panel("crowd", places, np.zeros((0, 2)), None, scene=scene)
    value = views.value(Drawing("crowd", scene, (panel,), group(scene, "factor:k")))
    noise = [Image.fromarray(rng.integers(0, 255, (96, 96, 3), np.uint8)) for _ in range(8)]
    small = [data_uri(image) for image in noise]

    def peek(payload: dict[str, int]) -> dict[str, str]:
        return {"picture": small[payload["row"] % 8], "name": str(payload["row"]), "note": ""}

    def pictures(payload: dict[str, list[int]]) -> list[str]:
        return [small[row % 8] for row in payload["rows"]]

    with gr.Blocks() as blocks:
        drawing(value, asked=[peek, pictures])
    return blocks


def served(blocks: gr.Blocks) -> str:
    """Serve such a page; returns its address."""
    options = {"theme": theme(), "css_paths": STYLESHEETS}
    return blocks.launch(prevent_thread_lock=True, quiet=True, **options)[1]


def frames(page: Page, way: str, *, count: int = 180) -> Frames:
    """Times between frames while the map of an open page is moved (``move``) or zoomed."""
    return Frames(np.array(page.evaluate(_MOVE, [way, count]), np.float64))


def main() -> None:
    """Print frames a second of moving and zooming: from afar, and where pictures are shown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    points = parser.parse_args().points
    blocks = page_of(points)
    address = served(blocks)
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        page.wait_for_selector(".ws-map.drawn")
        page.wait_for_timeout(2_000)  # until its pictures are there
        load = f"{os.getloadavg()[0]:.1f} other processes on {os.cpu_count()} cores"
        say(f"map of {points:,} points, 1440 pixels wide, drawn by the processor alone, {load}:")
        say(f"  moved, the whole map: {frames(page, 'move')}")
        say(f"  zoomed in and out: {frames(page, 'zoom')}")
        for _ in range(5):
            page.get_by_role("button", name="Zoom in").click()
        page.wait_for_timeout(2_000)
        say(f"  moved, at 7.6 times: {frames(page, 'move')}")
        browser.close()
    blocks.close()


if __name__ == "__main__":
    main()
