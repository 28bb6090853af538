"""Files that are served: which part of one a request may ask for, and what a response may say."""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

_FILE = re.compile(r"/gradio_api/file[=/]")
_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-[0-9]{1,18})")
_SAID = {
    *(b"accept-ranges", b"cache-control", b"content-disposition", b"content-encoding"),
    *(b"content-length", b"content-range", b"content-type", b"etag", b"last-modified"),
    *(b"allow", b"retry-after", b"vary"),
}
"""Headers that a response with a file may have: those that say something of it."""


def is_file(path: str) -> bool:
    """Whether a path is that of a file that somebody uploaded, or that the page shows."""
    return bool(_FILE.search(path))


def with_part(scope: Scope) -> Scope:
    """A request for one part of a file, or else for all of it, in the way that Starlette reads it.

    The unit is written ``Bytes``, which means the same (RFC 9110, 14.1): on ``bytes`` Gradio would
    answer in a way of its own, which puts all headers of the request into the response and fails
    on parts that are no numbers. What is no part, or several, is ignored, as any server may.
    """
    if not any(name == b"range" for name, _ in scope["headers"]):
        return scope
    headers = MutableHeaders(raw=list(scope["headers"]))
    part = headers["range"].strip()
    del headers["range"]
    if _is_part(part):
        headers["range"] = part.replace("bytes", "Bytes")
    return {**scope, "headers": headers.raw}


def _is_part(text: str) -> bool:
    found = _RANGE.fullmatch(text)
    if not found:
        return False
    first, last = found.groups()
    return not (first and last) or int(first) <= int(last)


def said(raw: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Of the headers of a response with a file, those that it may have."""
    return [(name, value) for name, value in raw if name.lower() in _SAID]
