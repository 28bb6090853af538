"""Values made once, by the first thread that asks, and forgotten when others like them follow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.service.machine import give_back


class Cache:
    """What was made lately, by key; safe to use from several threads."""

    def __init__(self, most: Mapping[str, int], *, others: int) -> None:
        """Take how many values stay of every kind, the first part of a key, and of all others."""
        self.most, self.others = most, others
        self._made: dict[Hashable, _Once] = {}
        self._guard = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any], *, small: bool = False) -> Any:
        """What ``make`` gives, made by the first thread that asks; others wait for it.

        Args:
            key: what the value is of.
            make: makes it.
            small: making it takes little memory, so that there is none to give back.
        """
        with self._guard:
            entry = self._made.pop(key, None) or _Once()
            self._made[key] = entry  # now the last to be forgotten
            kind = self._kind(key)
            alike = [other for other in self._made if self._kind(other) == kind]
            for old in alike[: -self.most.get(kind, self.others)]:
                del self._made[old]
        with entry.lock:
            if not entry.made:
                entry.made.append(make())
                if not small:
                    give_back()
            return entry.made[0]

    def has(self, key: Hashable) -> bool:
        """Whether a value is there, made."""
        with self._guard:
            return key in self._made and bool(self._made[key].made)

    def _kind(self, key: Hashable) -> str:
        """What a value is, where its number is bounded."""
        return key[0] if isinstance(key, tuple) and key[0] in self.most else ""


@dataclass(frozen=True)
class _Once:
    """A value that is there once it was made, and the lock of its maker."""

    made: list[Any] = field(default_factory=list[Any])
    lock: threading.Lock = field(default_factory=threading.Lock)
