"""The page's address: it names tab, gallery, encoder and example, so that a link reopens them.

It never names an uploaded image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import gradio as gr

from app.common import Page, encoder_choices, first_encoder, serve_thumbnails, visitor_of
from core.values import WellspringError

_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
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

    outputs = [page.gallery, tabs, *page.linked, page.wanted]
    blocks.load(restore, None, outputs, **_QUIET)
    for name, tab in items.items():
        tab.select(None, js=f"() => window.wellspring.write('tab', '{name}')", **_QUIET)
    for chosen in page.linked:
        chosen.change(None, chosen, js=_WRITE.format(key="'encoder'"), **_QUIET)
    page.example.change(None, page.example, js=_WRITE.format(key="'example'"), **_QUIET)
    named = gr.Textbox(page.start, visible=False)
    page.gallery.change(lambda name: name, page.gallery, named, **_QUIET).success(
        None, named, js=_WRITE.format(key="'gallery'"), **_QUIET
    )


def restored(page: Page, request: gr.Request, *, names: tuple[str, ...]) -> list[Any]:
    """Gallery, tab, encoders and example that an address names; what is not there stays."""
    wanted = dict(request.query_params)
    gallery, encoders = _gallery(page, wanted.get("gallery", page.start), request)
    usual = page.encoder if gallery == page.start else first_encoder(encoders)
    encoder = wanted.get("encoder", usual)
    dropdown = gr.Dropdown(
        encoder_choices(encoders), value=encoder if encoder in encoders else usual
    )
    tab = gr.Tabs(selected=wanted["tab"]) if wanted.get("tab") in names else gr.skip()
    number = wanted.get("example", "")
    example = int(number) if re.fullmatch("[0-9]{1,4}", number) else 0
    return [gallery, tab, *(dropdown for _ in page.linked), example]


def _gallery(page: Page, name: str, request: gr.Request) -> tuple[str, tuple[str, ...]]:
    """A gallery that can be opened, and its encoders: the named one, or that of the start."""
    try:
        opened = page.session.gallery(name, visitor=visitor_of(request))
        if not page.session.server.hosted:
            serve_thumbnails(page.session, name)
    except WellspringError as error:
        gr.Warning(str(error), title="The link's gallery is not here")
        return page.start, page.encoders
    return name, tuple(opened.encoder_names)
