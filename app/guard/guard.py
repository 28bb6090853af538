"""The guard of one server: what is built once and given to the app as it is launched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.exceptions import Error
from gradio.route_utils import FnIndexInferError
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.guard.calls import Calls
from app.guard.gate import Gate
from app.guard.headers import Headers
from app.guard.limits import Limits
from app.guard.logs import EVENTS
from app.guard.metrics import Metrics
from app.guard.routes import routes
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
        self._calls = Calls(self.limits, self.metrics)
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
        self.metrics.gauge("wellspring_waiting", "Calls that wait", lambda: len(blocks._queue))

    def app_options(self) -> dict[str, Any]:
        """What the web app is made with."""
        watched = routes(
            ready=self._ready,
            metrics=self.metrics,
            token=self._token,
            proxies=self.server.proxies,
        )
        gate = Middleware(Gate, limits=self.limits, metrics=self.metrics)
        return {
            "middleware": [Middleware(Headers), gate],
            "routes": watched,
            "exception_handlers": {
                KeyError: _nothing,
                FnIndexInferError: _nothing,
                Error: _refused,
            },
        }


def _uploads() -> float:
    return folder_size(Path(get_upload_folder()))


async def _nothing(_: Request, error: Exception) -> Response:
    """Answer a call of a handler or a page that does not exist."""
    EVENTS.info("unknown", exc_info=error)
    return JSONResponse({"detail": "there is nothing of this name; reload the page"}, 404)


async def _refused(_: Request, error: Exception) -> Response:
    """Answer a call that was refused before its turn."""
    return JSONResponse({"detail": getattr(error, "message", "this was refused")}, 400)
