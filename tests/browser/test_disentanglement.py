from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.service import Session
from core.values import GalleryError, Progress

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Visit = Callable[..., Page]
expect.set_options(timeout=60_000)  # milliseconds; a busy machine is slow, not broken


def opened(page: Page) -> Page:
    page.get_by_role("tab", name="Disentanglement").click()
    expect(page.locator("#ws-overview .ws-empty")).to_be_visible()
    return page


def measure(page: Page) -> None:
    page.locator("#ws-measure").click()
    expect(page.locator("#ws-overview h2")).to_contain_text("After the head: ")
    unfold(page)
    expect(page.locator("#ws-factor-most img")).to_have_count(6)
    expect(page.locator("#ws-spread svg.main-svg").first).to_be_visible()


def unfold(page: Page) -> None:
    """What is folded below the measures."""
    for name in ("Level by level", "Which dimensions move together", "What one dimension does"):
        button = page.get_by_role("button", name=name)
        if "open" not in (button.get_attribute("class") or "").split():
            button.click()


WORDS = "measuring how much single dimensions say about the factors of rendered images"


def slow(*_: object, progress: Progress, **__: object) -> None:
    """Work that goes on until it is stopped."""
    for step in range(200):
        progress(step, 200, WORDS)
        time.sleep(0.5)


def refuse(*_: object, **__: object) -> None:
    raise GalleryError("features of random are damaged; build the gallery again")


def test_embedding_is_measured_and_its_dimensions_are_looked_at(visit: Visit, theme: str):
    page = opened(visit(theme=theme))
    measure(page)
    expect(page.locator("#ws-real-before .heatmaplayer image")).to_have_count(1)
    expect(page.locator("#ws-real-after .heatmaplayer image")).to_have_count(1)
    expect(page.locator("#ws-synthetic-before")).to_be_hidden()
    expect(page.locator("#ws-importance-after")).to_be_hidden()
    expect(page.locator("#ws-measures tbody tr")).to_have_count(5)
    a_dimension_is_chosen_by_its_picture(page)
    a_dimension_is_chosen_by_its_name(page)
    results_survive_a_change_of_tab(page)


def a_dimension_is_chosen_by_its_picture(page: Page) -> None:
    second = page.locator("#ws-named button").nth(1)
    number = re.search(r"\d+", second.locator("img").get_attribute("alt") or "")
    assert number
    second.click()
    expect(page.locator("#ws-spread .xtitle")).to_have_text(f"dim {number.group()}")


def a_dimension_is_chosen_by_its_name(page: Page) -> None:
    most = page.locator("#ws-factor-most img")
    before = [image.get_attribute("src") for image in most.all()]
    shown = page.locator("#ws-spread .xtitle")
    other = "Dimension 8" if shown.text_content() == "dim 7" else "Dimension 7"
    page.get_by_label("Dimension after the head").fill(other)
    page.get_by_role("option", name=other, exact=True).click()
    expect(shown).to_have_text(f"dim {other.split()[1]}")
    page.wait_for_function(
        "old => [...document.querySelectorAll('#ws-factor-most img')].some("
        "(image, i) => image.getAttribute('src') !== old[i])",
        arg=before,
    )


def results_survive_a_change_of_tab(page: Page) -> None:
    page.get_by_role("tab", name="Attribute").click()
    page.get_by_role("tab", name="Disentanglement").click()
    expect(page.locator("#ws-overview h2")).to_contain_text("After the head: ")
    expect(page.locator("#ws-measures tbody tr")).to_have_count(5)


def test_two_encoders_stand_side_by_side_and_are_given_as_files(visit: Visit, theme: str):
    page = opened(visit(theme=theme))
    measure(page)
    page.locator("#ws-beside input").click()
    page.get_by_role("option", name="Baseline: histogram").click()
    expect(page.locator("#ws-overview h2")).to_contain_text(
        "Baseline: histogram against Random weights: "
    )
    expect(page.locator("#ws-real-after .heatmaplayer image")).to_have_count(1)
    expect(page.locator("#ws-measures thead th").nth(2)).to_have_text("Baseline: histogram")
    expect(page.locator("#ws-measures tbody td small").first).to_contain_text(" to ")
    with page.expect_download() as got:
        page.locator("#ws-measures-csv").click()
    assert "Baseline: histogram value" in Path(got.value.path()).read_text()
    for width in (390, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("width => innerWidth === width", arg=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_stops_measuring_is_told_in_words_and_it_can_be_measured_again(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, theme: str
):
    page = opened(visit(theme=theme, width=1000))
    a_damaged_gallery_is_told(page, monkeypatch)
    measuring_can_be_stopped(page, monkeypatch)
    measure(page)


def a_damaged_gallery_is_told(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Session, "disentanglement", refuse)
        page.locator("#ws-measure").click()
        toast = page.get_by_test_id("toast-body")
        expect(toast).to_contain_text("build the gallery again")
        expect(page.locator("#ws-overview .ws-empty")).to_be_visible()
        expect(page.locator("#ws-stop-measure")).to_be_hidden()
    page.evaluate("document.querySelector('[data-testid=toast-close]')?.click()")  # or it went
    expect(toast).to_have_count(0)


def measuring_can_be_stopped(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Session, "disentanglement", slow)
        page.locator("#ws-measure").click()
        stop = page.locator("#ws-stop-measure")
        expect(stop).to_be_visible()
        for width in (1000, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function("width => innerWidth === width", arg=width)
            progress_does_not_run_under_its_stop(page)
        stop.press("Enter")
        expect(page.locator(".toast-title")).to_have_text("Stopped")
        expect(page.get_by_test_id("toast-body")).to_contain_text("What was finished is kept")
        expect(stop).to_be_hidden()


def progress_does_not_run_under_its_stop(page: Page) -> None:
    stop, words = page.locator("#ws-stop-measure"), page.locator(".progress-level-inner:visible")
    words.wait_for()
    button, told = stop.bounding_box(), words.bounding_box()
    assert button and told and told["height"] > 30
    assert told["x"] + told["width"] <= button["x"]


def test_lost_server_is_told(visit: Visit, theme: str):
    page = visit(theme=theme, lost=True)
    opened(page)
    page.route("**/queue/join**", lambda route: route.abort())
    page.locator("#ws-measure").click()
    expect(page.get_by_test_id("toast-body").first).to_contain_text("start it again")


@pytest.mark.parametrize("width", [390, 1440])
def test_headline_and_measures_come_first_and_the_rest_on_request(visit: Visit, width: int):
    page = opened(visit(width=width))
    page.locator("#ws-measure").click()
    expect(page.locator("#ws-measures tbody tr")).to_have_count(5)
    expect(page.locator("#ws-measured-levels")).to_be_hidden()
    expect(page.locator("#ws-named")).to_be_hidden()
    page.locator("#ws-measures summary").first.click()
    expect(page.locator("#ws-measures details").first).to_have_attribute("open", "")
    unfold(page)
    expect(page.locator("#ws-measured-levels table")).to_be_visible()
    plot = page.locator("#ws-real-after svg.main-svg").first
    expect(plot).to_be_visible()
    room, drawn = page.locator("#ws-real-after").bounding_box(), plot.bounding_box()
    assert room and drawn and 0.8 * room["width"] < drawn["width"] <= room["width"] + 1
    for narrow in {390: (390, 768), 1440: ()}[width]:
        page.set_viewport_size({"width": narrow, "height": 900})
        page.wait_for_function("width => innerWidth === width", arg=narrow)
        assert page.evaluate("document.documentElement.scrollWidth") <= narrow
