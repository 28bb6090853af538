from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.routes import App

from app.guard.allowed import refusal_of

OPEN = {
    *("GET /", "HEAD /", "GET /config", "GET /config/", "GET /theme.css", "GET /favicon.ico"),
    *("GET /robots.txt", "GET /manifest.json", "GET /pwa_icon", "GET /assets/{path}"),
    *("GET /static/{path}", "GET /svelte/{path}", "GET /gradio_api/info"),
    *("GET /gradio_api/app_id", "GET /gradio_api/app_id/"),  # a page whose connection broke
    *("GET /gradio_api/info/", "GET /gradio_api/startup-events", "GET /gradio_api/queue/data"),
    *("GET /gradio_api/heartbeat/{session_hash}", "GET /gradio_api/upload_progress"),
    *("GET /gradio_api/call/{api_name}/{event_id}", "GET /gradio_api/file={path_or_url}"),
    *("HEAD /gradio_api/file={path_or_url}", "POST /gradio_api/call/{api_name}"),
    *(
        "POST /gradio_api/call/{api_name}/",
        "POST /gradio_api/upload",
        "POST /gradio_api/queue/join",
    ),
    *("POST /gradio_api/cancel", "POST /gradio_api/reset", "POST /gradio_api/reset/"),
}
"""Of Gradio's routes."""
PREDICT = "/gradio_api/run/predict"
"""Of ``run/{api_name}`` this one is open: the page calls it, by a number, to stop work."""


def scope(method: str, path: str, **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "path": path, "headers": raw}


def test_of_all_routes_of_gradio_s_these_are_open():
    """All were, with fifty that nothing here needs; what a new release adds is closed."""
    with gr.Blocks() as blocks:
        gr.Textbox()
    paths = App.create_app(blocks).openapi()["paths"]
    routes = [(name.upper(), path) for path, methods in paths.items() for name in methods]
    assert len(routes) > 70
    found = {
        f"{method} {path}"
        for method, path in routes
        if not refusal_of(scope(method, re.sub(r"\{\w+\}", "x", path)))
    }
    assert found == OPEN


@pytest.mark.parametrize(
    ("line", "status"),
    [
        *(("POST " + PREDICT, None), ("POST /gradio_api/run/attribute", 404)),
        *(("GET /health", None), ("GET /metrics", None), ("POST /health", 404)),
        *(("POST /gradio_api/mcp/", None), ("DELETE /gradio_api/mcp", None)),
        *(("GET /gradio_api/mcp/schema", None), ("GET /gradio_api/mcp/sse", 404)),
        *(("POST /gradio_api/mcp/messages/", 404), ("GET /gradio_api/call/v2/attribute/x", 404)),
        *(("OPTIONS /gradio_api/upload", 404), ("PUT /gradio_api/upload", 404)),
        *(("TRACE /", 404), ("GET //", 404), ("GET /config/x", 404), ("GET /pwa_icon/1", 404)),
        *(("POST /gradio_api/upload/../process_recording", 404), ("GET /\n", 404)),
    ],
)
def test_what_is_open_beside_them(line: str, status: int | None):
    method, _, path = line.partition(" ")
    refused = refusal_of(scope(method, path))
    assert (refused.status if refused else None) == status


def test_a_page_below_a_path_is_the_same():
    below = {**scope("GET", "/tool/gradio_api/info"), "root_path": "/tool"}
    assert refusal_of(below) is None
    assert refusal_of({**below, "root_path": ""}) is not None


def test_a_recording_is_not_taken(url: str):
    """30 MB at a time stayed in the folder for temporary files, counted by nobody."""
    folder = Path(tempfile.gettempdir())
    before = set(folder.glob("*.mp4"))
    sent = {"video": ("x.mp4", bytes(3_000_000))}
    answer = httpx.post(f"{url}gradio_api/process_recording", files=sent)
    assert (answer.status_code, "nothing here" in answer.text) == (404, True)
    assert set(folder.glob("*.mp4")) == before


@pytest.mark.parametrize(
    "path",
    [
        *(
            "component_server/x",
            "vibe-edit",
            "vibe-code",
            "stream/x",
            "run/attribute",
            "api/predict",
        ),
        *("call/v2/attribute", "mcp/messages/", "undo-vibe-edit"),
    ],
)
def test_what_nothing_needs_answers_before_it_reads(url: str, path: str):
    answer = httpx.post(f"{url}gradio_api/{path}", content=b"{", timeout=30)
    assert (answer.status_code, "nothing here" in answer.text) == (404, True)


@pytest.mark.parametrize("path", ["pwa_icon/1", "monitoring", "gradio_api/dev/reload", "docs"])
def test_what_nothing_needs_is_not_shown(url: str, path: str):
    """An icon of one size was an error of the server, of another as large as one liked."""
    assert httpx.get(f"{url}{path}").status_code == 404
