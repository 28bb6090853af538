"""The handlers of the Attribute tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app.page.errors import user_errors, without_unreadable
from app.page.events import Given
from app.page.files import downloadable
from app.page.jobs import PROGRESS, visitor_of
from app.page.pictures import Pictures, example_pictures, pictures
from app.page.state import Page
from app.tabs.attribute.layout import EDGES, LOCAL_SCALING, RERANKING, Controls, Downloads, Query
from app.views import answer as views
from app.views import files, reasons
from app.views.names import label_of
from core.config import ScoreConfig
from core.report import Case, query_digest, words
from core.service import Choice, Session
from core.values import Answer, Explanation

CANDIDATES = 24
"""Matches of every answer."""

_EXCITING = 6


@dataclass(frozen=True)
class Search:
    """A finished search: what later events need of it."""

    image: str
    choice: Choice
    prior: float
    answer: Answer


def choice_of(given: Given, controls: Controls, gallery: gr.State) -> Choice:
    """What the controls choose."""
    scoring = given[controls.scoring]
    score = ScoreConfig(
        local_scaling=LOCAL_SCALING in scoring,
        edges=EDGES in scoring,
        rerank=RERANKING in scoring,
    )
    return Choice(given[controls.encoder], given[controls.head], given[gallery], score)


def prior_of(given: Given, controls: Controls) -> float:
    """The prior probability of a source that the controls choose."""
    return given[controls.prior] / 100


@dataclass(frozen=True)
class Handlers:
    """The handlers for one image."""

    page: Page
    query: Query
    controls: Controls
    downloads: Downloads

    @property
    def session(self) -> Session:
        """The session of the page."""
        return self.page.session

    def search(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, ...]:
        """Answer a query: search, chosen match, answer, candidates, whether there are any."""
        image, name, visitor = (
            given[self.query.image],
            given[self.page.gallery],
            visitor_of(request),
        )
        if image is None:
            return self.cleared(name, request)
        choice = choice_of(given, self.controls, self.page.gallery)
        prior = prior_of(given, self.controls)
        with self.page.jobs.run("attribute", request, progress) as report:
            report(0, 1, "Opening the encoder and the gallery")
            answer = self.session.attribute(
                image, choice, top=CANDIDATES, prior=prior, visitor=visitor, progress=report
            )
        found = Search(image, choice, prior, answer)
        shown = views.answer_html(answer)
        candidates = gr.Gallery(self._candidates(found, visitor), selected_index=0)
        return found, 0, shown, candidates, gr.Column(visible=True)

    def cleared(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        """What :meth:`search` returns where there is nothing to show."""
        nothing = gr.Gallery(None, selected_index=None)
        empty = views.empty_html(size=self._size(name, visitor_of(request)))
        return None, 0, empty, nothing, gr.Column(visible=False)

    def refused(self, image: str | None, name: str, request: gr.Request) -> tuple[Any, ...]:
        """After a failure: nothing to show, and an image that cannot be opened goes too."""
        return without_unreadable(self.session, image), *self.cleared(name, request)

    def explain(
        self, search: Search | None, index: int, reading: str | None, request: gr.Request
    ) -> tuple[Any, ...]:
        """Why the chosen match is one."""
        if search is None:
            return tuple(gr.skip() for _ in range(9))
        visitor = visitor_of(request)
        image_id = search.answer.matches[index].image.id
        with user_errors():
            found = self.session.explain(search.image, image_id, search.choice, visitor=visitor)
            possible = reasons.readings(found)
            several = len(possible) > 1
            chosen = reading if reading in possible else possible[0]
            pair = reasons.pair_html(found, self._images(search, found, visitor), reading=chosen)
        dimensions = reasons.dimension_choices(found)
        first = dimensions[0][1] if dimensions else None
        return (
            found,
            pair,
            reasons.levels_html(found, search.answer),
            gr.Radio(possible, value=chosen if several else None, visible=several),
            views.record_html(found.match),
            reasons.contribution_words(found),
            "",
            reasons.contribution_bars(found),
            gr.Dropdown(choices=dimensions, value=first),
        )

    def sum_up(self, search: Search | None, by: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Shares of influence by a column: whether there are any, the columns, and the table."""
        if search is None or not words.sources(search.answer.groups):
            return gr.Column(visible=False), gr.skip(), ""
        choice, visitor = search.choice, visitor_of(request)
        with user_errors():
            columns = self.session.columns(choice, visitor=visitor)
            if not columns:
                return gr.Column(visible=False), gr.skip(), ""
            chosen = by if by in columns else columns[0]
            sums = self.session.shares(search.answer, choice, columns=[chosen], visitor=visitor)
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
            images = self._images(search, found, visitor_of(request))
            return reasons.pair_html(found, images, reading=reading)

    def judge(
        self,
        search: Search | None,
        found: Explanation | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> Any:
        """Which of the bars' dimensions come back in refits: words, bars, and their choices."""
        if search is None or found is None:
            return gr.skip(), gr.skip(), gr.skip()
        visitor = visitor_of(request)
        with self.page.jobs.run("judge", request, progress) as report:
            judged = self.session.dimensions(search.choice, visitor=visitor, progress=report)
        words = reasons.stability_words(found, judged)
        if judged is None:
            return words, gr.skip(), gr.skip()
        choices = reasons.dimension_choices(found, judged=judged)
        bars = reasons.contribution_bars(found, judged=judged)
        return words, bars, gr.Dropdown(choices=choices)

    def excite(
        self,
        search: Search | None,
        found: Explanation | None,
        dimension: int | None,
        request: gr.Request,
    ) -> tuple[Any, Any, Any]:
        """The gallery images at both ends of a dimension, and where the two images lie."""
        if search is None or found is None or dimension is None:
            return gr.skip(), gr.skip(), gr.skip()
        visitor, name = visitor_of(request), search.choice.gallery
        with user_errors():
            workspace = self.session.workspace(search.choice, visitor=visitor)
            ends = workspace.exciting(dimension, count=_EXCITING)
            most, least = (pictures(self.session, name, end, visitor=visitor) for end in ends)
        return most, least, reasons.ends_words(found, dimension)

    def export(
        self, search: Search | None, found: Explanation | None, request: gr.Request
    ) -> list[Any]:
        """The answer as files, explained by the chosen match."""
        buttons = self.downloads.buttons
        if search is None or found is None:
            return [gr.skip() for _ in buttons]
        visitor, choice = visitor_of(request), search.choice
        image, source = self._images(search, found, visitor)
        case = Case(
            query=Path(search.image).name,
            sha256=query_digest(search.image),
            answer=search.answer,
            explanations=(found,),
            image=image,
            sources={found.match.id: source},
            shares=self.session.shares(search.answer, choice, visitor=visitor),
            dimensions=self.session.dimensions(choice, visitor=visitor),
        )
        workspace = self.session.workspace(choice, visitor=visitor)
        run = files.run_for(workspace, [case.query], choice, top=CANDIDATES, prior=search.prior)
        contents = files.answer_files(case, run)
        return [
            downloadable(content, button, name=name)
            for button, (name, content) in zip(buttons, contents.items(), strict=True)
        ]

    def taken(self, name: str, request: gr.Request, event: gr.SelectData) -> tuple[Any, Any, Any]:
        """The example that was selected, as the query; it can be selected again."""
        return *self.example(name, int(event.index) + 1, request), gr.Gallery(selected_index=None)

    def example(self, name: str, number: int, request: gr.Request) -> tuple[Any, Any]:
        """The example of a number, as the query; nothing changes where there is none."""
        with user_errors():
            shown = example_pictures(self.session, name, visitor=visitor_of(request))
        if not 0 < number <= len(shown):
            return gr.skip(), gr.skip()
        return number, shown[number - 1][0]

    def examples(self, name: str, request: gr.Request) -> Any:
        """The examples of another gallery."""
        with user_errors():
            shown = example_pictures(self.session, name, visitor=visitor_of(request))
        return gr.Gallery(shown, selected_index=None)

    def _size(self, name: str, visitor: str) -> int:
        return len(self.session.gallery(name, visitor=visitor))

    def _candidates(self, search: Search, visitor: str) -> Pictures:
        records = [match.image for match in search.answer.matches]
        shown = pictures(self.session, search.choice.gallery, records, visitor=visitor)
        captions = views.captions(search.answer)
        return [(file, caption) for (file, _), caption in zip(shown, captions, strict=True)]

    def _images(
        self, search: Search, found: Explanation, visitor: str
    ) -> tuple[Image.Image, Image.Image]:
        gallery = self.session.gallery(search.choice.gallery, visitor=visitor)
        return (
            self.session.image(search.image),
            self.session.source_image(gallery, found.match.id),
        )
