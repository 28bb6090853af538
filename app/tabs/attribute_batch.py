"""The part of the Attribute tab that answers for several images at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ListFiles

from app import exports, views, views_batch
from app.common import (
    Page,
    downloadable,
    reported,
    spoken,
    taken_as,
    uploaded,
    visitor_of,
)
from app.stops import stop_button
from app.tabs.attribute_desk import CANDIDATES, Given, choice_of, prior_of
from app.tabs.attribute_layout import Controls
from core.report.report import Case, query_digest
from core.service.session import Choice
from core.values import WellspringError

MOST = 200
"""Images at once."""

_PROGRESS = gr.Progress()


@dataclass(frozen=True)
class Batch:
    """The images that are asked about."""

    files: gr.File
    run: gr.Button
    stop: gr.Button


@dataclass(frozen=True)
class BatchResult:
    """What was found for them."""

    table: gr.HTML
    download: gr.DownloadButton


@dataclass(frozen=True)
class Done:
    """Images that were answered, and with what."""

    rows: tuple[views_batch.Row, ...]
    choice: Choice
    prior: float


@dataclass(frozen=True)
class Clerk:
    """The handlers for several images."""

    page: Page
    controls: Controls
    batch: Batch
    result: BatchResult

    def run(
        self, given: Given, request: gr.Request, progress: gr.Progress = _PROGRESS
    ) -> Iterator[tuple[Any, ...]]:
        """Answer image by image; the rows so far and their table.

        An image that cannot be taken gets a row that says so, and the others go on.
        """
        files, visitor = require_files(given[self.batch.files]), visitor_of(request)
        session, report = self.page.session, reported(progress)
        choice = choice_of(given, self.controls, self.page.gallery)
        prior = prior_of(given, self.controls)
        report(0, len(files), "Opening the encoder and the gallery")
        with spoken():
            session.workspace(choice, visitor=visitor, progress=report)
            size = len(session.gallery(choice.gallery, visitor=visitor))
        rows: list[views_batch.Row] = []
        for file in files:
            name = Path(file).name
            report(len(rows), len(files), f"Finding the sources of {name}")
            try:
                answer = session.attribute(
                    file, choice, top=CANDIDATES, prior=prior, visitor=visitor
                )
                rows.append(views_batch.Row(name, query_digest(file), answer))
            except WellspringError as error:
                rows.append(views_batch.Row(name, problem=str(error)))
            done = Done(tuple(rows), choice, prior)
            yield done, views_batch.table_html(rows, total=len(files), size=size)

    def pack(self, done: Done | None, request: gr.Request) -> Any:
        """All answers that there are, in one zip."""
        if done is None:
            return gr.DownloadButton(visible=False)
        session, visitor = self.page.session, visitor_of(request)
        with spoken():
            workspace = session.workspace(done.choice, visitor=visitor)
            cases = [
                Case(
                    query=row.name,
                    sha256=row.sha256,
                    answer=judged.answer,
                    p_adjusted=judged.p_adjusted,
                    shares=session.shares(judged.answer, done.choice, visitor=visitor),
                )
                for row, judged in zip(done.rows, views_batch.judge(done.rows), strict=True)
                if judged is not None
            ]
        names = [case.query for case in cases]
        run = exports.run_for(workspace, names, done.choice, top=CANDIDATES, prior=done.prior)
        content = exports.batch_zip(done.rows, cases, run)
        path = downloadable(content, self.result.download, name="wellspring.zip")
        return gr.DownloadButton(value=path, visible=True)


def lay_files(label: str, *, elem_id: str, height: int, show_label: bool = True) -> gr.File:
    """Many images of the visitor's own."""
    files = gr.File(
        file_count="multiple", label=label, show_label=show_label, height=height, elem_id=elem_id
    )
    return taken_as(files, _uploads)


def require_files(files: list[str] | None) -> list[str]:
    """The files that were given.

    Raises:
        gr.Error: when there are none, or too many.
    """
    if not files:
        raise gr.Error("add some images first", print_exception=False)
    if len(files) > MOST:
        raise gr.Error(
            f"{len(files)} images are too many at once; give at most {MOST}",
            print_exception=False,
        )
    return files


def lay() -> Batch:
    """The images and what is done with them."""
    files = lay_files("Images", elem_id="ws-files", height=300, show_label=False)
    with gr.Row():
        run = gr.Button(
            "Find their sources", variant="primary", elem_id="ws-run", scale=3, min_width=160
        )
        stop = stop_button("ws-stop-batch", beside=True)
    return Batch(files, run, stop)


def lay_result() -> BatchResult:
    """The table and the zip."""
    table = gr.HTML(views.fill("batch_empty"), elem_id="ws-batch", min_height=180)
    with gr.Row(elem_classes="ws-downloads"):
        download = gr.DownloadButton(
            "Download all answers", size="sm", min_width=0, visible=False, elem_id="ws-download-zip"
        )
    return BatchResult(table, download)


def connect(page: Page, controls: Controls, batch: Batch, result: BatchResult) -> None:
    """Connect the events."""
    clerk, done = Clerk(page, controls, batch, result), gr.State(None)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    given = {batch.files, *controls.inputs, page.gallery}
    run = batch.run.click(
        clerk.run,
        given,
        [done, result.table],
        show_progress_on=result.table,
        concurrency_id="encoder",
        api_visibility="private",
    )
    batch.run.click(None, None, None, js="() => window.wellspring.show('ws-batch')", **quiet)
    stopped = batch.stop.click(None, cancels=run, **quiet)
    for ended in (run, stopped):
        ended.then(clerk.pack, done, result.download, **quiet)
    for gone in (page.gallery.change, batch.files.clear):
        gone(_cleared, None, [done, result.table, result.download], **quiet)


def _cleared() -> tuple[Any, ...]:
    return None, views.fill("batch_empty"), gr.DownloadButton(visible=False)


def _uploads(payload: ListFiles | FileData | None) -> list[str]:
    """Paths of uploaded files, refused where they name any other file of the server."""
    files = [payload] if isinstance(payload, FileData) else payload or ()
    return [uploaded(file.path) for file in files]
