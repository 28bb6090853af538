"""The handlers of the Compare tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app.page.errors import user_errors, without_unreadable
from app.page.events import Given
from app.page.files import downloadable, offered
from app.page.jobs import PROGRESS
from app.page.pictures import Pictures, fetchable, first_example, pictures
from app.page.state import Page, PageQuery, side_names
from app.page.visitor import visitor_of
from app.tabs.compare.layout import Side, Table
from app.views import compare as views
from app.views import reasons
from app.views.matches import group_of
from app.views.templates import render
from core.report import comparison_csv, comparison_json, examples_csv, examples_json, words
from core.service import DEPTHS, Choice, RankingComparison, compare_answers, compare_examples
from core.values import Answer, Explanation

_DEPTH = DEPTHS[-1]
_AGAIN = "choose the image again"
_SHOWN = 12  # matches of either side that are shown; all of them are in the files


@dataclass(frozen=True)
class Comparison:
    """A finished comparison: what later events need of it."""

    image: str
    choices: tuple[Choice, Choice]
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
        """Search on both sides.

        The comparison, the chosen match, agreement, verdicts, matches, their title and column.
        """
        image, visitor = given[self.table.image], visitor_of(request)
        is_last = self.page.jobs.latest("compare", request)
        if image is None:
            return self.cleared()
        with self.page.jobs.run("compare", request, progress) as report:
            report(0, 1, "Opening the encoders and the gallery")
            where = given[self.page.filter] or None
            first, second = (replace(choice, where=where) for choice in self._choices(given))
            choices = first, second
            left, right = (
                self.page.session.attribute(
                    image, choice, top=_DEPTH, visitor=visitor, progress=report
                )
                for choice in choices
            )
        found = Comparison(image, choices, (left, right), compare_answers(left, right))
        first = left.matches[0].image.id
        shown = (
            found,
            first,
            views.agreement_html(found.found, scope=_scope(left)),
            views.verdict_html(left),
            views.verdict_html(right),
            *self.show(found, given[self.table.which], request),
            f"### {views.both_title(left, right)}",
            gr.Column(visible=True),
        )
        return shown if is_last() else tuple(gr.skip() for _ in shown)

    def cleared(self) -> tuple[Any, ...]:
        """What :meth:`search` returns where there is nothing to show."""
        empty = render("empty", of="compare")
        return None, None, empty, "", "", None, None, gr.skip(), gr.Column(visible=False)

    def refused(self, image: str | None, found: Comparison | None) -> tuple[Any, ...]:
        """After a failure an image that cannot be opened goes; a comparison of this one stays."""
        readable, cleared = without_unreadable(self.page.session, image), self.cleared()
        if found is None or readable is None or found.image != image:
            return readable, *cleared
        kept = [gr.skip() for _ in cleared]
        kept[2] = self.before(found)
        return readable, *kept

    @staticmethod
    def before(found: Comparison | None) -> Any:
        """How the rankings agree, marked as those of what was chosen before."""
        if found is None:
            return gr.skip()
        left, right = side_names(found.choices)
        words = f"This is the comparison before: {left} and {right}."
        return views.agreement_html(found.found, scope=_scope(found.answers[0]), before=words)

    @staticmethod
    def refilter(tab: str, where: str, found: Comparison | None, count: int) -> Any:
        """Ask once more where the tab is open and what it shows is of another filter."""
        stale = found is not None and (found.choices[0].where or "") != where
        return count + 1 if tab == "compare" and stale else gr.skip()

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

    def picked(
        self, found: Comparison | None, which: str, event: gr.SelectData, *, side: int
    ) -> tuple[int | None, Any]:
        """The match that was selected on a side; it can be selected again."""
        if found is None:
            return None, gr.Gallery(selected_index=None)
        answer, place = found.answers[side], int(event.index)
        rows = views.shown_rows(answer, found.found, which)
        chosen = answer.matches[rows[place]].image.id if 0 <= place < len(rows) else None
        return chosen, gr.Gallery(selected_index=None)

    def on_left(self, found: Comparison | None, which: str, event: gr.SelectData) -> Any:
        """The match that was selected on the left."""
        return self.picked(found, which, event, side=0)

    def on_right(self, found: Comparison | None, which: str, event: gr.SelectData) -> Any:
        """The match that was selected on the right."""
        return self.picked(found, which, event, side=1)

    def explain(
        self,
        found: Comparison | None,
        image_id: int | None,
        reading: str | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[Any, ...]:
        """Why the chosen match is one, on both sides.

        Its places, what may be marked, levels, and pair and words of either side.
        """
        if found is None or image_id is None:
            return tuple(gr.skip() for _ in range(7))
        session, visitor = self.page.session, visitor_of(request)
        names = side_names(found.choices)
        with self.page.jobs.run("compare", request, progress, again=_AGAIN) as report:
            gallery = session.gallery(found.choices[0].gallery, visitor=visitor)
            images = session.pair(found.image, gallery, image_id)
            left, right = (
                session.explain(found.image, image_id, choice, visitor=visitor, progress=report)
                for choice in found.choices
            )
        possible = [
            reasons.readings(each, group_of(answer, image_id), level=answer.level)
            for each, answer in zip((left, right), found.answers, strict=True)
        ]
        either = views.either_side(possible)
        chosen = reading if reading in either else either[0]
        pairs = [
            _pair(each, own, images, reading=chosen)
            for each, own in zip((left, right), possible, strict=True)
        ]
        words = [views.by_html(answer, image_id) for answer in found.answers]
        several = len(either) > 1
        return (
            views.chosen_html(found.answers, left.match, names),
            gr.Radio(either, value=chosen if several else None, visible=several),
            views.levels_html((left, right), names),
            *(pairs[0], words[0]),
            *(pairs[1], words[1]),
        )

    def export(self, found: Comparison | None) -> tuple[Any, ...]:
        """The comparison as files."""
        csv, json = self.table.downloads
        if found is None:
            return gr.skip(), gr.skip()
        names, query = side_names(found.choices), Path(found.image).name
        table = comparison_csv(found.answers, names)
        whole = comparison_json(query, found.answers, found.found, names)
        return (
            downloadable(table.encode(), csv, name="comparison.csv"),
            downloadable(whole.encode(), json, name="comparison.json"),
        )

    def begin(
        self,
        name: str,
        tab: str,
        image: str | None,
        asked: PageQuery | None,
        count: int,
        request: gr.Request,
    ) -> tuple[Any, Any]:
        """The first example, where nothing was asked in any tab; as :func:`first_example`."""
        if tab != "compare" or image is not None or (asked is not None and asked.image):
            return gr.skip(), gr.skip()
        file = first_example(self.page.session, name, visitor=visitor_of(request))
        return (file, count + 1) if file else (gr.skip(), gr.skip())

    def over_examples(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, ...]:
        """Both sides over the gallery's examples: the table, what is wrong, and files."""
        visitor, choices = visitor_of(request), self._choices(given)
        session = self.page.session
        with self.page.jobs.run("compare", request, progress) as report:
            report(0, 1, "Opening the encoders and the gallery")
            listed = session.examples(choices[0], visitor=visitor, progress=report).examples
            counted = [row for row, each in enumerate(listed) if not each.chosen]
            examples = [listed[row] for row in counted]
            if not examples:
                return render("compare_note", of="no examples"), *no_examples()[1:]
            left, right = (
                session.example_answers(choice, visitor=visitor, progress=report)
                for choice in choices
            )
            sides = ([side[row] for row in counted] for side in (left, right))
            found = compare_examples(examples, *sides)
        wrong = [(fetchable(examples[i].file), who) for i, who in views.differing(found)]
        names, (csv, json) = side_names(choices), self.table.counted
        files = (
            (examples_csv(found, names), csv, "examples.csv"),
            (examples_json(found, names), json, "examples.json"),
        )
        return (
            views.examples_html(found, names, chosen=len(listed) - len(counted)),
            gr.Gallery(wrong, visible=bool(wrong)),
            *(offered(text.encode(), button, name=file) for text, button, file in files),
        )

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
        rows = views.shown_rows(own, found.found, which)[:_SHOWN]
        records = [own.matches[row].image for row in rows]
        captions = views.marked_captions(own, other, there=there)
        with user_errors():
            name = found.choices[0].gallery
            files = pictures(self.page.session, name, records, visitor=visitor_of(request))
        return [(file, captions[row]) for (file, _), row in zip(files, rows, strict=True)]


def _scope(answer: Answer) -> str:
    """Among which images was looked, where they are not all."""
    return f"Looked at {words.counted(answer)} only." if answer.scope else ""


def no_examples() -> tuple[Any, ...]:
    """Nothing counted over the examples."""
    hidden = [gr.DownloadButton(visible=False) for _ in range(2)]
    return render("compare_note", of="examples"), gr.Gallery(None, visible=False), *hidden


def _pair(
    found: Explanation,
    possible: Sequence[str],
    images: tuple[Image.Image, Image.Image],
    *,
    reading: str,
) -> str:
    """The two images of one side under a reading; plain, and with a word, where it has none."""
    if reading not in possible:
        return reasons.pair_html(found, images, reading=reasons.PLAIN, lacks=reading)
    noise = reasons.is_noise(found, possible)
    return reasons.pair_html(found, images, reading=reading, noise=noise)
