"""A picture is fetched from public machines alone, within limits, never from our own network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from app.page.fetch import Fetcher, is_public
from core.values import ImageError

PUBLIC = "93.184.215.14"


class Loopback(httpx.AsyncHTTPTransport):
    """Connects to the test's own server, whatever was asked for."""

    def __init__(self, port: int, checked: str, seen: list[str]) -> None:
        super().__init__()
        self.port = port
        seen.append(checked)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self.port)
        return await super().handle_async_request(request)


@pytest.fixture
def server() -> Iterator[int]:
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path
            if path.startswith("/to/"):
                self.send_response(302)
                self.send_header("Location", path.removeprefix("/to/"))
                self.end_headers()
                return
            self.send_response(404 if path == "/gone" else 200)
            if path == "/stated":
                self.send_header("Content-Length", "5000000000")
            self.end_headers()
            if path == "/slow":
                stopped.wait(10)
            self.wfile.write(b"x" * (3_000 if path == "/large" else 10))

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made.server_port
    stopped.set()
    made.shutdown()
    made.server_close()


NAMES = {
    "pictures.example": [PUBLIC],
    "also.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "inside.example": ["10.0.0.7"],
    "half.example": [PUBLIC, "127.0.0.1"],
    "lost.example": [],
}


def fetcher(port: int, seen: list[str], **more: float) -> Fetcher:
    async def resolve(host: str) -> list[str]:
        return NAMES.get(host, [host])

    return Fetcher(resolve, lambda ip: Loopback(port, ip, seen), max_bytes=1_000, **more)


def test_what_is_public_is_fetched_from_the_address_that_was_checked(server: int):
    seen: list[str] = []
    content, name = fetcher(server, seen).fetch("https://pictures.example/a/cat%20one.png?x=1")
    assert (content, name) == (b"x" * 10, "cat one.png")
    assert seen == [PUBLIC]


@pytest.mark.parametrize(
    "address",
    [
        "http://pictures.example/a.png",
        "ftp://pictures.example/a.png",
        "file:///etc/passwd",
        "//pictures.example/a.png",
        "a.png",
        "",
        "https://",
        "https://pictures.example:8443/a.png",
        "https://pictures.example:99999/a.png",
        "https://user@pictures.example/a.png",
        "https://[::1/a.png",
        "https://pictures.example/" + "a" * 3_000,
    ],
)
def test_what_is_no_plain_https_address_is_refused(server: int, address: str):
    seen: list[str] = []
    with pytest.raises(ImageError):
        fetcher(server, seen).fetch(address)
    assert seen == []


@pytest.mark.parametrize(
    "host",
    [
        "inside.example",
        "half.example",
        "lost.example",
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "[fd00::1]",
    ],
)
def test_private_machines_are_never_asked(server: int, host: str):
    seen: list[str] = []
    with pytest.raises(ImageError, match="private network"):
        fetcher(server, seen).fetch(f"https://{host}/a.png")
    assert seen == []


@pytest.mark.parametrize(
    "ip",
    ["100.64.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1", "2002:7f00:1::", "::", "ff02::1", "x",
     "2001:0:7f00:1::1", "fec0::1", "fe80::1%eth0"],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet(ip: str):
    assert not is_public(ip)


@pytest.mark.parametrize("ip", [PUBLIC, "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_addresses_that_are(ip: str):
    assert is_public(ip)


def test_redirects_are_followed_and_each_is_judged(server: int):
    seen: list[str] = []
    found = fetcher(server, seen)
    assert found.fetch("https://pictures.example/to/https://also.example/b.png")[1] == "b.png"
    assert seen == [PUBLIC, NAMES["also.example"][0]]
    assert found.fetch("https://pictures.example/to//c.png")[0] == b"x" * 10
    for bad in ("https://inside.example/a", "http://pictures.example/a", "https://127.0.0.1/a"):
        with pytest.raises(ImageError):
            found.fetch(f"https://pictures.example/to/{bad}")


def test_redirects_in_a_circle_end(server: int):
    seen: list[str] = []
    path = "/to/" * 9
    with pytest.raises(ImageError, match="too often"):
        fetcher(server, seen).fetch(f"https://pictures.example{path}")
    assert len(seen) == 5


@pytest.mark.parametrize("path", ["large", "stated"])
def test_what_is_too_large_is_not_read_to_its_end(server: int, path: str):
    with pytest.raises(ImageError, match="larger than"):
        fetcher(server, []).fetch(f"https://pictures.example/{path}")


def test_what_is_gone_and_what_does_not_come_are_told(server: int):
    with pytest.raises(ImageError, match="404"):
        fetcher(server, []).fetch("https://pictures.example/gone")
    with pytest.raises(ImageError, match=r"within 0\.3 seconds"):
        fetcher(server, [], seconds=0.3).fetch("https://pictures.example/slow")


def test_a_name_that_changes_its_mind_changes_nothing(server: int):
    """The name is asked once: the connection goes to what was judged then."""
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    seen: list[str] = []

    async def resolve(_: str) -> list[str]:
        return next(answers)

    found = Fetcher(resolve, lambda ip: Loopback(server, ip, seen))
    found.fetch("https://pictures.example/a.png")
    assert seen == [PUBLIC]
