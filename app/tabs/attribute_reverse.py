"""The part of the Attribute tab that looks the other way: what was made from this image?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app import views
from app.common import Page, downloadable, image_given, pictures, spoken, visitor_of
from app.stops import Stops, stop_button, stoppable
from app.tabs.attribute_batch import lay_files, require_files
from app.tabs.attribute_desk import Given, Search, choice_of
from app.tabs.attribute_layout import Controls
from app.views_reverse import Lookup, lookup_csv, lookup_html
from core.service.reverse import reverse_lookup
from core.service.workspace import Query, Workspace
from core.values import Cancelled, ImageError, Progress

QUERY = "query"
"""Stands for the image that is asked about, where others are ids."""

_PROGRESS = gr.Progress()


@dataclass(frozen=True)
class Reverse:
    """The source and the generated images."""

    source: gr.Image
    offered: gr.Dropdown
    """Images of the last answer, to take the source from."""
    taken: gr.State
    """Id of the source in the gallery; ``None`` for an image of the visitor's own."""
    files: gr.File
    rate: gr.Slider
    run: gr.Button
    stop: gr.Button


@dataclass(frozen=True)
class ReverseResult:
    """What was found."""

    table: gr.HTML
    download: gr.DownloadButton


@dataclass(frozen=True)
class Searcher:
    """The handlers of reverse look-up."""

    page: Page
    controls: Controls
    reverse: Reverse
    result: ReverseResult
    stops: Stops

    def run(
        self, given: Given, request: gr.Request, progress: gr.Progress = _PROGRESS
    ) -> tuple[Any, Any]:
        """Look for the source in every image: the table, and the same as a file."""
        files = require_files(given[self.reverse.files])
        source, image_id = given[self.reverse.source], given[self.reverse.taken]
        if source is None:
            raise gr.Error("choose the source first", print_exception=False)
        session, visitor = self.page.session, visitor_of(request)
        choice = choice_of(given, self.controls, self.page.gallery)
        rate, problems = given[self.reverse.rate] / 100, list[tuple[str, str]]()
        with stoppable(self.stops, request, progress) as report:
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
        size = len(workspace.null.standings)
        found = Lookup(findings, tuple(problems), len(files), rate, size)
        button = self.result.download
        file = downloadable(lookup_csv(found), button, name="wellspring-reverse.csv")
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
                query = self.page.session.query(workspace, file)[0]
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
            (f"Candidate {rank}: {views.name_of(match.image)}", str(match.image.id))
            for rank, match in enumerate(search.answer.matches, 1)
        ]
        return gr.Dropdown([("Your image", QUERY), *candidates], value=None, visible=True)

    def take(self, search: Search | None, offered: str | None, request: gr.Request) -> Any:
        """The chosen image of the answer as the source: its picture and its id."""
        if search is None or offered is None:
            return gr.skip(), gr.skip()
        if offered == QUERY:
            return search.image, None
        with spoken():
            (match,) = (m for m in search.answer.matches if str(m.image.id) == offered)
            gallery, visitor = search.choice.gallery, visitor_of(request)
            shown = pictures(self.page.session, gallery, [match.image], visitor=visitor)
        return shown[0][0], match.image.id


def lay() -> Reverse:
    """The source, the generated images, and what is done with them."""
    words = "Drop the source here\nor click to choose it"
    source = image_given(
        "Source", elem_id="ws-source", placeholder=words, height=220, show_label=True
    )
    offered = gr.Dropdown(
        [],
        label="Or take the source from the last answer",
        filterable=False,
        visible=False,
        elem_id="ws-offered",
    )
    files = lay_files("Generated images", elem_id="ws-made", height=180)
    rate = gr.Slider(1, 50, value=5, step=1, label="False-discovery rate, %", elem_id="ws-rate")
    with gr.Row():
        run = gr.Button(
            "Find what it is a source of",
            variant="primary",
            elem_id="ws-run-reverse",
            scale=3,
            min_width=160,
        )
        stop = stop_button("ws-stop-reverse", beside=True)
    return Reverse(source, offered, gr.State(None), files, rate, run, stop)


def lay_result() -> ReverseResult:
    """The table and its file."""
    table = gr.HTML(views.fill("reverse_empty"), elem_id="ws-reverse", min_height=180)
    with gr.Row(elem_classes="ws-downloads"):
        download = gr.DownloadButton(
            "CSV", size="sm", min_width=0, visible=False, elem_id="ws-download-reverse"
        )
    return ReverseResult(table, download)


def connect(page: Page, controls: Controls, reverse: Reverse, result: ReverseResult) -> Searcher:
    """Connect the events; what is left is where the last answer offers and gives its images."""
    desk = Searcher(page, controls, reverse, result, Stops())
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    asked = {reverse.source, reverse.taken, reverse.files, reverse.rate, page.gallery}
    shown = [result.table, result.download]
    run = reverse.run.click(
        desk.run,
        {*asked, *controls.inputs},
        shown,
        show_progress_on=result.table,
        concurrency_id="encoder",
        api_visibility="private",
    )
    run.success(None, None, None, js="() => window.wellspring.show('ws-reverse')", **quiet)
    reverse.stop.click(desk.stops.stop_asked, None, None, queue=False, **quiet)
    desk.stops.stop_when_left()
    source = [reverse.source, reverse.taken]
    for own in (reverse.source.upload, reverse.source.clear):
        own(lambda: (None, None), None, [reverse.offered, reverse.taken], **quiet)
    page.gallery.change(_cleared, None, [*source, reverse.offered, *shown], **quiet)
    return desk


def _cleared() -> tuple[Any, ...]:
    nothing = gr.Dropdown([], value=None, visible=False)
    empty = views.fill("reverse_empty")
    return None, None, nothing, empty, gr.DownloadButton(visible=False)
