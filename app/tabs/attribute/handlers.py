"""The handlers of the Attribute tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from app.page.errors import user_error, user_errors, without_unreadable
from app.page.events import Given
from app.page.fetch import Fetcher
from app.page.files import downloadable
from app.page.jobs import PROGRESS
from app.page.pictures import example_pictures, pictures
from app.page.state import HEADS, Marked, Page, encoder_choices
from app.page.visitor import visitor_of
from app.tabs.attribute.layout import EDGES, LOCAL_SCALING, RERANKING, Controls, Downloads, Query
from app.views import answer as views
from app.views import files, reasons
from app.views import matches as lists
from app.views.known import known_sources
from app.views.names import label_of
from core.config import ScoreConfig
from core.report import Case, words
from core.service import Choice, Session, example_of
from core.values import Answer, Explanation

CANDIDATES = 24
"""Matches of an answer among several."""
LISTED = 60
"""Matches of a single one: its list grows until a source is among it as often as is wanted."""

_AGAIN = "choose the image again for the rest"
_EXCITING = 6
_CHANGED = "The gallery has changed since: ask again to see which dimensions come back in refits."


@dataclass(frozen=True)
class Search:
    """A finished search: what later events need of it."""

    image: str
    choice: Choice
    prior: float
    answer: Answer
    identity: str = ""
    """Identity of the gallery's images when they were searched; empty where it is not known."""


def choice_of(given: Given, controls: Controls, gallery: gr.State) -> Choice:
    """What the controls choose."""
    scoring = given[controls.scoring]
    score = ScoreConfig(
        local_scaling=LOCAL_SCALING in scoring,
        edges=EDGES in scoring,
        rerank=RERANKING in scoring,
    )
    return Choice(given[controls.encoder], given[controls.head], given[gallery], score)


def filtered_choice_of(given: Given, controls: Controls, gallery: gr.State) -> Choice:
    """What the controls choose, and which images may be sources."""
    where = (given[controls.where] or "").strip() or None
    return replace(choice_of(given, controls, gallery), where=where)


def prior_of(given: Given, controls: Controls) -> float:
    """The prior probability of a source that the controls choose."""
    return given[controls.prior] / 100


def told_of(choice: Choice, prior: float) -> str:
    """With what many images were asked for."""
    ((encoder, _),) = encoder_choices([choice.encoder])
    heads = {name: f"head: {label.lower()}" for label, name in HEADS if name != "default"}
    head = heads.get(choice.head, "")
    return views.settings_words(encoder, head, where=choice.where, prior=prior)


@dataclass(frozen=True)
class Handlers:
    """The handlers for one image."""

    page: Page
    query: Query
    controls: Controls
    downloads: Downloads
    fetcher: Fetcher = field(default_factory=Fetcher)

    @property
    def session(self) -> Session:
        """The session of the page."""
        return self.page.session

    def search(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, ...]:
        """Answer a query: search, chosen match, and what is shown of the answer and its matches."""
        image, name, visitor = (
            given[self.query.image],
            given[self.page.gallery],
            visitor_of(request),
        )
        is_last = self.page.jobs.latest("attribute", request)
        if image is None:
            return self.cleared(name, request)
        choice = filtered_choice_of(given, self.controls, self.page.gallery)
        prior = prior_of(given, self.controls)
        with self.page.jobs.run("attribute", request, progress) as report:
            report(0, 1, "Opening the encoder and the gallery")
            identity = self.session.gallery(name, visitor=visitor).identity
            answer = self.session.attribute(
                image, choice, top=LISTED, prior=prior, visitor=visitor, progress=report
            )
        found = self.shown(Search(image, choice, prior, answer, identity), visitor)
        return found if is_last() else tuple(gr.skip() for _ in found)

    def shown(self, found: Search, visitor: str, *, index: int = 0) -> tuple[Any, ...]:
        """What :meth:`search` returns of a finished search, one of its matches chosen."""
        answer = found.answer
        shown = views.answer_html(answer, known=self._known(found, visitor))
        listed = lists.matches_html(answer, self._pictures(found, visitor), chosen=index)
        sure = views.has_sources(answer)
        heading = f"### {views.matches_title(answer)}"
        why = gr.Accordion(open=sure or index > 0)
        return found, index, shown, heading, listed, gr.Column(visible=True), why

    def cleared(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        """What :meth:`search` returns where there is nothing to show."""
        empty = views.empty_html(size=self._size(name, visitor_of(request)))
        return None, 0, empty, "", "", gr.Column(visible=False), gr.skip()

    def resized(self, name: str, search: Search | None, request: gr.Request) -> Any:
        """How many images are asked, after a change of the gallery, where no answer is shown."""
        if search is not None:
            return gr.skip()
        return views.empty_html(size=self._size(name, visitor_of(request)))

    def refused(
        self, image: str | None, name: str, search: Search | None, request: gr.Request
    ) -> tuple[Any, ...]:
        """After a failure the answer stays where it is of this image, or the image is unreadable.

        Another readable image has no answer, and nothing of the one before is shown.
        """
        cleared = self.cleared(name, request)
        readable = without_unreadable(self.session, image)
        kept: list[Any] = [gr.skip() for _ in cleared]
        if image and readable is None and search is not None and search.image != image:
            return search.image, *kept
        if image and readable is not None:
            same = search is not None and search.image == image
            kept[2] = self.before(search) if same else views.unanswered_html()
            return readable, *(kept if same else [*cleared[:2], kept[2], *cleared[3:]])
        return readable, *cleared

    @staticmethod
    def before(search: Search | None) -> Any:
        """The answer, marked as one to what was asked before."""
        if search is None:
            return gr.skip()
        choice = search.choice
        ((by, _),) = encoder_choices([choice.encoder])
        return views.answer_html(search.answer, before=views.asked_words(by, choice.where))

    def explain(
        self,
        search: Search | None,
        index: int,
        reading: str | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[Any, ...]:
        """Why the chosen match is one."""
        if search is None or not 0 <= index < len(search.answer.matches):
            return tuple(gr.skip() for _ in range(10))
        visitor, answer = visitor_of(request), search.answer
        image_id = answer.matches[index].image.id
        with self.page.jobs.run("attribute", request, progress, again=_AGAIN) as report:
            given = (search.image, image_id, search.choice)
            found = self.session.explain(*given, visitor=visitor, progress=report)
            alike = self.session.likenesses(*given, visitor=visitor, progress=report)
            group = lists.group_of(answer, image_id)
            possible = reasons.readings(found, group, level=answer.level)
            chosen = reading if reading in possible else possible[0]
            pair = reasons.pair_html(
                found,
                self._pair(search, found, visitor),
                reading=chosen,
                noise=reasons.is_noise(found, possible),
            )
        several = len(possible) > 1
        return (
            found,
            pair,
            reasons.levels_html(found, answer, likenesses=alike),
            gr.Radio(possible, value=chosen if several else None, visible=several),
            views.record_html(found.match),
            reasons.contribution_words(found),
            "Looking at which dimensions come back in refits …",
            gr.Column(visible=False),
            gr.skip(),
            gr.skip(),
        )

    @staticmethod
    def marked(search: Search | None, index: int, before: Marked | None) -> Any:
        """The chosen match, as the map is asked to show it."""
        if search is None or not 0 <= index < len(search.answer.matches):
            return gr.skip()
        match = search.answer.matches[index]
        named = {group.id for group in words.sources(search.answer.groups)}
        label = "Candidate source" if match.group in named else "Close image"
        number = (before.number if before else 0) + 1
        return Marked(match.image.id, search.image, label, number)

    def sum_up(self, search: Search | None, by: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Shares of influence by a column: whether they tell more, the columns, and the table."""
        if search is None or not words.sources(search.answer.groups):
            return gr.Column(visible=False), gr.skip(), ""
        choice, visitor = search.choice, visitor_of(request)
        with user_errors():
            columns = self.session.columns(choice, visitor=visitor)
            if not columns:
                return gr.Column(visible=False), gr.skip(), ""
            sums = self.session.shares(search.answer, choice, columns=columns, visitor=visitor)
        telling = [column for column, shares in sums.items() if len(shares) > 1]
        if not telling:  # each column has one value: the bar of the answer again
            return gr.Column(visible=False), gr.skip(), ""
        chosen = by if by in columns else telling[0]
        names = [(label_of(column), column) for column in columns]
        table = views.shares_html(sums[chosen], none=search.answer.none)
        return gr.Column(visible=True), gr.Dropdown(names, value=chosen), table

    def look(
        self,
        search: Search | None,
        found: Explanation | None,
        reading: str,
        request: gr.Request,
    ) -> Any:
        """The two images under another reading."""
        if search is None or found is None:
            return gr.skip()
        with user_errors():
            images = self._pair(search, found, visitor_of(request))
            return reasons.pair_html(found, images, reading=reading)

    def judge(
        self,
        search: Search | None,
        found: Explanation | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> Any:
        """Which dimensions come back in refits: words, whether any is shown, bars, and choices."""
        if search is None or found is None:
            return tuple(gr.skip() for _ in range(4))
        visitor = visitor_of(request)
        if self._changed(search, visitor):  # its dimensions are those of another head
            return _CHANGED, gr.Column(visible=False), gr.skip(), gr.skip()
        with self.page.jobs.run("judge", request, progress) as report:
            judged = self.session.dimensions(search.choice, visitor=visitor, progress=report)
        choices = reasons.dimension_choices(found, judged=judged)
        return (
            reasons.stability_words(found, judged),
            gr.Column(visible=bool(choices)),
            reasons.contribution_bars(found, judged=judged) if choices else gr.skip(),
            gr.Dropdown(choices=choices, value=choices[0][1] if choices else None),
        )

    def excite(
        self,
        search: Search | None,
        found: Explanation | None,
        dimension: int | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[Any, Any, Any]:
        """The gallery images at both ends of a dimension, and where the two images lie."""
        if search is None or found is None or dimension is None:
            return gr.skip(), gr.skip(), gr.skip()
        visitor, name = visitor_of(request), search.choice.gallery
        with self.page.jobs.run("attribute", request, progress, again=_AGAIN) as report:
            workspace = self.session.workspace(search.choice, visitor=visitor, progress=report)
            ends = workspace.exciting(dimension, count=_EXCITING)
            most, least = (pictures(self.session, name, end, visitor=visitor) for end in ends)
        return most, least, reasons.ends_words(found, dimension)

    def export(
        self,
        search: Search | None,
        found: Explanation | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> list[Any]:
        """The answer as files, explained by the chosen match."""
        buttons, visitor = self.downloads.buttons, visitor_of(request)
        if search is None or found is None or self._changed(search, visitor):
            return [gr.skip() for _ in buttons]
        choice = search.choice
        with self.page.jobs.run("attribute", request, progress, again=_AGAIN) as report:
            report(0, 1, "Writing the report")
            workspace = self.session.workspace(choice, visitor=visitor, progress=report)
            dimensions = self.session.dimensions(choice, visitor=visitor, progress=report)
            query = self.session.query(workspace, search.image)
            source = self.session.source_image(workspace.gallery, found.match.id)
            case = Case(
                query=Path(search.image).name,
                sha256=query.sha256,
                answer=search.answer,
                explanations=(found,),
                image=query.image,
                sources={found.match.id: source},
                shares=self.session.shares(search.answer, choice, visitor=visitor),
                dimensions=dimensions,
            )
            run = files.run_for(workspace, [case.query], choice, top=LISTED, prior=search.prior)
            report(0, 1, "Writing the report")
            contents = files.answer_files(case, run)
        return [
            downloadable(content, button, name=name)
            for button, (name, content) in zip(buttons, contents.items(), strict=True)
        ]

    def no_files(self) -> list[Any]:
        """No files, where those that are there may be of another match."""
        return [None for _ in self.downloads.buttons]

    def fetched(
        self, address: str, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, ...]:
        """A picture of the web as the query: no example, its file, and an empty line again."""
        if self.session.server.hosted:
            raise user_error("this server fetches no pictures; drop the file itself")
        with self.page.jobs.run("attribute", request, progress) as report:
            report(0, 1, "Fetching the picture")
            content, name = self.fetcher.fetch(address)
            self.session.image(content)  # refused in words where it is none
        return 0, save_bytes_to_cache(content, name, get_upload_folder()), ""

    def examples(self, name: str, request: gr.Request) -> Any:
        """The examples of another gallery."""
        with user_errors():
            shown = example_pictures(self.session, name, visitor=visitor_of(request))
        return gr.Gallery(shown, selected_index=None)

    def _changed(self, search: Search, visitor: str) -> bool:
        """Whether other images are in the gallery than when it was searched."""
        gallery = self.session.gallery(search.choice.gallery, visitor=visitor)
        return search.identity not in ("", gallery.identity)

    def _known(self, search: Search, visitor: str) -> str:
        """What an answer found of the sources that are known, where an example was asked about."""
        gallery = self.session.gallery(search.choice.gallery, visitor=visitor)
        example = example_of(gallery.store.folder, Path(search.image))
        return known_sources(example, search.answer, gallery.records)

    def _size(self, name: str, visitor: str) -> int:
        return len(self.session.gallery(name, visitor=visitor))

    def _pictures(self, search: Search, visitor: str) -> list[str]:
        gallery = self.session.gallery(search.choice.gallery, visitor=visitor)
        records = [match.image for match in search.answer.matches]
        return [lists.picture_of(file) for file in self.session.thumbnails(gallery, records)]

    def _pair(
        self, search: Search, found: Explanation, visitor: str
    ) -> tuple[Image.Image, Image.Image]:
        """Pixels of the query and of the source as they are shown."""
        gallery = self.session.gallery(search.choice.gallery, visitor=visitor)
        return self.session.pair(search.image, gallery, found.match.id, side=reasons.SHOWN_SIDE)


def row_of(event: gr.EventData) -> int:
    """The row of the list of matches that a page says was chosen; -1 where it says no such."""
    told = event._data
    row = told.get("row") if isinstance(told, dict) else None
    return row if type(row) is int and row >= 0 else -1
