"""The handlers of the Compare tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.page.errors import user_errors, without_unreadable
from app.page.events import Given
from app.page.jobs import PROGRESS, visitor_of
from app.page.pictures import Pictures, example_pictures, fetchable, pictures
from app.page.state import HEADS, Page, encoder_choices
from app.tabs.compare.layout import Side, Table
from app.views import compare as views
from app.views.templates import render
from core.service import DEPTHS, Choice, RankingComparison, compare_answers, compare_examples
from core.values import Answer

_DEPTH = DEPTHS[-1]


@dataclass(frozen=True)
class Comparison:
    """A finished comparison: what later events need of it."""

    gallery: str
    answers: tuple[Answer, Answer]
    found: RankingComparison


@dataclass(frozen=True)
class Handlers:
    """The handlers of the tab: each calls the session, makes a view and returns it."""

    page: Page
    table: Table
    sides: tuple[Side, Side]

    def search(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, ...]:
        """Search for the image on both sides: comparison, agreement, verdicts, matches, column."""
        image, visitor = given[self.table.image], visitor_of(request)
        if image is None:
            return self.cleared()
        with self.page.jobs.run("compare", request, progress) as report:
            report(0, 1, "Opening the encoders and the gallery")
            left, right = (
                self.page.session.attribute(
                    image, choice, top=_DEPTH, visitor=visitor, progress=report
                )
                for choice in self._choices(given)
            )
        found = Comparison(given[self.page.gallery], (left, right), compare_answers(left, right))
        return (
            found,
            views.agreement_html(found.found),
            views.verdict_html(left),
            views.verdict_html(right),
            *self.show(found, given[self.table.which], request),
            gr.Column(visible=True),
        )

    def cleared(self) -> tuple[Any, ...]:
        """What :meth:`search` returns where there is nothing to show."""
        return None, render("empty", of="compare"), "", "", None, None, gr.Column(visible=False)

    def refused(self, image: str | None) -> tuple[Any, ...]:
        """After a failure: nothing to show, and an image that cannot be opened goes too."""
        return without_unreadable(self.page.session, image), *self.cleared()

    def show(
        self, found: Comparison | None, which: str, request: gr.Request
    ) -> tuple[Pictures | None, Pictures | None]:
        """The matches of both sides that a choice leaves."""
        if found is None:
            return None, None
        left, right = found.answers
        return (
            self._matches(found, (left, right), which, there="right", request=request),
            self._matches(found, (right, left), which, there="left", request=request),
        )

    def start(self, name: str, event: gr.SelectData, request: gr.Request) -> tuple[Any, Any, Any]:
        """The image to start from that was selected, and its number; it can be selected again."""
        with user_errors():
            shown = example_pictures(self.page.session, name, visitor=visitor_of(request))
        place = int(event.index)
        return place + 1, shown[place][0], gr.Gallery(selected_index=None)

    def renew(self, name: str, request: gr.Request) -> Pictures:
        """The images to start from in another gallery."""
        with user_errors():
            return example_pictures(self.page.session, name, visitor=visitor_of(request))

    def over_examples(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, Any]:
        """Both sides over the gallery's examples."""
        visitor, choices = visitor_of(request), self._choices(given)
        session = self.page.session
        with self.page.jobs.run("compare", request, progress) as report:
            report(0, 1, "Opening the encoders and the gallery")
            examples = session.examples(choices[0], visitor=visitor, progress=report).examples
            if not examples:
                return render("compare_note", of="no examples"), gr.Gallery(visible=False)
            left, right = (
                session.example_answers(choice, visitor=visitor, progress=report)
                for choice in choices
            )
            found = compare_examples(examples, left, right)
        wrong = [(fetchable(examples[i].file), who) for i, who in views.differing(found)]
        table = views.examples_html(found, side_names(choices))
        return table, gr.Gallery(wrong, visible=bool(wrong))

    def _choices(self, given: Given) -> tuple[Choice, Choice]:
        left, right = (
            Choice(given[side.encoder], given[side.head], given[self.page.gallery])
            for side in self.sides
        )
        return left, right

    def _matches(
        self,
        found: Comparison,
        answers: tuple[Answer, Answer],
        which: str,
        *,
        there: str,
        request: gr.Request,
    ) -> Pictures:
        own, other = answers
        rows = views.shown_rows(own, found.found, which)
        records = [own.matches[row].image for row in rows]
        captions = views.marked_captions(own, other, there=there)
        with user_errors():
            files = pictures(self.page.session, found.gallery, records, visitor=visitor_of(request))
        return [(file, captions[row]) for (file, _), row in zip(files, rows, strict=True)]


def side_names(choices: Sequence[Choice]) -> tuple[str, str]:
    """What the two sides are called: encoders, with their heads where these differ."""
    titles = [encoder_choices([choice.encoder])[0][0] for choice in choices]
    if choices[0].head != choices[1].head:
        labels = {name: label for label, name in HEADS}
        titles = [
            f"{title} ({labels.get(choice.head, choice.head).lower()})"
            for title, choice in zip(titles, choices, strict=True)
        ]
    return titles[0], titles[1]


def no_examples() -> tuple[Any, Any]:
    """Nothing counted over the examples."""
    return render("compare_note", of="examples"), gr.Gallery(None, visible=False)
