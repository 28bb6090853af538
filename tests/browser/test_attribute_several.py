"""What asks about several images, what was made from one, and tests on a picture of one's own."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from core.service import SelfTest, Session
from tests.app import tiny
from tests.browser.pages import FILE, contrast, give, watched

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Visit = Callable[..., Page]
expect.set_options(timeout=60_000)  # milliseconds; a busy machine is slow, not broken


def test_several_images_fill_a_table_and_a_zip(
    visit: Visit, picture: Path, tmp_path: Path, theme: str
):
    (tmp_path / "bad.jpg").write_text("no image")
    page = visit(theme=theme)
    page.get_by_role("tab", name="Several").click()
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as packed:
        packed.write(tiny.draw(tmp_path / "other.png", 99), "trip/other.png")
    files = [picture, tmp_path / "bad.jpg", tmp_path / "own.zip"]
    page.set_input_files("#ws-files input[type=file]", files)
    page.wait_for_selector("#ws-files .file-preview")
    page.locator("#ws-run").click()
    table = page.locator("#ws-batch")
    expect(table.locator("h2")).to_have_text("3 images")
    expect(table).to_contain_text("Blue <b>hills</b>")
    expect(table).to_contain_text("not an image of an accepted kind")
    with page.expect_download() as saved:
        page.locator("#ws-download-zip").click()
    with zipfile.ZipFile(saved.value.path()) as packed:
        assert packed.testzip() is None
        assert any(name.endswith(".csv") for name in packed.namelist())
    table.get_by_role("button", name="trip/other.png").click()
    expect(page.locator("#ws-query img")).to_be_visible()
    expect(page.locator(".ws-answer h2")).to_contain_text("None of these images")


def test_the_table_is_sorted_and_filtered_and_a_row_opens_its_case(
    visit: Visit, picture: Path, tmp_path: Path, theme: str
):
    (tmp_path / "bad.jpg").write_text("no image")
    page = visit(theme=theme)
    page.get_by_role("tab", name="Several").click()
    files = [tiny.draw(tmp_path / "zebra.png", 99), tmp_path / "bad.jpg", picture]
    page.set_input_files("#ws-files input[type=file]", files)
    page.wait_for_selector("#ws-files .file-preview")
    page.locator("#ws-run").click()
    table = page.locator("#ws-batch")
    expect(table.locator("h2")).to_have_text("3 images")
    names = table.locator("tbody th")
    expect(names).to_have_text(["zebra.png", "bad.jpg", picture.name])
    head = table.get_by_role("columnheader", name="Image")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(names).to_have_text(["bad.jpg", picture.name, "zebra.png"])
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(names).to_have_text(["zebra.png", picture.name, "bad.jpg"])
    table.get_by_role("button", name="Named 1").click()
    expect(table.locator("tbody tr:visible")).to_have_count(1)
    expect(table.locator("[data-told]")).to_have_text("1 of 3 rows shown")
    table.get_by_role("button", name="All 3").click()
    table.get_by_role("searchbox").fill("ZEB none")
    expect(table.locator("tbody tr:visible th")).to_have_text("zebra.png")
    table.get_by_role("searchbox").fill("")
    for text in (".ws-cases td", ".ws-cases thead button", ".ws-cases small"):
        assert contrast(page, f"#ws-batch {text}", "#ws-batch .ws-cases") >= 4.5
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    table.get_by_role("button", name=picture.name).press("Enter")
    expect(page.locator(".ws-answer h2")).to_contain_text("Candidate source: Blue <b>hills</b>")
    expect(page.locator("#ws-query img")).to_be_visible()
    expect(page.locator(".ws-pair figcaption").last).to_have_text("Blue <b>hills</b>")
    one = page.get_by_role("tab", name="One", exact=True)
    expect(one).to_have_attribute("aria-selected", "true")
    expect(one).to_be_focused()
    page.get_by_role("button", name="Back to the list").click()
    expect(table.get_by_role("button", name=picture.name)).to_be_focused()
    expect(names).to_have_text(["zebra.png", picture.name, "bad.jpg"])  # as it was left
    table.locator("tbody tr").first.locator("td").nth(2).click()
    expect(page.locator(".ws-answer h2")).to_contain_text("None of these images")


def test_a_row_is_no_taller_for_a_long_name(visit: Visit, tmp_path: Path):
    """Rows were as tall as the longest title: thirty images took five screens."""
    page = visit()
    page.get_by_role("tab", name="Several").click()
    long = f"{'a picture with a long name ' * 8}.png"
    files = [tiny.draw(tmp_path / name, i) for i, name in enumerate(("short.png", long), 98)]
    page.set_input_files("#ws-files input[type=file]", files)
    page.wait_for_selector("#ws-files .file-preview")
    page.locator("#ws-run").click()
    expect(page.locator("#ws-batch h2")).to_have_text("2 images")
    short, tall = page.locator("#ws-batch tbody tr").all()
    for width in (1440, 1024):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("width => innerWidth === width", arg=width)
        heights = [row.evaluate("row => row.offsetHeight") for row in (short, tall)]
        assert heights[1] <= heights[0] + 8, (width, heights)
    whole = tall.locator("th .ws-brief").get_attribute("title") or ""
    assert whole.startswith(long[:150])


def test_headings_of_a_long_table_stay_in_view(visit: Visit, tmp_path: Path, theme: str):
    """They went with the first rows, and nobody knew what the columns of the others were."""
    page = visit(theme=theme)
    page.get_by_role("tab", name="Several").click()
    files = [tiny.draw(tmp_path / f"image-{seed}.png", 50 + seed) for seed in range(8)]
    page.set_input_files("#ws-files input[type=file]", files)
    page.wait_for_selector("#ws-files .file-preview")
    page.locator("#ws-run").click()
    table = page.locator("#ws-batch")
    expect(table.locator("h2")).to_have_text("8 images")
    rows = table.locator("tbody [data-open]")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 480})
        page.wait_for_function("width => innerWidth === width", arg=width)
        rows.first.scroll_into_view_if_needed()
        rows.last.scroll_into_view_if_needed()
        top = "document.querySelector('#ws-batch table').getBoundingClientRect().top"
        assert page.evaluate(top) < 0
        for head in table.get_by_role("columnheader").all():
            expect(head).to_be_in_viewport(ratio=1)
        rows.last.focus()
        for _ in range(6):
            page.keyboard.press("ArrowUp")
        expect(rows.nth(1)).to_be_focused()
        covered = page.evaluate(
            "document.querySelector('#ws-batch thead').getBoundingClientRect().bottom"
            " - document.activeElement.getBoundingClientRect().top"
        )
        assert covered <= 0


def test_escape_and_back_lead_from_a_case_to_its_row(visit: Visit, picture: Path, tmp_path: Path):
    page = visit()
    page.get_by_role("tab", name="Several").click()
    files = [tiny.draw(tmp_path / "zebra.png", 99), picture]
    page.set_input_files("#ws-files input[type=file]", files)
    page.wait_for_selector("#ws-files .file-preview")
    page.locator("#ws-run").click()
    table, one = page.locator("#ws-batch"), page.get_by_role("tab", name="One", exact=True)
    expect(table.locator("h2")).to_have_text("2 images")
    focused = table.locator("tbody tr:focus-within th")
    table.get_by_role("button", name=picture.name).press("Enter")
    expect(one).to_be_focused()
    page.keyboard.press("Escape")
    expect(focused).to_have_text(picture.name)
    page.keyboard.press("Enter")
    expect(one).to_be_focused()
    page.go_back()
    expect(focused).to_have_text(picture.name)
    one.click()  # by hand: there is no way back to be shown
    page.keyboard.press("Escape")
    expect(one).to_have_attribute("aria-selected", "true")


def test_a_batch_can_be_stopped_and_keeps_its_rows(
    visit: Visit, gallery: Path, monkeypatch: pytest.MonkeyPatch, theme: str
):
    page = visit(theme=theme)
    page.get_by_role("tab", name="Several").click()
    files = sorted((gallery.parent / "images").glob("*.png"))[:8]
    page.set_input_files("#ws-files input[type=file]", files)
    page.wait_for_selector("#ws-files .file-preview")
    answer, asked = Session.attribute, []

    def slow(self: Session, *args: Any, **options: Any) -> Any:
        asked.append(args)
        time.sleep(1)
        return answer(self, *args, **options)

    monkeypatch.setattr(Session, "attribute", slow)
    page.locator("#ws-run").click()
    expect(page.locator("#ws-batch")).to_contain_text("Blue <b>hills</b>")
    page.locator("#ws-stop-batch").click()
    expect(page.locator("#ws-download-zip")).to_be_visible()
    assert len(asked) < len(files)
    expect(page.locator("#ws-batch")).to_contain_text("goes on")
    monkeypatch.setattr(Session, "attribute", lambda *a, **o: (asked.append(a), answer(*a, **o))[1])
    page.locator("#ws-run").click()
    expect(page.locator("#ws-batch h2")).to_have_text("8 images")
    assert len(asked) <= len(files) + 1  # the one that the stop interrupted is asked again


def test_a_page_that_is_loaded_anew_shows_its_tables(visit: Visit, picture: Path):
    """It had lost them, though the server held what they show for an hour."""
    page = visit()
    rest = watched(page)
    page.get_by_role("tab", name="Several").click()
    page.set_input_files("#ws-files input[type=file]", [picture])
    page.wait_for_selector("#ws-files .file-preview")
    page.locator("#ws-run").click()
    expect(page.locator("#ws-download-zip")).to_be_visible()
    page.get_by_role("tab", name="Reverse").click()
    page.set_input_files("#ws-source input[type=file]", picture)
    page.set_input_files("#ws-made input[type=file]", [picture])
    page.wait_for_selector("#ws-made .file-preview")
    page.locator("#ws-run-reverse").click()
    expect(page.locator("#ws-download-reverse")).to_be_visible()
    found = page.locator("#ws-reverse h2").inner_text()
    for _ in range(2):  # and once more
        rest()
        page.reload()
        expect(page.locator("#ws-reverse h2")).to_have_text(found)
        expect(page.locator("#ws-download-reverse")).to_be_visible()
        expect(page.locator("#ws-report-reverse")).to_be_visible()
    page.get_by_role("tab", name="Several").click()
    table = page.locator("#ws-batch")
    expect(table.locator("h2")).to_have_text("1 image")
    expect(page.locator("#ws-download-zip")).to_be_visible()
    table.get_by_role("button", name=picture.name).click()
    expect(page.locator(".ws-answer h2")).to_contain_text("Candidate source: Blue <b>hills</b>")
    alone = visit()
    alone.get_by_role("tab", name="Several").click()
    expect(alone.locator("#ws-batch .ws-empty")).to_be_visible()


def test_the_candidate_is_looked_for_among_generated_images(
    visit: Visit, picture: Path, tmp_path: Path, theme: str
):
    page = visit(theme=theme)
    give(page, picture)
    page.get_by_role("tab", name="Reverse").click()
    expect(page.locator("#ws-reverse .ws-empty")).to_be_visible()
    page.get_by_label("Or take the source from the last answer").click()
    page.get_by_role("option", name="Candidate source 1: Blue <b>hills</b>").click()
    expect(page.locator("#ws-source img")).to_be_visible()
    other = tiny.draw(tmp_path / "other.png", 99)
    page.set_input_files("#ws-made input[type=file]", [picture, other])
    page.wait_for_selector("#ws-made .file-preview")
    page.locator("#ws-rate input[type=number]").fill("50")
    page.locator("#ws-run-reverse").click()
    expect(page.locator("#ws-reverse h2")).to_have_text("Candidate source of 1 of 2 images")
    first = page.locator("#ws-reverse tbody tr").first
    expect(first).to_contain_text("Candidate source")
    expect(first.locator("img")).to_be_visible()
    assert contrast(page, "#ws-reverse td", "#ws-reverse .ws-cases") >= 4.5
    page.locator("#ws-rate input[type=number]").fill("1")
    expect(page.locator("#ws-limit")).to_contain_text("At 1 % nothing can be named here")
    with page.expect_download() as saved:
        page.locator("#ws-download-reverse").click()
    assert "picture-00.png" in Path(saved.value.path()).read_text()
    with page.expect_download() as saved:
        page.locator("#ws-report-reverse").click()
    assert "Reverse look-up" in Path(saved.value.path()).read_text()
    page.locator("#ws-source").get_by_role("button", name="Remove Image").click()
    expect(
        page.locator("#ws-stop-reverse")
    ).to_be_hidden()  # while it runs, a second click is ignored
    page.locator("#ws-run-reverse").click()
    expect(page.get_by_test_id("toast-body")).to_contain_text("Choose the source first.")


def test_a_picture_of_ones_own_is_varied_and_traced_twice(visit: Visit, theme: str, tmp_path: Path):
    page = visit(theme=theme, width=1440 if theme == "light" else 390)
    page.get_by_role("tab", name="Test", exact=True).click()
    expect(page.locator("#ws-test .ws-empty")).to_be_visible()
    page.locator("#ws-run-test").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("Choose a picture of your own first.")
    page.get_by_role("tab", name="One", exact=True).click()
    expect(toast).to_have_count(0)  # it would cover what is told there
    page.get_by_role("tab", name="Test", exact=True).click()
    own = tiny.draw(tmp_path / "own.png", 123)
    page.set_input_files("#ws-own input[type=file]", own)
    expect(page.locator("#ws-own img")).to_be_visible()
    if theme == "light":  # the button lay below the window, and the progress above it once pressed
        assert page.evaluate("scrollY") == 0
        expect(page.locator("#ws-run-test")).to_be_in_viewport(ratio=1)
    ways = ("Blended with another image", "Pasted into another image")
    for count, way, other in ((1, ways[0], "Patch synthesis"), (2, ways[1], ways[0])):
        page.get_by_label(way).check()
        page.get_by_label(other).uncheck()
        expect(page.locator("#ws-stop-test")).to_be_hidden()
        page.locator("#ws-run-test").click()
        told = page.locator("#ws-test [role=status]")
        expect(told).to_contain_text(f"of {count} variation", timeout=60_000)
    measured = page.locator("#ws-far-measured")
    expect(measured.locator("li")).to_have_text(
        re.compile(f"^{ways[1]}: \\d+ of \\d+ photographs$")
    )
    page.locator("#ws-far input[type=number]").fill("51")
    expect(measured).to_contain_text("not measured here")
    assert contrast(page, "#ws-far-measured small", "gradio-app") >= 4.5
    expect(page.locator("#ws-test figure")).to_have_count(3)
    expect(page.locator("#ws-test h3")).to_have_text(
        ["With your picture in the gallery", "Without it"]
    )
    assert contrast(page, "#ws-test .ws-odds", "#ws-test .ws-trial-told > section") >= 4.5
    assert contrast(page, "#ws-test figcaption", "gradio-app") >= 4.5
    page.locator("#ws-own").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#ws-test .ws-empty")).to_be_visible()


def test_several_pictures_of_ones_own_make_a_benchmark(visit: Visit, tmp_path: Path, theme: str):
    own = [tiny.draw(tmp_path / f"own-{i}.png", 300 + i) for i in range(3)]
    (tmp_path / "bad.jpg").write_text("no image")
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as packed:
        for file in own[:2]:
            packed.write(file, file.name)
    page = visit(theme=theme)
    page.set_input_files(FILE, own[2])
    page.get_by_role("button", name="Test it on your own picture").click()
    expect(page.locator("#ws-own img")).to_be_visible()  # nothing was uploaded again
    files = [tmp_path / "own.zip", tmp_path / "bad.jpg", own[2]]
    page.set_input_files("#ws-owns input[type=file]", files)
    page.wait_for_selector("#ws-owns .file-preview")
    expect(page.locator("#ws-own")).to_be_hidden()  # it is not what is tested
    page.get_by_label("Blended with another image").check()
    page.get_by_label("Pasted into another image").check()
    page.get_by_label("Patch synthesis").uncheck()
    page.locator("#ws-run-test").click()
    shown = page.locator("#ws-test")
    expect(shown.locator("h2")).to_have_text("6 trials")
    expect(shown).to_contain_text("not an image of an accepted kind")
    expect(shown.locator(".ws-sums-of tbody").first.locator("tr")).to_have_count(3)
    expect(shown.get_by_role("status").last).to_contain_text("of 6 variations traced")
    assert contrast(page, "#ws-test .ws-shares caption", "gradio-app") >= 4.5
    labels = shown.locator(".ws-cell-label")
    expect(labels).to_have_count(12)
    expect(labels.first).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 900})
    expect(labels.first).to_be_visible()
    row = shown.locator("tr[data-row]").first.locator("[data-open]")
    row.click()
    case = page.locator("#ws-trial")
    expect(case.locator("h3")).to_have_text(["With your picture in the gallery", "Without it"])
    expect(shown).to_be_hidden()
    page.get_by_role("button", name="Back to the list").click()
    expect(case).to_be_hidden()
    expect(row).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with page.expect_download() as saved:
        page.locator("#ws-download-test").click()
    assert len(Path(saved.value.path()).read_text().splitlines()) == 8


class _Held:
    """Trials that are made up to one, which goes on until it is stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.free, make = 0, 0, SelfTest.run

        def run(test: SelfTest, *args: Any, **options: Any) -> Any:
            self.begun += 1
            while self.begun > self.free:
                options["progress"](0, 1, "Making the variation")
                time.sleep(0.1)
            return make(test, *args, **options)

        monkeypatch.setattr(SelfTest, "run", run)

    def stopped(self, page: Page, *, after: int) -> None:
        """Begin, and press Stop at the trial that is held."""
        self.free = self.begun + after
        page.locator("#ws-run-test").click()
        while self.begun <= self.free:
            page.wait_for_timeout(100)
        page.locator("#ws-stop-test").click()
        expect(page.locator("#ws-stop-test")).to_be_hidden()


def test_a_self_test_can_be_stopped_and_keeps_its_trials(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theme: str
):
    """It ended without a word; stopped before its first trial ended, it showed nothing at all."""
    own = [tiny.draw(tmp_path / f"own-{i}.png", 500 + i) for i in range(6)]
    page, held = visit(theme=theme, width=390), _Held(monkeypatch)
    page.get_by_role("tab", name="Test", exact=True).click()
    page.set_input_files("#ws-owns input[type=file]", own)
    page.wait_for_selector("#ws-owns .file-preview")
    page.get_by_label("Blended with another image").check()
    page.get_by_label("Patch synthesis").uncheck()
    shown = page.locator("#ws-test")
    told = shown.get_by_role("status")
    held.stopped(page, after=2)
    expect(shown.locator("h2")).to_have_text("2 of 6 trials")
    expect(told.first).to_contain_text("Stopped. What was made stays")
    expect(told.last).to_contain_text("of 2 variations traced")
    expect(page.locator("#ws-download-test")).to_be_visible()
    assert contrast(page, "#ws-test .ws-note", "gradio-app") >= 4.5
    page.wait_for_timeout(1_500)
    assert held.begun == 3  # the one that was under way was its last
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    held.stopped(page, after=0)
    expect(page.get_by_test_id("toast-body")).to_contain_text("Stopped")
    expect(told.last).to_contain_text("of 2 variations traced")
    held.free = 99
    page.locator("#ws-run-test").click()
    expect(shown.locator("h2")).to_have_text("6 trials")
    expect(shown).not_to_contain_text("Stopped.")
    expect(told.last).to_contain_text("of 8 variations traced")
