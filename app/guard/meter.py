"""The time of one call, charged to its client while it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from app.guard.limits import Limits


class Meter:
    """Charges one call; what is called now and then while it works says whether it may go on."""

    def __init__(
        self, limits: Limits, client: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin: the time counts from now."""
        self._limits, self._client, self._clock = limits, client, clock
        self._paid = clock()
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """Charge what has passed; why the call must stop, or the empty text."""
        self.charge()
        refused = self._limits.work_goes_on(self._client)
        return refused.words if refused else ""

    def charge(self) -> None:
        """Charge the seconds that have passed since this was last done."""
        with self._lock:
            now = self._clock()
            passed, self._paid = now - self._paid, now
        self._limits.seconds.use(self._client, passed)
