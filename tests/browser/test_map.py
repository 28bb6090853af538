from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from app.page.theme import ASSETS, STYLESHEETS, theme
from app.ui import build, launch_options
from app.views import map as views_map
from app.views.map import Drawing, Panel
from app.views.scene import Scene, group
from app.views.square import within_square
from core.service import Session
from core.values import ImageRecord, Progress
from tests.app import small, tiny

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Visit = Callable[..., Page]
_WAIT = 60_000  # milliseconds; a busy machine is slow, not broken
expect.set_options(timeout=_WAIT)
POINTS = 50_000


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("map"))


@pytest.fixture(scope="module")
def url(browser: Browser, gallery: Path) -> Iterator[str]:
    blocks = build(Session(), gallery=str(gallery), encoder="random")
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield address
    blocks.close()


def open_map(page: Page) -> None:
    page.get_by_role("tab", name="Map").click()
    page.wait_for_selector(".ws-map.drawn")


def lasso(page: Page) -> None:
    """Draw around the whole map."""
    page.get_by_role("button", name="Lasso").click()
    page.locator(".ws-map-stage").first.scroll_into_view_if_needed()
    box = page.locator(".ws-map-stage").first.bounding_box()
    assert box is not None
    left, top = box["x"] + 20, box["y"] + 20  # its corners are round
    right, bottom = left + box["width"] - 40, top + box["height"] - 40
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom)):
        page.mouse.move(x, y, steps=4)
    page.mouse.up()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_points_are_looked_at_selected_and_exported(visit: Visit, theme: str):
    page = visit(theme=theme)
    open_map(page)
    expect(page.locator(".ws-map-key")).to_contain_text(["Gallery images", "Generated examples"])
    lasso(page)
    words = page.locator("#ws-map-words")
    expect(words).to_contain_text(f"{small.COUNT} gallery images and 2 generated examples selected")
    expect(page.locator("#ws-map-chosen button img")).to_have_count(small.COUNT + 2)
    with page.expect_download() as saved:
        page.locator("#ws-map-table").click()
    assert len(saved.value.path().read_text().splitlines()) == small.COUNT + 3
    page.get_by_role("button", name="Clear selection").click()
    expect(words).to_contain_text("Nothing is selected")


def test_groups_are_chosen_by_keys_alone(visit: Visit):
    page = visit()
    open_map(page)
    page.get_by_label("Colour by").click()
    page.get_by_role("option", name="Colour", exact=True).click()
    green = page.locator(".ws-map-key", has_text="green")
    expect(green).to_be_visible()
    green.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#ws-map-words")).to_contain_text("4 gallery images selected; all green.")
    page.get_by_label("Select a group").click()
    page.get_by_role("option", name="red (4)").click()
    expect(page.locator("#ws-map-words")).to_contain_text("all red")
    stage = page.locator(".ws-map-stage")
    stage.focus()
    page.keyboard.press("Escape")
    expect(page.locator("#ws-map-words")).to_contain_text("Nothing is selected")


def test_a_second_map_and_an_image_of_one_s_own(visit: Visit, tmp_path: Path):
    page = visit()
    open_map(page)
    page.get_by_label("Beside it").click()
    page.get_by_role("option", name="Baseline: histogram").click()
    expect(page.locator(".ws-map-panel")).to_have_count(2)
    page.set_input_files("#ws-map-you input[type=file]", tiny.draw(tmp_path / "mine.png", 7))
    expect(page.locator("#ws-map-near")).to_contain_text("nearest is picture-07")
    lasso(page)
    expect(page.locator("#ws-map-words")).to_contain_text("selected")


def test_a_point_under_the_pointer_shows_its_picture(visit: Visit):
    page = visit()
    open_map(page)
    for _ in range(2):
        page.get_by_role("button", name="Zoom out").click()
    box = page.locator(".ws-map-stage").bounding_box()
    assert box is not None
    over = page.locator(".ws-map.over")
    for step in range(40 * 30):
        x, y = box["width"] * (step % 40 + 0.5) / 40, box["height"] * (step // 40 + 0.5) / 30
        page.mouse.move(box["x"] + x, box["y"] + y)
        if over.count():
            break
    card = page.locator(".ws-map-card")
    expect(card).to_be_visible()
    expect(card.locator("img")).to_have_attribute("src", re.compile("^data:image/webp"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_bad_file_is_refused_in_words_and_the_map_stays(visit: Visit, tmp_path: Path, theme: str):
    page = visit(theme=theme)
    open_map(page)
    (tmp_path / "bad.jpg").write_text("no image")
    page.set_input_files("#ws-map-you input[type=file]", tmp_path / "bad.jpg")
    expect(page.get_by_test_id("toast-body")).to_contain_text("not an image of an accepted kind")
    expect(page.locator("#ws-map-you img")).to_have_count(0)  # it blocked every later map
    page.get_by_label("Beside it").click()
    page.get_by_role("option", name="Baseline: histogram").click()
    expect(page.locator(".ws-map-panel")).to_have_count(2)


def test_narrow_pages_do_not_scroll_sideways(visit: Visit):
    page = visit()
    open_map(page)
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_stopped_map_can_be_drawn_again(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, theme: str
):
    page = visit(theme=theme)
    open_map(page)
    original, begun, count = Session.layout, threading.Event(), itertools.count()

    def slow(self: Session, *given: object, progress: Progress, **more: object) -> object:
        begun.set()
        while next(count) < 300:  # until it is stopped, half a minute at most
            progress(1, 300, "laying out")
            time.sleep(0.1)
        return original(self, *given, progress=progress, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Session, "layout", slow)
        page.locator("#ws-map-draw").click()
        assert begun.wait(60)
        page.locator("#ws-map-stop").click()
        expect(page.get_by_test_id("toast-body")).to_contain_text("draw it again")
    assert next(count) < 300
    page.locator("#ws-map-draw").click()
    expect(page.locator("#ws-map-words")).to_contain_text("Nothing is selected")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_lost_server_is_told(visit: Visit, theme: str):
    page = visit(theme=theme, lost=True)
    open_map(page)

    def lost(route: Route) -> None:
        route.abort("connectionrefused")

    page.route("**/gradio_api/**", lost)
    page.locator("#ws-map-draw").click()
    expect(page.get_by_test_id("toast-body").first).to_contain_text("start it again")
    expect(page.locator(".ws-map-stage")).to_be_visible()


@pytest.fixture(scope="module")
def crowd(browser: Browser) -> Iterator[str]:
    """A page with nothing but a map of 50,000 points."""
    rng = np.random.default_rng(0)
    records = tuple(
        ImageRecord(i, f"{i}.png", "0" * 64, "0" * 16, 8, 8, extra={"k": f"group {i % 9}"})
        for i in range(POINTS)
    )
    scene = Scene(records, ())
    points = within_square(rng.normal(size=(POINTS, 2)), np.zeros((0, 2)))[0]
    groups = group(scene, "factor:k")
    value = views_map.value(Drawing("crowd", scene, (Panel("crowd", points),), groups))
    with gr.Blocks() as blocks:
        gr.HTML(
            value,
            html_template=(ASSETS / "map.html").read_text(encoding="utf-8"),
            js_on_load=(ASSETS / "map.js").read_text(encoding="utf-8"),
        )
    options = {"theme": theme(), "css_paths": STYLESHEETS}
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **options)
    yield address
    blocks.close()


def test_fifty_thousand_points_stay_fluid(browser: Browser, crowd: str):
    """Frames while zooming, drawn by a processor alone; a graphics card is far faster."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(_WAIT)
    page.goto(crowd)
    page.wait_for_selector(".ws-map.drawn")
    times = page.evaluate(
        """async () => {
          const stage = document.querySelector('.ws-map-stage'), times = [];
          const box = stage.getBoundingClientRect();
          const frame = () => new Promise(requestAnimationFrame);
          for (let i = 0; i < 40; i++) {
            const start = performance.now();
            stage.dispatchEvent(new WheelEvent('wheel', { deltaY: i < 20 ? -40 : 40,
              clientX: box.left + 200, clientY: box.top + 200, cancelable: true }));
            await frame(); await frame();
            times.push((performance.now() - start) / 2);
          }
          return times.sort((a, b) => a - b);
        }"""
    )
    page.close()
    median, late = times[len(times) // 2], times[int(0.95 * len(times))]
    print(f"{POINTS:,} points: median frame {median:.1f} ms, 95th percentile {late:.1f} ms")  # noqa: T201
    assert median < 100
