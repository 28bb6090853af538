"""Where a request comes from: a page of this server, a program, or a page of another site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
from starlette.datastructures import Headers
from starlette.types import Scope

_NAMING = ("host", "x-forwarded-host", "x-gradio-server")
"""Headers of which Gradio makes the server's own address."""
_HOST = re.compile(
    r"(?:https?://)?((?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?)/?", re.A | re.I
)
_USUAL = re.compile(r":(?:80|443)$")
_READS = ("GET", "HEAD", "OPTIONS")


def is_addressed(scope: Scope) -> bool:
    """Whether all that a request says of the server's address is one."""
    return all(_is_host(named) for named in _named(scope))


def is_foreign(scope: Scope) -> bool:
    """Whether a page of another site asks for something to be done.

    Browsers say where a page comes from, which no page can change; programs say nothing.
    """
    if scope["method"] in _READS:
        return False
    headers = Headers(scope=scope)
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and _host_of(origin) not in map(_host_of, _named(scope))


def _named(scope: Scope) -> Iterator[str]:
    headers = Headers(scope=scope)
    for name in _NAMING:
        for line in headers.getlist(name):
            yield from map(str.strip, line.split(","))


def _is_host(named: str) -> bool:
    found = _HOST.fullmatch(named)
    try:
        return bool(found and httpx.URL(f"http://{found[1]}").host)
    except (httpx.InvalidURL, ValueError):  # an IPv4 address of too large numbers, a bad IDNA name
        return False


def _host_of(named: str) -> str:
    """The host and port of an address with or without its scheme; the usual ports are none."""
    try:
        host = urlsplit(named if "://" in named else f"//{named}").netloc
    except ValueError:
        return ""
    return _USUAL.sub("", host.lower())
