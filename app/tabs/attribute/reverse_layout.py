"""Components of the part of Attribute that looks the other way: what was made from this image?"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.page.components import file_button, files_given, image_given, run_row
from app.page.state import Page
from app.tabs.attribute.cases import cases_table
from app.views.templates import render


@dataclass(frozen=True)
class Reverse:
    """The source and the generated images."""

    source: gr.Image
    offered: gr.Dropdown
    """Images of the last answer, to take the source from."""
    taken: gr.State
    """Ids of the sources in the gallery; ``None`` for an image of the visitor's own."""
    several: gr.Markdown
    """Says so where there are several sources, of which the first is shown."""
    files: gr.File
    rate: gr.Slider
    limit: gr.Markdown
    """What the gallery is too small for."""
    run: gr.Button


@dataclass(frozen=True)
class ReverseResult:
    """What was found."""

    table: gr.HTML
    csv: gr.DownloadButton
    report: gr.DownloadButton


def lay(page: Page) -> Reverse:
    """The source, the generated images, and what is done with them."""
    words = "Drop the source here\nor click to choose it"
    source = image_given(
        "Source", elem_id="ws-source", placeholder=words, height=220, show_label=True
    )
    several = gr.Markdown(visible=False, elem_classes="ws-note", elem_id="ws-sources")
    offered = gr.Dropdown(
        [],
        label="Or take the source from the last answer",
        filterable=False,
        visible=False,
        elem_id="ws-offered",
    )
    files = files_given("Generated images, or a zip of them", elem_id="ws-made", height=180)
    rate = gr.Slider(1, 50, value=5, step=1, label="False-discovery rate, %", elem_id="ws-rate")
    limit = gr.Markdown(visible=False, elem_classes="ws-note", elem_id="ws-limit")
    run = run_row(
        page,
        "attribute",
        "Find what it is a source of",
        elem_id="ws-run-reverse",
        stop_id="ws-stop-reverse",
    )
    return Reverse(source, offered, gr.State(None), several, files, rate, limit, run)


def lay_result() -> ReverseResult:
    """The table and its files."""
    table = cases_table(render("empty", of="reverse"), elem_id="ws-reverse")
    with gr.Row(elem_classes="ws-downloads"):
        report = file_button("Report", elem_id="ws-report-reverse", visible=False)
        csv = file_button("CSV", elem_id="ws-download-reverse", visible=False)
    return ReverseResult(table, csv, report)
