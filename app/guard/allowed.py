"""Which routes are open: what the page, the documented API and MCP clients ask for, and no other.

Gradio has some forty more: for a monitoring page, custom components, recordings of the screen, code
written by a model. Nothing here needs them, and each takes what strangers send.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.guard.limits import Refusal
from app.guard.metrics import Metrics
from app.guard.origins import is_addressed, is_foreign
from app.page.opening import path_of

_READ = re.compile(
    r"""
    / | /config/? | /(theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon)
    | /(assets|static|svelte)/.+
    | /(health|ready|metrics)
    | /gradio_api/(
        info/? | app_id/? | startup-events | heartbeat/[^/]+ | queue/data | upload_progress
        | call/[^/]+/[^/]+ | file=.+ | mcp/? | mcp/schema
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_SENT = re.compile(
    r"/gradio_api/"
    r"(upload|queue/join|run/predict|component_server/?|cancel|reset/?|call/[^/]+/?|mcp/?)"
)
_OPEN = {"GET": _READ, "HEAD": _READ, "POST": _SENT, "DELETE": re.compile("/gradio_api/mcp/?")}

_NOTHING = Refusal("route", 404, "there is nothing here; reload the page")
_NOWHERE = Refusal("address", 400, "the request names this server by what is no address")
_FOREIGN = Refusal("origin", 403, "pages of other sites may not ask here; open the page itself")


def refusal_of(scope: Scope) -> Refusal | None:
    """Why a request is not passed on, before any of its body is read."""
    known = _OPEN.get(scope["method"])
    if known is None or not known.fullmatch(path_of(scope)):
        return _NOTHING
    if "/component_server" in path_of(scope) and not _is_json(scope):
        return _NOTHING  # the map asks for cards and pictures; files are not sent there
    if not is_addressed(scope):
        return _NOWHERE
    return _FOREIGN if is_foreign(scope) else None


def _is_json(scope: Scope) -> bool:
    kind = Headers(scope=scope).get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/json"


class Allowed:
    """Middleware that passes on what is open."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics | None = None) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refused = refusal_of(scope) if scope["type"] == "http" else None
        if refused and self.metrics:
            self.metrics.refused.labels(refused.limit).inc()
        await (refused.response() if refused else self.app)(scope, receive, send)
