"""The handlers for several images at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app.page.events import Given, in_row
from app.page.files import offered
from app.page.jobs import PROGRESS
from app.page.sessions import left_in
from app.page.state import Page
from app.page.visitor import visitor_of
from app.tabs.attribute.batch_layout import Batch, BatchResult
from app.tabs.attribute.cases import Opened, Shown, given_pictures
from app.tabs.attribute.layout import Controls
from app.tabs.attribute.searches import CANDIDATES, Search, filtered_choice_of, prior_of, told_of
from app.views import batch, files
from app.views.images import SMALL, small_picture
from app.views.matches import picture_of
from app.views.templates import render
from core.report import Case, shown_groups
from core.service import Choice, Picture, Workspace
from core.values import Answer, Cancelled, ImageError, Progress, WellspringError

_FIT = 160  # shorter side at which images are opened for a report, pixels, as far as that is quick
_PICTURED = 3  # candidates of every answer that have a picture in a report
_AGAIN = "find the sources again to download the answers"


@dataclass(frozen=True)
class Done:
    """Images that were answered, and with what."""

    rows: tuple[batch.Row, ...]
    choice: Choice
    prior: float
    answering: tuple[str, ...] = ()
    """What answered: identities of the gallery, the encoder, the head and the null."""
    total: int = 0
    """Images that were given."""
    stopped: bool = False
    """Whether no more will come."""

    @property
    def table(self) -> str:
        """The table of the rows so far."""
        by = told_of(self.choice, self.prior)
        return batch.table_html(self.rows, total=self.total, by=by, stopped=self.stopped)

    def answered(self, earlier: Done | None) -> dict[str, batch.Row]:
        """Rows of an earlier question that would be answered alike now, by their files.

        The path of an upload is told by its contents: see :mod:`app.page.files`.
        """
        if earlier is None or self._asked != earlier._asked:
            return {}
        return {row.file: row for row in earlier.rows if row.answer is not None}

    @property
    def _asked(self) -> tuple[object, ...]:
        """What an answer depends on, beside its image."""
        return self.choice, self.prior, self.answering


@dataclass(frozen=True)
class BatchHandlers:
    """The handlers for several images."""

    page: Page
    controls: Controls
    batch: Batch
    result: BatchResult
    done: gr.State
    """What was answered last, as :class:`Done`; ``None`` before."""

    def run(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> Iterator[tuple[Any, ...]]:
        """Answer image by image; the rows so far and their table, ever more rows at a time.

        An image that cannot be taken gets a row that says so, and the others go on. A stop keeps
        the rows so far, and whoever asks again in the same way is answered the rest only.
        """
        visitor, session = visitor_of(request), self.page.session
        choice = filtered_choice_of(given, self.controls, self.page.gallery)
        prior, files = prior_of(given, self.controls), self.batch.files
        with self.page.jobs.run("attribute", request, progress) as report:
            report(0, 1, "Opening the encoder and the gallery")
            most = session.server.max_upload_bytes
            pictures = given_pictures(given[files], files, max_bytes=most, progress=report)
            workspace = session.workspace(choice, visitor=visitor, progress=report)
            done = Done((), choice, prior, _answering(workspace), len(pictures))
            known = done.answered(given[self.done])
            yield from self._tables(pictures, done, known, visitor=visitor, progress=report)

    def _tables(
        self,
        pictures: Sequence[Picture],
        done: Done,
        known: Mapping[str, batch.Row],
        *,
        visitor: str,
        progress: Progress,
    ) -> Iterator[tuple[Done, str]]:
        """The rows so far and their table; what is known is not asked again."""
        shown = Shown()
        for name, file in pictures:
            row = known.get(str(file))
            try:
                if row is None:
                    progress(len(done.rows), done.total, f"Finding the sources of {name}")
                    row = self._row((name, file), done, visitor=visitor, progress=progress)
            except Cancelled:
                done = replace(done, stopped=True)
                break
            done = replace(done, rows=(*done.rows, replace(row, name=name)))
            if row.file not in known and shown.due(len(done.rows)):
                yield done, done.table
        if done.rows and (done.stopped or shown.rows < len(done.rows)):
            yield done, done.table

    def _row(self, picture: Picture, done: Done, *, visitor: str, progress: Progress) -> batch.Row:
        """One image with its answer, or with the reason why there is none."""
        (name, path), session = picture, self.page.session
        if isinstance(path, WellspringError):
            return batch.Row(name, problem=str(path))
        try:
            answer = session.attribute(
                path,
                done.choice,
                top=CANDIDATES,
                prior=done.prior,
                visitor=visitor,
                progress=progress,
            )
            workspace = session.workspace(done.choice, visitor=visitor, progress=progress)
            query = session.query(workspace, path)
        except ImageError as error:
            return batch.Row(name, problem=str(error))
        gallery = session.gallery(done.choice.gallery, visitor=visitor)
        best = [group.best.image for group in answer.groups[:1]]
        source = [picture_of(f, side=SMALL) for f in session.thumbnails(gallery, best)]
        return batch.Row(
            name,
            query.sha256,
            answer,
            file=str(path),
            picture=small_picture(query.image),
            source="".join(source),
        )

    def again(
        self, before: str, done: Done | None, name: str, request: gr.Request
    ) -> tuple[Any, ...]:
        """What was answered on the page that was loaded anew, and its table, where it is there."""
        hosted = self.page.session.server.hosted
        found: Done | None = left_in(self.done, before, request, hosted=hosted)
        if done is not None or found is None or found.choice.gallery != name:
            return gr.skip(), gr.skip()
        found = replace(found, stopped=len(found.rows) < found.total)  # whatever ran was stopped
        return found, found.table

    @staticmethod
    def of_gallery(done: Done | None, name: str) -> tuple[Any, ...]:
        """What was answered, unless it was by another gallery than is looked at now."""
        if done is not None and done.choice.gallery == name:
            return gr.skip(), gr.skip(), gr.skip()
        return cleared()

    def opened(self, done: Done | None, event: gr.EventData) -> Opened | None:
        """The case of the row that was chosen; nothing where there is no such."""
        row = in_row(done and done.rows, event)
        if done is None or row is None or row.answer is None:
            return None
        return Opened(Search(row.file, done.choice, done.prior, row.answer))

    def pack(self, done: Done | None, request: gr.Request, progress: gr.Progress = PROGRESS) -> Any:
        """All answers that there are, in one zip."""
        if done is None:
            return gr.DownloadButton(visible=False)
        session, visitor = self.page.session, visitor_of(request)
        with self.page.jobs.run("attribute", request, progress, again=_AGAIN) as report:
            workspace = session.workspace(done.choice, visitor=visitor, progress=report)
            cases = list(self._cases(done, workspace, visitor, report))
            names = [case.query for case in cases]
            run = files.run_for(workspace, names, done.choice, top=CANDIDATES, prior=done.prior)
            report(len(done.rows), len(done.rows), "Writing the reports")
            content = files.batch_zip(done.rows, cases, run)
        return offered(content, self.result.download, name="wellspring.zip")

    def _cases(
        self, done: Done, workspace: Workspace, visitor: str, report: Progress
    ) -> Iterator[Case]:
        """The rows that were answered, as the reports tell them."""
        judged = zip(done.rows, batch.judge(done.rows), strict=True)
        for place, (row, each) in enumerate(judged):
            report(place, len(done.rows), f"Packing the answer to {row.name}")
            if each is not None:
                yield Case(
                    query=row.name,
                    sha256=row.sha256,
                    answer=each.answer,
                    image=self._copy(row.file),
                    sources=self._sources(each.answer, workspace),
                    p_adjusted=each.p_adjusted,
                    shares=self.page.session.shares(each.answer, done.choice, visitor=visitor),
                )

    def _copy(self, file: bytes | str | Path) -> Image.Image | None:
        """A small copy of an image; nothing where it is gone."""
        try:
            return self.page.session.image(file, fit=_FIT)
        except ImageError:
            return None

    def _sources(self, answer: Answer, workspace: Workspace) -> dict[int, Image.Image]:
        """Pixels of the first candidates that a report shows, by id, as far as they are there."""
        best = [group.best.image for group in shown_groups(answer)[:_PICTURED]]
        files = self.page.session.thumbnails(workspace.gallery, best)
        copies = zip(best, map(self._copy, files), strict=True)
        return {record.id: copy for record, copy in copies if copy is not None}


def _answering(workspace: Workspace) -> tuple[str, ...]:
    """What an answer depends on beside the choice; records and their metadata by the generation."""
    gallery = workspace.gallery
    parts = (gallery, workspace.encoder, workspace.head, workspace.null)
    return (str(gallery.header.generation), *(part.identity for part in parts))


def cleared() -> tuple[Any, ...]:
    """Nothing answered, as for a gallery that was just opened."""
    return None, render("empty", of="batch"), gr.DownloadButton(visible=False)
