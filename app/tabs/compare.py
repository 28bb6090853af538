"""The Compare tab: one image, two ways to search for it, what they share and which is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from app import views, views_compare
from app.common import (
    HEADS,
    Page,
    Pictures,
    encoder_choices,
    encoder_dropdown,
    example_pictures,
    pictures,
    query_given,
    require,
    share,
    spoken,
    taken_as,
    thumbnails,
    unopened,
    visitor_of,
)
from app.stops import Stops, stop_button, stoppable
from core.measures.compare import (
    DEPTHS,
    RankingComparison,
    compare_answers,
    compare_examples,
)
from core.report.report import answer_object
from core.service.session import Choice
from core.values import Answer, WellspringError

_DEPTH = DEPTHS[-1]
_PREFERRED = ("dino", "moco", "random")  # what the right side shows at first, if it is there
_PROGRESS = gr.Progress()
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_QUIET: dict[str, Any] = {**_PRIVATE, "show_progress": "hidden"}
_WHERE = ("left", "right")

Given = dict[Component, Any]
"""Values of components, by component."""


@dataclass(frozen=True)
class Comparison:
    """A finished comparison: what later events need of it."""

    gallery: str
    answers: tuple[Answer, Answer]
    found: RankingComparison


@dataclass(frozen=True)
class Side:
    """One way to search, and what it finds."""

    encoder: gr.Dropdown
    renewed: Dependency
    """The event after which the encoders are those of another gallery."""
    head: gr.Dropdown
    verdict: gr.HTML
    matches: gr.Gallery


@dataclass(frozen=True)
class Table:
    """The components of the tab that are not one side's."""

    image: gr.Image
    starts: gr.Gallery
    agreement: gr.HTML
    column: gr.Column
    which: gr.Radio
    examples: gr.HTML
    differing: gr.Gallery


@dataclass(frozen=True)
class Desk:
    """The handlers of the tab: each calls the session, makes a view and returns it."""

    page: Page
    table: Table
    sides: tuple[Side, Side]
    stops: Stops

    def search(
        self, given: Given, request: gr.Request, progress: gr.Progress = _PROGRESS
    ) -> tuple[Any, ...]:
        """Search for the image on both sides: comparison, agreement, verdicts, matches, column."""
        image, visitor = given[self.table.image], visitor_of(request)
        if image is None:
            return self.cleared()
        with stoppable(self.stops, request, progress) as report:
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
            views_compare.agreement_html(found.found),
            views_compare.verdict_html(left),
            views_compare.verdict_html(right),
            *self.show(found, given[self.table.which], request),
            gr.Column(visible=True),
        )

    def cleared(self) -> tuple[Any, ...]:
        """What :meth:`search` returns where there is nothing to show."""
        return None, views.fill("compare_empty"), "", "", None, None, gr.Column(visible=False)

    def refused(self, image: str | None) -> tuple[Any, ...]:
        """After a failure: nothing to show, and an image that cannot be opened goes too."""
        kept = gr.skip()
        try:
            self.page.session.image(image or "")
        except WellspringError:
            kept = None
        return kept, *self.cleared()

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
        with spoken():
            shown = example_pictures(self.page.session, name, visitor=visitor_of(request))
        place = int(event.index)
        return place + 1, shown[place][0], gr.Gallery(selected_index=None)

    def renew(self, name: str, request: gr.Request) -> Pictures:
        """The images to start from in another gallery."""
        with spoken():
            return example_pictures(self.page.session, name, visitor=visitor_of(request))

    def over_examples(
        self, given: Given, request: gr.Request, progress: gr.Progress = _PROGRESS
    ) -> tuple[Any, Any]:
        """Both sides over the gallery's examples."""
        visitor, choices = visitor_of(request), self._choices(given)
        session = self.page.session
        with stoppable(self.stops, request, progress) as report:
            report(0, 1, "Opening the encoders and the gallery")
            examples = session.examples(choices[0], visitor=visitor, progress=report).examples
            if not examples:
                return views.fill("compare_no_examples"), gr.Gallery(visible=False)
            left, right = (
                session.example_answers(choice, visitor=visitor, progress=report)
                for choice in choices
            )
            found = compare_examples(examples, left, right)
        wrong = [(str(examples[i].file), who) for i, who in views_compare.differing(found)]
        table = views_compare.examples_html(found, side_names(choices))
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
        rows = views_compare.shown_rows(own, found.found, which)
        records = [own.matches[row].image for row in rows]
        captions = views_compare.marked_captions(own, other, there=there)
        with spoken():
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


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_classes="ws-desk"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            image, starts = query_given(
                page, image_id="ws-compare-query", examples_id="ws-compare-starts"
            )
        with gr.Column(scale=8, min_width=320):
            choices = _lay_choices(page)
            with gr.Column(elem_classes="ws-stage"):
                agreement = gr.HTML(
                    views.fill("compare_empty"), elem_id="ws-agreement", min_height=180
                )
                stop = stop_button("ws-stop-compare")
            with gr.Column(visible=False, elem_classes="ws-results") as column:
                which, found = _lay_matches()
            examples, differing, *buttons = _lay_examples()
    sides = tuple(Side(*choice, *shown) for choice, shown in zip(choices, found, strict=True))
    table = Table(image, starts, agreement, column, which, examples, differing)
    desk = Desk(page, table, (sides[0], sides[1]), Stops())
    _connect(desk, over=buttons[0], stops=(stop, buttons[1]))
    _publish(page)


def _lay_choices(page: Page) -> list[tuple[gr.Dropdown, Dependency, gr.Dropdown]]:
    others = [name for name in _PREFERRED if name in page.encoders and name != page.encoder]
    second = next(iter([*others, *(n for n in page.encoders if n != page.encoder)]), page.encoder)
    found: list[tuple[gr.Dropdown, Dependency, gr.Dropdown]] = []
    with gr.Row(elem_classes="ws-sides"):
        for where, encoder in zip(_WHERE, (page.encoder, second), strict=True):
            with gr.Column(min_width=280), gr.Group():
                chosen, renewed = encoder_dropdown(
                    page,
                    label=f"Encoder on the {where}",
                    value=encoder,
                    linked=where == _WHERE[0],
                )
                head = gr.Dropdown(
                    HEADS, value="default", label=f"Head on the {where}", filterable=False
                )
                found.append((chosen, renewed, head))
    return found


def _lay_matches() -> tuple[gr.Radio, list[tuple[gr.HTML, gr.Gallery]]]:
    with gr.Row(elem_classes=["ws-title", "ws-which-title"]):
        gr.Markdown("### Candidate sources")
        which = gr.Radio(
            [views_compare.ALL, views_compare.BOTH, views_compare.ONE],
            value=views_compare.ALL,
            label="Which are shown",
            show_label=False,
            container=False,
            elem_id="ws-which",
        )
    gr.HTML(views.fill("compare_key"))
    found: list[tuple[gr.HTML, gr.Gallery]] = []
    with gr.Row(elem_classes="ws-sides"):
        for where in _WHERE:
            with gr.Column(min_width=280):
                verdict = gr.HTML(elem_id=f"ws-verdict-{where}")
                label = f"Candidate sources, {where}"
                found.append((verdict, thumbnails(label, columns=4, elem_id=f"ws-{where}")))
    return which, found


def _lay_examples() -> tuple[gr.HTML, gr.Gallery, gr.Button, gr.Button]:
    gr.Markdown("### Over the gallery's examples", elem_classes="ws-chapter")
    with gr.Row(elem_classes="ws-commands"):
        over = gr.Button("Compare over all examples", variant="primary", elem_id="ws-over")
        stop = stop_button("ws-stop-over")
    examples = gr.HTML(views.fill("compare_examples_empty"), elem_id="ws-over-found", min_height=60)
    differing = thumbnails("Examples that a side gets wrong", columns=6, elem_id="ws-differing")
    differing.visible = False
    return examples, differing, over, stop


def _connect(desk: Desk, *, over: gr.Button, stops: Sequence[gr.Button]) -> None:
    page, table, (left, right) = desk.page, desk.table, desk.sides
    found = gr.State(None)
    matches: list[Component] = [left.matches, right.matches]
    outputs = [found, table.agreement, left.verdict, right.verdict, *matches, table.column]
    controls = {left.encoder, left.head, right.encoder, right.head, page.gallery}
    ask: dict[str, Any] = {
        "fn": desk.search,
        "inputs": {table.image, table.which, *controls},
        "outputs": outputs,
        "show_progress_on": table.agreement,
        "concurrency_id": "encoder",
        **_PRIVATE,
    }
    first = [page.example, table.image, table.starts]
    started = table.starts.select(desk.start, page.gallery, first, **_QUIET)
    taken = share(page, "compare", table.image, left.encoder, beside=right.encoder)
    changes = [choice.input for side in desk.sides for choice in (side.encoder, side.head)]
    searches: list[Any] = [
        gr.on([table.image.upload, table.image.clear, *changes], trigger_mode="always_last", **ask),
        started.success(**ask),
        taken.change(**ask),
        right.renewed.success(**ask),
    ]
    for asked in searches:
        asked.failure(desk.refused, table.image, [table.image, *outputs], **_QUIET)
    right.renewed.success(desk.renew, page.gallery, table.starts, **_QUIET)
    table.which.input(desk.show, [found, table.which], matches, **_QUIET)
    shown: list[Component] = [table.examples, table.differing]
    ran = over.click(
        desk.over_examples,
        controls,
        shown,
        show_progress_on=table.examples,
        concurrency_id="encoder",
        **_PRIVATE,
    )
    ran.failure(_no_examples, None, shown, **_QUIET)
    gr.on(changes, _no_examples, None, shown, **_QUIET)
    right.renewed.success(_no_examples, None, shown, **_QUIET)
    for stop in stops:
        stop.click(desk.stops.stop_asked, None, None, queue=False, **_QUIET)
    desk.stops.stop_when_left()


def _no_examples() -> tuple[Any, Any]:
    return views.fill("compare_examples_empty"), gr.Gallery(None, visible=False)


def _publish(page: Page) -> None:
    """The public endpoint; its components are never shown."""

    def compare(
        image: str, encoder: str, head: str, other_encoder: str, other_head: str
    ) -> dict[str, object]:
        """Compare two ways to search a gallery for the sources of one image.

        Args:
            image: the image file; JPEG, PNG, WebP, GIF, BMP or TIFF.
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.
            other_encoder: the encoder of the second way.
            other_head: the head of the second way.

        Returns:
            first and second: each the answer in one sentence, its matches (best first: id, file,
            score, cosine, group), groups (p_value, confidence, influence), none, p_value, and the
            identities of what was used; overlaps (share of the first k that both have, by k),
            rank_biased_overlap, spearman (of the common images; null for fewer than three), and
            common, only_first and only_second, lists of ids.
        """
        require(image)
        with spoken():
            first, second = (
                page.session.attribute(image, choice, top=_DEPTH)
                for choice in (
                    Choice(encoder, head, page.start),
                    Choice(other_encoder, other_head, page.start),
                )
            )
        return comparison_object(Path(image).name, first, second)

    with gr.Group(visible=False):
        image = taken_as(gr.Image(type="filepath", label="image"), unopened)
        names = encoder_choices(page.encoders)
        inputs: list[Component] = [image]
        for prefix in ("", "other_"):
            inputs.append(gr.Dropdown(names, value=page.encoder, label=f"{prefix}encoder"))
            inputs.append(gr.Dropdown(HEADS, value="default", label=f"{prefix}head"))
        gr.Button().click(
            compare,
            inputs,
            gr.JSON(label="comparison"),
            api_name="compare",
            concurrency_id="encoder",
        )


def comparison_object(query: str, first: Answer, second: Answer) -> dict[str, object]:
    """A comparison as the JSON object of ``/compare``."""
    found = compare_answers(first, second)
    overlaps = {str(depth): share for depth, share in found.overlaps.items()}
    return {
        "first": _for_clients(query, first),
        "second": _for_clients(query, second),
        **vars(found),
        "overlaps": overlaps,
    }


def _for_clients(query: str, answer: Answer) -> dict[str, object]:
    """An answer without keys called ``path``: Gradio's clients take those for files to fetch."""
    found = answer_object(query, answer)
    matches: Any = found["matches"]
    renamed = [{"file" if k == "path" else k: v for k, v in match.items()} for match in matches]
    return {**found, "matches": renamed}
