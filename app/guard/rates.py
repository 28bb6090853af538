"""How much somebody may use in a time, and how long to wait for more."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

CROWD = 10_000  # users who are remembered before those at rest are forgotten


class Rate:
    """An amount for each user that comes back evenly: a leaky bucket.

    Whoever has used nothing for the time may use all of the amount at once. It is kept as the time
    at which a user is at rest again, as in the generic cell rate algorithm (ITU-T I.371).
    """

    def __init__(
        self, most: float, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """An amount, and the seconds in which all of it comes back."""
        self.most, self.seconds, self.clock = most, seconds, clock
        self.rests: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, user: str, amount: float = 0.0) -> float:
        """Seconds until a user may use an amount; 0 where that is now, infinite for too much."""
        if amount > self.most:
            return math.inf
        with self._lock:
            now = self.clock()
            rest = max(self.rests.get(user, now), now) + amount * self.seconds / self.most
        return max(rest - now - self.seconds, 0.0)

    def use(self, user: str, amount: float = 1.0) -> None:
        """Note what was used, though it be more than is allowed."""
        with self._lock:
            now = self.clock()
            if len(self.rests) >= CROWD:
                self.rests = {name: rest for name, rest in self.rests.items() if rest > now}
            rest = max(self.rests.get(user, now), now)
            self.rests[user] = rest + amount * self.seconds / self.most

    def take(self, user: str, amount: float = 1.0) -> float:
        """Use an amount if that is allowed now; otherwise the seconds to wait."""
        seconds = self.wait(user, amount)
        if seconds == 0:
            self.use(user, amount)
        return seconds


def in_words(seconds: float) -> str:
    """When to try again, never sooner than it helps."""
    if seconds < 90:
        return f"in {max(math.ceil(seconds), 1)} seconds"
    return f"in {math.ceil(seconds / 60)} minutes"
