"""Who asks: the network address of a client, and the name of a visitor's browser."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

CLIENT = "wellspring.client"
"""Key of a request's scope: the client, as limits are counted."""

_COOKIE = "wellspring-visitor"
_NAME = re.compile(r"[A-Za-z0-9_-]{32,64}")
_PASSED_ON = "x-wellspring-client"
_SALT = secrets.token_bytes(16)
_SECRET = secrets.token_hex(16)
_UNKNOWN = "unknown"
_PORTED = re.compile(r"\[(?P<v6>[^\]]*)\](?::\d*)?|(?P<v4>[\d.]+):\d*")
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_Scope = MutableMapping[str, Any]


def client_of(scope: _Scope, *, proxies: int) -> str:
    """The network address of a client; for IPv6 the network, which is one household's.

    Args:
        scope: of the request.
        proxies: how many proxies each add the address of whoever asked them.
    """
    headers = Headers(scope=scope)
    if is_passed_on(scope):
        return headers[_PASSED_ON].partition(" ")[2]
    forwarded = ",".join(headers.getlist("x-forwarded-for")).split(",")
    address = (scope.get("client") or (_UNKNOWN, 0))[0]
    if proxies and len(forwarded) >= proxies:
        address = forwarded[-proxies].strip() or address
    return _folded(address)


def _folded(text: str) -> str:
    """An address as proxies write it, quoted or with a port, as the client that it stands for.

    Whatever is no address is one client, so that nobody becomes many by a proxy's odd words.
    """
    text = text.strip('" \t')
    ported = _PORTED.fullmatch(text)
    try:
        found = ipaddress.ip_address(ported["v6"] or ported["v4"] if ported else text)
    except ValueError:
        return _UNKNOWN
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    inside = found.ipv4_mapped or found.sixtofour
    if found in _TRANSLATED:  # RFC 6052: an IPv4 client of a server that has IPv6 alone
        inside = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return str(inside or ipaddress.ip_network((int(found), 64), strict=False))


def pass_on(scope: _Scope, client: str) -> None:
    """Name the client to the tools for MCP clients, which call this server over the network."""
    headers = MutableHeaders(scope=scope)
    headers[_PASSED_ON] = f"{_SECRET} {client}"
    scope["headers"] = headers.raw


def is_passed_on(scope: _Scope) -> bool:
    """Whether a request comes from the tools for MCP clients, whose own request was let through."""
    told = Headers(scope=scope).get(_PASSED_ON, "").partition(" ")[0]
    return secrets.compare_digest(told.encode(), _SECRET.encode())


def is_owner(scope: _Scope, *, token: str, proxies: int) -> bool:
    """Whether who asks may see what is the owner's: by a token, or without one on this machine."""
    headers = Headers(scope=scope)
    if token:
        given = headers.get("authorization", "").encode()
        return secrets.compare_digest(given, f"Bearer {token}".encode())
    if proxies or any(name in headers for name in ("x-forwarded-for", "forwarded", "x-real-ip")):
        return False
    try:
        return ipaddress.ip_address((scope.get("client") or ("", 0))[0]).is_loopback
    except ValueError:
        return False


def short(name: str) -> str:
    """What stands for a visitor or a client in logs; it cannot be traced back once this ends."""
    return hashlib.blake2b(name.encode(), key=_SALT, digest_size=4).hexdigest()


def browser_of(scope: _Scope) -> str:
    """The name that a browser was given before; empty for none."""
    cookies = SimpleCookie()
    try:
        cookies.load(Headers(scope=scope).get("cookie", ""))
    except CookieError:
        return ""
    name = cookies[_COOKIE].value if _COOKIE in cookies else ""
    return name if _NAME.fullmatch(name) else ""


def naming(scope: _Scope, *, seconds: int) -> str:
    """A ``Set-Cookie`` header that gives a browser a name nobody can guess.

    Over https the page may stand in another one, as Spaces do; then the name is one of both pages.
    """
    name = secrets.token_urlsafe(24)
    forwarded = Headers(scope=scope).get("x-forwarded-proto", "")
    https = "https" in (scope.get("scheme"), forwarded.partition(",")[0].strip())
    how = "SameSite=None; Secure; Partitioned" if https else "SameSite=Lax"
    return f"{_COOKIE}={name}; Path=/; Max-Age={seconds}; HttpOnly; {how}"
