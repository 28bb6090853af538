"""Assembly of the app: the header and the tabs, and how they are served."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from app import api
from app.guard.allowed import Allowed
from app.guard.guard import Guard
from app.guard.headers import Headers
from app.guard.order import guard_first
from app.page import address, lines, notice, theme
from app.page.image_forms import take_images
from app.page.jobs import Stamped
from app.page.opening import Opening
from app.page.sessions import CAPACITY, light_sessions
from app.page.state import open_page
from app.tabs import attribute, compare, disentanglement, gallery, map
from app.views.templates import render
from core.config import ServerConfig
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
    import timm  # noqa: F401, PLC0415 - seconds of imports: now, and not beside the first page

    server = session.server
    age = (server.session_seconds, server.session_seconds)  # of uploads, looked at as often
    with gr.Blocks(title="Wellspring", analytics_enabled=False, delete_cache=age) as blocks:
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
    lines.assign(blocks)
    take_images(blocks, hosted=server.hosted)
    blocks.queue(
        max_size=server.max_waiting, default_concurrency_limit=server.at_once, api_open=False
    )
    # After every call Gradio sums up the last 10,000 by pandas, for a page that is not served here.
    blocks._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
    return blocks


def launch_options(guard: Guard | None = None) -> dict[str, Any]:
    """What ``launch`` takes wherever the app is served.

    Args:
        guard: keeps limits and shows metrics; it watches the app that is launched.
    """
    bare = {"middleware": [Middleware(Headers), Middleware(Allowed)]}
    given = guard.app_options() if guard else bare
    server = guard.server if guard else ServerConfig()
    return {
        "theme": theme.theme(),
        "css_paths": theme.STYLESHEETS,
        "head": render("head"),
        "footer_links": ["api"],
        "mcp_server": True,
        "max_file_size": server.max_upload_bytes,
        "run_history": False,
        "show_error": False,  # errors for people are shown anyway; others may name files here
        "ssr_mode": False,
        "enable_monitoring": False,
        "allowed_paths": [],
        "state_session_capacity": CAPACITY,
        "app_kwargs": {
            **given,
            "middleware": [*given["middleware"], Middleware(Stamped), Middleware(Opening)],
            "lifespan": _started,
        },
        "favicon_path": str(Path(theme.ASSETS) / "favicon.svg"),
    }


@contextlib.asynccontextmanager
async def _started(app: Any) -> AsyncIterator[None]:
    """What is changed of the web app as it starts."""
    async with light_sessions(app), guard_first(app):
        yield
