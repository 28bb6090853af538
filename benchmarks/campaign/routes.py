"""Requests of all routes of a server, with paths, headers and bodies that no browser sends."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import quote

import httpx

from benchmarks.campaign.calls import Reply, Target, hostile
from benchmarks.campaign.mutate import TEXTS, Rng, of_bytes, of_value, pick

_WAIT = 8.0
"""Seconds in which an answer begins, where it is no stream of events."""
_STREAMS = re.compile(r"/gradio_api/(heartbeat/|queue/data|upload_progress|mcp|call/.+/|stream/)")
_QUERIES = (
    "/gradio_api/upload_progress?upload_id={}", "/gradio_api/deep_link?session_hash={}",
    "/gradio_api/queue/data?session_hash={}", "/config?deep_link={}", "/?view={}", "/?deep_link={}",
    "/?gallery={}", "/theme.css?v={}", "/{}", "/gradio_api/call/attribute/{}", "/gradio_api/{}",
    "/gradio_api/queue/join?gallery={}", "/gradio_api/upload?upload_id={}",
)  # fmt: skip
_HEADERS: dict[str, tuple[str, ...]] = {
    "Range": (
        "bytes=0-9", "bytes=0-1,3-4", "bytes=9-1", "bytes=999999-9999999", "bytes=a-b", "bytes=-5",
        "bytes=0-1-2", "bytes=" + "9" * 5_000 + "-", "lines=1-2", "bytes=²-³", "",
    ),
    "Origin": ("null", "http://evil.example", "http://127.0.0.1", "x" * 3_000, "file://"),
    "Host": ("evil.example", "", "127.0.0.1:0", "[::1", "x" * 3_000, "a/b", "user@host", "é"),
    "Cookie": (
        "wellspring-visitor=../../etc", "wellspring-visitor=" + "A" * 40, "wellspring-visitor=",
        "=", ";;;", "a=\x01", "wellspring-visitor=é; x", "x" * 6_000,
        "; ".join(["wellspring-visitor=" + "B" * 40] * 50),
    ),
    "X-Forwarded-For": (
        "", ",", "evil", "1.2.3.4:5", "[::1]", "::ffff:1.2.3.4", "127.0.0.1", ",1" * 900,
    ),
    "X-Forwarded-Host": ("evil.example", "", "a b", "é", "x" * 3_000),
    "X-Forwarded-Proto": ("https", "javascript", "", "\x7f"),
    "X-Wellspring-Client": ("x 127.0.0.1", " ", "x", ""),
    "Content-Type": (
        "application/json", "application/json; charset=utf-7", "multipart/form-data",
        "multipart/form-data; boundary=x", "multipart/form-data; boundary=", "text/plain", "", "é",
        'multipart/form-data; boundary="' + "y" * 3_000 + '"',
        "multipart/form-data; boundary=x; charset=zzz", "application/x-www-form-urlencoded",
    ),
    "Accept": ("application/json, text/event-stream", "text/event-stream", "x/y", ""),
    "Accept-Encoding": ("gzip", "br;q=a", "*;q=0", "identity;q=0"),
    "Authorization": ("Bearer x", "Basic ====", "Bearer é", ""),
    "If-None-Match": ("*", '"x"', "W/"),
    "If-Modified-Since": ("zzz", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 400),
    "If-Range": ("zz", '"x"'),
    "Transfer-Encoding": ("gzip", "identity"),
}  # fmt: skip
"""By header: what may stand in it."""
_SAFE = ("X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy")
"""Headers that every response has."""
_PARTS = (
    b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nhello\r\n--x--\r\n',
    b"--x\r\nContent-Disposition: form-data\r\n\r\nhello\r\n--x--\r\n",
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhello',
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhello\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="files"; filename="\xff"\r\n\r\nh\r\n--x--\r\n',
    b"zzzz", b"", b"--x--\r\n", b"--x\r\n\xff\xfe: y\r\n\r\nz\r\n--x--",
    b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\nh\r\n' * 1_001 + b"--x--\r\n",
    b"--x\r\n" + b"Aa: b\r\n" * 20_000 + b"\r\n\r\nh\r\n--x--\r\n",
)  # fmt: skip
"""Bodies of forms with the boundary ``x``."""
_BODIES = (
    b'{"data":[NaN,Infinity,1e999]}', b'{"data":["\\ud800"]}', b'{"data":' + b"[" * 100_000 + b"}",
    b'{"data":[' + b"9" * 6_000 + b"]}", b"\xff\xfe", b"", b"null", b"[]", b'"x"', b"{", b"1",
    b'{"data":[],"session_hash":"\\ud800"}', b'{"data":[],"fn_index":NaN,"session_hash":"x"}',
    b'{"data":[],"session_hash":"' + b"x" * 100_000 + b'"}',
)  # fmt: skip
"""Bodies that are no call."""


def route(target: Target, rng: Rng) -> Reply:
    """A request of one of the routes, with a path, headers and a body that do not fit."""
    path, methods = _path(target, rng)
    method = pick((*methods * 3, "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"), rng)
    headers = {"Content-Type": "application/json"} if rng.random() < 0.5 else {}
    for _ in range(int(rng.integers(4))):
        name = pick(list(_HEADERS), rng)
        headers[name] = pick(_HEADERS[name], rng)
    content = _body(target, rng) if method not in ("GET", "HEAD") else None
    asked = f"{method} {path[:120]} {headers!r:.120} {content!r:.120}"
    sent = [(name.encode(), value.strip().encode()) for name, value in headers.items()]
    began = time.monotonic()
    try:
        with target.client.stream(
            method, path, headers=sent, content=content, timeout=_WAIT
        ) as answer:
            text = "".join(piece for piece, _ in zip(answer.iter_text(), range(50), strict=False))
            missing = tuple(name for name in _SAFE if name not in answer.headers)
            return Reply(answer.status_code, text, time.monotonic() - began, asked, missing)
    except httpx.ReadTimeout:  # a stream may wait for events, and nothing else
        waits = method == "GET" and _STREAMS.search(path) is not None
        return Reply(200 if waits else 0, "no answer in time", time.monotonic() - began, asked)
    except httpx.LocalProtocolError:  # this client does not send it
        return Reply(400, "", 0.0, asked)
    except httpx.RemoteProtocolError as error:  # an answer that is none, or is cut
        return Reply(0, str(error), time.monotonic() - began, asked)


def _path(target: Target, rng: Rng) -> tuple[str, tuple[str, ...]]:
    """A path of the server with texts in its places, and the methods of its route."""
    secret = f"{target.outside}/secret.txt"
    ways = (secret, f"..{secret}", "../" * 12 + "etc/passwd", "..%2f" * 9 + "etc%2fpasswd", "a%00b")
    texts = (*ways, *(text for text in TEXTS if len(text) < 2_000), target.image)
    address = pick(target.forbidden.addresses(), rng)
    known = [(each, ("GET", "POST")) for each in _QUERIES]
    path, methods = pick((*target.server.routes, *known), rng)

    def text(_: re.Match[str]) -> str:
        return quote(pick((*texts, address), rng), safe="/%:.")

    return re.sub(r"\{[^}]*\}", text, path), methods


def _body(target: Target, rng: Rng) -> bytes:
    """A call with a value changed, one that is none, a form, or bytes."""
    handler = pick(target.server.handlers, rng)
    call: dict[str, Any] = {
        "data": list(handler.values),
        "fn_index": handler.number,
        "session_hash": "abcdefghij",
        "event_data": None,
        "event_id": "x",
        "trigger_id": 1,
        "simple_format": False,
        "component_id": 1,
        "fn_name": "x",
        "batched": False,
    }
    how = rng.random()
    if how < 0.5:
        changed: Any = of_value(call, rng)
        if rng.random() < 0.3 and isinstance(changed, dict):
            changed[pick(list(call), rng)] = hostile(target, rng)
        return json.dumps(changed).encode()
    if how < 0.7:
        return pick(_BODIES, rng)
    body = pick(_PARTS, rng)
    return body if how < 0.9 else of_bytes(body, rng)
