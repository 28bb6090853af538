from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from app import serve as module
from app.serve import serve
from core.service import Session
from core.values import GalleryError


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was launched; galleries are not opened but for those that are no folder."""
    launched: list[dict[str, Any]] = []

    class Demo:
        def launch(self, **options: Any) -> None:
            launched.append(options)

    def build(_session: object, *, gallery: str, encoder: str | None) -> Demo:
        if gallery != "builtin" and not Path(gallery).is_dir():
            raise GalleryError(f"{gallery} is not a gallery")
        return Demo()

    monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(module, "open_session", Session)
    monkeypatch.setattr(module, "warm_up", lambda *_, **__: None)
    return launched


def free() -> str:
    """A port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x", "9" * 50])
def test_a_wrong_port_is_wrong_use(served, port: str, capsys) -> None:
    """It ended in a traceback."""
    with pytest.raises(SystemExit) as raised:
        serve([f"--port={port}"])
    assert raised.value.code == 2
    assert "1 to 65535" in capsys.readouterr().err
    assert not served


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_a_host_that_is_not_here_is_said_in_a_line(served, host: str) -> None:
    with pytest.raises(SystemExit) as raised:
        serve(["--host", host, "--port", "7999"])
    assert str(raised.value.code).startswith(f"error: cannot listen on {host}:7999")
    assert not served


def test_a_port_in_use_is_said_in_a_line(served) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(SystemExit, match="error: cannot listen on"):
        serve(["--port", str(taken.getsockname()[1])])
    assert not served


def test_a_gallery_that_is_none_is_said_in_a_line(served) -> None:
    """It ended in a traceback."""
    with pytest.raises(SystemExit, match="error: nowhere is not a gallery"):
        serve(["--gallery", "nowhere", "--port", free()])
    assert not served


def test_what_is_right_is_served(served) -> None:
    port = free()
    serve(["--port", port])
    assert served[0]["server_name"] == "127.0.0.1"
    assert served[0]["server_port"] == int(port)
