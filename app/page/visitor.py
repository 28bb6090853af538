"""Who asks, as galleries of visitors know them: a browser, or a page where it keeps no cookie."""

from __future__ import annotations

from typing import Any

import gradio as gr

VISITOR = "wellspring.visitor"
"""Key of a request's scope: the name that a hosted server gave the browser."""


def visitor_of(request: gr.Request | None) -> str:
    """Who asks, as the session knows visitors; a server of one's own does not look at it."""
    return scope_of(request).get(VISITOR, "") or page_of(request)


def scope_of(request: gr.Request | None) -> dict[str, Any]:
    """What middleware noted of the request of a call; nothing where there is none."""
    return getattr(getattr(request, "request", None), "scope", {})


def page_of(request: gr.Request | None) -> str:
    """The page that asks, until it is loaded anew."""
    return (request.session_hash if request is not None else None) or ""
