from __future__ import annotations

import io
import json
import logging

import pytest

from app.guard.logs import event, log_lines


@pytest.fixture
def lines():
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:]
    log_lines(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = before


def test_an_event_is_one_line(lines):
    event("call", name="attribute", seconds=0.1)
    (line,) = lines()
    assert (line["event"], line["name"], line["seconds"]) == ("call", "attribute", 0.1)
    assert line["time"].endswith("Z")


def test_neither_words_of_an_error_nor_what_is_put_into_a_message_are_written(lines):
    """A traceback named the file that a visitor had uploaded."""
    try:
        open("/tmp/secret sketch.png")  # noqa: PTH123, SIM115
    except OSError:
        logging.getLogger("app").exception("a handler failed with %s", "secret sketch.png")
    (line,) = lines()
    assert "secret" not in json.dumps(line)
    assert (line["error"], line["level"]) == ("FileNotFoundError", "error")
    assert line["at"][-1].startswith("test_logs.py:")
