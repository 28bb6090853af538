"""The handlers of one image: a search, its answer, and its matches."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from app.page.errors import user_error, user_errors, without_unreadable
from app.page.events import Given
from app.page.fetch import Fetcher
from app.page.jobs import PROGRESS
from app.page.state import Marked, Page, encoder_choices
from app.page.visitor import visitor_of
from app.tabs.attribute.layout import Controls, Query
from app.tabs.attribute.searches import LISTED, Search, filtered_choice_of, prior_of
from app.views import answer as views
from app.views import matches as lists
from app.views.names import label_of
from app.views.stated_sources import known_sources
from core.report import conclusion
from core.service import Session, awaited, example_of


@dataclass(frozen=True)
class Handlers:
    """The handlers of one image."""

    page: Page
    query: Query
    controls: Controls
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
        sure = conclusion.has_sources(answer)
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

    @staticmethod
    def marked(search: Search | None, index: int, before: Marked | None) -> Any:
        """The chosen match, as the map is asked to show it."""
        if search is None or not 0 <= index < len(search.answer.matches):
            return gr.skip()
        match = search.answer.matches[index]
        label = lists.role_of(match, search.answer)
        number = (before.number if before else 0) + 1
        return Marked(match.image.id, search.image, label, number)

    def sum_up(self, search: Search | None, by: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Shares of influence by a column: whether they tell more, the columns, and the table."""
        if search is None or not conclusion.sources(search.answer.groups):
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
        table = views.shares_html(sums[chosen], search.answer)
        return gr.Column(visible=True), gr.Dropdown(names, value=chosen), table

    def fetched(
        self, address: str, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, ...]:
        """A picture of the web as the query: no example, its file, and an empty line again."""
        if self.session.server.hosted:
            raise user_error("this server fetches no pictures; drop the file itself")
        with self.page.jobs.run("attribute", request, progress) as report:
            fetching = 0, 1, "Fetching the picture"
            content, name = awaited(lambda: self.fetcher.fetch(address), lambda: report(*fetching))
            self.session.image(content)  # refused in words where it is none
            report(*fetching)  # what was stopped at its end does not come either
        return 0, save_bytes_to_cache(content, name, get_upload_folder()), ""

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
