"""Components of the part of Attribute that tests itself on pictures of the visitor's own."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.page.components import files_given, image_given, run_row
from app.page.state import Page
from app.tabs.attribute.cases import cases_file, cases_table
from app.views.dial import dial_html
from app.views.selftest import empty_html
from core.service import WAYS


@dataclass(frozen=True)
class Selftest:
    """The pictures, and how variations of them are made."""

    image: gr.Image
    carried: gr.State
    """The picture that was taken over from the single image; ``None`` where none was."""
    files: gr.File
    """Several pictures and zips; where there are any they stand in the place of the one."""
    ways: gr.CheckboxGroup
    far: gr.Slider
    measured: gr.HTML
    """How often that found the original where it was measured."""
    run: gr.Button


@dataclass(frozen=True)
class SelftestResult:
    """What came of it."""

    table: gr.HTML
    case: gr.HTML
    """One of several trials, which a row of the table opened."""
    download: gr.DownloadButton


def lay(page: Page) -> Selftest:
    """The pictures, the ways, the dial from near to far, and the button."""
    words = "Drop a picture of your own\nor click to choose it"
    image = image_given("Your picture", elem_id="ws-own", placeholder=words, height=240)
    files = files_given("Or several, or a zip of them", elem_id="ws-owns", height=150)
    first = [next(iter(WAYS))]
    ways = gr.CheckboxGroup(
        [(each.title, name) for name, each in WAYS.items()],
        value=first,
        label="What is made of each",
        elem_id="ws-ways",
    )
    far = gr.Slider(0, 100, value=50, step=1, label="How far from it, %", elem_id="ws-far")
    measured = gr.HTML(dial_html(first, 50), elem_id="ws-far-measured")
    run = run_row(
        page,
        "attribute",
        "Make variations and trace them",
        elem_id="ws-run-test",
        stop_id="ws-stop-test",
    )
    return Selftest(image, gr.State(None), files, ways, far, measured, run)


def lay_result() -> SelftestResult:
    """The trials and their file."""
    case = gr.HTML(elem_id="ws-trial")
    table = cases_table(empty_html(), elem_id="ws-test")
    return SelftestResult(table, case, cases_file("CSV", elem_id="ws-download-test"))
