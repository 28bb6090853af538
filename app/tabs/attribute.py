"""The Attribute tab: an image in; the answer, its candidate sources and their reasons out."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.common import Page, share
from app.tabs import attribute_batch, attribute_reverse
from app.tabs.attribute_desk import Desk
from app.tabs.attribute_layout import Controls, Query, Result, lay_controls, lay_query, lay_result

_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_QUIET: dict[str, Any] = {**_PRIVATE, "show_progress": "hidden"}


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_classes="ws-desk"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            with gr.Tabs(elem_classes="ws-switch"):
                with gr.Tab("One image") as one:
                    query = lay_query(page)
                with gr.Tab("Several") as several:
                    batch = attribute_batch.lay()
                with gr.Tab("Reverse") as back:
                    reverse = attribute_reverse.lay()
            controls = lay_controls(page)
        with gr.Column(scale=8, min_width=320):
            with gr.Column(elem_classes="ws-stage") as single:
                result = lay_result(page)
            with gr.Column(visible=False, elem_classes="ws-stage") as many:
                shown = attribute_batch.lay_result()
            with gr.Column(visible=False, elem_classes="ws-stage") as other:
                found = attribute_reverse.lay_result()
    stages = [single, many, other]
    for tab, stage in zip((one, several, back), stages, strict=True):
        columns = [gr.Column(visible=each is stage) for each in stages]
        tab.select(lambda columns=columns: columns, None, stages, **_QUIET)
    search, searches = _connect(page, query, controls, result)
    attribute_batch.connect(page, controls, batch, shown)
    backwards = attribute_reverse.connect(page, controls, reverse, found)
    for asked in searches:
        asked.then(backwards.offer, search, reverse.offered, **_QUIET)
    reverse.offered.input(
        backwards.take, [search, reverse.offered], [reverse.source, reverse.taken], **_QUIET
    )


def chosen(event: gr.SelectData) -> int:
    """Place of what was selected."""
    return int(event.index)


def _connect(
    page: Page, query: Query, controls: Controls, result: Result
) -> tuple[gr.State, list[Any]]:
    """Connect the events of one image; the state of its search, and the events that set it."""
    desk = Desk(page, query, controls, result.downloads)
    search, index, found = gr.State(None), gr.State(0), gr.State(None)
    picture = query.image
    answered = [search, index, result.answer, result.candidates, result.column]
    ask: dict[str, Any] = {
        "fn": desk.search,
        "inputs": {picture, *controls.inputs, page.gallery},
        "outputs": answered,
        "show_progress_on": result.answer,
        "concurrency_id": "encoder",
        **_PRIVATE,
    }
    started = [page.example, picture]
    taken = query.examples.select(desk.taken, page.gallery, [*started, query.examples], **_QUIET)
    controls.renewed.success(desk.examples, page.gallery, query.examples, **_QUIET)
    triggers = [
        picture.upload,
        picture.clear,
        controls.encoder.input,
        controls.head.input,
        controls.scoring.input,
        controls.prior.input,
    ]
    searches: list[Any] = [
        gr.on(triggers, trigger_mode="always_last", **ask),
        taken.success(**ask),
        share(page, "attribute", picture, controls.encoder, beside=None).change(**ask),
        controls.renewed.success(**ask),
    ]
    by = result.sums.by
    summed = [result.sums.column, by, result.sums.table]
    result.stop.click(None, cancels=searches, **_QUIET)
    for asked in searches:
        asked.failure(desk.refused, [picture, page.gallery], [picture, *answered], **_QUIET)
        _explain(desk, asked, result, states=(search, index, found))
        asked.success(desk.sum_up, [search, by], summed, **_QUIET)
        asked.success(None, None, None, js="() => window.wellspring.show('ws-answer')", **_QUIET)
    by.input(desk.sum_up, [search, by], summed, **_QUIET)
    picked = result.candidates.select(chosen, None, index, **_QUIET)
    _explain(desk, picked, result, states=(search, index, found))
    result.reading.input(desk.look, [search, found, result.reading], result.pair, **_QUIET)
    ends = [result.most, result.least, result.side]
    result.dimension.input(desk.excite, [search, found, result.dimension], ends, **_QUIET)
    return search, searches


def _explain(desk: Desk, after: Any, result: Result, *, states: tuple[gr.State, ...]) -> None:
    """After a search or a choice: the reasons, their images, and the files of both."""
    search, index, found = states
    outputs = [
        found,
        result.pair,
        result.reading,
        result.record,
        result.words,
        result.stable,
        result.bars,
        result.dimension,
    ]
    why = after.success(desk.explain, [search, index, result.reading], outputs, **_QUIET)
    ends = [result.most, result.least, result.side]
    why.success(desk.excite, [search, found, result.dimension], ends, **_QUIET)
    marked = [result.stable, result.bars, result.dimension]
    judged = why.success(
        desk.judge, [search, found], marked, concurrency_id="judge", concurrency_limit=1, **_QUIET
    )
    judged.then(desk.export, [search, found], list(result.downloads.buttons), **_QUIET)
