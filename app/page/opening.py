"""The page as a browser first gets it: made once for each address, and sent compressed."""

from __future__ import annotations

import gzip
import re
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADDRESSES = 8
"""Pages that are kept, of the addresses by which the server was asked last."""

_NAMING = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
"""Headers that the page's own address follows from."""
_DIFFERENT = ("page", "deep_link")
"""What may be asked for in the address that Gradio makes another page of."""

_TAKES = re.compile(
    r"(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)", re.IGNORECASE
)
"""Of a header of encodings: gzip is named, and not with the weight zero, by which it is refused."""


@dataclass(frozen=True)
class Made:
    """A page, compressed."""

    packed: bytes
    kind: str
    """Its content type."""

    def response(self, accepted: str) -> Response:
        """The page for a client that takes such encodings."""
        headers = {"Content-Type": self.kind, "Vary": "Accept-Encoding"}
        if _TAKES.search(accepted):
            return Response(self.packed, headers={**headers, "Content-Encoding": "gzip"})
        return Response(gzip.decompress(self.packed), headers=headers)


class Opening:
    """Middleware that keeps the page.

    Gradio describes every component anew for each browser that comes, in the thread that serves
    everybody, though only the server's own address differs.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.made: OrderedDict[tuple[str | None, ...], Made] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless the page that it asks for is here."""
        opens = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/"
        if not opens or parse_qs(scope["query_string"].decode("latin-1")).keys() & {*_DIFFERENT}:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        address = (scope["scheme"], scope.get("root_path"), *map(headers.get, _NAMING))
        if address not in self.made:
            made = await self._make(scope, receive, send)
            if made is None:
                return
            self.made[address] = made
            if len(self.made) > ADDRESSES:
                self.made.popitem(last=False)
        self.made.move_to_end(address)
        response = self.made[address].response(headers.get("accept-encoding", ""))
        await response(scope, receive, send)

    async def _make(self, scope: Scope, receive: Receive, send: Send) -> Made | None:
        """The page as Gradio makes it; what is no page is sent on as it is."""
        start: Message = {}
        body = bytearray()

        async def sent(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            if start["status"] != 200:
                await send(message)
            body.extend(message.get("body", b""))

        await self.app(scope, receive, sent)
        if start["status"] != 200:
            return None
        return Made(gzip.compress(bytes(body), 6), Headers(raw=start["headers"])["content-type"])
