"""Connections to a server as it runs, on which no request comes."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest
from uvicorn.config import HTTP_PROTOCOLS

from app.guard.sockets import TimedProtocol, limit_connections
from core.config import ServerConfig


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that gives a request a second to begin, and an address six connections."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HTTP_PROTOCOLS, "auto", HTTP_PROTOCOLS["auto"])
        patch.setattr(TimedProtocol, "patience", 1.0)
        patch.setattr(TimedProtocol, "most", 0)
        limit_connections(ServerConfig(hosted=True, max_client_open=3))
        with gr.Blocks() as blocks:
            gr.Markdown("x")
        _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True)
        time.sleep(1.2)  # those by which Gradio looks at its own server are gone
        yield address
        blocks.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


def connect(url: str) -> socket.socket:
    place = urlsplit(url)
    return socket.create_connection((str(place.hostname), int(place.port or 80)), timeout=10)


def is_closed(held: socket.socket) -> bool:
    """Whether nothing more comes, after what has come."""
    with contextlib.suppress(ConnectionError):
        while held.recv(4_096):
            pass
    return True


@pytest.mark.parametrize("begun", ["", "GET / HTTP/1.1\r\nHost: x\r\nX-Y: "])
def test_a_connection_without_a_request_is_closed(url: str, begun: str):
    """One that sent a letter of a header now and then was held for ever."""
    with connect(url) as held:
        held.sendall(begun.encode())
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for _ in range(40 if begun else 0):
                held.sendall(b"x")
                time.sleep(0.1)
        assert is_closed(held)
        assert time.monotonic() - began < 8


def test_a_request_and_its_answer_take_any_time(url: str):
    told = b"GET /gradio_api/heartbeat/x HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(url) as held:
        held.sendall(told)
        heard = b""
        while b"ALIVE" not in heard:
            heard += held.recv(4_096)
        time.sleep(1.5)
        held.setblocking(False)
        with pytest.raises(BlockingIOError):  # open, with nothing to read
            while held.recv(4_096):
                pass


def test_one_address_does_not_hold_all_connections(url: str):
    held = [connect(url) for _ in range(6)]
    with connect(url) as more:
        assert is_closed(more)
    for each in held:
        each.close()
    time.sleep(0.2)
    assert httpx.get(url).is_success
