"""The handlers of why the chosen match is one: its reasons, their images, and the files of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app.page.errors import user_errors
from app.page.files import downloadable
from app.page.jobs import PROGRESS
from app.page.pictures import end_pictures
from app.page.state import Page
from app.page.visitor import visitor_of
from app.tabs.attribute.layout import Downloads
from app.tabs.attribute.searches import LISTED, Search
from app.views import answer as views
from app.views import contributions, files, reasons
from app.views.matches import group_of
from core.report import Case
from core.service import Session
from core.values import Explanation

_AGAIN = "choose the image again for the rest"
_CHANGED = "The gallery has changed since: ask again to see which dimensions come back in refits."


@dataclass(frozen=True)
class ReasonHandlers:
    """The handlers of one search and the match that is chosen."""

    page: Page
    downloads: Downloads

    @property
    def session(self) -> Session:
        """The session of the page."""
        return self.page.session

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
            group = group_of(answer, image_id)
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
            contributions.sum_words(found),
            "Looking at which dimensions come back in refits …",
            gr.Column(visible=False),
            gr.skip(),
            gr.skip(),
        )

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
        if search.is_outdated(self.session, visitor):  # its dimensions are those of another head
            return _CHANGED, gr.Column(visible=False), gr.skip(), gr.skip()
        with self.page.jobs.run("judge", request, progress) as report:
            judged = self.session.dimensions(search.choice, visitor=visitor, progress=report)
        choices = contributions.dimension_choices(found, judged=judged)
        return (
            contributions.stability_words(found, judged),
            gr.Column(visible=bool(choices)),
            contributions.bars(found, judged=judged) if choices else gr.skip(),
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
        visitor = visitor_of(request)
        with self.page.jobs.run("attribute", request, progress, again=_AGAIN) as report:
            most, least = end_pictures(
                self.session, search.choice, dimension, visitor=visitor, progress=report
            )
        return most, least, contributions.ends_words(found, dimension)

    def export(
        self,
        search: Search | None,
        found: Explanation | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> list[Any]:
        """The answer as files, explained by the chosen match."""
        buttons, visitor = self.downloads.buttons, visitor_of(request)
        if search is None or found is None or search.is_outdated(self.session, visitor):
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

    def _pair(
        self, search: Search, found: Explanation, visitor: str
    ) -> tuple[Image.Image, Image.Image]:
        """Pixels of the query and of the source as they are shown."""
        gallery = self.session.gallery(search.choice.gallery, visitor=visitor)
        return self.session.pair(search.image, gallery, found.match.id)
