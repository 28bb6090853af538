"""Headers of every response: what a browser may do with it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.guard.files import is_file, said, with_part

_FRAMED = "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co"
PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # Gradio's page has and makes scripts
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "connect-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        _FRAMED,
    )
)
"""What the page may load: nothing from another host. Spaces show it inside a page of theirs."""

FILE_POLICY = f"default-src 'none'; style-src 'unsafe-inline'; sandbox; {_FRAMED}"
"""A file that somebody uploaded runs nothing, whatever it is."""

_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/json")


class Headers:
    """Middleware that adds them; of files that are served it fixes the types, and all else goes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; its response gets the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        served = is_file(scope["path"])

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                if served:
                    message["headers"] = said(message.get("headers", []))
                headers = MutableHeaders(scope=message)
                secure(headers, served=served)
            await send(message)

        await self.app(with_part(scope), receive, sent)


def secure(headers: MutableHeaders, *, served: bool = False) -> None:
    """Add the headers; a served file is shown as a picture or plain text, or else downloaded."""
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Content-Security-Policy"] = FILE_POLICY if served else PAGE_POLICY
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if served and kind and kind not in _SHOWN:
        headers["Content-Type"] = "application/octet-stream"
        headers["Content-Disposition"] = "attachment"
