"""What leads to what in the Map tab."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.context import get_render_context

from app.page.events import EACH, PRIVATE, QUIET, follow_query
from app.page.lines import MEASURE
from app.page.state import Page
from app.tabs.map.cards import Cards
from app.tabs.map.handlers import Handlers
from app.tabs.map.layout import lay


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    here, cards = get_render_context(), Cards(page.session)
    _connect(page, Handlers(page, lay(page, cards.peek, cards.pictures), cards), here)


def _connect(page: Page, handlers: Handlers, here: Any) -> None:
    tab = handlers.tab
    everything = [tab.state, tab.map, tab.results, tab.empty, tab.colour, tab.group]
    everything += [tab.nearby, tab.near, tab.neighbours, tab.moved, tab.moved_words, tab.movers]
    selection = [tab.words, tab.point, tab.shared, tab.chosen, tab.table, tab.made]
    asked = {tab.encoder, tab.head, tab.second, tab.colour, tab.image, tab.state, page.gallery}
    asked |= {page.marked, tab.level, tab.other_level}
    draw: dict[str, Any] = {
        "fn": handlers.draw,
        "inputs": asked,
        "outputs": [*everything, *selection],
        "show_progress_on": [tab.empty, tab.map],
        "concurrency_id": MEASURE,
        **PRIVATE,
    }
    triggers = [
        tab.draw.click,
        tab.first.ready.change,
        tab.head.input,
        tab.level.input,
        tab.other_level.input,
        tab.beside.ready.change,
        tab.image.upload,
        tab.image.clear,
    ]
    opened = [tab.state, tab.wanted, page.asked, tab.image, page.gallery]
    here.select(handlers.wanted, opened, tab.wanted, **QUIET)
    taken = follow_query(page, "map", tab.image, tab.encoder, second=tab.second)
    draws = [
        gr.on(triggers, trigger_mode="always_last", **draw),
        tab.wanted.change(**draw),
        taken.change(**{**draw, "fn": handlers.follow, "inputs": {*asked, page.tab}}),
    ]
    for drawn in draws:
        drawn.failure(handlers.refused, tab.image, tab.image, **QUIET)
    for other in (tab.first.renewed.success, page.changed.change):
        other(handlers.cleared, None, [*everything, *selection], **QUIET)
    known = [*everything, *selection]
    tab.colour.input(
        handlers.recolour, [tab.state, tab.colour], known, show_progress_on=tab.map, **PRIVATE
    )
    page.marked.change(
        handlers.mark,
        [tab.state, page.marked, tab.image, page.gallery],
        [tab.state, tab.map],
        **QUIET,
    )
    _connect_selection(page, handlers, known)


def _connect_selection(page: Page, handlers: Handlers, known: list[Any]) -> None:
    tab, linked = handlers.tab, handlers.linked
    tab.map.select(linked.select, tab.state, known, **EACH)
    tab.group.input(linked.choose, [tab.state, tab.group], known, **QUIET)
    lists = [(tab.chosen, linked.pick), (tab.movers, linked.pick_moved)]
    for pictures, picked in [*lists, (tab.neighbours, linked.pick_near)]:
        pictures.select(picked, tab.state, known, **EACH)
    asked = tab.point.select(
        linked.ask,
        [tab.state, page.sought, tab.encoder],
        [*known, page.sought, page.asked, page.example, tab.go],
        **QUIET,
    )
    sought = tab.made.click(
        linked.seek, [tab.state, page.sought], [tab.near, page.sought, tab.go], **QUIET
    )
    for gone in (asked, sought):
        gone.success(None, tab.go, tab.go, js=_GO, **QUIET)


_GO = "where => { window.wellspring.go(where); return ''; }"
"""Opens the tab that was asked for, once; nothing happens where none was."""
