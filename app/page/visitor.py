"""Who asks, as galleries of visitors know them: a browser, or a page where it keeps no cookie."""

from __future__ import annotations

import gradio as gr

VISITOR = "wellspring.visitor"
"""Key of a request's scope: the name that a hosted server gave the browser."""


def visitor_of(request: gr.Request | None) -> str:
    """Who asks, as the session knows visitors; a server of one's own does not look at it."""
    named = getattr(getattr(request, "request", None), "scope", {}).get(VISITOR, "")
    return named or page_of(request)


def page_of(request: gr.Request | None) -> str:
    """The page that asks, until it is loaded anew."""
    return (request.session_hash if request is not None else None) or ""
