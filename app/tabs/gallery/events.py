"""What leads to what in the Gallery tab."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.context import Context

from app.page.events import EACH, LAST, PRIVATE, QUIET, bring_into_view
from app.page.lines import BUILD, MEASURE
from app.page.state import Page
from app.tabs.gallery.handlers import Handlers
from app.tabs.gallery.layout import Tab, build_choices, lay
from app.tabs.gallery.shelf_handlers import ShelfHandlers


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    tab = lay(page)
    shelf = ShelfHandlers(page, tab.shelf)
    handlers = Handlers(page, tab, shelf)
    heavy: dict[str, Any] = {
        "concurrency_id": BUILD,
        "show_progress_on": tab.status,
        **PRIVATE,
    }
    _connect_opening(handlers, heavy)
    _connect_shelf(shelf)
    _connect_changes(handlers, heavy)
    _connect_checks(handlers, {**heavy, "concurrency_id": MEASURE})


def _shown(tab: Tab) -> list[Any]:
    """What is told of a gallery."""
    about = [tab.opened, tab.title, tab.facts, tab.locked, tab.changes, tab.name, tab.added]
    about += [tab.add, tab.refresh, tab.prune, tab.template]
    shelf = tab.shelf
    about += [*shelf.wanted, shelf.pictures, shelf.leaf, shelf.chosen, shelf.bar]
    about += [shelf.said, shelf.undo]
    return [*about, *shelf.buttons]


def _connect_opening(handlers: Handlers, heavy: dict[str, Any]) -> None:
    page, tab, name = handlers.page, handlers.tab, handlers.page.gallery
    show: dict[str, Any] = {
        "fn": handlers.show,
        "inputs": name,
        "outputs": _shown(tab),
        **QUIET,
    }
    name.change(**show)
    name.change(handlers.cleared, None, _results(tab), **QUIET)
    name.change(lambda: None, None, tab.shelf.undone, **QUIET)
    if Context.root_block is not None:
        Context.root_block.load(**show)
    said = [tab.status, tab.account, tab.steps]
    tab.opened.input(handlers.open, tab.opened, [name, *said], **QUIET)
    inputs = [tab.archive, tab.folder, tab.dataset]
    tab.kind.change(handlers.kinds, tab.kind, inputs, **QUIET)
    page.prepared.change(lambda: gr.CheckboxGroup(build_choices()), None, tab.encoders, **QUIET)
    given = {tab.kind, *inputs, tab.encoders}
    on_building = {**heavy, "show_progress_on": tab.building}
    bring_into_view(tab.build.click, "ws-gallery-run", wide=True)
    built = tab.build.click(handlers.build, given, [name, *said], **on_building)
    bring_into_view(built.success, "ws-gallery-status", wide=True)


def _connect_shelf(handlers: ShelfHandlers) -> None:
    """Looking and choosing."""
    shelf = handlers.shelf
    given = {handlers.page.gallery, *shelf.wanted, shelf.leaf, shelf.chosen}
    shown = [shelf.pictures, shelf.leaf]
    gr.on(
        [shelf.search.input, shelf.value.input, shelf.order.input],
        handlers.look,
        given,
        shown,
        **LAST,
    )
    shelf.column.input(handlers.values, given, [shelf.value, *shown], **LAST)
    chosen = [*shown, shelf.chosen, *shelf.buttons]
    shelf.which.input(handlers.turned, given, [shelf.value, *chosen], **LAST)
    told = shelf.pictures.select(handlers.told, given, [*shown, shelf.chosen], **EACH)
    told.success(handlers.counted, [shelf.chosen, shelf.which], shelf.buttons, **LAST)
    shelf.every.click(handlers.every, given, chosen, **LAST)
    shelf.none.click(handlers.none, given, chosen, **LAST)
    shelf.remove.click(handlers.ask, shelf.chosen, [shelf.sure, shelf.sure_words], **QUIET)
    shelf.kept.click(lambda: gr.Column(visible=False), None, shelf.sure, **QUIET)


def _connect_changes(handlers: Handlers, heavy: dict[str, Any]) -> None:
    """What changes the gallery; what is shown of it follows, and what answers need of it."""
    tab, shelf, name = handlers.tab, handlers.tab.shelf, handlers.page.gallery
    given, changed = {name, *shelf.wanted, shelf.leaf}, handlers.page.changed
    again = [tab.opened, tab.title, tab.facts, tab.locked, tab.name, tab.added, shelf.which]
    again += [shelf.value, shelf.pictures, shelf.chosen, *shelf.buttons]

    def follow(done: Any) -> Any:
        done.success(lambda count: count + 1, changed, changed, **LAST)
        shown = done.success(handlers.again, given, again, **LAST)
        return shown.success(handlers.cleared, None, _results(tab), **LAST)

    for button, work, more in (
        (tab.add, handlers.add, tab.added),
        (shelf.removed, handlers.remove, shelf.chosen),
        (tab.refresh, handlers.refresh, shelf.chosen),
        (tab.prune, handlers.prune, shelf.chosen),
    ):
        follow(button.click(work, [name, more], [tab.status, tab.account, tab.added], **heavy))
    undo = [shelf.said, shelf.undone, shelf.undo]
    on_said = {**heavy, "show_progress_on": shelf.said}
    for button, work, more in (
        (shelf.opt_out, handlers.pictures.opt_out, shelf.chosen),
        (shelf.opt_in, handlers.pictures.opt_in, shelf.chosen),
        (shelf.undo, handlers.pictures.undo, shelf.undone),
    ):
        follow(button.click(work, [name, more], undo, **QUIET)).success(
            handlers.finish, name, shelf.said, trigger_mode="multiple", **on_said
        )
    gr.on(
        [tab.rename.click, tab.name.submit],
        handlers.rename,
        [name, tab.name],
        [tab.status, tab.opened, tab.title],
        **QUIET,
    )
    tab.fill_in.click(handlers.fill_in, name, tab.template, **QUIET)


def _connect_checks(handlers: Handlers, heavy: dict[str, Any]) -> None:
    """Near-duplicates, heads and files."""
    tab, name = handlers.tab, handlers.page.gallery
    choice = [name, tab.encoder]
    on_twins = {**heavy, "show_progress_on": tab.twins_words}
    tab.find.click(handlers.duplicates, choice, [tab.twins, tab.twins_words], **on_twins)
    on_fitted = {**heavy, "show_progress_on": tab.fitted}
    tab.fit.click(handlers.fit, [*choice, tab.head], tab.fitted, **on_fitted)
    on_health = {**heavy, "show_progress_on": tab.health}
    tab.verify.click(handlers.verify, name, tab.health, **on_health)


def _results(tab: Tab) -> list[Any]:
    """What was found of a gallery, which a change makes untrue."""
    return [tab.twins, tab.twins_words, tab.fitted, tab.health]
