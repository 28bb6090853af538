"""A server on 127.0.0.1 of files that can be fetched, and of all that can go wrong with that."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECE = 1_000_000


@dataclass
class Behaviour:
    """What the server does, and what it was asked."""

    data: bytes
    ranges: bool = True
    cut: int | None = None
    """Bytes after which the connection closes."""
    stall: bool = False
    """Wait after the cut instead of closing."""
    pause: float = 0.0
    """Seconds between two pieces of the file."""
    silent: bool = False
    status: int = 200
    location: str = ""
    length: bool = True
    wrong_range: bool = False
    asked: list[str | None] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviours: Mapping[str, Behaviour]

    @property
    def behaviour(self) -> Behaviour:
        any_path = self.behaviours.get("", Behaviour(b"", status=404))
        return self.behaviours.get(self.path.partition("?")[0], any_path)

    def do_GET(self) -> None:
        do, asked = self.behaviour, self.headers["Range"]
        do.asked.append(asked)
        self.close_connection = True
        if do.silent:
            do.done.wait(20)
        start = int(asked[6:-1]) if asked and do.ranges else 0
        if start and start >= len(do.data):
            self.answer(416, 0, [("Content-Range", f"bytes */{len(do.data)}")])
            return
        headers = [("Location", do.location)] if do.location else []
        if start:
            first = start + do.wrong_range
            span = f"bytes {first}-{len(do.data) - 1}/{len(do.data)}"
            headers.append(("Content-Range", span))
        body = do.data[start:]
        status = 206 if start and do.status == 200 else do.status
        self.answer(status, len(body) if do.length else None, headers)
        with contextlib.suppress(ConnectionError):  # of a client that left
            for at in range(0, len(body[: do.cut]), _PIECE):
                self.wfile.write(body[: do.cut][at : at + _PIECE])
                time.sleep(do.pause)
            self.wfile.flush()
        if do.stall:
            do.done.wait(20)

    def do_HEAD(self) -> None:
        """As the hub answers."""
        length = len(self.behaviour.data)
        self.answer(200, length, [("X-Repo-Commit", "a" * 40), ("ETag", '"b"')])

    def answer(self, status: int, length: int | None, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(behaviours: Mapping[str, Behaviour]) -> Iterator[str]:
    """The address of a server of files, by their paths; the empty path stands for all others."""
    handler = type("Bound", (Handler,), {"behaviours": behaviours})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        for behaviour in behaviours.values():
            behaviour.done.set()
        running.shutdown()
