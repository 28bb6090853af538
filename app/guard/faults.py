"""Whose fault an error below the guard is: of what was sent, or of the program."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

import httpx
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


def answer_to(error: Exception, begun: Message, *, plain: bool) -> ASGIApp | None:
    """Log an error, and what answers after it; none where what has begun must break off.

    Gradio ends the stream of a call that nobody made with an event that says so, and then fails:
    such a stream is whole.

    Args:
        error: what came out of the app.
        begun: the message that began a response; empty where none has begun.
        plain: whether the words go to the page as they are.
    """
    if isinstance(error.__cause__, HTTPException):  # a refusal that came when an answer had begun
        error = error.__cause__
    unreadable = isinstance(error, _OF_READING) or getattr(error, "errno", 0) == errno.ENAMETOOLONG
    if not (unreadable and is_in_route(error)):
        EVENTS.error("fault", exc_info=error)
        return None if begun else _FAULT.response(plain=plain)
    EVENTS.warning("unreadable", exc_info=error)
    if not begun:
        return _UNREADABLE.response(plain=plain)
    return None if "content-length" in Headers(raw=begun["headers"]) else _end


async def _end(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.body"})
