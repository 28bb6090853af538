"""What leads to what in the Compare tab."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from app.page.events import (
    EACH,
    LAST,
    PRIVATE,
    QUIET,
    bring_into_view,
    choose_example,
    follow_query,
    renew_examples,
)
from app.page.lines import ANSWER, MEASURE
from app.page.state import Page
from app.tabs.compare.handlers import Handlers, no_examples
from app.tabs.compare.layout import lay


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    table, sides, over = lay(page)
    _connect(Handlers(page, table, sides), over=over)


def _connect(handlers: Handlers, *, over: gr.Button) -> None:
    page, table, (left, right) = handlers.page, handlers.table, handlers.sides
    found, chosen = gr.State(None), gr.State(None)
    matches: list[Component] = [left.matches, right.matches]
    outputs = [found, chosen, table.agreement, left.verdict, right.verdict, *matches]
    outputs += [table.title, table.column]
    controls = {left.encoder, left.head, right.encoder, right.head, page.gallery, page.filter}
    ask: dict[str, Any] = {
        "fn": handlers.search,
        "inputs": {table.image, table.which, *controls},
        "outputs": outputs,
        "show_progress_on": table.agreement,
        "concurrency_id": ANSWER,
        "trigger_mode": "always_last",
        **PRIVATE,
    }
    started = choose_example(page, table.starts, table.image)
    begun = gr.State(0)
    page.tab.change(
        handlers.begin,
        [page.gallery, page.tab, table.image, page.asked, begun],
        [table.image, begun],
        **QUIET,
    )
    gr.on(
        [page.tab.change, page.filter.change],
        handlers.refilter,
        [page.tab, page.filter, found, begun],
        begun,
        **QUIET,
    )
    taken = follow_query(page, "compare", table.image, None)
    changes = [
        change for side in handlers.sides for change in (side.choice.ready.change, side.head.input)
    ]
    for side in handlers.sides:
        side.choice.unready.change(handlers.before, found, table.agreement, **QUIET)
    searches: list[Any] = [
        gr.on([table.image.upload, table.image.clear, *changes], **ask),
        started.success(**ask),
        taken.change(**ask),
        begun.change(**ask),
        right.choice.renewed.success(**ask),
    ]
    for asked in searches:
        given = [table.image, found]
        asked.failure(handlers.refused, given, [table.image, *outputs], **QUIET)
        _explain(handlers, asked.success, (found, chosen))
        asked.success(handlers.export, found, list(table.downloads), **QUIET)
    renew_examples(page, right.choice.renewed, table.starts)
    for side, work in ((left, handlers.on_left), (right, handlers.on_right)):
        picked = side.matches.select(work, [found, table.which], [chosen, side.matches], **EACH)
        _explain(handlers, picked.success, (found, chosen))
        bring_into_view(picked.success, "ws-looked")
    _explain(handlers, table.reading.input, (found, chosen))
    table.which.input(handlers.show, [found, table.which], matches, **QUIET)
    shown: list[Component] = [table.examples, table.differing, *table.counted]
    ran = over.click(
        handlers.over_examples,
        controls,
        shown,
        show_progress_on=table.examples,
        concurrency_id=MEASURE,
        **PRIVATE,
    )
    ran.failure(no_examples, None, shown, **QUIET)
    gr.on(changes, no_examples, None, shown, **QUIET)
    right.choice.renewed.success(no_examples, None, shown, **QUIET)


def _explain(handlers: Handlers, after: Any, states: tuple[gr.State, gr.State]) -> None:
    """After a search or a choice of match or marks: both sides' reasons for the chosen match."""
    table, (left, right) = handlers.table, handlers.sides
    sides = [left.pair, left.by, right.pair, right.by]
    outputs = [table.looked, table.reading, table.levels, *sides]
    given = [*states, table.reading]
    after(handlers.explain, given, outputs, **LAST)
