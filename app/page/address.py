"""The page's address: it names tab, gallery, encoder, example and filter; a link reopens them.

It never names an uploaded image or a folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import gradio as gr

from app.page import pictures
from app.page.errors import as_text
from app.page.events import EACH, QUIET, chosen_of
from app.page.pictures import example_picture, serve_thumbnails
from app.page.state import (
    FIRST_TAB,
    WELCOME,
    Page,
    PageQuery,
    first_encoder,
    named_by_owner,
    offered_choices,
    wrong_filter,
)
from app.page.visitor import page_of, visitor_of
from core.service import LONGEST_FILTER
from core.values import WellspringError

_AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
_WRITE = "value => window.wellspring.write({key}, value)"


def connect(blocks: gr.Blocks, page: Page, tabs: gr.Tabs, items: Mapping[str, gr.Tab]) -> None:
    """Read the address when the page opens, and keep it up to date.

    Args:
        blocks: the app.
        page: its page.
        tabs: the tabs.
        items: every tab by its name.
    """

    def restore(request: gr.Request) -> list[Any]:
        return restored(page, request, names=tuple(items))

    lost = gr.Textbox("", visible=False)

    def followed(
        name: str, example: int, asked: PageQuery | None, request: gr.Request
    ) -> tuple[str, int, Any]:
        kept = kept_example(page, name, example, asked, request=request)
        rest = _without_example(asked, gone=example > 0 and not kept)
        return page.session.library.link_of(name), kept, rest

    def opened(event: gr.SelectData) -> str:
        return chosen_of(list(items), event)

    addressed = gr.State(0)
    outputs = [page.gallery, tabs, page.tab, addressed, lost, page.where, page.filter]
    outputs += page.linked
    outputs += [other for other, _ in page.others]
    read = blocks.load(restore, None, outputs, **QUIET)  # only so it can warn
    read.success(None, lost, js="name => name && window.wellspring.forget()", **_AT_ONCE)

    _follow_reloads(page, read)

    def welcomed(
        name: str, encoder: str, tab: str, number: int, asked: PageQuery | None, request: gr.Request
    ) -> tuple[Any, Any]:
        if asked is not None:  # who was quick asks already
            return gr.skip(), gr.skip()
        return welcome(page, name, encoder, tab=tab, number=number, request=request)

    seen = [page.gallery, page.linked[0], page.tab, addressed, page.asked]
    read.then(welcomed, seen, [page.example, page.asked], **QUIET)
    tabs.select(opened, None, page.tab, **EACH)
    for name, tab in items.items():
        tab.select(None, js=f"() => window.wellspring.write('tab', '{name}')", **_AT_ONCE)
    for linked in page.linked:
        linked.change(None, linked, js=_WRITE.format(key="'encoder'"), **_AT_ONCE)
    page.example.change(None, page.example, js=_WRITE.format(key="'example'"), **_AT_ONCE)
    page.filter.change(None, page.filter, js=_WRITE.format(key="'where'"), **_AT_ONCE)
    named = gr.Textbox("", visible=False)
    changed = page.gallery.change(
        followed,
        [page.gallery, page.example, page.asked],
        [named, page.example, page.asked],
        **_AT_ONCE,
    )
    changed.success(None, named, js=_WRITE.format(key="'gallery'"), **_AT_ONCE)


def _follow_reloads(page: Page, read: Any) -> None:
    """Tell the tabs which page this one is instead of, and let the browser note its own number.

    Args:
        page: the page.
        read: the event after which the gallery is known.
    """
    number, before = gr.Textbox("", visible=False), "() => window.wellspring.before"
    numbered = read.success(_numbers, number, [page.before, number], js=before, **QUIET)
    numbered.success(None, number, js="number => window.wellspring.note(number)", **_AT_ONCE)


def _numbers(before: str, request: gr.Request) -> tuple[str, str]:
    """Of the page before, as the browser noted it, and of this one."""
    return before, page_of(request)


def restored(page: Page, request: gr.Request, *, names: tuple[str, ...]) -> list[Any]:
    """Gallery, tab, example, filter and encoders of an address; what is not there stays.

    The example is not asked about here: an image that was dropped meanwhile would be undone.
    """
    wanted = dict(request.query_params)
    linked = wanted.get("gallery")
    name = page.session.library.linked(linked) if linked else page.start
    gallery, encoders, lost = _gallery(page, name, request)
    usual = _usual(page, gallery, encoders)
    encoder = wanted.get("encoder", usual)
    encoder = encoder if encoder in encoders else usual
    dropdown = gr.Dropdown(offered_choices(encoders), value=encoder)
    if (gallery, encoder) == (page.start, page.encoder):  # who was quick may have chosen already
        dropdown = gr.Dropdown(offered_choices(encoders))
    tab = wanted.get("tab") if wanted.get("tab") in names else None
    selected = gr.Tabs(selected=tab) if tab else gr.skip()
    number = "0" if lost else wanted.get("example", "")
    example = int(number) if re.fullmatch("[0-9]{1,4}", number) else 0
    shown = [gallery, selected, tab or gr.skip(), example, lost]
    shown += ["" if lost else _filter(page, gallery, wanted.get("where", ""), request)] * 2
    others = [opening(encoders, wanted.get("encoder", "")) for _, opening in page.others]
    return [*shown, *(dropdown for _ in page.linked), *others]


def welcome(
    page: Page, gallery: str, encoder: str, *, tab: str, number: int, request: gr.Request
) -> tuple[Any, Any]:
    """Number and query of the example with which a page opens: the address's, else the first.

    Nothing is asked in another tab than the first by itself.
    """
    if file := _example(page, gallery, number, request):
        return number, PageQuery(file, encoder, WELCOME)
    if tab != FIRST_TAB:
        return gr.skip(), gr.skip()
    file = pictures.first_example(page.session, gallery, visitor=visitor_of(request))
    return (1, PageQuery(file, encoder, WELCOME)) if file else (gr.skip(), gr.skip())


def _usual(page: Page, gallery: str, encoders: tuple[str, ...]) -> str:
    """The encoder where an address names none: the first ready one that the owner named."""
    if gallery != page.start:
        return first_encoder(encoders)
    return next(iter(named_by_owner(page, encoders)), page.encoder)


def _without_example(asked: PageQuery | None, *, gone: bool) -> Any:
    """What is asked where the example was another gallery's, which is no query here."""
    return gr.skip() if asked is None or not gone else PageQuery(None, asked.encoder)


def kept_example(
    page: Page, gallery: str, example: int, asked: PageQuery | None, *, request: gr.Request
) -> int:
    """The example's number where it is still the same image in the gallery now looked at."""
    file = _example(page, gallery, example, request)
    return example if asked is not None and file == asked[0] else 0


def _example(page: Page, gallery: str, number: int, request: gr.Request) -> str | None:
    """File of a gallery's example, counted from 1."""
    try:
        return example_picture(page.session, gallery, number, visitor=visitor_of(request))
    except WellspringError:
        return None


def _filter(page: Page, name: str, where: str, request: gr.Request) -> str:
    """The filter of an address, where it can be read."""
    where = where[:LONGEST_FILTER]
    wrong = wrong_filter(where, page.session.gallery(name, visitor=visitor_of(request)))
    if wrong:
        gr.Warning(as_text(wrong), title="The link's filter cannot be read", duration=None)
    return "" if wrong else where


def _gallery(page: Page, name: str, request: gr.Request) -> tuple[str, tuple[str, ...], str]:
    """A gallery that can be opened and its encoders, the start's where the named one is lost."""
    try:
        opened = page.session.gallery(name, visitor=visitor_of(request))
        if not page.session.server.hosted:
            serve_thumbnails(page.session, name)
    except WellspringError as error:
        gr.Warning(as_text(str(error)), title="The link's gallery is not here")
        return page.start, page.encoders, name
    return name, tuple(opened.encoder_names), ""
