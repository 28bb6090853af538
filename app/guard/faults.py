"""Whose fault an error below the guard is: of what was sent, or of the program."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.guard.limits import Refusal
from app.guard.logs import EVENTS

_FAULT = Refusal("", 500, "this is a fault of the program")
_UNREADABLE = Refusal("", 400, "what was sent cannot be read; reload the page and send it again")
_OURS = tuple(f"{Path(__file__).parents[2] / name}{os.sep}" for name in ("app", "core"))
_ROUTER = ("starlette/routing.py", "fastapi/routing.py")
_OF_READING = (
    *(ValueError, TypeError, LookupError, AttributeError, AssertionError, OverflowError),
    *(RecursionError, httpx.InvalidURL, ClientDisconnect, HTTPException),
)
"""What reading something raises that is not as it should be; no disk, no memory, no time is not."""


def is_in_route(error: Exception) -> bool:
    """Whether an error was raised in a route of Gradio's, with no code of ours at work behind it.

    Handlers run in the queue, and routes do little else than read paths, headers and bodies.
    """
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    ours = max((i for i, name in enumerate(frames) if name.startswith(_OURS)), default=-1)
    return any(name.replace("\\", "/").endswith(_ROUTER) for name in frames[ours + 1 :])


def refusal_for(error: Exception) -> Refusal:
    """Log an error, and what to answer to it."""
    if isinstance(error.__cause__, HTTPException):  # a refusal that came when an answer had begun
        error = error.__cause__
    unreadable = isinstance(error, _OF_READING) or getattr(error, "errno", 0) == errno.ENAMETOOLONG
    if unreadable and is_in_route(error):
        EVENTS.warning("unreadable", exc_info=error)
        return _UNREADABLE
    EVENTS.error("fault", exc_info=error)
    return _FAULT
