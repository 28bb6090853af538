"""Work that several ask for is done by one of them; the others see how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from core.values import Cancelled, Progress, WellspringError

_PAUSE = 0.3  # seconds between two looks of those who wait

Told = tuple[int, int, str]
"""Done, total, and what: the arguments of a progress."""


@dataclass
class _Work:
    """Work under way."""

    key: Hashable
    told: Told = (0, 1, "starting")
    ended: threading.Event = field(default_factory=threading.Event)
    error: WellspringError | None = None


class Turns:
    """One piece of work at a time, each once for all who wait for it."""

    def __init__(self) -> None:
        self._now: _Work | None = None
        self._guard = threading.Lock()

    def take(self, key: Hashable, work: Callable[[Progress], None], progress: Progress) -> None:
        """Do the work of a key, or wait for the one who does it.

        Whoever works may stop: then one of those who wait goes on. Whoever waits may leave.

        Args:
            key: what the work is for.
            work: does it, calling the progress that it gets.
            progress: told how far it is, or what it waits for; may raise ``Cancelled``.

        Raises:
            WellspringError: what the work raised, for all who waited for it.
            Cancelled: when ``progress`` asked for it.
        """
        while True:
            mine, now = self._begin(key)
            if mine:
                self._work(now, work, progress)
                return
            self._wait(now, key, progress)
            if now.key != key or isinstance(now.error, Cancelled):
                continue
            if now.error is not None:
                raise now.error
            return

    def told(self, key: Hashable) -> Told | None:
        """How far the work of a key is; ``None`` where nobody is at it."""
        now = self._now
        return now.told if now is not None and now.key == key else None

    def _begin(self, key: Hashable) -> tuple[bool, _Work]:
        with self._guard:
            if self._now is not None:
                return False, self._now
            self._now = _Work(key)
            return True, self._now

    def _work(self, now: _Work, work: Callable[[Progress], None], progress: Progress) -> None:
        def tell(done: int, total: int, what: str) -> None:
            now.told = (done, total, what)
            progress(done, total, what)

        try:
            work(tell)
        except WellspringError as error:
            now.error = error
            raise
        except BaseException:
            now.error = Cancelled("it ended without a result")  # whoever waits tries by itself
            raise
        finally:
            with self._guard:
                self._now = None
            now.ended.set()

    @staticmethod
    def _wait(now: _Work, key: Hashable, progress: Progress) -> None:
        while not now.ended.wait(_PAUSE):
            done, total, what = now.told
            words = what if now.key == key else f"waiting for another encoder ({what})"
            progress(done, total, words)
