"""Components of the part of Attribute that answers for several images."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.page.components import files_given, run_row
from app.page.state import Page
from app.tabs.attribute.cases import cases_file, cases_table
from app.views.templates import render


@dataclass(frozen=True)
class Batch:
    """The images that are asked about."""

    files: gr.File
    run: gr.Button


@dataclass(frozen=True)
class BatchResult:
    """What was found for them."""

    table: gr.HTML
    download: gr.DownloadButton


def lay(page: Page) -> Batch:
    """The images and what is done with them."""
    files = files_given("Images, or a zip of them", elem_id="ws-files", height=300)
    run = run_row(
        page, "attribute", "Find their sources", elem_id="ws-run", stop_id="ws-stop-batch"
    )
    return Batch(files, run)


def lay_result() -> BatchResult:
    """The table and the zip."""
    table = cases_table(render("empty", of="batch"), elem_id="ws-batch")
    return BatchResult(table, cases_file("Download all answers", elem_id="ws-download-zip"))
