"""What is waited for is given or raised, and left when one is told to."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from core.images.waiting import awaited
from core.values import Cancelled


def test_what_work_gives_and_raises() -> None:
    assert awaited(lambda: 3, lambda: None) == 3
    with pytest.raises(TimeoutError, match="of its own"):
        awaited(lambda: (_ for _ in ()).throw(TimeoutError("of its own")), lambda: None)


@pytest.mark.slow
def test_what_no_library_should_raise_is_passed_on_too() -> None:
    """Panics of compiled packages and exits are no ``Exception``: they would be waited for."""
    with pytest.raises(SystemExit):
        awaited(sys.exit, lambda: None)


@pytest.mark.slow
def test_work_is_left_where_it_stands() -> None:
    over, asked = threading.Event(), list[float]()

    def go_on() -> None:
        asked.append(time.monotonic())
        if len(asked) == 4:
            raise Cancelled("stopped")

    try:
        with pytest.raises(Cancelled):
            awaited(lambda: over.wait(60), go_on)
    finally:
        over.set()
    assert asked[-1] - asked[0] < 5
