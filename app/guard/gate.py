"""The gate of a server: every request is counted, and one that is too much is refused in words."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gradio.utils import get_upload_folder
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.guard.clients import CLIENT, browser_of, client_of, naming, pass_on, short
from app.guard.faults import answer_to
from app.guard.limits import Limits, Refusal, route_of
from app.guard.logs import event
from app.guard.metrics import Metrics
from app.guard.rates import in_words
from app.guard.uploads import Room
from app.page.opening import path_of
from app.page.visitor import VISITOR

_DRAINED = 4_000_000  # bytes
_ROOM = 120.0
"""Seconds after which there may be room for uploads again."""


class Gate:
    """Middleware that counts, and on a hosted server names browsers and keeps limits."""

    def __init__(self, app: ASGIApp, *, limits: Limits, metrics: Metrics) -> None:
        self.app, self.limits, self.metrics = app, limits, metrics
        self.server = limits.server
        self._room = Room(Path(get_upload_folder()), most=self.server.max_kept_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        route = route_of(path_of(scope))
        client = client_of(scope, proxies=self.server.proxies)
        scope[CLIENT] = client
        named = self._named(scope, route) if self.server.hosted else None

        begun: Message = {}

        async def sent(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = message
                self.metrics.responses.labels(route, str(message["status"])).inc()
                if named:
                    message["headers"] = [*message.get("headers", ()), (b"set-cookie", named)]
            await send(message)

        refused = await self._refusal(scope, route, client) if self.server.hosted else None
        if refused is None:
            joins = route in ("call", "mcp") and scope["method"] == "POST"
            self.limits.joining += joins
            try:
                await self.app(scope, receive, sent)
            except Exception as error:
                answer = answer_to(error, begun, plain=route == "upload")
                if answer is None:
                    raise
                await answer(scope, receive, sent)
            finally:
                self.limits.joining -= joins
            return
        await _drain(receive)
        self.metrics.refused.labels(refused.limit).inc()
        event("refused", limit=refused.limit, client=short(client))
        await refused.response(plain=route == "upload")(scope, receive, sent)

    def _named(self, scope: Scope, route: str) -> bytes | None:
        """Know the browser; the header that names one that comes to the page for the first time."""
        scope[VISITOR] = browser_of(scope)
        if route == "page" and not scope[VISITOR]:
            return naming(scope, seconds=24 * self.server.session_seconds).encode()
        return None

    async def _refusal(self, scope: Scope, route: str, client: str) -> Refusal | None:
        refused = self.limits.refusal(scope, route, client)
        if refused is None and route == "mcp":
            pass_on(scope, client)
        if refused is None and route == "upload" and scope["method"] == "POST":
            return await self._without_room(int(Headers(scope=scope)["content-length"]))
        return refused

    async def _without_room(self, size: int) -> Refusal | None:
        if await asyncio.to_thread(self._room.take, size):
            return None
        words = f"the server has no room for uploads at the moment; try again {in_words(_ROOM)}"
        return Refusal("kept", 429, words, _ROOM)


async def _drain(receive: Receive) -> None:
    """Read what is sent, up to a picture: closing on it would lose the words of a refusal."""
    size = 0
    while size < _DRAINED:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return
