"""What holds for the page as a whole: accessibility of every tab, links that reopen it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app import tiny
from tests.browser.pages import watched

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

Visit = Callable[..., Page]
AXE = Path(sys.prefix) / "axe" / "node_modules" / "axe-core" / "axe.min.js"
TABS = ("Attribute", "Compare", "Disentanglement", "Map", "Gallery")
FOLDED = ("Level by level", "Which dimensions move together", "What one dimension does")
CHECK = """async () => (await axe.run({resultTypes: ['violations']})).violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ') + ' ' + n.failureSummary)
    .slice(0, 4).join(' | '))"""
STILL = """() => ![...document.querySelectorAll('.toast-body, .wrap.translucent:not(.hide)')]
  .some(e => e.offsetParent) && document.getAnimations().every(
    a => a.playState !== 'running' || a.effect.getComputedTiming().iterations === Infinity)"""


def violations(page: Page, check: str) -> dict[str, list[str]]:
    """What is wrong with a page that is still, in the theme that it has and in the other one."""
    found = {}
    for _ in range(2):
        page.wait_for_function(STILL)
        theme = page.evaluate("document.body.classList.contains('dark') ? 'dark' : 'light'")
        found[theme] = page.evaluate(check)
        page.evaluate("document.body.classList.toggle('dark')")
    assert {*found} == {"dark", "light"}
    return found


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_no_serious_violation_on_any_tab(visit: Visit, theme: str, width: int):
    if not AXE.is_file() and not os.environ.get("CI"):
        pytest.skip("no axe-core: `make test` fetches it")
    page = visit(theme=theme, width=width)
    page.locator("#ws-examples button").first.click()
    page.wait_for_selector(".ws-pair img")
    for part in ("About the image", "For researchers", "Settings"):
        page.get_by_role("button", name=part).click()
    page.add_script_tag(path=AXE)
    found: dict[str, dict[str, list[str]]] = {}
    for tab in TABS:
        choose(page, tab)
        if tab == "Compare":
            page.wait_for_selector(".ws-agreement")  # it asks about the same image
        if tab == "Disentanglement":
            page.locator("#ws-measure").click()
            page.wait_for_selector("#ws-measures tbody tr")
            page.locator("#ws-measures summary").first.click()
            for part in FOLDED:
                page.get_by_role("button", name=part).click()
            page.wait_for_selector("#ws-spread svg.main-svg")
        if tab == "Map":
            page.wait_for_selector("#ws-map canvas", timeout=180_000)  # the first compiles UMAP
        found[tab] = violations(page, CHECK)
    assert not any(any(both.values()) for both in found.values()), found


WITH_ORDER = CHECK.replace(
    ".includes(v.impact)", ".includes(v.impact) || ['heading-order'].includes(v.id)"
)
"""The same, and headings that leave out a level."""


def test_no_serious_violation_where_files_were_given(
    visit: Visit, gallery: Path, tmp_path: Path, theme: str
):
    """A filled box of files had a button in a button, called ``common.upload``."""
    if not AXE.is_file() and not os.environ.get("CI"):
        pytest.skip("no axe-core: `make test` fetches it")
    page = visit(theme=theme)
    page.add_script_tag(path=AXE)
    known = [gallery.parent / "images" / f"{name}.png" for name in tiny.NAMES[:2]]
    own = [tiny.draw(tmp_path / f"own-{i}.png", 300 + i) for i in range(2)]
    found: dict[str, dict[str, list[str]]] = {}

    def look(part: str) -> None:
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function("width => innerWidth === width", arg=width)
            found[f"{part} {width}"] = violations(page, WITH_ORDER)

    def run(part: str, boxes: dict[str, list[Path]], button: str, shown: str) -> None:
        page.get_by_role("tab", name=part.split()[0], exact=True).click()
        for box, files in boxes.items():
            page.set_input_files(f"{box} input[type=file]", files)
            page.locator(f"{box} :is(.file-preview, img)").first.wait_for()
        page.locator(button).click()
        page.locator(shown).first.wait_for()
        look(part)
        assert not page.locator("[aria-label^='common.'], [title^='common.']").count()

    run("Several", {"#ws-files": known}, "#ws-run", "#ws-batch h2:text-is('2 images')")
    boxes = {"#ws-source": known[:1], "#ws-made": known}
    run("Reverse", boxes, "#ws-run-reverse", "#ws-reverse tbody tr")
    page.get_by_role("tab", name="Test", exact=True).click()
    page.get_by_label("Pasted into another image").check()
    page.get_by_label("Patch synthesis").uncheck()
    run("Test one", {"#ws-own": own[:1]}, "#ws-run-test", "#ws-test .ws-selftest")
    run("Test several", {"#ws-owns": own}, "#ws-run-test", "#ws-test .ws-trials")
    choose(page, "Map")
    page.wait_for_selector(".ws-map.drawn", timeout=180_000)
    look("Map")
    assert not any(any(both.values()) for both in found.values()), found


def choose(page: Page, tab: str) -> None:
    """Open a tab; on a phone, too, one tap reaches it."""
    page.get_by_role("tab", name=tab, exact=True).click()


def test_link_reopens_encoder_and_example(visit: Visit):
    page = visit(query="encoder=histogram&example=2")
    expect(page.locator(".ws-answer h2")).to_contain_text("andidate source")
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_label("Encoder").first).to_have_value("Baseline: histogram")
    assert "example=2" in page.url


@pytest.mark.parametrize("width", [1440, 390])
def test_link_reopens_a_tab_and_keeps_the_address(visit: Visit, width: int):
    """Opening fired the first tab's event, which took the tab out of the address unread."""
    page = visit(width=width, query="tab=map")
    page.wait_for_selector(".ws-map.drawn")
    expect(page.get_by_role("tab", name="Map", exact=True)).to_have_attribute(
        "aria-selected", "true"
    )
    assert "tab=map" in page.url
    page.wait_for_function(STILL)
    assert page.evaluate(SHIFTED) < 0.05  # on a phone the map pushed its settings out of sight


SHIFTED = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => done(sum), 500);
})"""
"""How far things moved by themselves since the page was opened (cumulative layout shift)."""


def test_link_reopens_an_example_in_its_tab(visit: Visit):
    """A link to an example of Compare opened an empty tab."""
    page = visit(query="tab=compare&encoder=histogram&example=3")
    expect(page.locator(".ws-agreement h2")).to_be_visible()
    expect(page.get_by_label("Encoder on the left")).to_have_value("Baseline: histogram")
    expect(page.locator("#ws-compare-query img")).to_have_count(1)
    assert "example=3" in page.url


def test_one_image_is_asked_about_in_every_tab(visit: Visit):
    page = visit()
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.locator("#ws-compare-starts button").nth(1).click()
    expect(page.locator(".ws-agreement h2")).to_be_visible()
    page.wait_for_function("() => location.search.includes('example=2')")
    page.get_by_role("tab", name="Attribute", exact=True).click()
    expect(page.locator("#ws-answer h2")).to_be_visible()
    page.get_by_role("tab", name="Map", exact=True).click()
    expect(page.locator("#ws-map-near")).to_contain_text("nearest is")
    page.get_by_role("tab", name="Compare", exact=True).click()
    page.wait_for_timeout(500)  # nothing is searched for again
    expect(page.locator(".ws-agreement h2")).to_be_visible()
    assert "example=2" in page.url


def test_a_page_opens_with_the_first_example_answered_and_at_its_top(
    visit: Visit, tmp_path_factory: pytest.TempPathFactory
):
    gallery = tiny.make(tmp_path_factory.mktemp("examples"))
    (gallery / "queries").mkdir()
    tiny.draw(gallery / "queries" / "first.png", 3)
    listing = {"queries": [{"file": "first.png", "sources": [], "kind": "made"}]}
    (gallery / "queries" / "queries.json").write_text(json.dumps(listing))
    page = visit(query=f"gallery={gallery}", width=390)
    expect(page.locator(".ws-answer h2")).to_be_visible()
    expect(page.locator(".ws-pair img").first).to_be_visible()
    assert "example=" not in page.url
    assert page.evaluate("window.scrollY") == 0


def test_a_picture_is_dropped_or_pasted_anywhere(visit: Visit, gallery: Path):
    """A picture that missed its field was opened by the browser, in place of the page."""
    page = visit()
    content = list((gallery.parent / "images" / f"{tiny.NAMES[0]}.png").read_bytes())
    drop = """([bytes, names]) => {
      const held = new DataTransfer(), target = document.querySelector('.ws-header h1');
      for (const name of names) {
        const type = name.endsWith('.zip') ? 'application/zip' : 'image/png';
        held.items.add(new File([new Uint8Array(bytes)], name, {type}));
      }
      return ['dragover', 'drop'].map(name => target.dispatchEvent(new DragEvent(
        name, {bubbles: true, cancelable: true, dataTransfer: held})));
    }"""
    names = ["own0.png", "own1.png"]
    assert page.evaluate(drop, [content, names[:1]]) == [False, False], (
        "the browser does not open it"
    )
    expect(page.locator(".ws-answer h2")).to_contain_text("Blue <b>hills</b>")
    other = gallery.parent / "images" / f"{tiny.NAMES[1]}.png"
    page.evaluate(
        """(bytes) => {
          const held = new DataTransfer();
          held.items.add(new File([new Uint8Array(bytes)], 'image.png', {type: 'image/png'}));
          document.body.dispatchEvent(new ClipboardEvent(
            'paste', {bubbles: true, cancelable: true, clipboardData: held}));
        }""",
        list(other.read_bytes()),
    )
    expect(page.locator("#ws-candidates [data-row='0']")).to_contain_text(tiny.NAMES[1])
    for given in (names, ["own2.zip"]):
        page.get_by_role("tab", name="One", exact=True).click()
        assert page.evaluate(drop, [content, given]) == [False, False]
        expect(page.get_by_role("tab", name="Several")).to_have_attribute("aria-selected", "true")
        expect(page.locator("#ws-files")).to_contain_text(given[-1][:4])
    page.get_by_role("tab", name="Map", exact=True).click()
    assert page.evaluate(drop, [content, names]) == [False, False]
    expect(page.locator(".ws-dropped-nowhere")).to_contain_text(
        "Nothing on this part of the page takes own0"
    )


def test_lost_gallery_is_told_and_leaves_the_address(visit: Visit):
    """The warning never reached the page, and the link's example was taken from another gallery."""
    page = visit(query="gallery=/nowhere&example=2&tab=compare")
    expect(page.get_by_test_id("toast-body")).to_contain_text("not a gallery")
    page.wait_for_function("() => !/gallery|example/.test(location.search)")
    assert "tab=compare" in page.url
    expect(page.locator("#ws-agreement .ws-empty")).to_be_visible()


def test_address_follows_choices_and_never_the_upload(visit: Visit, tmp_path: Path):
    page = visit()
    page.locator("#ws-examples button").nth(2).click()
    page.wait_for_function("() => location.search.includes('example=3')")
    page.get_by_role("tab", name="Map", exact=True).click()
    page.wait_for_function("() => location.search.includes('tab=map')")
    page.get_by_role("tab", name="Attribute", exact=True).click()
    page.wait_for_function("() => !location.search.includes('tab=')")
    expect(page.locator(".ws-answer h2")).to_be_visible()  # the answer is still there
    source = page.locator("#ws-examples img").first.get_attribute("src")
    assert source
    file = tmp_path / "mine.png"
    file.write_bytes(page.request.get(source).body())
    page.set_input_files("#ws-query input[type=file]", file)
    page.wait_for_function("() => !location.search.includes('example=')")
    assert "mine" not in page.url


def test_a_filter_is_in_the_link_and_its_answer_says_so(visit: Visit):
    page = visit(query="example=2&where=creator+is+not+filled")
    headline, shown = (
        page.locator("#ws-answer .ws-answer h2"),
        f"23 of {tiny.COUNT} images with no creator",
    )
    expect(headline).to_contain_text(shown)
    page.get_by_role("button", name="Settings").click()
    line = page.locator("#ws-where textarea, #ws-where input")
    expect(line).to_have_value("creator is not filled")
    expect(page.locator("#ws-where")).to_contain_text("Columns: creator, licence, url, title, path")
    line.fill("artist = A")
    line.press("Enter")
    wrong = page.locator("#ws-filter-wrong")
    expect(wrong).to_contain_text("No image has a column 'artist'")
    expect(wrong).to_contain_text("Until then the filter is: creator is not filled")
    expect(headline).to_contain_text(shown)  # the answer stays, and so does the address
    assert "where=creator" in page.url
    page.get_by_role("tab", name="Compare", exact=True).click()
    expect(page.locator("#ws-agreement")).to_contain_text(f"Looked at {shown} only")
    page.get_by_role("tab", name="Attribute", exact=True).click()
    line.fill("")
    line.press("Enter")
    expect(headline).not_to_contain_text("images with")
    expect(headline).to_contain_text("andidate source")
    expect(page).not_to_have_url(re.compile("where="))
    expect(wrong).to_have_text("")
    line.fill("title = nothing")
    line.blur()
    expect(wrong).to_contain_text("None of the")
    assert "where=" not in page.url
    line.fill("title is filled")
    line.blur()
    expect(page).to_have_url(re.compile("where=title"))


def test_a_failure_covers_nothing_and_its_words_stay(visit: Visit):
    """A red badge that said no more than Error covered the picture when its words had gone."""
    page = visit(query="example=2")
    rest = watched(page)
    expect(page.locator(".ws-answer h2")).to_be_visible()
    page.clock.install()
    address = page.locator("#ws-address :is(textarea, input)")
    address.fill("kitten")
    address.press("Enter")
    told = page.get_by_test_id("toast-body")
    expect(told).to_contain_text("beginning with https://")
    page.clock.fast_forward(60_000)
    expect(told).to_be_visible()
    expect(page.locator("#ws-query img")).to_be_visible()
    expect(page.locator("#ws-query span.error")).to_have_count(1)
    expect(page.locator("#ws-query span.error")).to_be_hidden()
    page.get_by_role("tab", name="Several").click()
    page.wait_for_function("() => location.search.includes('part=several')")
    rest()
    page.reload()
    several = page.get_by_role("tab", name="Several")
    expect(several).to_have_attribute("aria-selected", "true")
    expect(page.locator("#ws-batch .ws-empty")).to_be_visible()
    for part, run in (("Test", "#ws-run-test"), ("Several", "#ws-run")):
        page.get_by_role("tab", name=part).click()
        page.locator(run).click()
        expect(page.locator(".ws-stage:visible .ws-empty")).to_be_visible()
    for badge in page.locator("[data-testid=status-tracker] span.error").all():
        expect(badge).to_be_hidden()
