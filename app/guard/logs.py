"""Logs of a hosted server: one JSON object a line, without names or contents of what is sent.

All that the process says goes through here once :func:`log_lines` was called: loggers, warnings,
errors that nobody caught, and what is printed. A message is written where the source that logs it
holds it as it is: then it is nobody's content. Of everything else the kind and the place are
written. What native code writes past Python is not seen here.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import logging
import sys
import threading
import time
import traceback
import warnings
from types import FrameType
from typing import Any, TextIO

import uvicorn.config

EVENTS = logging.getLogger("wellspring.events")
"""What happens, as ``EVENTS.info(event, extra={"fields": {...}})``."""

_CALL = 12  # lines that a call of a logger may take
_FRAMES = 4
_PRINTERS = (__file__, logging.__file__, traceback.__file__, warnings.__file__)


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
            line |= {"event": "log", "from": record.name, **_said(record)}
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line |= _error(record.exc_info[1])
        return json.dumps(line, default=lambda value: type(value).__name__)


class Printed(io.TextIOBase):
    """A stream in the place of standard output or error: each line is logged, not what it says.

    An error that is printed by many lines, as tracebacks are, is logged once.
    """

    encoding = "utf-8"

    def __init__(self, name: str) -> None:
        self.name = name
        self._begun = threading.local()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Log the lines that end here."""
        begun = getattr(self._begun, "size", 0)
        *whole, rest = str(text).split("\n")
        self._begun.size = len(rest) if whole else begun + len(rest)
        if whole and (size := begun + sum(map(len, whole))):
            self._log(size)
        return len(text)

    def _log(self, size: int) -> None:
        error = sys.exc_info()[1]
        fields: dict[str, object] = {"from": self.name, "characters": size, "at": _printer()}
        if error is not None:
            if getattr(error, "_wellspring_logged", False):
                return
            with contextlib.suppress(AttributeError):
                error._wellspring_logged = True  # pyright: ignore[reportAttributeAccessIssue]
            fields |= _error(error)
        event("printed", **fields)


def log_lines(stream: TextIO | None = None) -> logging.Handler:
    """Write all that this process says as such lines, to standard error where nothing else is said.

    Handlers that libraries have added to their loggers go; uvicorn is told to add none.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines())
    named = list(logging.root.manager.loggerDict.values())
    for logger in (each for each in named if isinstance(each, logging.Logger)):
        logger.handlers.clear()
        logger.propagate = True
    logging.root.handlers[:] = [handler]
    EVENTS.setLevel(logging.INFO)
    uvicorn.config.LOGGING_CONFIG |= {"handlers": {}, "loggers": {}}
    warnings.showwarning = _warned
    sys.excepthook = lambda _kind, error, _trace: _fell(error)
    threading.excepthook = lambda given: _fell(given.exc_value)
    sys.unraisablehook = lambda given: _fell(given.exc_value)
    sys.stdout, sys.stderr = Printed("stdout"), Printed("stderr")
    return handler


def event(what: str, /, **fields: object) -> None:
    """Log one event."""
    EVENTS.info(what, extra={"fields": fields})


def _said(record: logging.LogRecord) -> dict[str, object]:
    """The message, where the code that logs it holds it; its place anyway."""
    at: dict[str, object] = {"at": f"{_short(record.pathname)}:{record.lineno}"}
    lines = (linecache.getline(record.pathname, record.lineno + after) for after in range(_CALL))
    message = str(record.msg).strip()
    return {"message": message, **at} if any(message in line for line in lines) else at


def _error(error: BaseException) -> dict[str, object]:
    """Kind and places of an error."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    at = [f"{_short(frame.filename)}:{frame.lineno}" for frame in frames]
    return {"error": type(error).__name__, "at": at}


def _fell(error: BaseException | None) -> None:
    """Log an error that nobody caught."""
    if error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        EVENTS.error("fault", exc_info=error)


def _warned(
    _message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any
) -> None:
    """Log a warning by its kind and place."""
    fields = {"warning": category.__name__, "at": f"{_short(filename)}:{lineno}"}
    EVENTS.warning("warning", extra={"fields": fields})


def _printer() -> str:
    """Who prints: the nearest frame that is none of a printing module."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename in _PRINTERS:
        frame = frame.f_back
    return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}" if frame is not None else "?"


def _short(path: str) -> str:
    return path.rpartition("/")[2]
