"""What leads to what in the parts that fill a table of cases: several images, reverse, test."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from app.page.events import EACH, LAST, PRIVATE, QUIET, bring_into_view
from app.page.lines import BUILD, FINISHED
from app.page.state import Page
from app.tabs.attribute import batch_layout, reverse_layout, selftest_layout
from app.tabs.attribute.batch_handlers import BatchHandlers
from app.tabs.attribute.batch_handlers import cleared as batch_cleared
from app.tabs.attribute.layout import Controls
from app.tabs.attribute.reverse_handlers import ReverseHandlers
from app.tabs.attribute.selftest_handlers import SelftestHandlers
from app.tabs.attribute.selftest_handlers import cleared as test_cleared
from core.service import Tally


def _ask(
    button: gr.Button,
    handlers: BatchHandlers | ReverseHandlers | SelftestHandlers,
    given: set[Component],
    shown: list[Component],
) -> Any:
    """The event in which a button asks about many images, as the controls say."""
    return button.click(
        handlers.run,
        {*given, *handlers.controls.inputs, handlers.page.gallery},
        shown,
        show_progress_on=handlers.result.table,
        concurrency_id=BUILD,
        **PRIVATE,
    )


def connect_batch(
    page: Page,
    controls: Controls,
    batch: batch_layout.Batch,
    result: batch_layout.BatchResult,
    opened: gr.State,
) -> Any:
    """Connect the events; the one that sets the case that is opened."""
    done = gr.State(None)
    handlers = BatchHandlers(page, controls, batch, result, done)
    bring_into_view(batch.run.click, "ws-batch")
    run = _ask(batch.run, handlers, {batch.files, done}, [done, result.table])
    found = page.before.change(
        handlers.again, [page.before, done, page.gallery], [done, result.table], **QUIET
    )
    for ended in (run.success, run.failure, found.success):
        packed = ended(
            handlers.pack,
            done,
            result.download,
            show_progress_on=result.table,
            concurrency_id=FINISHED,
            **PRIVATE,
        )
        packed.failure(lambda: gr.DownloadButton(visible=False), None, result.download, **QUIET)
    shown = [done, result.table, result.download]
    page.gallery.change(handlers.of_gallery, [done, page.gallery], shown, **QUIET)
    batch.files.clear(batch_cleared, None, shown, **QUIET)
    return result.table.select(handlers.opened, done, opened, **QUIET)


def connect_reverse(
    page: Page,
    controls: Controls,
    reverse: reverse_layout.Reverse,
    result: reverse_layout.ReverseResult,
    opened: gr.State,
) -> tuple[ReverseHandlers, Any]:
    """Connect the events: what offers and gives the images of the last answer is left.

    Returns:
        The handlers for that, and the event that sets the case that is opened.
    """
    looked = gr.State(None)
    handlers = ReverseHandlers(page, controls, reverse, result, looked)
    asked = {reverse.source, reverse.taken, reverse.files, reverse.rate}
    shown = [looked, result.table, result.csv, result.report]
    run = _ask(reverse.run, handlers, asked, shown)
    bring_into_view(run.success, "ws-reverse")
    source = [reverse.source, reverse.taken, reverse.several]
    for own in (reverse.source.upload, reverse.source.clear):
        alone = [reverse.offered, reverse.taken, reverse.several]
        own(lambda: (None, None, gr.Markdown(visible=False)), None, alone, **QUIET)
    page.sought.change(handlers.sought, page.sought, [*source, reverse.offered], **QUIET)
    page.before.change(handlers.again, [page.before, looked, page.gallery], shown, **QUIET)
    page.gallery.change(
        handlers.of_gallery, [looked, page.gallery], [*source, reverse.offered, *shown], **QUIET
    )
    gr.on(
        [reverse.files.change, reverse.rate.change, page.gallery.change],
        handlers.foretell,
        [reverse.files, reverse.rate, page.gallery],
        reverse.limit,
        trigger_mode="always_last",
        **QUIET,
    )
    return handlers, result.table.select(handlers.opened, looked, opened, **QUIET)


def connect_test(
    page: Page,
    controls: Controls,
    test: selftest_layout.Selftest,
    result: selftest_layout.SelftestResult,
) -> SelftestHandlers:
    """Connect the events; what is left is where the picture to test is taken over."""
    tally, done = gr.State(Tally()), gr.State(None)
    handlers = SelftestHandlers(page, controls, test, result, tally)
    asked = {test.image, test.files, test.ways, test.far, tally}
    run = _ask(test.run, handlers, asked, [done, result.table, tally])
    bring_into_view(run.success, "ws-test")
    for ended in (run.success, run.failure):
        ended(handlers.export, done, result.download, concurrency_id=FINISHED, **QUIET)
    test.files.change(lambda files: gr.Image(visible=not files), test.files, test.image, **QUIET)
    for gone in (page.gallery.change, test.image.clear, test.files.clear):
        gone(test_cleared, None, [done, result.table, result.download], **QUIET)
    for turned in (test.ways.change, test.far.change):
        turned(handlers.measured, [test.ways, test.far], test.measured, **LAST)
    opened = result.table.select(handlers.opened, done, result.case, **EACH)
    bring_into_view(opened.success, "ws-trial")
    return handlers
