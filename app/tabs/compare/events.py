"""What leads to what in the Compare tab."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from app.page.components import query_given, stop_button
from app.page.events import PRIVATE, QUIET, follow_query
from app.page.state import Page
from app.tabs.compare.handlers import Handlers, no_examples
from app.tabs.compare.layout import Side, Table, lay_choices, lay_examples, lay_matches
from app.views.templates import render


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_classes="ws-desk"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            image, starts = query_given(
                page, image_id="ws-compare-query", examples_id="ws-compare-starts"
            )
        with gr.Column(scale=8, min_width=320):
            choices = lay_choices(page)
            with gr.Column(elem_classes="ws-stage"):
                agreement = gr.HTML(
                    render("empty", of="compare"), elem_id="ws-agreement", min_height=180
                )
                stop_button(page, "compare", elem_id="ws-stop-compare", on_result=True)
            with gr.Column(visible=False, elem_classes="ws-results") as column:
                which, found = lay_matches()
            examples, differing, over = lay_examples(page)
    sides = tuple(Side(*choice, *shown) for choice, shown in zip(choices, found, strict=True))
    table = Table(image, starts, agreement, column, which, examples, differing)
    handlers = Handlers(page, table, (sides[0], sides[1]))
    _connect(handlers, over=over)


def _connect(handlers: Handlers, *, over: gr.Button) -> None:
    page, table, (left, right) = handlers.page, handlers.table, handlers.sides
    found = gr.State(None)
    matches: list[Component] = [left.matches, right.matches]
    outputs = [found, table.agreement, left.verdict, right.verdict, *matches, table.column]
    controls = {left.encoder, left.head, right.encoder, right.head, page.gallery}
    ask: dict[str, Any] = {
        "fn": handlers.search,
        "inputs": {table.image, table.which, *controls},
        "outputs": outputs,
        "show_progress_on": table.agreement,
        "concurrency_id": "encoder",
        **PRIVATE,
    }
    first = [page.example, table.image, table.starts]
    started = table.starts.select(handlers.start, page.gallery, first, **QUIET)
    taken = follow_query(page, "compare", table.image, left.encoder, second=right.encoder)
    changes = [
        change for side in handlers.sides for change in (side.choice.ready.change, side.head.input)
    ]
    searches: list[Any] = [
        gr.on([table.image.upload, table.image.clear, *changes], trigger_mode="always_last", **ask),
        started.success(**ask),
        taken.change(**ask),
        right.choice.renewed.success(**ask),
    ]
    for asked in searches:
        asked.failure(handlers.refused, table.image, [table.image, *outputs], **QUIET)
    right.choice.renewed.success(handlers.renew, page.gallery, table.starts, **QUIET)
    table.which.input(handlers.show, [found, table.which], matches, **QUIET)
    shown: list[Component] = [table.examples, table.differing]
    ran = over.click(
        handlers.over_examples,
        controls,
        shown,
        show_progress_on=table.examples,
        concurrency_id="encoder",
        **PRIVATE,
    )
    ran.failure(no_examples, None, shown, **QUIET)
    gr.on(changes, no_examples, None, shown, **QUIET)
    right.choice.renewed.success(no_examples, None, shown, **QUIET)
