from __future__ import annotations

import itertools
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from app.page import address, events
from app.ui import build, launch_options
from benchmarks.speed.crowd import POINTS, Crowd, app_over
from benchmarks.speed.frames import OWN, WAYS, WHOLE, frames
from benchmarks.speed.frames import open_map as open_crowd
from core.service import Session
from core.values import Progress
from tests.app import small, tiny

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Visit = Callable[..., Page]
_WAIT = 60_000  # milliseconds; a busy machine is slow, not broken
expect.set_options(timeout=_WAIT)


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


def test_points_are_looked_at_selected_and_exported(visit: Visit, theme: str):
    page = visit(theme=theme)
    open_map(page)
    expect(page.locator(".ws-map-key")).to_contain_text(["Gallery images", "Generated examples"])
    lasso(page)
    words = page.locator("#ws-map-words")
    expect(words).to_contain_text(f"{small.COUNT} gallery images and 2 generated examples selected")
    expect(page.locator("#ws-map-chosen button img")).to_have_count(small.COUNT + 2)
    page.set_viewport_size({"width": 390, "height": 900})
    boxes = page.locator("#ws-map-chosen .grid-wrap")
    expect(boxes).to_have_css("max-height", "none")  # no box that scrolls cuts pictures off
    for width in (390, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("width => innerWidth === width", arg=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1440, "height": 900})
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
    other = "() => document.querySelectorAll('.ws-map-stage canvas')[1].toDataURL()"
    point_at(page)
    ringed = page.evaluate(other)
    page.mouse.move(2, 2)
    page.wait_for_function(f"(before) => ({other})() !== before", arg=ringed)
    page.locator("#ws-map-level input").click()
    page.get_by_role("option", name="Subject").click()
    titles = page.locator(".ws-map-panel figcaption")
    expect(titles).to_have_text(["Random weights · subject", "Baseline: histogram"])


def point_at(page: Page) -> None:
    """Move the pointer over the first map, from its middle, until it is on a point."""
    box = page.locator(".ws-map-stage").first.bounding_box()
    assert box is not None
    over = page.locator(".ws-map.over")
    places = [((i + 0.5) / 40, (j + 0.5) / 30) for i in range(40) for j in range(30)]
    for x, y in sorted(places, key=lambda place: math.dist(place, (0.5, 0.5))):
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        if over.count():
            return
    raise AssertionError("no point was met")


def test_random_weights_come_beside_an_encoder_by_one_click(visit: Visit):
    page = visit(query="encoder=histogram")
    open_map(page)
    page.locator("#ws-map-beside-control").click()
    expect(page.locator(".ws-map-panel")).to_have_count(2)
    titles = page.locator(".ws-map-panel figcaption")
    expect(titles).to_have_text(["Baseline: histogram", "Random weights"])
    expect(page.locator("#ws-map-beside input")).to_have_value("Random weights")


def test_a_point_under_the_pointer_shows_its_picture(visit: Visit):
    page = visit()
    open_map(page)
    for _ in range(2):
        page.get_by_role("button", name="Zoom out").click()
    point_at(page)
    card = page.locator(".ws-map-card")
    expect(card).to_be_visible()
    expect(card.locator("img")).to_have_attribute("src", re.compile("^data:image/webp"))


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


def test_a_stopped_map_can_be_drawn_again(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, theme: str
):
    page = visit(theme=theme)
    open_map(page)
    original, begun, count = Session.layout, threading.Event(), itertools.count()

    def slow(self: Session, *given: Any, progress: Progress, **more: Any) -> object:
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


def test_a_lost_server_is_told(visit: Visit, theme: str):
    page = visit(theme=theme, lost=True)
    open_map(page)

    def lost(route: Route) -> None:
        route.abort("connectionrefused")

    page.route("**/gradio_api/**", lost)
    page.locator("#ws-map-draw").click()
    expect(page.get_by_test_id("toast-body").first).to_contain_text("start it again")
    expect(page.locator(".ws-map-stage")).to_be_visible()


def test_a_candidate_is_shown_on_the_map_and_asked_about_there(visit: Visit, tmp_path: Path):
    """From the answer to the map, from there to its neighbours, the list, and back to Attribute."""
    page = visit()
    first = page.locator("#ws-candidates [data-row='0']")
    expect(first).to_be_visible()  # what the page opens with is answered
    page.set_input_files("#ws-query input[type=file]", tiny.draw(tmp_path / "mine.png", 7))
    expect(first).to_contain_text("picture-07")  # until then the answer is the example's
    page.locator("#ws-to-map").click()
    page.wait_for_selector(".ws-map.drawn")
    expect(page.locator(".ws-map-key", has=page.locator("i.ring"))).to_be_visible()
    expect(page.locator("#ws-map-near")).to_contain_text("also near it on the map")
    page.locator("#ws-map-neighbours button:has(img)").first.click()
    about = page.locator("#ws-map-about")
    expect(about).to_contain_text("picture-07")
    about.get_by_role("button", name="Select its nearest images").click()
    expect(page.locator("#ws-map-words")).to_contain_text("Selected with picture-07")
    expect(page.locator("#ws-map-share")).to_contain_text("of the gallery")
    expect(page.locator("#ws-map-chosen button img")).to_have_count(small.COUNT)
    page.locator("#ws-map-made").click()
    expect(page.locator("#ws-sources")).to_contain_text("images are looked for")
    expect(page.locator("#ws-source img")).to_be_visible()
    page.get_by_role("tab", name="Map").click()
    page.locator("#ws-map-chosen button:has(img)").nth(2).click()
    expect(about).to_contain_text("picture-02")
    about.get_by_role("button", name="Find what was made from it").click()
    expect(page.locator("#ws-sources")).to_be_hidden()
    expect(page.locator("#ws-source img")).to_be_visible()


@pytest.mark.parametrize("late", [(address, "restored"), (events, "visitor_of")])
def test_a_picture_given_while_the_page_opens_is_not_undone(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: tuple[ModuleType, str]
):
    """What the page opens with came late, in place of the visitor's picture."""
    original, begun = getattr(*late), threading.Event()
    answered, ended = threading.Event(), threading.Event()

    def slow(*given: Any, **more: Any) -> Any:
        first = not begun.is_set()
        begun.set()
        found = original(*given, **more)
        if first:
            answered.wait(60)
            ended.set()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(*late, slow)
        page = visit()
        assert begun.wait(60)
        page.set_input_files("#ws-query input[type=file]", tiny.draw(tmp_path / "mine.png", 7))
        expect(page.locator("#ws-candidates [data-row='0']")).to_contain_text("picture-07")
        answered.set()
        assert ended.wait(60)
        page.get_by_role("tab", name="Map").click()
        expect(page.locator("#ws-map-neighbours button:has(img)").first).to_contain_text("07")
    page.get_by_role("tab", name="Attribute").click()
    expect(page.locator("#ws-candidates [data-row='0']")).to_contain_text("picture-07")
    assert "example=" not in page.url


@pytest.fixture(scope="module")
def crowd(browser: Browser, gallery: Path) -> Iterator[str]:
    """The app, its map of 50,000 points."""
    made = Crowd(POINTS, gallery=str(gallery))
    with app_over(made, gallery=str(gallery), encoder="random") as address:
        yield address


@pytest.fixture
def crowded(browser: Browser, crowd: str) -> Iterator[Page]:
    page = open_crowd(browser, crowd)
    yield page
    page.close()


def test_fifty_thousand_points_stay_fluid(crowded: Page):
    """Moved and zoomed by real input, without a graphics card; a busy machine has other times."""
    for way in WAYS:
        found = frames(crowded, way, times=1)
        print(f"{way}: {found.cells}")  # noqa: T201
        assert len(found.times) > 20
        assert found.main < OWN
        assert found.whole < WHOLE
        assert np.median(found.times) < 50  # where others take the processor too


_PIXELS = """least => {
  const shown = document.querySelector('.ws-map-stage canvas');
  const { data } = shown.getContext('2d').getImageData(0, 0, shown.width, shown.height);
  let count = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] >= least) count++;
  return count;
}"""


def settled(page: Page, expression: str) -> Any:
    """The value of an expression once what was asked for is drawn, and it stays."""
    before, frame = None, "() => new Promise((drawn) => requestAnimationFrame(drawn))"
    while (now := page.evaluate(expression)) != before:
        before = now
        page.wait_for_timeout(1_000)
        for _ in range(2):
            page.evaluate(frame)
    return now


def test_of_many_points_pictures_are_shown_where_they_fit_and_the_chosen_stand_out(crowded: Page):
    pictures_can_be_hidden(crowded)
    those_that_are_chosen_stand_out(crowded)


def pictures_can_be_hidden(crowded: Page) -> None:
    """Shows the map's pictures, and leaves them hidden."""
    button = crowded.get_by_role("button", name="Pictures")
    size = "() => document.querySelector('.ws-map-stage canvas').toDataURL().length"
    button.click()
    hidden = settled(crowded, size)
    button.click()
    crowded.wait_for_function(f"({size})() > {1.03 * hidden}")
    button.click()
    crowded.wait_for_function(f"({size})() === {hidden}")


def those_that_are_chosen_stand_out(crowded: Page) -> None:
    """From afar points are a sample over their density; the chosen ones are all there."""
    crowded.get_by_role("button", name="Names", exact=True).click()
    key = crowded.locator(".ws-map-key", has_text="Gallery images")
    before = settled(crowded, f"({_PIXELS})(220)")
    key.click()
    crowded.wait_for_function(f"({_PIXELS})(220) > {2 * before + 1_000}")
    crowded.get_by_role("button", name="Clear selection").click()
    crowded.wait_for_function(f"({_PIXELS})(220) === {before}")


def test_a_name_stands_where_fewest_pictures_lie_and_those_make_way(browser: Browser):
    """Names lay over pictures at every width."""
    scripts = (Path(__file__).parents[2] / "app/tabs/map/scripts/names.js").read_text()
    page = browser.new_page()
    found = page.evaluate(
        """(scripts) => {
          const state = { names: true }, ratio = () => 1;
          const given = 'const STAR = 15, tellsLeft = () => false;';
          const made = new Function('state', 'ratio', `${given} ${scripts}
            nameOf = () => ({ width: 100 }); return { placedNames, under };`)(state, ratio);
          const at = (x, y) => ({ at: [x, y], side: 40 });
          const panel = (places) => ({
            you: null, view: { zoom: 1 }, width: 400, height: 400,
            regions: [{ names: [{ text: 'a', at: [200, 200] }] }], screen: (x, y) => [x, y],
            pictures: { places: () => places },
          });
          const aside = [at(180, 215), at(220, 215)];
          const [clear] = made.placedNames(panel(aside), null);
          const around = [at(200, 160), at(200, 200), at(200, 240)];
          const [over] = made.placedNames(panel(around), null);
          return [clear.y, aside.filter((each) => made.under(clear, each)).length,
            around.filter((each) => !made.under(over, each)).length];
        }""",
        scripts,
    )
    page.close()
    assert found[:2] == [178, 0]  # above both
    assert found[2] > 0  # at most some make way
