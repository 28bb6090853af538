"""What leads to what in the Attribute tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.page.errors import user_errors
from app.page.events import (
    EACH,
    LAST,
    PRIVATE,
    QUIET,
    bring_into_view,
    choose_example,
    chosen_of,
    follow_query,
    renew_examples,
    row_of,
)
from app.page.lines import ANSWER, JUDGE
from app.page.state import Page
from app.page.visitor import visitor_of
from app.tabs.attribute import batch_layout, case_events, reverse_layout, selftest_layout
from app.tabs.attribute.cases import Opened
from app.tabs.attribute.filter_handlers import FilterHandlers
from app.tabs.attribute.handlers import Handlers
from app.tabs.attribute.layout import (
    Controls,
    Query,
    Result,
    lay_controls,
    lay_query,
    lay_result,
)
from app.tabs.attribute.parts import PARTS, TO_TABS, TURN, remember, turned
from app.tabs.attribute.reason_handlers import ReasonHandlers


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_classes="ws-columns"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            with gr.Tabs(elem_classes="ws-switch", elem_id="ws-switch") as switch:
                with gr.Tab("One", id=PARTS[0]) as one:
                    query = lay_query(page)
                with gr.Tab("Several", id=PARTS[1]) as several:
                    batch = batch_layout.lay(page)
                with gr.Tab("Reverse", id=PARTS[2]) as backward:
                    reverse = reverse_layout.lay(page)
                with gr.Tab("Test", id=PARTS[3]) as trial:
                    test = selftest_layout.lay(page)
            controls = lay_controls(page)
        with gr.Column(scale=8, min_width=320):
            with gr.Column(elem_classes="ws-stage") as single:
                result = lay_result(page)
            with gr.Column(visible=False, elem_classes="ws-stage") as many:
                shown = batch_layout.lay_result()
            with gr.Column(visible=False, elem_classes="ws-stage") as other:
                found = reverse_layout.lay_result()
            with gr.Column(visible=False, elem_classes="ws-stage") as tried:
                outcome = selftest_layout.lay_result()
    stages = [single, many, other, tried]

    switch.select(None, None, stages, js=TURN, **QUIET)
    remember(switch, [one, several, backward, trial], stages)
    opened = gr.State(None)
    cases = [case_events.connect_batch(page, controls, batch, shown, opened)]
    backwards, looked = case_events.connect_reverse(page, controls, reverse, found, opened)
    search, searches = _connect(
        page, query, controls, result, cases=_Cases([*cases, looked], opened, [switch, *stages])
    )
    tests = case_events.connect_test(page, controls, test, outcome)

    def carry(
        image: Any, example: float, own: Any, carried: Any, event: gr.SelectData
    ) -> tuple[Any, Any]:
        if chosen_of(PARTS, event) != "test" or example:  # an example is nobody's own
            return gr.skip(), gr.skip()
        return tests.carry(image, own, carried)

    given = [query.image, page.example, test.image, test.carried]
    switch.select(carry, given, [test.image, test.carried], **EACH)
    for asked in searches:
        asked.then(backwards.offer, search, reverse.offered, **QUIET)
    reverse.offered.input(
        backwards.take,
        [search, reverse.offered],
        [reverse.source, reverse.taken, reverse.several],
        **QUIET,
    )


@dataclass(frozen=True)
class _Cases:
    """Where cases come from that are opened as single images."""

    events: list[Any]
    """After each of them, ``opened`` has a case."""
    opened: gr.State
    places: list[Any]
    """What turns to the single image: the tabs and what is beside them."""


def _connect(
    page: Page, query: Query, controls: Controls, result: Result, *, cases: _Cases
) -> tuple[gr.State, list[Any]]:
    """Connect the events of one image; the state of its search, and the events that set it."""
    handlers, reasons = Handlers(page, query, controls), ReasonHandlers(page, result.downloads)
    search, index, found = gr.State(None), gr.State(0), gr.State(None)
    picture = query.image
    answered = [search, index, result.answer, result.heading, result.candidates]
    answered += [result.column, result.why]
    ask: dict[str, Any] = {
        "fn": handlers.search,
        "inputs": {picture, *controls.inputs, page.gallery},
        "outputs": answered,
        "show_progress_on": result.answer,
        "concurrency_id": ANSWER,
        "trigger_mode": "always_last",
        **PRIVATE,
    }
    started = [page.example, picture]
    taken = choose_example(page, query.examples, picture)
    fetched = query.address.submit(
        handlers.fetched,
        query.address,
        [*started, query.address],
        show_progress_on=picture,
        concurrency_id="fetch",
        concurrency_limit=2,
        **PRIVATE,
    )
    renew_examples(page, controls.choice.renewed, query.examples)
    renewed, refiltered = _connect_filter(page, controls)
    page.changed.change(handlers.resized, [page.gallery, search], result.answer, **QUIET)
    controls.choice.unready.change(handlers.before, search, result.answer, **QUIET)
    triggers = [
        picture.upload,
        picture.clear,
        controls.choice.ready.change,
        controls.head.input,
        controls.scoring.input,
        controls.prior.input,
        refiltered.change,
    ]

    def open_case(opened: Opened | None, request: gr.Request) -> list[Any]:
        if opened is None:
            return [gr.skip() for _ in (*cases.places, *started, *answered)]
        one = [gr.Tabs(selected=PARTS[0]), *turned(0), 0, opened.search.image]
        with user_errors():
            return [*one, *handlers.shown(opened.search, visitor_of(request), index=opened.index)]

    into = [*cases.places, *started, *answered]
    cases_opened = [event.success(open_case, cases.opened, into, **QUIET) for event in cases.events]
    searches: list[Any] = [
        gr.on(triggers, **ask),
        taken.success(**ask),
        fetched.success(**ask),
        follow_query(page, "attribute", picture, controls.encoder, second=None).change(**ask),
        renewed.success(**ask),
        *cases_opened,
    ]
    by = result.sums.by
    summed = [result.sums.column, by, result.sums.table]
    for asked in searches:
        given = [picture, page.gallery, search]
        asked.failure(handlers.refused, given, [picture, *answered], **QUIET)
        _explain(reasons, asked, result, states=(search, index, found))
        asked.success(handlers.sum_up, [search, by], summed, **QUIET)
        bring_into_view(asked.success, "ws-answer")
    for opening in cases_opened:
        opening.success(None, None, None, js=TO_TABS, **QUIET)
    shown = result.to_map.click(handlers.marked, [search, index, page.marked], page.marked, **QUIET)
    shown.success(None, None, None, js="() => window.wellspring.go('Map')", **QUIET)
    by.input(handlers.sum_up, [search, by], summed, **QUIET)
    picked = result.candidates.select(row_of, None, index, **EACH)
    _explain(reasons, picked, result, states=(search, index, found))
    result.reading.input(reasons.look, [search, found, result.reading], result.pair, **QUIET)
    ends = [result.most, result.least, result.side]
    result.dimension.input(reasons.excite, [search, found, result.dimension], ends, **QUIET)
    return search, searches


def _connect_filter(page: Page, controls: Controls) -> tuple[Any, gr.State]:
    """Connect the filter.

    Returns:
        The event after which it is another gallery's, and a state that changes when one was given
        that can be read.
    """
    handlers, given = FilterHandlers(page), gr.State(0)
    kept = {"inputs": [controls.where, page.gallery], **QUIET}
    kept["outputs"] = [controls.where, page.filter, controls.wrong]
    renewed = controls.choice.renewed.success(handlers.keep, **kept)
    page.changed.change(handlers.keep, **kept)
    written, judged = [controls.where, page.filter, page.gallery], [page.filter, controls.wrong]
    controls.where.submit(handlers.submit, [*written, given], [*judged, given], **LAST)
    controls.where.blur(handlers.judge, written, judged, **LAST)
    return renewed, given


def _explain(
    handlers: ReasonHandlers, after: Any, result: Result, *, states: tuple[gr.State, ...]
) -> None:
    """After a search or a choice: the reasons, their images, and the files of both."""
    search, index, found = states
    outputs = [
        found,
        result.pair,
        result.levels,
        result.reading,
        result.record,
        result.words,
        result.stable,
        result.single,
        result.bars,
        result.dimension,
    ]
    given = [search, index, result.reading]
    why = after.success(handlers.explain, given, outputs, **LAST)  # keys are quicker
    marked = [result.stable, result.single, result.bars, result.dimension]
    judged = why.success(
        handlers.judge,
        [search, found],
        marked,
        concurrency_id=JUDGE,
        concurrency_limit=1,
        **QUIET,
    )
    ends = [result.most, result.least, result.side]
    judged.success(handlers.excite, [search, found, result.dimension], ends, **QUIET)
    files = list(result.downloads.buttons)
    exported = judged.then(
        handlers.export,
        [search, found],
        files,
        show_progress="minimal",
        show_progress_on=result.heading,
        **PRIVATE,
    )
    exported.failure(handlers.no_files, None, files, **QUIET)
