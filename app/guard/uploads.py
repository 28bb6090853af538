"""Room for uploads: what is kept of all clients together stays within a number of bytes."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from pathlib import Path

USED = 600.0
"""Seconds in which a file that came is in use: it is being looked at, or built from."""
ENTRY = 8_192
"""Bytes that a file takes beside its own, with its folder, on the disk and in memory."""


class Room:
    """Room in one folder; it is looked through now and then, and in between what comes is added.

    What is on its way is counted until :meth:`ended`, whatever of it lies in the folder already.
    """

    def __init__(self, folder: Path, *, most: int, pause: float = 30.0) -> None:
        self.folder, self.most, self._pause = folder, most, pause
        self._taken, self._coming, self._looked = 0, 0, -math.inf
        self._lock = threading.Lock()

    def take(self, needed: int) -> bool:
        """Whether there is room for some bytes, which are then on their way."""
        with self._lock:
            late = time.monotonic() - self._looked > self._pause
            wanted = self._coming + needed
            if late or self._taken + wanted > self.most:
                self._taken = make_room(self.folder, most=self.most, needed=wanted)
                self._looked = time.monotonic()
            if self._taken + wanted > self.most:
                return False
            self._coming = wanted
            return True

    def ended(self, size: int) -> None:
        """Note that what was on its way has come, or comes no more."""
        with self._lock:
            self._coming -= size
            self._taken += size  # until the folder is looked through again


def make_room(folder: Path, *, most: int, needed: int = 0, used: float = USED) -> int:
    """Remove the oldest files of a folder until there is room, or none may go; the bytes left.

    Args:
        folder: uploads, and copies that the page shows, in folders of their own.
        most: bytes that all may take.
        needed: bytes that are about to come.
        used: seconds for which no file is removed.
    """
    files: list[tuple[float, int, str]] = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)  # noqa: PTH118 - faster
            with contextlib.suppress(OSError):
                found = os.lstat(path)
                came = max(found.st_mtime, found.st_ctime)
                files.append((came, found.st_size + ENTRY, path))
    taken, latest = sum(size for _, size, _ in files), time.time() - used
    for came, size, path in sorted(files):
        if taken + needed <= most or came > latest:
            break
        with contextlib.suppress(OSError):
            Path(path).unlink()
            taken -= size
            Path(path).parent.rmdir()  # where it was the only one
    return taken
