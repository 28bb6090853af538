"""Assembly of the app: the header and the tabs, and how they are served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from app import api
from app.page import address, notice, theme
from app.page.jobs import Stamped
from app.page.state import open_page
from app.tabs import attribute, compare, disentanglement, gallery, map
from app.views.templates import render
from core.service import Session

_TABS = [
    ("Attribute", "attribute", attribute.create),
    ("Compare", "compare", compare.create),
    ("Disentanglement", "disentanglement", disentanglement.create),
    ("Map", "map", map.create),
    ("Gallery", "gallery", gallery.create),
]
"""Label, identity and layout of every tab, in their order."""


def build(session: Session, *, gallery: str = "builtin", encoder: str | None = None) -> gr.Blocks:
    """The app over one gallery; no model is loaded before the first query.

    Args:
        session: opens encoders and galleries.
        gallery: ``builtin`` or, when not hosted, a folder.
        encoder: the encoder chosen at first; the program's default where the gallery has it.

    Raises:
        GalleryError: when the gallery cannot be opened, or lacks the encoder.
    """
    with gr.Blocks(
        title="Wellspring", analytics_enabled=False, delete_cache=(3600, 3600)
    ) as blocks:
        gr.HTML(render("header"))
        notice.create(session, gallery)
        page = open_page(session, gallery=gallery, encoder=encoder)
        items: dict[str, gr.Tab] = {}
        with gr.Tabs(elem_id="ws-tabs") as tabs:
            for label, name, create in _TABS:
                with gr.Tab(label, id=name) as items[name]:
                    create(page)
        api.publish(page)
        address.connect(blocks, page, tabs, items)
    return blocks.queue(max_size=64, default_concurrency_limit=2)


def launch_options() -> dict[str, Any]:
    """What ``launch`` takes wherever the app is served."""
    return {
        "theme": theme.theme(),
        "css_paths": theme.STYLESHEETS,
        "head": render("head"),
        "footer_links": ["api"],
        "mcp_server": True,
        "max_file_size": "200mb",
        "run_history": False,
        "show_error": False,  # errors for people are shown anyway; others may name files here
        "ssr_mode": False,
        "allowed_paths": [],
        "app_kwargs": {"middleware": [Middleware(Stamped)]},
        "favicon_path": str(Path(theme.ASSETS) / "favicon.svg"),
    }
