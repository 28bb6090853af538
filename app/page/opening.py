"""The page as a browser first gets it, and its description: made once, and sent compressed."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from urllib.parse import parse_qs

from gradio.route_utils import get_request_origin
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT = ("/", "/config", "/gradio_api/info")
"""What is the same for everybody, but for the address at which the server was asked."""

_HOST = b"address.invalid"
_PLACE = b"http://" + _HOST
"""What stands for that address in what is kept."""
_FULL = "all_endpoints"
"""Of all that may be asked for behind these paths, what makes a difference on this page."""
_TAKES = re.compile(
    r"(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)", re.IGNORECASE
)
"""Of a header of encodings: gzip is named, and not with the weight zero, by which it is refused."""

_GZIP_HEAD, _GZIP_LAST = b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\x03\0"


@dataclass(frozen=True)
class Made:
    """A response in parts, between which the address stands."""

    kind: str
    """Its content type."""
    parts: tuple[bytes, ...]
    packed: tuple[bytes, ...]
    """The parts as blocks of deflate, none of which refers to another."""

    @classmethod
    def of(cls, body: bytes, kind: str) -> Made:
        """Take a response apart, and compress it."""
        parts = tuple(body.split(_PLACE))
        return cls(kind, parts, tuple(map(_deflated, parts)))

    def response(self, address: str, accepted: str) -> Response:
        """The response at an address, for a client that takes such encodings."""
        place = address.encode("ascii")
        body = place.join(self.parts)
        headers = {"Content-Type": self.kind, "Vary": "Accept-Encoding"}
        if not _TAKES.search(accepted):
            return Response(body, headers=headers)
        stored = struct.pack("<xHH", len(place), len(place) ^ 0xFFFF) + place  # RFC 1951, 3.2.4
        tail = struct.pack("<II", zlib.crc32(body), len(body))
        packed = _GZIP_HEAD + stored.join(self.packed) + _GZIP_LAST + tail
        return Response(packed, headers={**headers, "Content-Encoding": "gzip"})


class Opening:
    """Middleware that keeps what Gradio would describe anew for each browser and client.

    That took a tenth of a second, in the thread that serves everybody.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.made: dict[tuple[str, bytes], Made] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless what it asks for is here."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        path = path_of(scope).rstrip("/") or "/"
        if path not in KEPT:
            await self.app(scope, receive, send)
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        key = path, f"{_FULL}=1".encode() if _FULL in query else b""
        if key not in self.made:
            made = await self._make(scope, receive, send, query=key[1])
            if made is None:
                return
            self.made[key] = made
        plain = {**scope, "path": "/", "root_path": "", "query_string": b""}
        address = str(get_request_origin(Request(plain), "/"))
        accepted = Headers(scope=scope).get("accept-encoding", "")
        await self.made[key].response(address, accepted)(scope, receive, send)

    async def _make(
        self, scope: Scope, receive: Receive, send: Send, *, query: bytes
    ) -> Made | None:
        """What Gradio makes, of nothing that was sent; what is no success is sent on as it is."""
        start: Message = {}
        body = bytearray()

        async def sent(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            if start.get("status", 200) != 200:
                await send(message)
            body.extend(message.get("body", b""))

        asked = [(b"host", _HOST), (b"x-forwarded-host", _HOST)]
        plain = {**scope, "method": "GET", "query_string": query, "headers": asked}
        try:
            await self.app(plain, receive, sent)
        except Exception as error:  # nothing that was sent can be to blame
            raise RuntimeError("the page cannot be described") from error
        if start["status"] != 200:
            return None
        return Made.of(bytes(body), Headers(raw=start["headers"])["content-type"])


def path_of(scope: Scope) -> str:
    """The path of a request below the one under which the app is served, as routes know it."""
    root, path = scope.get("root_path", ""), scope["path"]
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _deflated(part: bytes) -> bytes:
    """Whole blocks of deflate, after which anything may come."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH)
