"""Logs of a hosted server: one JSON object a line, without names or contents of what is sent."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from typing import TextIO

EVENTS = logging.getLogger("wellspring.events")
"""What happens, as ``EVENTS.info(event, extra={"fields": {...}})``."""


class Lines(logging.Formatter):
    """A record as JSON; an error by its kind and place, since its words may name a file."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
        }
        if record.name == EVENTS.name:
            line["event"] = record.msg
        else:
            line |= {"event": "log", "from": record.name, "message": str(record.msg)}
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            line["error"] = kind.__name__
            line["at"] = [
                f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
                for frame in traceback.extract_tb(trace)[-4:]
            ]
        return json.dumps(line, default=str)


def log_lines(stream: TextIO | None = None) -> logging.Handler:
    """Write all that is logged as such lines, to standard error where nothing else is said."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    EVENTS.setLevel(logging.INFO)
    return handler


def event(what: str, /, **fields: object) -> None:
    """Log one event."""
    EVENTS.info(what, extra={"fields": fields})
