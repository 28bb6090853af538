from __future__ import annotations

import threading

import pytest

from core.service.turns import Turns
from core.values import Cancelled, EncoderError, no_progress


class Worker(threading.Thread):
    """Takes a turn, and remembers what it was told and how it ended."""

    def __init__(self, turns: Turns, key: str, work, stop=lambda: False) -> None:
        super().__init__()
        self.turns, self.key, self.work, self.stop = turns, key, work, stop
        self.told: list[str] = []
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        def progress(_done: int, _total: int, what: str) -> None:
            self.told.append(what)
            if self.stop():
                raise Cancelled("stopped")

        try:
            self.turns.take(self.key, self.work, progress)
        except (Cancelled, EncoderError) as error:
            self.error = error


@pytest.mark.slow
def test_one_works_and_the_others_see_how_far_it_is() -> None:
    turns, begun, seen, done = Turns(), threading.Event(), threading.Event(), []

    def work(progress) -> None:
        progress(3, 9, "halfway")
        begun.set()
        assert seen.wait(20)
        done.append(1)

    first = Worker(turns, "a", work)
    assert begun.wait(20)
    assert turns.told("a") == (3, 9, "halfway")
    assert turns.told("b") is None
    second, other = Worker(turns, "a", work), Worker(turns, "b", lambda _: done.append(2))
    while not (second.told and other.told):
        threading.Event().wait(0.02)
    seen.set()
    for thread in (first, second, other):
        thread.join(20)
    assert sorted(done) == [1, 2]
    assert set(second.told) == {"halfway"}
    assert set(other.told) == {"waiting for another encoder (halfway)"}


@pytest.mark.slow
def test_who_waits_goes_on_when_the_one_who_works_stops() -> None:
    turns, begun, leave, done = Turns(), threading.Event(), threading.Event(), []

    def long(progress) -> None:
        begun.set()
        while True:
            progress(0, 1, "working")
            threading.Event().wait(0.02)

    first = Worker(turns, "a", long, stop=leave.is_set)
    assert begun.wait(20)
    second = Worker(turns, "a", lambda _: done.append(1))
    while not second.told:
        threading.Event().wait(0.02)
    leave.set()
    for thread in (first, second):
        thread.join(20)
    assert isinstance(first.error, Cancelled)
    assert (second.error, done) == (None, [1])


@pytest.mark.slow
def test_a_failure_is_told_to_all_who_waited_and_ends_with_them() -> None:
    turns, begun, fail, tries = Turns(), threading.Event(), threading.Event(), []

    def work(progress) -> None:
        progress(0, 1, "trying")
        tries.append(1)
        begun.set()
        assert fail.wait(20)
        raise EncoderError("refused")

    first = Worker(turns, "a", work)
    assert begun.wait(20)
    second = Worker(turns, "a", work)
    while not second.told:
        threading.Event().wait(0.02)
    fail.set()
    for thread in (first, second):
        thread.join(20)
    assert [str(thread.error) for thread in (first, second)] == ["refused"] * 2
    assert len(tries) == 1
    with pytest.raises(EncoderError):
        turns.take("a", work, no_progress)
    assert len(tries) == 2


def test_who_waits_may_leave() -> None:
    turns, begun, end = Turns(), threading.Event(), threading.Event()
    first = Worker(turns, "a", lambda _: begun.set() or end.wait(20))
    assert begun.wait(20)
    with pytest.raises(Cancelled):
        turns.take("a", lambda _: None, lambda *_: (_ for _ in ()).throw(Cancelled("left")))
    end.set()
    first.join(20)
    assert first.error is None
