from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.service import Session
from core.values import Progress

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Visit = Callable[..., Page]
expect.set_options(timeout=60_000)  # milliseconds; a busy machine is slow, not broken
FILE = "#ws-compare-query input[type=file]"


def opened(page: Page) -> Page:
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#ws-agreement .ws-empty")).to_be_visible()
    return page


def slow(*_: object, progress: Progress, **__: object) -> None:
    """Work that goes on until it is stopped."""
    for step in range(200):
        progress(step, 200, "Working")
        time.sleep(0.5)


def test_two_rankings_of_one_image(visit: Visit, picture: Path, theme: str):
    page = opened(visit(theme=theme))
    page.set_input_files(FILE, picture)
    expect(page.locator(".ws-agreement h2")).to_contain_text("Both rank the same image first")
    expect(page.locator(".ws-meters li")).to_have_count(4)
    for side, other in (("left", "right"), ("right", "left")):
        images = page.locator(f"#ws-{side} img")
        expect(images).to_have_count(12)
        first = re.compile(
            rf"^1 · 100 of 100\n(influence [^\n]+\n)?both · {other} 1\nBlue <b>hills"
        )
        expect(images.first).to_have_attribute("alt", first)
        frame = images.first.evaluate("image => getComputedStyle(image).boxShadow")
        assert "3px" in frame
        expect(page.locator(f"#ws-verdict-{side} p")).not_to_be_empty()
    expect(page.locator(".ws-which-title h3")).to_have_text("Candidate sources")
    for side in ("left", "right"):
        expect(page.locator(f"#ws-pair-{side} figure")).to_have_count(2)
    page.locator("#ws-marked").get_by_label("Parts of the cosine").check()
    expect(page.locator("#ws-pair-left img").first).to_have_attribute("alt", re.compile("parts of"))
    expect(page.locator("#ws-pair-right")).to_contain_text("Parts of the cosine: none here")
    page.locator("#ws-marked").get_by_label("Subject alone").check()
    expect(page.locator("#ws-pair-left img").first).to_have_attribute("alt", re.compile("subject"))
    expect(page.locator("#ws-pair-left")).to_contain_text("What subject adds to the cosine")
    page.locator("#ws-right button").nth(3).click()
    expect(page.locator("#ws-looked")).to_contain_text("Baseline: histogram: place 4")
    expect(page.locator("#ws-both-levels")).to_contain_text("Level by level")
    with page.expect_download() as got:
        page.locator("#ws-compare-csv").click()
    assert got.value.suggested_filename == "comparison.csv"
    page.get_by_label("Found by one only").check()
    expect(page.locator("#ws-left img")).to_have_count(0)
    page.locator("#ws-over").click()
    expect(page.locator("#ws-over-found")).to_contain_text("This gallery has no examples")


def test_another_encoder_compares_again(visit: Visit, picture: Path):
    page = opened(visit())
    page.set_input_files(FILE, picture)
    expect(page.locator("#ws-right img")).to_have_count(12)
    page.get_by_label("Encoder on the right").click()
    page.get_by_role("option").first.click()
    expect(page.locator(".ws-agreement h2")).to_have_text("Both rank the same image first.")
    expect(page.locator(".ws-figures dd").first).to_have_text("1.00")


def test_bad_file_is_refused_in_words_and_the_page_goes_on(
    visit: Visit, tmp_path: Path, theme: str
):
    (tmp_path / "bad.jpg").write_text("no image")
    page = opened(visit(theme=theme))
    page.set_input_files(FILE, tmp_path / "bad.jpg")
    message = page.get_by_test_id("toast-body")
    expect(message).to_contain_text("'bad.jpg' is not an image of an accepted kind")
    expect(page.locator("#ws-agreement .ws-empty")).to_be_visible()
    page.locator("#ws-compare-starts button").first.click()
    expect(page.locator(".ws-agreement h2")).to_be_visible()


def test_lost_server_is_told(visit: Visit, theme: str):
    page = visit(theme=theme, lost=True)
    opened(page)
    page.route("**/queue/join**", lambda route: route.abort())
    page.locator("#ws-over").click()
    expect(page.get_by_test_id("toast-body").first).to_contain_text("start it again")


def test_comparison_can_be_stopped(visit: Visit, monkeypatch: pytest.MonkeyPatch, theme: str):
    page = opened(visit(theme=theme))
    with monkeypatch.context() as patched:
        patched.setattr(Session, "examples", slow)
        page.locator("#ws-over").click()
        stop = page.locator("#ws-stop-over")
        expect(stop).to_be_visible()
        stop.press("Enter")
        expect(page.get_by_test_id("toast-body")).to_contain_text("Stopped")
        expect(stop).to_be_hidden()
    page.locator("#ws-over").click()
    expect(page.locator("#ws-over-found")).to_contain_text("This gallery has no examples")


def test_on_a_phone_the_settings_are_folded(visit: Visit):
    """Four drop-downs stood before the answer."""
    page = opened(visit(width=390))
    expect(page.locator("#ws-compare-settings > button")).not_to_have_class(re.compile("open"))
    expect(page.get_by_label("Encoder on the left")).to_be_hidden()
    page.locator("#ws-compare-settings > button").click()
    expect(page.get_by_label("Encoder on the left")).to_be_visible()


def test_narrow_pages_do_not_scroll_sideways(visit: Visit, picture: Path):
    page = opened(visit())
    page.set_viewport_size({"width": 390, "height": 900})
    page.set_input_files(FILE, picture)
    expect(page.locator("#ws-right img")).to_have_count(12)
    for width in (390, 768, 1024, 1200):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("width => innerWidth === width", arg=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        title = page.locator(".ws-which-title h3").bounding_box()
        assert title and title["height"] < 40, "the heading takes one line"
        ends = page.locator(".ws-both-levels").evaluate(
            "table => [...table.rows].map(row => [...row.cells].map("
            "cell => Math.round(cell.getBoundingClientRect().right)).join())"
        )
        assert len(set(ends)) == 1, "each number stands below the name of its side"
        numbers = page.locator(".ws-both-levels :is(thead th, td)")
        sides = numbers.evaluate_all("all => all.map(each => getComputedStyle(each).textAlign)")
        assert {*sides} == {"right"}, "sums stood on the left, their parts on the right"
