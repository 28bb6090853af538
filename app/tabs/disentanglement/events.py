"""What leads to what in the Disentanglement tab."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from app.page.events import EACH, LAST, PRIVATE, QUIET, Given
from app.page.lines import MEASURE
from app.page.state import Page
from app.tabs.disentanglement.handlers import Handlers, cleared
from app.tabs.disentanglement.layout import lay_controls, lay_result


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_classes="ws-columns"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            controls = lay_controls(page)
        with gr.Column(scale=8, min_width=320, elem_classes="ws-stage"):
            result = lay_result(page)
    _connect(Handlers(page, controls, result))


def _connect(handlers: Handlers) -> None:
    page, controls, result = handlers.page, handlers.controls, handlers.result
    measured, opened = gr.State(None), gr.State(0)
    given: set[Component] = {*controls.given, page.gallery}
    factors, dimension = result.factors, result.dimension
    outputs: list[Any] = [result.overview, result.column, result.levels, result.table]
    outputs += [dimension.named, dimension.numbers, dimension.chosen, *result.downloads]
    for matrix in result.matrices:
        outputs += [matrix.row, *matrix.titles, *matrix.plots]
    outputs += [factors.column, *factors.titles, *factors.plots, *factors.words]
    heads = [controls.head.input, controls.beside_head.input]
    chosen = [controls.choice.ready.change, controls.beside.ready.change]

    def wanted(now: Given, request: gr.Request) -> Any:
        """One more time that the tab was opened with nothing shown of what is measured."""
        here = now[page.tab] == "disentanglement" and now[measured] is None
        return now[opened] + 1 if here and handlers.known(now, request) else gr.skip()

    page.tab.change(wanted, {*given, page.tab, measured, opened}, opened, **QUIET)
    ran = gr.on(
        [controls.run.click, opened.change, *chosen, *heads],
        handlers.measure,
        given,
        outputs,
        show_progress_on=result.overview,
        trigger_mode="always_last",
        concurrency_id=MEASURE,
        **PRIVATE,
    )
    ran.failure(cleared, None, [measured, result.overview, result.column], **QUIET)
    kept = ran.success(handlers.choice, given, measured, **QUIET)
    kept.success(handlers.look, [measured, dimension.chosen], dimension.shown, **QUIET)
    dimension.chosen.input(handlers.look, [measured, dimension.chosen], dimension.shown, **LAST)
    picked = dimension.named.select(
        handlers.pick, dimension.numbers, [dimension.chosen, dimension.named], **EACH
    )
    picked.success(handlers.look, [measured, dimension.chosen], dimension.shown, **LAST)
    controls.choice.renewed.success(
        cleared, None, [measured, result.overview, result.column], **QUIET
    )
