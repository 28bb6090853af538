"""What leads to what in the Gallery tab."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.context import Context

from app.page.events import PRIVATE, QUIET
from app.page.state import Page
from app.tabs.gallery.handlers import Handlers
from app.tabs.gallery.layout import lay


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    _connect(page, Handlers(page, lay(page)))


def _connect(page: Page, handlers: Handlers) -> None:
    tab, name = handlers.tab, page.gallery
    about = [tab.opened, tab.title, tab.facts, tab.locked, tab.changes, tab.added, tab.add]
    about += [tab.refresh, tab.prune, tab.template, tab.shelf, tab.shelf_words, tab.chosen]
    results = [tab.twins, tab.twins_words, tab.fitted, tab.health]
    heavy: dict[str, Any] = {
        "concurrency_id": "encoder",
        "show_progress_on": tab.status,
        **PRIVATE,
    }
    show: dict[str, Any] = {"fn": handlers.show, "inputs": name, "outputs": about, **QUIET}
    page.gallery.change(**show)
    page.gallery.change(handlers.cleared, None, results, **QUIET)
    if Context.root_block is not None:
        Context.root_block.load(**show)
    tab.opened.input(handlers.open, tab.opened, [name, tab.status, tab.account], **QUIET)
    inputs = [tab.archive, tab.folder, tab.dataset]
    tab.kind.change(handlers.kinds, tab.kind, inputs, **QUIET)
    given = {tab.kind, *inputs, tab.encoders}
    tab.build.click(handlers.build, given, [name, tab.status, tab.account], **heavy)
    shelf = [tab.shelf, tab.shelf_words]
    tab.search.input(lambda: 1, None, tab.leaf, **QUIET)
    gr.on(
        [tab.search.input, tab.leaf.input],
        handlers.browse,
        [name, tab.search, tab.leaf],
        shelf,
        trigger_mode="always_last",
        **QUIET,
    )
    picking = [name, tab.search, tab.leaf, tab.chosen]
    tab.shelf.select(handlers.pick, picking, [tab.chosen, tab.shelf], **QUIET)
    for button, work, more in (
        (tab.add, handlers.add, tab.added),
        (tab.remove, handlers.remove, tab.chosen),
        (tab.refresh, handlers.refresh, tab.chosen),
        (tab.prune, handlers.prune, tab.chosen),
    ):
        done = button.click(work, [name, more], [tab.status, tab.account, tab.added], **heavy)
        done.success(**show).success(handlers.cleared, None, results, **QUIET)
    tab.fill_in.click(handlers.fill_in, name, tab.template, **QUIET)
    choice = [name, tab.encoder]
    on_twins = {**heavy, "show_progress_on": tab.twins_words}
    tab.find.click(handlers.duplicates, choice, [tab.twins, tab.twins_words], **on_twins)
    on_fitted = {**heavy, "show_progress_on": tab.fitted}
    tab.fit.click(handlers.fit, [*choice, tab.head], tab.fitted, **on_fitted)
    on_health = {**heavy, "show_progress_on": tab.health}
    tab.verify.click(handlers.verify, name, tab.health, **on_health)
