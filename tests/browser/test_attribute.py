from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.app import tiny
from tests.browser.pages import FILE, contrast, give

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Visit = Callable[..., Page]
expect.set_options(timeout=60_000)  # milliseconds; a busy machine is slow, not broken


def test_from_an_image_to_its_reasons(visit: Visit, picture: Path, theme: str):
    page = visit(theme=theme)
    assert ("dark" in (page.locator("body").get_attribute("class") or "")) == (theme == "dark")
    give(page, picture)
    expect(page.locator(".ws-answer h2")).to_contain_text("Candidate source: Blue <b>hills</b>")
    matches = page.locator("#ws-candidates [role=option]")
    expect(matches).to_have_count(tiny.COUNT)
    expect(matches.first.locator(".ws-list-name")).to_have_text("Blue <b>hills</b>")
    expect(matches.first.locator(".ws-points")).to_have_text("100 of 100")
    expect(page.locator(".ws-pair figcaption")).to_have_text(["Your image", "Blue <b>hills</b>"])
    page.get_by_role("button", name="About the image").click()
    expect(page.locator("#ws-record")).to_contain_text("CC BY 4.0")
    page.get_by_text("How sure is this?").click()
    for text in (".ws-answer h2", ".ws-odds", ".ws-legend b", ".ws-info summary"):
        assert contrast(page, text, ".ws-answer") >= 4.5
    for text in (".ws-header p", ".ws-pair figcaption", ".ws-list-heading", ".ws-facts dt"):
        assert contrast(page, text, "gradio-app") >= 4.5
    page.get_by_role("button", name="For researchers").click()
    stable = page.locator("#ws-stable")
    expect(stable).to_contain_text(re.compile("come|checked"))
    if "none is drawn" not in stable.inner_text():
        page.wait_for_selector("#ws-bars svg.main-svg")
        assert contrast(page, "#ws-bars text", "gradio-app", what="fill") >= 4.5


def test_keys_walk_the_list_and_the_reasons_follow(visit: Visit, picture: Path):
    page = visit()
    give(page, picture)
    name = page.locator(".ws-pair figcaption").last
    rows = page.locator("#ws-candidates [role=option]")
    titles = rows.locator(".ws-list-name").all_inner_texts()
    rows.first.click()
    for key, place in (("ArrowDown", 1), ("ArrowRight", 2), ("ArrowUp", 1), ("Home", 0)):
        page.keyboard.press(key)
        expect(rows.nth(place)).to_have_attribute("aria-selected", "true")
        expect(rows.nth(place)).to_be_focused()
        expect(name).to_have_text(titles[place])
    expect(page.locator("#ws-candidates [aria-selected=true]")).to_have_count(1)
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Encoder").click()
    page.get_by_role("option", name="Baseline: histogram").click()
    expect(page.locator("#ws-reading")).to_be_hidden()
    expect(name).to_have_text("Blue <b>hills</b>")  # the first again
    expect(page.locator("#ws-query img")).to_be_visible()


def test_of_quick_changes_of_the_part_the_last_one_counts(visit: Visit):
    """The first one's data was run again for those that came while it ran."""
    page = visit()
    page.evaluate(QUICKLY, "#ws-switch [role=tab]")
    expect(page.locator("#ws-reverse")).to_be_visible()
    expect(page.locator("#ws-batch")).to_be_hidden()


def test_of_examples_chosen_quickly_the_last_one_is_answered(visit: Visit, picture: Path):
    """Each was taken back for the one before it, and both were asked about for ever."""
    page = visit()
    give(page, picture)
    page.evaluate(QUICKLY, "#ws-examples button:has(img)")
    last = str(page.locator("#ws-examples button img").nth(2).get_attribute("alt"))
    expect(page.locator(".ws-answer h2")).to_contain_text(last)
    expect(page.locator(".ws-pair figcaption").last).to_have_text(last)
    page.get_by_role("tab", name="Gallery").click()
    expect(page.locator("#ws-gallery-shelf [data-id]").first).to_be_visible()
    page.get_by_role("tab", name="Attribute").click()
    expect(page.locator(".ws-pair figcaption").last).to_have_text(last)


QUICKLY = """async (those) => {
  for (const each of [...document.querySelectorAll(those)].slice(0, 3)) {
    each.click();
    await new Promise((done) => setTimeout(done, 60));
  }
}"""
"""Clicks the first three of those that a selector finds, quicker than a server answers."""


TRANSFORMS = "all => all.map(each => each.style.transform)"


def test_the_pair_is_zoomed_moved_and_wiped_as_one(visit: Visit, picture: Path, theme: str):
    page = visit(theme=theme, width=390)
    give(page, picture)
    zoomed_moved_and_wiped(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Side by side").click()
    page.set_viewport_size({"width": 1440, "height": 900})
    zoomed_moved_and_wiped(page)


def zoomed_moved_and_wiped(page: Page) -> None:
    frames, canvases = page.locator(".ws-side-by-side .ws-frame"), page.locator(".ws-canvas")
    expect(canvases).to_have_count(4)

    def moved() -> str:
        (one,) = {*canvases.evaluate_all(TRANSFORMS)}  # all of them alike
        return one

    frames.first.click()
    assert moved().endswith("scale(1)")
    page.keyboard.press("+")
    zoomed = moved()
    assert zoomed.endswith("scale(1.5)")
    page.keyboard.press("ArrowLeft")
    assert moved() != zoomed
    box = frames.last.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -240)  # a picture has the focus, so the wheel zooms
    page.wait_for_function(
        "() => !document.querySelector('.ws-canvas').style.transform.endsWith('(1.5)')"
    )
    before = moved()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 - 30, box["y"] + box["height"] / 2 - 20)
    page.mouse.up()
    assert moved() != before
    page.keyboard.press("0")
    assert moved().endswith("scale(1)")
    page.get_by_role("button", name="Wipe").click()
    expect(frames.first).to_be_hidden()
    slider = page.locator(".ws-wipe-at")
    slider.focus()
    page.keyboard.press("End")
    shown = page.locator(".ws-wipe").evaluate("e => e.style.getPropertyValue('--ws-at')")
    assert shown == "100%"
    assert contrast(page, ".ws-wipe label", "gradio-app") >= 4.5


def test_a_link_lights_up_with_its_partner(visit: Visit, picture: Path):
    page = visit()
    give(page, picture)
    dots = page.locator(".ws-dots g")
    expect(dots).not_to_have_count(0)  # the very picture has all its places in common
    dots.first.hover()
    lit = page.locator(".ws-pair .lit")
    expect(lit).to_have_count(3)  # both places and the line between them
    page.mouse.move(2, 2)
    expect(lit).to_have_count(0)


def test_without_a_source_the_page_says_why_and_what_to_do(
    visit: Visit, tmp_path: Path, theme: str
):
    page = visit(theme=theme, width=390)
    without_a_source(page, tiny.draw(tmp_path / "other.png", 99))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#ws-query").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#ws-answer .ws-empty")).to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 900})
    without_a_source(page, tiny.draw(tmp_path / "another.png", 98))
    page.get_by_role("button", name="Test it on your own picture").click()
    expect(page.locator("#ws-test .ws-empty")).to_be_visible()
    page.get_by_role("tab", name="One", exact=True).click()
    page.get_by_text("Open a public dataset").click()
    page.get_by_role("button", name="Butterflies of the Smithsonian").click()
    field = page.locator("#ws-gallery-dataset :is(input, textarea)")
    expect(field).to_have_value("huggan/smithsonian-butterfly-lowres")
    expect(field).to_be_visible()


def without_a_source(page: Page, file: Path) -> None:
    page.set_input_files(FILE, file)
    expect(page.locator(".ws-answer h2")).to_contain_text("None of these images")
    expect(page.locator(".ws-why")).to_contain_text(f"This gallery holds {tiny.COUNT} images.")
    expect(page.locator("#ws-list-title")).to_have_text("Closest images")
    expect(page.locator(".ws-pair img").first).to_be_hidden()  # the reasons are folded
    for text in (".ws-why", ".ws-next > button:last-of-type", ".ws-next summary"):
        assert contrast(page, text, ".ws-answer") >= 4.5
    assert contrast(page, ".ws-list-name", "gradio-app") >= 4.5
    page.locator("#ws-candidates [role=option]").nth(1).click()
    expect(page.locator(".ws-pair img").first).to_be_visible()  # choosing one asks why
    expect(page.locator(".ws-pair img").first).to_be_in_viewport()


def test_a_column_taller_than_the_window_is_seen_to_its_end(visit: Visit, picture: Path):
    """Its end, with what is wrong with a filter, came into view at the end of the page alone."""
    page = visit()
    give(page, picture)
    page.get_by_role("button", name="Settings").click()
    last = page.locator("#ws-where")
    expect(last).to_be_visible()
    page.add_style_tag(content=".ws-found { min-height: 3000px; }")
    last.evaluate("e => scrollTo(0, e.getBoundingClientRect().bottom + scrollY - innerHeight + 60)")
    expect(last).to_be_in_viewport(ratio=1)
    page.evaluate("scrollBy(0, 400)")
    expect(last).to_be_in_viewport(ratio=1)


def test_an_address_of_a_private_machine_is_refused_in_words(visit: Visit):
    page = visit()
    line = page.locator("#ws-address :is(input, textarea)")
    for address, words in (
        ("https://127.0.0.1/a.png", "private network"),
        ("http://example.org/a.png", "beginning with https://"),
    ):
        line.fill(address)
        line.press("Enter")
        expect(page.get_by_test_id("toast-body").last).to_contain_text(words)
    expect(page.locator(".ws-empty").first).to_be_visible()


def test_bad_file_is_refused_in_words_and_the_page_goes_on(
    visit: Visit, tmp_path: Path, theme: str
):
    (tmp_path / "bad.jpg").write_text("no image")
    page = visit(theme=theme)
    example = page.locator("#ws-examples button").first
    example.click()
    expect(page.locator(".ws-answer h2")).to_contain_text("Candidate source")
    page.set_input_files(FILE, tmp_path / "bad.jpg")
    message = page.get_by_test_id("toast-body")
    expect(message).to_contain_text("'bad.jpg' is not an image of an accepted kind")
    expect(page.locator("#ws-query img")).to_have_count(1)  # as before, and so is the answer
    expect(page.locator(".ws-answer h2")).to_contain_text("Candidate source")
    expect(page.locator("#ws-candidates")).to_be_visible()
    page.locator("#ws-examples button").nth(1).click()
    page.wait_for_function("() => location.search.includes('example=2')")
    expect(page.locator(".ws-answer h2")).to_be_visible()


def test_bad_file_where_nothing_is_answered_leaves_the_page_empty(visit: Visit, tmp_path: Path):
    (tmp_path / "bad.jpg").write_text("no image")
    page = visit()
    page.set_input_files(FILE, tmp_path / "bad.jpg")
    expect(page.get_by_test_id("toast-body")).to_contain_text("not an image of an accepted kind")
    expect(page.locator(".ws-empty")).to_be_visible()
    expect(page.locator("#ws-query img")).to_have_count(0)


def test_lost_server_is_told(visit: Visit, theme: str):
    page = visit(theme=theme, lost=True)
    page.wait_for_selector("#ws-examples img")
    page.route("**/queue/join**", lambda route: route.abort())
    page.locator("#ws-examples button").first.click()
    expect(page.get_by_test_id("toast-body").first).to_contain_text("start it again")


def test_narrow_pages_do_not_scroll_sideways(visit: Visit, picture: Path):
    page = visit(width=390)
    give(page, picture)
    for width in (390, 768, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("width => innerWidth === width", arg=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_narrow_page_the_answer_comes_into_view(visit: Visit):
    """It lay below the screen, and nothing showed that it had come.

    Later the reasons that came below it moved it out of view again: the browser held on to the
    settings, which stand before the answer in the document and below it on the page.
    """
    page = visit(width=390)
    page.locator("#ws-examples button").first.click()
    seen = (
        "() => { const {top} = document.querySelector('#ws-answer').getBoundingClientRect();"
        " return top >= 0 && top < 450; }"
    )
    page.wait_for_function(f"() => scrollY > 0 && ({seen})()")
    expect(page.locator(".ws-pair img").first).to_be_visible()
    assert page.evaluate(seen)
    expect(page.get_by_role("button", name="Report", exact=True)).to_be_visible()
    title = page.locator("#ws-list-title h3")
    expect(title).to_have_text("Candidate sources")
    assert title.evaluate("e => e.scrollWidth <= e.clientWidth")  # its files cut it short


def test_the_prior_can_be_chosen(visit: Visit, picture: Path, tmp_path: Path):
    page = visit()
    page.get_by_role("button", name="Settings").click()  # a slider just put there forgets a value
    with Image.open(picture) as image:  # the very file would be certain at any prior
        image.resize((image.width * 2, image.height * 2)).save(tmp_path / "larger.png")
    give(page, tmp_path / "larger.png")
    expect(page.locator(".ws-legend")).to_contain_text("None of these")
    expect(page.locator("#ws-shares")).to_be_hidden()  # those of one source are the bar again
    page.locator("#ws-prior input[type=number]").fill("10")
    expect(page.locator(".ws-answer h2")).to_contain_text("at a prior of 10 %")
    expect(page.locator(".ws-pair figcaption").last).to_have_text("Blue <b>hills</b>")


def test_an_answer_and_its_link_are_copied(visit: Visit, picture: Path, theme: str):
    page = visit(theme=theme, width=390 if theme == "dark" else 1440)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    give(page, picture)
    told = page.locator(".ws-copied")
    page.get_by_role("button", name="Copy answer").click()
    expect(told).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("Candidate source: Blue <b>hills</b>")
    assert "1. Blue <b>hills</b>; " in copied
    assert str(picture.parent) not in copied
    page.get_by_role("button", name="Copy link").click()
    expect(told).to_contain_text("your picture is not in it")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
    )
    page.get_by_role("button", name="Copy answer").click()
    expect(told).to_contain_text("select the text instead")


def test_the_list_grows_until_a_source_is_among_it_as_often_as_is_wanted(
    visit: Visit, picture: Path, theme: str
):
    page = visit(theme=theme, width=390 if theme == "light" else 1440)
    give(page, picture)
    rows, slider = page.locator("#ws-candidates [role=option]"), page.locator("[data-sets]")
    told = page.locator(".ws-listed")
    counts = []
    for _ in range(int(slider.get_attribute("max") or 0)):
        slider.press("ArrowRight")
        counts.append(rows.filter(visible=True).count())
        some = f"{counts[-1]} {'is' if counts[-1] == 1 else 'are'} listed."
        few = f"All {tiny.COUNT} that are listed are too few for that."
        expect(told).to_have_text(few if counts[-1] == tiny.COUNT else some)
    assert counts == sorted(counts)
    assert counts[0] == 1, "the very file stands alone"
    assert slider.get_attribute("aria-valuetext") == "90 % of cases"
    for text in (".ws-often label", ".ws-often small"):
        assert contrast(page, text, "gradio-app") >= 4.5
    slider.press("Home")
    expect(rows.filter(visible=True)).to_have_count(tiny.COUNT)
