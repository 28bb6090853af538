"""The handlers for several images at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from app.page.errors import user_error, user_errors
from app.page.events import Given
from app.page.files import downloadable
from app.page.jobs import PROGRESS, visitor_of
from app.page.state import Page
from app.tabs.attribute.batch_layout import Batch, BatchResult
from app.tabs.attribute.handlers import CANDIDATES, choice_of, prior_of
from app.tabs.attribute.layout import Controls
from app.views import batch, files
from app.views.templates import render
from core.report import Case, query_digest
from core.service import Choice
from core.values import Cancelled, ImageError, Progress

MOST = 200
"""Images at once."""


@dataclass(frozen=True)
class Done:
    """Images that were answered, and with what."""

    rows: tuple[batch.Row, ...]
    choice: Choice
    prior: float


@dataclass(frozen=True)
class BatchHandlers:
    """The handlers for several images."""

    page: Page
    controls: Controls
    batch: Batch
    result: BatchResult

    def run(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> Iterator[tuple[Any, ...]]:
        """Answer image by image; the rows so far and their table.

        An image that cannot be taken gets a row that says so, and the others go on. A stop keeps
        the rows so far.
        """
        paths, visitor = require_files(given[self.batch.files]), visitor_of(request)
        choice = choice_of(given, self.controls, self.page.gallery)
        done = Done((), choice, prior_of(given, self.controls))
        with self.page.jobs.run("attribute", request, progress) as report:
            report(0, len(paths), "Opening the encoder and the gallery")
            self.page.session.workspace(choice, visitor=visitor, progress=report)
            for path in paths:
                try:
                    report(len(done.rows), len(paths), f"Finding the sources of {Path(path).name}")
                    row = self._row(path, done, visitor=visitor, progress=report)
                except Cancelled:
                    return
                done = replace(done, rows=(*done.rows, row))
                yield done, batch.table_html(done.rows, total=len(paths))

    def _row(self, path: str, done: Done, *, visitor: str, progress: Progress) -> batch.Row:
        """One image with its answer, or with the reason why there is none."""
        name = Path(path).name
        try:
            answer = self.page.session.attribute(
                path,
                done.choice,
                top=CANDIDATES,
                prior=done.prior,
                visitor=visitor,
                progress=progress,
            )
        except ImageError as error:
            return batch.Row(name, problem=str(error))
        return batch.Row(name, query_digest(path), answer)

    def pack(self, done: Done | None, request: gr.Request) -> Any:
        """All answers that there are, in one zip."""
        if done is None:
            return gr.DownloadButton(visible=False)
        session, visitor = self.page.session, visitor_of(request)
        with user_errors():
            workspace = session.workspace(done.choice, visitor=visitor)
            cases = [
                Case(
                    query=row.name,
                    sha256=row.sha256,
                    answer=judged.answer,
                    p_adjusted=judged.p_adjusted,
                    shares=session.shares(judged.answer, done.choice, visitor=visitor),
                )
                for row, judged in zip(done.rows, batch.judge(done.rows), strict=True)
                if judged is not None
            ]
        names = [case.query for case in cases]
        run = files.run_for(workspace, names, done.choice, top=CANDIDATES, prior=done.prior)
        content = files.batch_zip(done.rows, cases, run)
        path = downloadable(content, self.result.download, name="wellspring.zip")
        return gr.DownloadButton(value=path, visible=True)


def cleared() -> tuple[Any, ...]:
    """Nothing answered, as for a gallery that was just opened."""
    return None, render("empty", of="batch"), gr.DownloadButton(visible=False)


def require_files(files: list[str] | None) -> list[str]:
    """The files that were given.

    Raises:
        gr.Error: when there are none, or too many.
    """
    if not files:
        raise user_error("add some images first")
    if len(files) > MOST:
        raise user_error(f"{len(files)} images are too many at once; give at most {MOST}")
    return files
