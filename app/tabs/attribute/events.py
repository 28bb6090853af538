"""What leads to what in the Attribute tab."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.page.events import PRIVATE, QUIET, chosen, follow_query
from app.page.state import Page
from app.tabs.attribute import batch_layout, reverse_layout, selftest_layout
from app.tabs.attribute.batch_handlers import BatchHandlers
from app.tabs.attribute.batch_handlers import cleared as batch_cleared
from app.tabs.attribute.handlers import Handlers, row_of
from app.tabs.attribute.layout import (
    Controls,
    Query,
    Result,
    lay_controls,
    lay_query,
    lay_result,
)
from app.tabs.attribute.reverse_handlers import ReverseHandlers
from app.tabs.attribute.reverse_handlers import cleared as reverse_cleared
from app.tabs.attribute.selftest_handlers import SelftestHandlers
from app.tabs.attribute.selftest_handlers import cleared as test_cleared
from app.views.selftest import Tally


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_classes="ws-desk"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            with gr.Tabs(elem_classes="ws-switch") as switch:
                with gr.Tab("One"):
                    query = lay_query(page)
                with gr.Tab("Several"):
                    batch = batch_layout.lay(page)
                with gr.Tab("Reverse"):
                    reverse = reverse_layout.lay(page)
                with gr.Tab("Test"):
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

    def turn(event: gr.SelectData) -> list[gr.Column]:
        return [gr.Column(visible=i == chosen(event)) for i in range(len(stages))]

    switch.select(turn, None, stages, trigger_mode="always_last", **QUIET)
    search, searches = _connect(page, query, controls, result)
    _connect_batch(page, controls, batch, shown)
    backwards = _connect_reverse(page, controls, reverse, found)
    _connect_test(page, controls, test, outcome)
    for asked in searches:
        asked.then(backwards.offer, search, reverse.offered, **QUIET)
    reverse.offered.input(
        backwards.take, [search, reverse.offered], [reverse.source, reverse.taken], **QUIET
    )


def _connect(
    page: Page, query: Query, controls: Controls, result: Result
) -> tuple[gr.State, list[Any]]:
    """Connect the events of one image; the state of its search, and the events that set it."""
    handlers = Handlers(page, query, controls, result.downloads)
    search, index, found = gr.State(None), gr.State(0), gr.State(None)
    picture = query.image
    answered = [search, index, result.answer, result.heading, result.candidates]
    answered += [result.column, result.why]
    ask: dict[str, Any] = {
        "fn": handlers.search,
        "inputs": {picture, *controls.inputs, page.gallery},
        "outputs": answered,
        "show_progress_on": result.answer,
        "concurrency_id": "encoder",
        **PRIVATE,
    }
    started = [page.example, picture]
    taken = query.examples.select(handlers.taken, page.gallery, [*started, query.examples], **QUIET)
    fetched = query.address.submit(
        handlers.fetched,
        query.address,
        [*started, query.address],
        show_progress_on=picture,
        concurrency_id="fetch",
        concurrency_limit=2,
        **PRIVATE,
    )
    controls.renewed.success(handlers.examples, page.gallery, query.examples, **QUIET)
    triggers = [
        picture.upload,
        picture.clear,
        controls.ready.change,
        controls.head.input,
        controls.scoring.input,
        controls.prior.input,
    ]
    searches: list[Any] = [
        gr.on(triggers, trigger_mode="always_last", **ask),
        taken.success(**ask),
        fetched.success(**ask),
        follow_query(page, "attribute", picture, controls.encoder, second=None).change(**ask),
        controls.renewed.success(**ask),
    ]
    by = result.sums.by
    summed = [result.sums.column, by, result.sums.table]
    for asked in searches:
        asked.failure(handlers.refused, [picture, page.gallery], [picture, *answered], **QUIET)
        _explain(handlers, asked, result, states=(search, index, found))
        asked.success(handlers.sum_up, [search, by], summed, **QUIET)
        asked.success(None, None, None, js="() => window.wellspring.show('ws-answer')", **QUIET)
    by.input(handlers.sum_up, [search, by], summed, **QUIET)
    picked = result.candidates.select(row_of, None, index, trigger_mode="always_last", **QUIET)
    _explain(handlers, picked, result, states=(search, index, found))
    result.reading.input(handlers.look, [search, found, result.reading], result.pair, **QUIET)
    ends = [result.most, result.least, result.side]
    result.dimension.input(handlers.excite, [search, found, result.dimension], ends, **QUIET)
    return search, searches


def _explain(
    handlers: Handlers, after: Any, result: Result, *, states: tuple[gr.State, ...]
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
    last: dict[str, Any] = {"trigger_mode": "always_last", **QUIET}  # keys are quicker than reasons
    why = after.success(handlers.explain, given, outputs, **last)
    marked = [result.stable, result.single, result.bars, result.dimension]
    judged = why.success(
        handlers.judge,
        [search, found],
        marked,
        concurrency_id="judge",
        concurrency_limit=1,
        **QUIET,
    )
    ends = [result.most, result.least, result.side]
    judged.success(handlers.excite, [search, found, result.dimension], ends, **QUIET)
    judged.then(handlers.export, [search, found], list(result.downloads.buttons), **QUIET)


def _connect_batch(
    page: Page, controls: Controls, batch: batch_layout.Batch, result: batch_layout.BatchResult
) -> None:
    """Connect the events."""
    handlers, done = BatchHandlers(page, controls, batch, result), gr.State(None)
    given = {batch.files, *controls.inputs, page.gallery}
    run = batch.run.click(
        handlers.run,
        given,
        [done, result.table],
        show_progress_on=result.table,
        concurrency_id="encoder",
        **PRIVATE,
    )
    batch.run.click(None, None, None, js="() => window.wellspring.show('ws-batch')", **QUIET)
    for ended in (run.success, run.failure):
        ended(handlers.pack, done, result.download, **QUIET)
    for gone in (page.gallery.change, batch.files.clear):
        gone(batch_cleared, None, [done, result.table, result.download], **QUIET)


def _connect_reverse(
    page: Page,
    controls: Controls,
    reverse: reverse_layout.Reverse,
    result: reverse_layout.ReverseResult,
) -> ReverseHandlers:
    """Connect the events; what is left is where the last answer offers and gives its images."""
    handlers = ReverseHandlers(page, controls, reverse, result)
    asked = {reverse.source, reverse.taken, reverse.files, reverse.rate, page.gallery}
    shown = [result.table, result.download]
    run = reverse.run.click(
        handlers.run,
        {*asked, *controls.inputs},
        shown,
        show_progress_on=result.table,
        concurrency_id="encoder",
        **PRIVATE,
    )
    run.success(None, None, None, js="() => window.wellspring.show('ws-reverse')", **QUIET)
    source = [reverse.source, reverse.taken]
    for own in (reverse.source.upload, reverse.source.clear):
        own(lambda: (None, None), None, [reverse.offered, reverse.taken], **QUIET)
    page.gallery.change(reverse_cleared, None, [*source, reverse.offered, *shown], **QUIET)
    return handlers


def _connect_test(
    page: Page, controls: Controls, test: selftest_layout.Selftest, result: gr.HTML
) -> None:
    """Connect the events."""
    tally = gr.State(Tally())
    handlers = SelftestHandlers(page, controls, test, tally)
    run = test.run.click(
        handlers.run,
        {test.image, test.way, test.far, tally, *controls.inputs, page.gallery},
        [result, tally],
        show_progress_on=result,
        concurrency_id="encoder",
        **PRIVATE,
    )
    run.success(None, None, None, js="() => window.wellspring.show('ws-test')", **QUIET)
    for gone in (page.gallery.change, test.image.clear):
        gone(test_cleared, None, [result, tally], **QUIET)
