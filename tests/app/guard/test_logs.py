from __future__ import annotations

import copy
import io
import json
import logging
import subprocess
import sys
import threading
import traceback
import warnings
from pathlib import Path

import pytest
import uvicorn.config

from app.guard.logs import event, log_lines

FORGED = 'zz\n{"time": "2026-01-01T00:00:00Z", "level": "info", "event": "FORGED"}'
SERVED = """
import logging, sys, warnings
import gradio as gr, httpx
held = logging.StreamHandler()
logging.getLogger("huggingface_hub").addHandler(held)
logging.getLogger("huggingface_hub").propagate = False
from app.guard.logs import event, log_lines
log_lines()
event("start")

def tell(name):
    print("printed", name)
    warnings.warn(name)
    gr.Dropdown(["a"], value=name)
    logging.getLogger("huggingface_hub").warning(f"Retrying {name}")
    raise OSError(name)

class Broken:
    def __init__(self, app):
        self.app = app
    async def __call__(self, scope, receive, send):
        if scope.get("path") == "/broken":
            raise RuntimeError(scope["query_string"].decode())
        await self.app(scope, receive, send)

from starlette.middleware import Middleware
with gr.Blocks() as blocks:
    name = gr.Textbox()
    gr.Button().click(tell, name, None, api_name="tell")
options = {"middleware": [Middleware(Broken)]}
_, url, _ = blocks.launch(prevent_thread_lock=True, app_kwargs=options, mcp_server=True)
client = httpx.Client(base_url=url, trust_env=False)
joined = client.post("/gradio_api/call/tell", json={"data": [sys.argv[1]]})
client.get(f"/gradio_api/call/tell/{joined.json()['event_id']}")
client.get("/broken", params={"name": sys.argv[1]})
blocks.close()
event("end")
"""


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch):
    """Begins the logs of this process and gives what reads them; what they replace comes back.

    A test begins them itself: pytest puts streams of its own in place before it runs.
    """
    root, stream = logging.getLogger(), io.StringIO()
    before, loggers = root.handlers[:], logging.root.manager.loggerDict.values()
    named = [each for each in loggers if isinstance(each, logging.Logger)]
    kept = [(each, each.handlers[:], each.propagate) for each in named]
    for place, name in (
        (sys, "stdout"),
        (sys, "stderr"),
        (sys, "excepthook"),
        (sys, "unraisablehook"),
        (threading, "excepthook"),
        (warnings, "showwarning"),
    ):
        monkeypatch.setattr(place, name, getattr(place, name))
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)

    def begin():
        log_lines(stream)
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    yield begin
    uvicorn.config.LOGGING_CONFIG |= config
    root.handlers[:] = before
    for logger, handlers, propagate in kept:
        logger.handlers[:], logger.propagate = handlers, propagate


def test_an_event_is_one_line(logged):
    lines = logged()
    event("call", name="attribute", seconds=0.1)
    (line,) = lines()
    assert (line["event"], line["name"], line["seconds"]) == ("call", "attribute", 0.1)
    assert line["time"].endswith("Z")


def test_neither_words_of_an_error_nor_what_is_put_into_a_message_are_written(logged):
    """A traceback named the file that a visitor had uploaded."""
    lines = logged()
    try:
        open("/tmp/secret sketch.png")  # noqa: PTH123, SIM115
    except OSError:
        logging.getLogger("app").exception("a handler failed with %s", "secret sketch.png")
    (line,) = lines()
    assert "secret" not in json.dumps(line)
    assert (line["error"], line["level"]) == ("FileNotFoundError", "error")
    assert line["at"][-1].startswith("test_logs.py:")
    assert line["message"] == "a handler failed with %s"


def test_a_message_is_written_only_where_the_code_holds_it(logged):
    """Retries of a library named a visitor's dataset: its message was made before it was logged."""
    lines = logged()
    logging.getLogger("huggingface_hub").warning(f"Retrying {FORGED}")
    logging.getLogger("huggingface_hub").warning("Retrying %s", FORGED)
    made, plain = lines()
    assert "message" not in made and made["at"].startswith("test_logs.py:")
    assert plain["message"] == "Retrying %s"
    assert "FORGED" not in json.dumps([made, plain])


def test_what_is_printed_is_told_by_its_place_and_size(logged):
    lines = logged()
    print("one", FORGED)  # noqa: T201
    print("without an end", end="")  # noqa: T201
    warnings.warn(FORGED, UserWarning, stacklevel=1)
    *printed, warned = lines()
    assert {(each["event"], each["from"]) for each in printed} == {("printed", "stdout")}
    assert sum(each["characters"] for each in printed) == len(f"one {FORGED}".replace("\n", ""))
    assert printed[0]["at"].startswith("test_logs.py:")
    assert (warned["event"], warned["warning"]) == ("warning", "UserWarning")
    assert "FORGED" not in json.dumps([*printed, warned])


def test_a_traceback_is_one_field_of_one_line(logged):
    lines = logged()
    try:
        raise ValueError(FORGED)
    except ValueError:
        traceback.print_exc()
    thread = threading.Thread(target=lambda: [][1])
    thread.start()
    thread.join()
    printed, fell = lines()
    assert (printed["error"], fell["error"]) == ("ValueError", "IndexError")
    assert printed["at"][-1].startswith("test_logs.py:")


def test_all_that_a_server_says_is_one_object_a_line_without_what_a_client_sent():
    """Gradio's warnings, uvicorn's tracebacks and prints were not, and could forge lines."""
    found = subprocess.run(
        [sys.executable, "-c", SERVED, FORGED],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert not found.stdout
    assert "FORGED" not in found.stderr
    said = [json.loads(line) for line in found.stderr.splitlines()]
    assert (said[0]["event"], said[-1]["event"]) == ("start", "end")
    assert [each["error"] for each in said if "error" in each].count("OSError") == 1
    assert "RuntimeError" in {each.get("error") for each in said}
    assert "UserWarning" in {each.get("warning") for each in said}
    assert "huggingface_hub" in {each.get("from") for each in said}
