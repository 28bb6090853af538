"""Addresses that a server must not ask: its own, private and disguised ones, redirects there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from app.page.fetch import Fetcher
from benchmarks.campaign.children import outcome

_HOSTS = (
    "127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]",
    "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    "127.0.0.1.", "localhost.", "user@127.0.0.1", "①②⑦.0.0.1",
)  # fmt: skip
_ELSEWHERE = (
    "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://10.0.0.1/x.png",
    "http://192.168.0.1/x.png", "http://172.16.0.1/", "http://100.64.0.1/", "http://[fe80::1]/",
    "file:///etc/passwd", "ftp://127.0.0.1/x.png", "gopher://127.0.0.1/",
    "data:image/png;base64,AA", "//127.0.0.1/x.png", "http://", "https://[", "javascript:1",
)  # fmt: skip
_PRIVATE = (
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::",
    "2001:0:a00:1::", "2001:db8::1", "192.0.2.1", "198.18.0.1", "240.0.0.1",
)  # fmt: skip
_PUBLIC = "93.184.215.14"


@dataclass
class Canary:
    """A server on this machine that nobody may ask."""

    port: int
    asked: list[str] = field(default_factory=list)

    def addresses(self) -> list[str]:
        """Ways to write its address, and addresses elsewhere that are as bad."""
        here = [f"{scheme}://{host}:{self.port}/x.png" for scheme in _SCHEMES for host in _HOSTS]
        return [*here, *_ELSEWHERE]


_SCHEMES = ("http", "https")


@contextlib.contextmanager
def canary() -> Iterator[Canary]:
    """Run such a server."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield Canary(running.server_port, asked)
        running.shutdown()


def tried() -> tuple[int, tuple[str, ...]]:
    """How often the fetcher was led to a private address, and where it went there.

    Names that stand for a private address, alone or beside a public one; public addresses that lead
    on to one; names that stand for a public address at first.
    """
    faults: list[str] = []
    count = 0
    for private in _PRIVATE:
        host = f"[{private}]" if ":" in private else private
        for way, names, redirect in (
            ("a name", [[private]], ""),
            ("one of two", [[_PUBLIC, private]], ""),
            ("a redirect to the address", [[_PUBLIC], [private]], f"https://{host}/x.png"),
            ("a redirect to a name", [[_PUBLIC], [private]], "https://inside.example/x.png"),
            ("a name that changes", [[_PUBLIC], [private]], "https://outside.example/y.png"),
        ):
            count += 1
            met, how = _fetched(names, redirect)
            if how == "broken" or any(ip != _PUBLIC for ip in met):
                faults.append(f"{way}, {private}: {how}, asked {met}")
    return count, tuple(faults)


def _fetched(names: Sequence[Sequence[str]], redirect: str) -> tuple[list[str], str]:
    """The IP addresses that a fetcher connected to, and how it ended."""
    met: list[str] = []
    answers = iter(names)

    async def resolve(_: str) -> list[str]:
        return list(next(answers, names[-1]))

    def transport(ip: str) -> httpx.AsyncBaseTransport:
        met.append(ip)
        led = httpx.Response(302, headers={"Location": redirect}) if redirect else None
        return httpx.MockTransport(lambda _: led or httpx.Response(200, content=b"x"))

    fetcher = Fetcher(resolve=resolve, transport=transport, seconds=5.0)
    return met, outcome(lambda: fetcher.fetch("https://outside.example/x.png"))[0]
