"""The guard of one server: what is built once and given to the app as it is launched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio.exceptions import Error
from gradio.route_utils import FnIndexInferError
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from app.guard.allowed import Allowed
from app.guard.calls import Calls
from app.guard.faults import is_in_route
from app.guard.gate import Gate
from app.guard.headers import Headers
from app.guard.limits import Limits
from app.guard.logs import EVENTS
from app.guard.metrics import Metrics
from app.guard.pages import Pages
from app.guard.routes import routes
from app.guard.token import keep_token
from app.guard.values import judge_values
from core.service import Session, folder_size


class Guard:
    """Limits, metrics and routes of one server."""

    def __init__(
        self,
        session: Session,
        *,
        ready: Callable[[], str] = lambda: "",
        token: str | None = None,
    ) -> None:
        """Build it.

        Args:
            session: the server's.
            ready: why the server is not ready; the empty text when it is.
            token: who has it sees the metrics; ``WELLSPRING_METRICS_TOKEN`` where none is given.
        """
        self.server, self.metrics = session.server, Metrics()
        self.limits = Limits(session.server)
        self._pages = Pages(hosted=self.server.hosted)
        self._calls = Calls(self.limits, self.metrics, self._pages)
        self._ready = ready
        self._token = token or os.environ.get("WELLSPRING_METRICS_TOKEN", "")
        visitors, gauge = session.visitors, self.metrics.gauge
        if self.server.hosted:
            gauge("wellspring_visitors", "Visitors with a folder", lambda: visitors.usage()[0])
            gauge("wellspring_builds", "Galleries being built", lambda: visitors.usage()[1])
            gauge("wellspring_galleries_bytes", "Visitors' galleries", lambda: visitors.usage()[2])
        gauge("wellspring_uploads_bytes", "Uploads and copies that are kept", _uploads)

    def watch(self, blocks: gr.Blocks) -> None:
        """Judge what calls of an app bring, watch the calls, and those that wait."""
        judge_values(blocks)
        self._calls.watch(blocks)
        self._pages.watch(blocks)
        if self.server.hosted:
            keep_token()
        self.metrics.gauge("wellspring_waiting", "Calls that wait", lambda: len(blocks._queue))

    def app_options(self) -> dict[str, Any]:
        """What the web app is made with."""
        watched = routes(
            ready=self._ready,
            metrics=self.metrics,
            token=self._token,
            proxies=self.server.proxies,
        )
        allowed = Middleware(Allowed, metrics=self.metrics)
        gate = Middleware(Gate, limits=self.limits, metrics=self.metrics, pages=self._pages)
        return {
            "middleware": [Middleware(Headers), allowed, gate],
            "routes": watched,
            "exception_handlers": {
                KeyError: _nothing,
                FnIndexInferError: _nothing,
                Error: _refused,
                RequestValidationError: _unfit,
            },
        }


def _uploads() -> float:
    return folder_size(Path(get_upload_folder()))


async def _nothing(_: Request, error: Exception) -> Response:
    """Answer a call of a handler or a page that does not exist."""
    if not is_in_route(error):
        raise error
    EVENTS.info("unknown", exc_info=error)
    return _told("there is nothing of this name; reload the page", 404)


async def _refused(_: Request, error: Exception) -> Response:
    """Answer a call that was refused before its turn."""
    return _told(getattr(error, "message", "this was refused"), 400)


async def _unfit(_: Request, error: Exception) -> Response:
    """Answer what does not have the form of a call, without what was sent.

    FastAPI sends it back, and fails where it is no JSON: a number that is none, half a character.
    """
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    return _told(
        [{name: each[name] for name in ("type", "loc", "msg")} for each in errors[:8]], 422
    )


def _told(detail: object, status: int) -> Response:
    """A response in ASCII, so that no text can be unwritable."""
    return Response(json.dumps({"detail": detail}), status, media_type="application/json")
