"""Work that waits for a network, in a thread of its own that nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")

_ASKED = 0.2  # seconds after which one is asked again whether to go on


def begun(work: Callable[[], T]) -> Future[T]:
    """What some work will give; whoever no longer wants it leaves it.

    A request cannot be called off, and a socket's time-outs do not bound the look-up of names,
    several addresses tried in turn, and redirects. What is left ends with these by itself, gives
    its result to nobody, and does not keep the program from ending.
    """
    made: Future[T] = Future()

    def run() -> None:
        try:
            made.set_result(work())
        except BaseException as error:  # else nobody would ever be told
            made.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return made


def awaited(work: Callable[[], T], go_on: Callable[[], object]) -> T:
    """What some work gives, left as soon as ``go_on``, asked a few times a second, raises."""
    made = begun(work)
    while True:
        go_on()
        if wait([made], _ASKED).done:
            return made.result()
