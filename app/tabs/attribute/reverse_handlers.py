"""The handlers of reverse look-up: of which generated images is this one a source?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from app.page.errors import user_error, user_errors
from app.page.events import Given, in_row
from app.page.files import offered
from app.page.jobs import PROGRESS
from app.page.pictures import pictures
from app.page.sessions import left_in
from app.page.state import Page, Sought
from app.page.visitor import visitor_of
from app.tabs.attribute.cases import Opened, given_pictures
from app.tabs.attribute.layout import Controls
from app.tabs.attribute.reverse_layout import Reverse, ReverseResult
from app.tabs.attribute.searches import CANDIDATES, Search, choice_of, prior_of, told_of
from app.views.files import nameable
from app.views.images import small_picture
from app.views.matches import picture_of, role_of
from app.views.names import name_of
from app.views.reverse import Lookup, Source, foretold, lookup_csv, lookup_html, lookup_report
from app.views.templates import render
from core.config import NullConfig
from core.report import Run, reverse_run
from core.service import Choice, Picture, Query, Workspace, reverse_lookup
from core.values import Cancelled, ImageError, Progress, WellspringError

QUERY = "query"
"""Stands for the image that is asked about, where others are ids."""


@dataclass(frozen=True)
class Looked:
    """Images that sources were looked for in."""

    rows: tuple[tuple[str, int | None], ...]
    """The file of each row, and the id of its source in the gallery."""
    choice: Choice
    prior: float
    lookup: Lookup
    """What was found."""
    run: Run
    """How."""


@dataclass(frozen=True)
class _Made:
    """A generated image that was looked at."""

    name: str
    file: str
    picture: str
    """Address that holds a small copy of it."""


@dataclass(frozen=True)
class ReverseHandlers:
    """The handlers of reverse look-up."""

    page: Page
    controls: Controls
    reverse: Reverse
    result: ReverseResult
    looked: gr.State
    """What was looked for last, as :class:`Looked`; ``None`` before."""

    def run(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, ...]:
        """Look for the sources in every image: what was found, its table, and that as files."""
        source, ids = given[self.reverse.source], given[self.reverse.taken] or ()
        if source is None:
            raise user_error("choose the source first")
        session, visitor, files = self.page.session, visitor_of(request), self.reverse.files
        choice = choice_of(given, self.controls, self.page.gallery)
        prior, rate = prior_of(given, self.controls), given[self.reverse.rate] / 100
        seen, problems = list[_Made](), list[tuple[str, str]]()
        with self.page.jobs.run("attribute", request, progress) as report:
            report(0, 1, "Opening the encoder and the gallery")
            most = session.server.max_upload_bytes
            made = given_pictures(given[files], files, max_bytes=most, progress=report)
            workspace = session.workspace(choice, visitor=visitor, progress=report)
            own = {} if ids else {Path(source).name: session.query(workspace, source)}
            queries = self._queries(workspace, made, report, (seen, problems))
            found = reverse_lookup(workspace, queries, ids=ids, uploads=own, rate=rate, prior=prior)
        rows = [seen[int(each.generated)] for each in found]
        lookup = Lookup(
            tuple(replace(f, generated=row.name) for f, row in zip(found, rows, strict=True)),
            tuple(problems),
            len(made),
            rate,
            len(workspace.null),
            sources=self._sources(workspace, own, ids),
            pictures=tuple(row.picture for row in rows),
            by=told_of(choice, prior),
        )
        named = nameable(choice, workspace)
        run = reverse_run(workspace, named, ids=ids, uploads=[*own], rate=rate, prior=prior)
        opened = tuple((row.file, f.image_id) for f, row in zip(found, rows, strict=True))
        return self._shown(Looked(opened, choice, prior, lookup, run))

    def _shown(self, looked: Looked) -> tuple[Any, ...]:
        """What was found, as a table, as CSV and as a report."""
        lookup = looked.lookup
        files = (
            (lookup_csv(lookup), self.result.csv, "wellspring-reverse.csv"),
            (lookup_report(lookup, looked.run), self.result.report, "wellspring-reverse.html"),
        )
        given_out = [offered(text.encode(), button, name=name) for text, button, name in files]
        return looked, lookup_html(lookup), *given_out

    def again(
        self, before: str, looked: Looked | None, name: str, request: gr.Request
    ) -> tuple[Any, ...]:
        """What was found on the page that was loaded anew, where it is there."""
        hosted = self.page.session.server.hosted
        found: Looked | None = left_in(self.looked, before, request, hosted=hosted)
        if looked is not None or found is None or found.choice.gallery != name:
            return tuple(gr.skip() for _ in range(4))
        return self._shown(found)

    @staticmethod
    def of_gallery(looked: Looked | None, name: str) -> tuple[Any, ...]:
        """Nothing of another gallery: neither its images as sources nor what was found by it."""
        gone = cleared()
        if looked is None or looked.choice.gallery != name:
            return gone
        return *gone[:4], *(gr.skip() for _ in gone[4:])

    def _sources(
        self, workspace: Workspace, own: Mapping[str, Query], ids: Sequence[int]
    ) -> tuple[Source, ...]:
        """The images that are looked for, as the table shows them."""
        if own:
            return tuple(Source(name, small_picture(query.image)) for name, query in own.items())
        gallery = workspace.gallery
        records = [gallery.records[gallery.row_of[image_id]] for image_id in ids]
        files = self.page.session.thumbnails(gallery, records)
        return tuple(
            Source(name_of(record), picture_of(each), record)
            for record, each in zip(records, files, strict=True)
        )

    def _queries(
        self,
        workspace: Workspace,
        made: Sequence[Picture],
        report: Progress,
        kept: tuple[list[_Made], list[tuple[str, str]]],
    ) -> Iterator[tuple[str, Query]]:
        """The images one by one; a stop ends them, so that those looked at are kept.

        What was looked at is noted in ``kept``, and called by its place there, and so is what was
        refused.
        """
        looked_at, problems = kept
        for done, (name, file) in enumerate(made):
            if isinstance(file, WellspringError):
                problems.append((name, str(file)))
                continue
            try:
                report(done, len(made), f"Looking at {name}")
                query = self.page.session.query(workspace, file)
            except Cancelled:
                return
            except ImageError as error:
                problems.append((name, str(error)))
            else:
                looked_at.append(_Made(name, str(file), small_picture(query.image)))
                yield f"{len(looked_at) - 1:03}", query

    def opened(
        self,
        looked: Looked | None,
        event: gr.EventData,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> Opened | None:
        """What the gallery says of the image that was chosen; nothing where there is no such."""
        row = in_row(looked and looked.rows, event)
        if looked is None or row is None:
            return None
        (file, wanted), choice, prior = row, looked.choice, looked.prior
        visitor, again = visitor_of(request), "choose the row again"
        with self.page.jobs.run("attribute", request, progress, again=again) as report:
            answer = self.page.session.attribute(
                file, choice, top=CANDIDATES, prior=prior, visitor=visitor, progress=report
            )
        places = [match.image.id for match in answer.matches]
        place = places.index(wanted) if wanted in places else 0
        return Opened(Search(file, choice, prior, answer), place)

    def foretell(
        self, files: list[str] | None, rate: float, name: str, request: gr.Request
    ) -> gr.Markdown:
        """What the gallery is too small for, before it is asked.

        How many are in a zip is not known: with one, only that nothing can be named at all is told.
        """
        zipped = any(Path(file).suffix.lower() == ".zip" for file in files or ())
        images = min(len(self.page.gallery_of(name, request)), NullConfig().queries)
        limit = foretold(0 if zipped else len(files or ()), images=images, rate=rate / 100)
        return gr.Markdown(limit, visible=bool(limit))

    def offer(self, search: Search | None) -> gr.Dropdown:
        """The images of an answer as sources to choose from."""
        if search is None:
            return gr.Dropdown([], value=None, visible=False)
        images = [
            (f"{role_of(match, search.answer)} {rank}: {name_of(match.image)}", str(match.image.id))
            for rank, match in enumerate(search.answer.matches, 1)
        ]
        return gr.Dropdown([("Your image", QUERY), *images], value=None, visible=True)

    def take(self, search: Search | None, offered: str | None, request: gr.Request) -> Any:
        """The chosen image of the answer as the source: its picture and its id."""
        if search is None or offered is None:
            return gr.skip(), gr.skip(), gr.skip()
        alone = gr.Markdown(visible=False)
        if offered == QUERY:
            return search.image, None, alone
        with user_errors():
            (match,) = (m for m in search.answer.matches if str(m.image.id) == offered)
            gallery, visitor = search.choice.gallery, visitor_of(request)
            shown = pictures(self.page.session, gallery, [match.image], visitor=visitor)
        return shown[0][0], (match.image.id,), alone

    @staticmethod
    def sought(wanted: Sought | None) -> Any:
        """Images of the gallery that another tab asks about, as the sources."""
        if wanted is None:
            return tuple(gr.skip() for _ in range(4))
        count = len(wanted.image_ids)
        words = f"{count} images are looked for; this is the first of them."
        return wanted.picture, wanted.image_ids, gr.Markdown(words, visible=count > 1), None


def cleared() -> tuple[Any, ...]:
    """Nothing looked for, as for a gallery that was just opened."""
    nothing = gr.Dropdown([], value=None, visible=False)
    empty = render("empty", of="reverse")
    return (
        None,
        None,
        gr.Markdown(visible=False),
        nothing,
        None,
        empty,
        *(gr.DownloadButton(visible=False) for _ in range(2)),
    )
