"""Routes for those who run a server: whether it lives, is ready, and what it does."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from app.guard.clients import is_owner
from app.guard.metrics import CONTENT_TYPE, Metrics


def routes(
    *, ready: Callable[[], str], metrics: Metrics, token: str, proxies: int
) -> list[BaseRoute]:
    """The routes.

    Args:
        ready: why the server is not ready; the empty text when it is.
        metrics: what the owner may see.
        token: whoever has it is the owner; without one, whoever asks from this machine.
        proxies: as in :class:`core.config.ServerConfig`.
    """

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readiness(_: Request) -> Response:
        why = ready()
        status = 503 if why else 200
        headers = {"Retry-After": "5"} if why else {}
        return JSONResponse({"status": why or "ready"}, status, headers=headers)

    def measured(request: Request) -> Response:  # reading sizes of folders takes a thread
        if not is_owner(request.scope, token=token, proxies=proxies):
            return PlainTextResponse("Not Found", 404)
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    made = (("/health", health), ("/ready", readiness), ("/metrics", measured))
    return [Route(path, each, methods=["GET"]) for path, each in made]
