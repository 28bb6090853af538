"""Errors that are shown to people: in words that say what to do, never a traceback."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from typing import Any

import gradio as gr

from core.service import Session
from core.values import UndescribedError, WellspringError

FAULT, STOPPED = "Fault", "Stopped"
"""Titles that tell what became of a call."""

_TAG = re.compile(r"<(?=[A-Za-z/!?])")  # where browsers begin one
_log = logging.getLogger(__name__)


def user_error(words: str, *, title: str = "That did not work") -> gr.Error:
    """An error to raise, as the page shows it: until it is closed, and a stop for a while."""
    seconds = 10 if title == STOPPED else None
    return gr.Error(as_text(words), title=title, duration=seconds, print_exception=False)


def as_text(words: str) -> str:
    """Words in which a notice shows no HTML, which a link's filter or a file's name may hold."""
    return _TAG.sub("&lt;", words)


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Show the core's errors, which are written for people, and log all others.

    Others may name files of the server, so the page only says that there was one.

    Raises:
        gr.Error: in place of any exception.
    """
    try:
        yield
    except gr.Error:
        raise
    except UndescribedError as error:
        raise user_error(
            "This encoder does not describe the gallery yet. Choose it once more to prepare it, or "
            "choose another one."
        ) from error
    except WellspringError as error:
        raise user_error(str(error)) from error
    except Exception as error:
        _log.exception("a handler failed")
        raise user_error(
            "This is a fault of the program; the log of the server says more.", title=FAULT
        ) from error


def without_unreadable(session: Session, image: str | None) -> Any:
    """After a failure, the new value of an image component: empty if it holds no readable image."""
    try:
        session.image(image or "")
    except WellspringError:
        return None
    return gr.skip()
