"""The handlers of reverse look-up: of which generated images is this one a source?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app.page.errors import user_error, user_errors
from app.page.events import Given
from app.page.files import downloadable
from app.page.jobs import PROGRESS, visitor_of
from app.page.pictures import pictures
from app.page.state import Page
from app.tabs.attribute.batch_handlers import require_files
from app.tabs.attribute.handlers import Search, choice_of
from app.tabs.attribute.layout import Controls
from app.tabs.attribute.reverse_layout import Reverse, ReverseResult
from app.views.names import name_of
from app.views.reverse import Lookup, lookup_csv, lookup_html
from app.views.templates import render
from core.service import Query, Workspace, reverse_lookup
from core.values import Cancelled, ImageError, Progress

QUERY = "query"
"""Stands for the image that is asked about, where others are ids."""


@dataclass(frozen=True)
class ReverseHandlers:
    """The handlers of reverse look-up."""

    page: Page
    controls: Controls
    reverse: Reverse
    result: ReverseResult

    def run(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, Any]:
        """Look for the source in every image: the table, and the same as a file."""
        files = require_files(given[self.reverse.files])
        source, image_id = given[self.reverse.source], given[self.reverse.taken]
        if source is None:
            raise user_error("choose the source first")
        session, visitor = self.page.session, visitor_of(request)
        choice = choice_of(given, self.controls, self.page.gallery)
        rate, problems = given[self.reverse.rate] / 100, list[tuple[str, str]]()
        with self.page.jobs.run("attribute", request, progress) as report:
            report(0, len(files), "Opening the encoder and the gallery")
            workspace = session.workspace(choice, visitor=visitor, progress=report)
            own = {} if image_id is not None else {Path(source).name: session.image(source)}
            findings = reverse_lookup(
                workspace,
                self._queries(workspace, files, report, problems),
                ids=[] if image_id is None else [image_id],
                uploads=own,
                rate=rate,
            )
        size = len(workspace.null)
        found = Lookup(findings, tuple(problems), len(files), rate, size)
        button = self.result.download
        file = downloadable(lookup_csv(found).encode(), button, name="wellspring-reverse.csv")
        return lookup_html(found), gr.DownloadButton(value=file, visible=True)

    def _queries(
        self,
        workspace: Workspace,
        files: Sequence[str],
        report: Progress,
        problems: list[tuple[str, str]],
    ) -> Iterator[tuple[str, Query]]:
        """The images one by one; a stop ends them, so that those looked at are kept."""
        for done, file in enumerate(files):
            name = Path(file).name
            try:
                report(done, len(files), f"Looking at {name}")
                query = self.page.session.query(workspace, file)
            except Cancelled:
                return
            except ImageError as error:
                problems.append((name, str(error)))
            else:
                yield name, query

    def offer(self, search: Search | None) -> gr.Dropdown:
        """The images of an answer as sources to choose from."""
        if search is None:
            return gr.Dropdown([], value=None, visible=False)
        candidates = [
            (f"Candidate {rank}: {name_of(match.image)}", str(match.image.id))
            for rank, match in enumerate(search.answer.matches, 1)
        ]
        return gr.Dropdown([("Your image", QUERY), *candidates], value=None, visible=True)

    def take(self, search: Search | None, offered: str | None, request: gr.Request) -> Any:
        """The chosen image of the answer as the source: its picture and its id."""
        if search is None or offered is None:
            return gr.skip(), gr.skip()
        if offered == QUERY:
            return search.image, None
        with user_errors():
            (match,) = (m for m in search.answer.matches if str(m.image.id) == offered)
            gallery, visitor = search.choice.gallery, visitor_of(request)
            shown = pictures(self.page.session, gallery, [match.image], visitor=visitor)
        return shown[0][0], match.image.id


def cleared() -> tuple[Any, ...]:
    """Nothing looked for, as for a gallery that was just opened."""
    nothing = gr.Dropdown([], value=None, visible=False)
    empty = render("empty", of="reverse")
    return None, None, nothing, empty, gr.DownloadButton(visible=False)
