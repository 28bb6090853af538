"""The gate of a server: every request is counted, and one that is too much is refused in words."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gradio.utils import get_upload_folder
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.guard.bodies import MANY, Body, Late, holds_many
from app.guard.calls import names_file
from app.guard.clients import CLIENT, browser_of, client_of, naming, pass_on, short
from app.guard.faults import answer_to
from app.guard.limits import Limits, Refusal, route_of
from app.guard.logs import event
from app.guard.metrics import Metrics
from app.guard.pages import Pages
from app.guard.rates import in_words
from app.guard.uploads import Room
from app.page.opening import path_of
from app.page.visitor import VISITOR

_FILE = Refusal(
    "file", 400, "a tool takes an image as an https address, data URI or base64, and no object"
)
_ROOM = 120.0
"""Seconds after which there may be room for uploads again."""


class Gate:
    """Middleware that counts, and on a hosted server names browsers and keeps limits."""

    def __init__(self, app: ASGIApp, *, limits: Limits, metrics: Metrics, pages: Pages) -> None:
        self.app, self.limits, self.metrics, self.pages = app, limits, metrics, pages
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

        try:
            if self.server.hosted:
                await self._limited(scope, receive, sent)
            else:
                await self.app(scope, receive, sent)
        except Exception as error:
            answer = answer_to(error, begun, plain=route == "upload")
            if answer is None:
                raise
            await answer(scope, receive, sent)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to a hosted server, within its limits."""
        client, route, body = scope[CLIENT], route_of(path_of(scope)), Body(scope, receive)
        with self.limits.opened(scope, client) as refused:
            refused = refused or self.limits.refusal(scope, route, client)
            if refused is None:
                refused = await self._served(scope, body, send)
        if refused is None:
            return
        if refused.status != Late.refusal.status:
            await body.drain()
        self.metrics.refused.labels(refused.limit).inc()
        event("refused", limit=refused.limit, client=short(client))
        await refused.response(plain=route == "upload")(scope, receive, send)

    async def _served(self, scope: Scope, body: Body, send: Send) -> Refusal | None:
        """Pass a request on once all of it is here, an upload as it comes; or why it is refused."""
        route = route_of(path_of(scope))
        try:
            if route == "upload":
                return await self._uploaded(scope, body, send)
            told = await body.whole()
        except Late:
            return Late.refusal
        if told is None:  # the client left
            return None
        if holds_many(told):
            return MANY
        with self.limits.joined(scope, route, scope[CLIENT]) as refused:
            refused = refused or self.pages.refusal(scope, told)
            if route == "mcp" and names_file(told):
                refused = refused or _FILE
            if refused is None:
                if route == "mcp":
                    pass_on(scope, scope[CLIENT])
                await self.app(scope, body, send)
        return refused

    async def _uploaded(self, scope: Scope, body: Body, send: Send) -> Refusal | None:
        """Take a file where there is room for it."""
        size = int(Headers(scope=scope).get("content-length", "0")[:18])
        if not await asyncio.to_thread(self._room.take, size):
            words = f"the server has no room for uploads at the moment; try again {in_words(_ROOM)}"
            return Refusal("kept", 429, words, _ROOM)
        try:
            await self.app(scope, body, send)
        finally:
            self._room.ended(size)
        return None

    def _named(self, scope: Scope, route: str) -> bytes | None:
        """Know the browser; the header that names one that comes to the page for the first time."""
        scope[VISITOR] = browser_of(scope)
        if route == "page" and not scope[VISITOR]:
            return naming(scope, seconds=24 * self.server.session_seconds).encode()
        return None
