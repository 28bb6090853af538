"""Requests that are not sent to their end, by hand and to a served app."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest

from app.guard import gate
from app.guard.bodies import Body, Late
from app.guard.clients import CLIENT
from app.guard.guard import Guard
from app.guard.limits import Limits
from app.ui import launch_options
from core.config import ServerConfig
from core.service import Session


def body(*pieces: bytes, pause: float = 0.0, length: int = 10, silence: float = 0.2) -> Body:
    """One that comes in pieces, each after a pause, and then no more."""
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause if left else 60)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    headers = [(b"content-length", str(length).encode())]
    return Body({"type": "http", "headers": headers}, receive, silence=silence)


def apart(work: Coroutine[Any, Any, None]) -> None:
    """Run in a thread of its own: where a browser was driven, this one has a loop already."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def test_what_is_all_here_is_received_once_more():
    async def check() -> None:
        found = body(b"one ", b"two")
        assert await found.whole() == b"one two"
        assert (await found())["body"] == b"one two"
        with pytest.raises(TimeoutError):  # that the client leaves takes any time
            await asyncio.wait_for(found(), 0.4)

    apart(check())


def test_a_body_that_stops_is_late():
    async def check() -> None:
        found = body(b"one", b"", length=100)
        assert (await found())["body"] == b"one"
        found._receive = lambda: asyncio.sleep(60)  # type: ignore[assignment]
        with pytest.raises(Late):
            await found()

    apart(check())


def test_a_body_that_drips_is_late():
    async def check() -> None:
        found = body(*[b"x"] * 100, pause=0.05)
        with pytest.raises(Late):
            await found.whole()

    apart(check())


def test_nobody_waits_for_what_was_refused():
    """A client that sent nothing more was waited for without end."""

    async def check() -> None:
        began = time.monotonic()
        await body(b"x", b"", silence=0.2, pause=0.5).drain()
        assert time.monotonic() - began < 2

    apart(check())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A hosted server on which few calls wait, and one client opens little."""
    with gr.Blocks() as blocks:
        word = gr.Textbox()
        gr.Button().click(lambda word: word, word, word, api_name="echo")
    blocks.queue(api_open=False)
    server = ServerConfig(hosted=True, proxies=1, max_waiting=8, max_client_open=12)
    guard = Guard(Session(server=server))
    guard.watch(blocks)
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(guard))
    yield address
    blocks.close()


@contextlib.contextmanager
def begun(
    url: str, line: str, *, client: str, count: int, length: int = 100
) -> Iterator[list[socket.socket]]:
    """Connections on which a request was begun."""
    place = urlsplit(url)
    at = (str(place.hostname), int(place.port or 80))
    held = [socket.create_connection(at, timeout=10) for _ in range(count)]
    for each in held:
        headers = ["Host: x", f"X-Forwarded-For: {client}"]
        if line.startswith("POST"):
            headers += [
                f"Content-Length: {length}",
                "Content-Type: multipart/form-data; boundary=x",
            ]
        each.sendall("\r\n".join([f"{line} HTTP/1.1", *headers, "", ""]).encode())
    time.sleep(0.3)
    yield held
    for each in held:
        each.close()
    time.sleep(0.3)


def ask(url: str, client: str) -> httpx.Response:
    headers = {"X-Forwarded-For": client}
    return httpx.post(f"{url}gradio_api/call/echo", json={"data": ["x"]}, headers=headers)


@pytest.mark.parametrize("path", ["queue/join", "call/echo", "mcp/", "upload"])
def test_calls_that_are_not_sent_to_their_end_take_no_place(url: str, path: str):
    """As many as may wait filled the queue for all, with some bytes each."""
    with begun(url, f"POST /gradio_api/{path}", client="203.0.113.1", count=10):
        assert ask(url, "203.0.113.2").status_code == 200


@pytest.mark.parametrize(
    "line",
    ["GET /gradio_api/heartbeat/x", "POST /gradio_api/queue/join", "POST /gradio_api/upload"],
)
def test_one_client_opens_only_so_much_at_once(url: str, line: str):
    """Each held a connection of the server for as long as it liked, and there was no end."""
    with begun(url, line, client="203.0.113.3", count=12):
        refused = ask(url, "203.0.113.3")
        assert refused.status_code == 429
        assert "12 requests of yours are open, as many as may" in refused.json()["detail"]
        assert ask(url, "203.0.113.4").status_code == 200
    assert ask(url, "203.0.113.3").status_code == 200


@pytest.mark.parametrize("path", ["queue/join", "upload"])
def test_what_does_not_come_is_said_and_its_connection_closed(
    url: str, path: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gate, "Body", partial(Body, silence=0.2))
    with begun(url, f"POST /gradio_api/{path}", client="203.0.113.5", count=1) as (held,):
        told = b""
        while piece := held.recv(4_096):
            told += piece
        assert told.startswith(b"HTTP/1.1 408")
        assert b"what you sent did not come in time; try again" in told


def test_one_client_s_bodies_take_only_so_much_memory(url: str):
    """All of a body is in memory before it counts, and there was no end to bodies."""
    large = ServerConfig().max_body_bytes
    with begun(url, "POST /gradio_api/queue/join", client="203.0.113.6", count=4, length=large):
        assert ask(url, "203.0.113.6").status_code == 429
        assert ask(url, "203.0.113.7").status_code == 200


def test_all_bodies_take_only_so_much_memory(url: str):
    """Each client had its own room, so that a hundred addresses filled the memory."""
    large = ServerConfig().max_body_bytes
    with contextlib.ExitStack() as stack:
        for number in range(8):
            stack.enter_context(
                begun(
                    url,
                    "POST /gradio_api/queue/join",
                    client=f"203.0.113.{20 + number}",
                    count=4,
                    length=large,
                )
            )
        address = f"{url}gradio_api/call/echo"
        sent = {"content": bytes(200_000), "headers": {"X-Forwarded-For": "203.0.113.40"}}
        assert httpx.post(address, **sent).status_code == 429
        assert ask(url, "203.0.113.40").status_code == 200  # what the page sends is small
    assert httpx.post(address, **sent).status_code != 429


@pytest.mark.parametrize("path", ["queue/join", "call/echo", "mcp/", "cancel", "run/predict"])
def test_a_body_of_millions_of_values_is_not_read(url: str, path: str):
    """To read it took everybody's time, and fifty times its memory."""
    address, headers = f"{url}gradio_api/{path}", {"Content-Type": "application/json"}
    few = b'{"data": [' + b"[]," * 30_000 + b"[]]}"
    many = b'{"data": [' + b"[]," * 60_000 + b"[]]}"
    assert httpx.post(address, content=few, headers=headers).status_code != 413
    refused = httpx.post(address, content=many, headers=headers)
    assert (refused.status_code, "at most 100,000 values" in refused.text) == (413, True)
    picture = b'{"data": ["' + b"A" * 300_000 + b'"]}'
    assert httpx.post(address, content=picture, headers=headers).status_code != 413


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("stated", [True, False])
def test_what_only_reads_sends_no_body(url: str, method: str, stated: bool):
    """All of it was taken into memory, however much came."""
    path = "config" if method == "GET" else "gradio_api/mcp"
    content = bytes(1_000) if stated else iter([bytes(1_000)])
    refused = httpx.request(method, url + path, content=content)
    assert (refused.status_code, "has no body" in refused.text) == (413, True)
    assert httpx.request(method, url + path, content=b"").status_code != 413


def test_calls_that_wait_take_only_so_much_memory():
    """What they say is in memory too, and it was counted only until they waited."""
    limits = Limits(ServerConfig(hosted=True))
    large = b"32000000"

    def asked(client: str, length: bytes = large) -> dict[str, Any]:
        headers = [(b"content-length", length)]
        return {"type": "http", "method": "POST", "headers": headers, "app": app, CLIENT: client}

    line = SimpleNamespace(queue=[])
    queue = SimpleNamespace(event_queue_per_concurrency_id={"": line}, process_time_per_fn={})
    app = SimpleNamespace(get_blocks=lambda: SimpleNamespace(_queue=queue))
    for number in range(32):
        client = f"client {number // 4}"
        assert limits.crowded(asked(client), "call", client) is None
        request = SimpleNamespace(scope=asked(client))
        line.queue.append(SimpleNamespace(request=request, fn=None))
        if number == 3:
            own = limits.crowded(asked(client), "call", client)
            assert own is not None and own.limit == "own queue"
            assert limits.crowded(asked(client, b"1000"), "call", client) is None
    full = limits.crowded(asked("another"), "call", "another")
    assert full is not None and full.limit == "queue"
    assert limits.crowded(asked("another", b"1000"), "call", "another") is None


def test_one_client_s_calls_on_their_way_are_its_own():
    """Calls that were held up before they waited were counted for all together only."""
    limits = Limits(ServerConfig(hosted=True, max_client_waiting=3))
    app = SimpleNamespace(get_blocks=lambda: gr.Blocks())
    scope: dict[str, Any] = {"type": "http", "method": "POST", "headers": [], "app": app}
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            assert stack.enter_context(limits.joined(scope, "call", "ann")) is None
        with limits.joined(scope, "call", "ann") as refused:
            assert refused is not None and "3 of your calls wait already" in refused.words
        with limits.joined(scope, "call", "bob") as refused:
            assert refused is None
    assert not limits.joining
