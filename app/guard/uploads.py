"""Room for uploads: what is kept of all clients together stays within a number of bytes."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

USED = 600.0
"""Seconds in which a file that came is in use: it is being looked at, or built from."""


def make_room(folder: Path, *, most: int, needed: int = 0, used: float = USED) -> bool:
    """Remove the oldest files of a folder until there is room; whether there is.

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
                files.append((max(found.st_mtime, found.st_ctime), found.st_size, path))
    taken, latest = sum(size for _, size, _ in files), time.time() - used
    for came, size, path in sorted(files):
        if taken + needed <= most or came > latest:
            break
        with contextlib.suppress(OSError):
            Path(path).unlink()
            taken -= size
            Path(path).parent.rmdir()  # where it was the only one
    return taken + needed <= most
