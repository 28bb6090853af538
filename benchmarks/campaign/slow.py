"""Clients who send half of a request, or open streams and are silent; others must be served."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

import httpx

from benchmarks.campaign import corpus
from benchmarks.campaign.children import Budget
from benchmarks.campaign.hosted import Hosted, Visitor, hosted
from benchmarks.campaign.table import Row
from core.config import ServerConfig

_FILES = 512
"""Files and connections that the server may have open."""
_SOON = 20.0
"""Seconds in which somebody else is served."""


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Let slow clients hold what they can, and ask as somebody else meanwhile."""
    config, rows = ServerConfig(), list[Row]()
    few, many = config.max_waiting + 8, _FILES + 100
    with hosted(config, files=_FILES) as server:
        ways: tuple[tuple[str, int, Callable[[int], bytes]], ...] = (
            ("half-sent calls of one client", few, lambda _: _half("queue/join", 100, 1)),
            ("half-sent uploads of many clients", few, lambda n: _half("upload", 10_000_000, n)),
            ("half-sent headers", few, lambda n: b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-"),
            ("silent heartbeats of one client", many, lambda n: _heartbeat(n, 1)),
            ("silent heartbeats of many clients", few, lambda n: _heartbeat(n, n)),
        )
        for number, (what, count, request) in enumerate(ways):
            if budget.left < 0:
                break
            with _held(server, [request(each) for each in range(count)]) as held:
                times, faults = _served(server, seed + number, budget.count(2 if quick else 10))
            worst = f"{held} held at once; others waited {max(times, default=0):.1f} s at most"
            rows.append(Row(f"slow: {what}", len(times) + len(faults), tuple(faults), worst))
            time.sleep(1)  # connections that were closed are noticed
    return tuple(rows)


def _half(route: str, size: int, number: int) -> bytes:
    """The beginning of a request whose end does not come."""
    kind = "multipart/form-data; boundary=x" if route == "upload" else "application/json"
    lines = (
        f"POST /gradio_api/{route} HTTP/1.1",
        "Host: x",
        f"X-Forwarded-For: {_address(number)}",
        f"Content-Type: {kind}",
        f"Content-Length: {size}",
    )
    return "\r\n".join((*lines, "", "{")).encode()


def _heartbeat(number: int, client: int) -> bytes:
    start = f"GET /gradio_api/heartbeat/slow{number:06} HTTP/1.1\r\nHost: x\r\n"
    return f"{start}X-Forwarded-For: {_address(client)}\r\n\r\n".encode()


def _address(number: int) -> str:
    return f"10.200.{number >> 8 & 255}.{number & 255}"


@contextlib.contextmanager
def _held(server: Hosted, requests: Sequence[bytes]) -> Iterator[int]:
    """Open a connection for each request and keep it; how many the server took."""
    parts, held = urlsplit(server.url), list[socket.socket]()
    with contextlib.ExitStack() as stack:
        for request in requests:
            try:
                made = socket.create_connection((parts.hostname, parts.port), timeout=1)
                held.append(stack.enter_context(made))
                made.sendall(request)
            except OSError:  # it takes no more
                break
        time.sleep(1)
        yield len(held)


def _served(server: Hosted, number: int, times: int) -> tuple[list[float], list[str]]:
    """How long somebody else waits for the page, and for an answer; and what went wrong."""
    took, faults = list[float](), list[str]()
    for turn in range(times):
        for what, ask in (("health", _health), ("page", _page), ("answer", _answer)):
            began = time.monotonic()
            with Visitor(server, 900_000 + 100 * number + turn) as visitor:
                visitor.client.timeout = httpx.Timeout(_SOON)
                try:
                    wrong = ask(visitor)
                except httpx.HTTPError as error:
                    wrong = repr(error)
            if wrong:
                faults.append(f"{what}: {wrong[:200]}")
            else:
                took.append(time.monotonic() - began)
    return took, faults


def _health(visitor: Visitor) -> str:
    status = visitor.client.get("/health").status_code
    return "" if status == httpx.codes.OK else f"status {status}"


def _page(visitor: Visitor) -> str:
    status = visitor.client.get("/").status_code
    return "" if status == httpx.codes.OK else f"status {status}"


def _answer(visitor: Visitor) -> str:
    sent = visitor.upload("own.png", corpus.image_bytes(11))
    if sent.status != httpx.codes.OK:
        return f"upload: {sent}"
    told = visitor.ask(sent.value, "attribute", ["lite0", "default", 3, 0.5, "", None])
    return "" if told.status == httpx.codes.OK else f"answer: {told}"
