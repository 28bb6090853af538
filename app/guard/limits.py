"""What each client of a hosted server may use, and all together; the rest is refused in words."""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Scope

from app.guard.clients import CLIENT, is_owner, is_passed_on
from app.guard.rates import Rate, in_words
from app.page.lines import waiting
from app.page.opening import path_of
from core.config import ServerConfig

_HOUR, _MINUTE = 3_600.0, 60.0
_ALL = ""  # the user of what all clients use together
_ROUTES = (
    ("file", re.compile(r"^/(assets|static|svelte)/|^/(favicon|robots|theme|manifest|pwa_icon)")),
    ("picture", re.compile(r"^/gradio_api/file[=/]")),
    ("health", re.compile(r"^/(health|ready|metrics)$|^/gradio_api/startup-events")),
    ("upload", re.compile(r"^/gradio_api/upload/?$")),
    ("mcp", re.compile(r"^/gradio_api/mcp")),
    ("call", re.compile(r"^/gradio_api/(queue/join|call/.+|run/.+|api/.+)")),
    ("page", re.compile(r"^/$")),
)
_ASKED = ("call", "mcp", "upload")
_FREE = ("file", "picture", "health")
_FETCHED = re.compile(r"^/gradio_api/(call/[^/]+/[^/]+|queue/data)/?$")
"""Answers of calls that were let through: to refuse one would lose the work."""
_READS = ("GET", "HEAD", "OPTIONS", "DELETE")
_WEB = re.compile(r"^/gradio_api/file=https?:", re.IGNORECASE)
_SPENT = "your calls have taken as long as is allowed in an hour; try again "
_WORTH = 0.1  # share of the seconds of an hour with which it is worth to go on
_BODIES = 4  # of the largest size that one client sends at once
_ALL_BODIES = 32  # that all clients send at once
_SMALL = 100_000  # bytes of a body that always has room: the page's calls are smaller
_SHORTEST = 5.0  # seconds to wait at least for a place in a queue


@dataclass(frozen=True)
class Refusal:
    """Why a request is not served."""

    limit: str
    """The limit, as it is counted."""
    status: int
    words: str
    """For the person who asked."""
    seconds: float = math.inf
    """When to ask again; infinite for never."""

    def response(self, *, plain: bool = False) -> Response:
        """The answer; plain words where the page shows it as it comes."""
        again = {"Retry-After": str(math.ceil(self.seconds))} if self.seconds < math.inf else {}
        if self.status == 408:  # what still comes is of no request
            again["Connection"] = "close"
        if plain:
            return PlainTextResponse(self.words, self.status, headers=again)
        return JSONResponse({"detail": self.words}, self.status, headers=again)


_BODY = Refusal("size", 413, "a request that only reads has no body")
_FULL = Refusal(
    "bodies",
    429,
    f"the server takes in as much as it can; try again {in_words(_SHORTEST)}",
    _SHORTEST,
)


class Limits:
    """What each client may use, and all together, on a hosted server."""

    def __init__(self, server: ServerConfig) -> None:
        self.server = server
        self.requests = Rate(server.max_requests, _MINUTE)
        self.total = Rate(server.max_total_requests, _MINUTE)
        self.fetched = Rate(server.max_requests, _MINUTE)
        self.total_fetched = Rate(server.max_total_requests, _MINUTE)
        """Answers that are fetched: as many as calls, so that each let through has one."""
        self.sent = Rate(server.max_sent_bytes, _HOUR)
        self.seconds = Rate(server.max_seconds, _HOUR)
        self.joining: Counter[str] = Counter()
        """Calls of each client that were let through, with all they say, and do not wait yet."""
        self.open: Counter[str] = Counter()
        """Requests and streams of each client that are open."""
        self.held: Counter[str] = Counter()
        """What these say that is no upload, bytes, of which all is in memory before it counts."""

    def refusal(self, scope: Scope, route: str, client: str) -> Refusal | None:
        """Why a request is refused, before any of its body is read."""
        if _WEB.match(path_of(scope)):
            return Refusal("web", 403, "this server fetches nothing from the web; send the file")
        if is_passed_on(scope):  # words of a refusal would not reach the client here
            return None
        if route not in _FREE and (refused := self._often(scope, client)):
            return refused
        if scope["method"] in _READS:
            return _BODY if _stated(scope) or _is_chunked(scope) else None
        return self.crowded(scope, route, client) or self._large(scope, route, client)

    @contextlib.contextmanager
    def opened(self, scope: Scope, client: str) -> Iterator[Refusal | None]:
        """Count a request while it is open; why it must not be."""
        if is_passed_on(scope):  # the tool's own request is open
            yield None
            return
        most, body = self.server.max_client_open, self.server.max_body_bytes
        size = 0 if route_of(path_of(scope)) == "upload" else min(_stated(scope) or 0, body)
        if self.open[client] >= most or self.held[client] + size > _BODIES * body:
            words = f"{self.open[client]} requests of yours are open, as many as may; close some"
            yield Refusal("open", 429, words, _SHORTEST)
            return
        if size > _SMALL and self.held.total() + size > _ALL_BODIES * body:
            yield _FULL
            return
        with _counted(self.open, client), _counted(self.held, client, size):
            yield None

    @contextlib.contextmanager
    def joined(self, scope: Scope, route: str, client: str) -> Iterator[Refusal | None]:
        """Count a call of which all is here until it waits with the others; why it must not."""
        if route not in ("call", "mcp") or scope["method"] != "POST":
            yield None
            return
        refused = None if is_passed_on(scope) else self.crowded(scope, route, client)
        with _counted(self.joining, client):
            yield refused

    def long_work(self, client: str) -> Refusal | None:
        """Why a client may begin no long work."""
        wait = self.seconds.wait(client)
        if not wait:
            return None
        return Refusal("seconds", 429, _SPENT + in_words(wait), wait)

    def work_goes_on(self, client: str) -> Refusal | None:
        """Why a client's work that has begun must stop; it says when going on is worth it."""
        if not self.seconds.wait(client):
            return None
        wait = self.seconds.wait(client, self.seconds.most * _WORTH)
        return Refusal("seconds", 429, _SPENT + in_words(wait), wait)

    def _often(self, scope: Scope, client: str) -> Refusal | None:
        fetches = scope["method"] == "GET" and _FETCHED.match(path_of(scope))
        own, total = (self.fetched, self.total_fetched) if fetches else (self.requests, self.total)
        if wait := own.take(client):
            words = f"too many requests came from you; try again {in_words(wait)}"
            return Refusal("requests", 429, words, wait)
        if wait := total.take(_ALL):
            words = f"the server has too many visitors at the moment; try again {in_words(wait)}"
            return Refusal("total requests", 429, words, wait)
        return None

    def _large(self, scope: Scope, route: str, client: str) -> Refusal | None:
        size, server = _stated(scope), self.server
        if size is None or _is_chunked(scope):
            return Refusal("size", 411, "say how large the request is, in Content-Length")
        most = server.max_upload_bytes + 100_000 if route == "upload" else server.max_body_bytes
        if size > most:
            words = f"this is too large; at most {most / 1e6:,.0f} MB are taken"
            return Refusal("size", 413, words)
        if route not in ("upload", "mcp"):
            return None
        wait = self.sent.take(client, min(size, self.sent.most))
        if wait:
            words = "you have uploaded as much as is allowed in an hour; try again "
            return Refusal("sent", 429, words + in_words(wait), wait)
        return None

    def crowded(self, scope: Scope, route: str, client: str) -> Refusal | None:
        """Why a call must not wait with all others; it is asked again once all of it is here."""
        if route not in _ASKED:  # what is uploaded now would be asked about then
            return None
        if route == "upload" and is_owner(scope, token="", proxies=0):
            return None  # of this machine: a tool's, whose own request was let through
        queue = scope["app"].get_blocks()._queue
        calls = waiting(queue)
        ours = [each for each in calls if each.request.scope.get(CLIENT) == client]
        own, crowd = len(ours) + self.joining[client], len(calls) + self.joining.total()
        size = 0 if route == "upload" else _stated(scope) or 0
        own_full = own >= self.server.max_client_waiting or self._is_heavy(size, ours, _BODIES)
        full = crowd >= self.server.max_waiting or self._is_heavy(size, calls, _ALL_BODIES)
        if not (full or own_full):
            return None
        known = queue.process_time_per_fn
        times = [known[each.fn].avg_time for each in calls if each.fn in known]
        mean = sum(times) / len(times) if times else 1.0
        wait = max(mean * crowd / self.server.at_once, _SHORTEST)
        again = f"try again {in_words(wait)}"
        if own_full:
            words = f"{own} of your calls wait already, as many as may; {again}"
            return Refusal("own queue", 429, words, wait)
        words = f"{crowd} calls wait already, as many as the server takes; {again}"
        return Refusal("queue", 429, words, wait)

    def _is_heavy(self, size: int, calls: Sequence[Any], most: int) -> bool:
        """Whether a large call would make those that wait, with all they say, too large."""
        taken = sum(_stated(each.request.scope) or 0 for each in calls)
        return size > _SMALL and taken + size > most * self.server.max_body_bytes


def route_of(path: str) -> str:
    """The kind of a path, of which there are few."""
    return next((name for name, known in _ROUTES if known.search(path)), "other")


def _stated(scope: Scope) -> int | None:
    """How large a request says that it is, bytes."""
    stated = Headers(scope=scope).get("content-length", "")
    return int(stated[:18]) if stated.isascii() and stated.isdigit() else None


def _is_chunked(scope: Scope) -> bool:
    return "transfer-encoding" in Headers(scope=scope)


@contextlib.contextmanager
def _counted(counts: Counter[str], client: str, amount: int = 1) -> Iterator[None]:
    counts[client] += amount
    try:
        yield
    finally:
        counts[client] -= amount
        if not counts[client]:
            del counts[client]
