from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from app import serve as module
from app.serve import serve
from core.service import Session
from core.values import GalleryError

_OTHERS = ("log", "printed", "warning")  # events that libraries tell of


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was launched; galleries are not opened but for those that are no folder."""
    launched: list[dict[str, Any]] = []

    class Demo:
        def __init__(self) -> None:
            self._queue, self.fns = SimpleNamespace(push=None), {}

        async def process_api(self) -> None:
            raise AssertionError("nothing is called")

        preprocess_data = process_api

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


@pytest.mark.slow
def test_a_hosted_server_ends_gently_when_it_is_told_to(tmp_path: Path):
    """SIGTERM ended it at once, with temporary folders left behind and builds torn."""
    port, root = free(), Path(__file__).parents[2]
    words = ["app.py", "--host", "127.0.0.1", "--port", port]
    environment = {
        **os.environ,
        "WELLSPRING_HOSTED": "1",
        "WELLSPRING_GALLERIES": str(tmp_path),
        "GRADIO_TEMP_DIR": str(tmp_path / "uploads"),
    }
    running = subprocess.Popen(
        [sys.executable, *words], cwd=root, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 90
        while time.monotonic() < until and running.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/health").is_success:
                    break
            time.sleep(0.2)
        assert (tmp_path / "visitors").is_dir()
        running.send_signal(signal.SIGTERM)
        _, logged = running.communicate(timeout=30)
    finally:
        running.kill()
    events = [json.loads(line) for line in logged.splitlines()]
    assert running.returncode == 0
    assert [each["event"] for each in events if each["event"] not in _OTHERS] == ["start", "stop"]
    assert events[-1]["builds_ended"] is True


def test_what_is_right_is_served(served) -> None:
    port = free()
    serve(["--port", port])
    assert served[0]["server_name"] == "127.0.0.1"
    assert served[0]["server_port"] == int(port)
