"""Faults of this process at a chosen moment: it is killed, the disk is full, a file is unreadable.

What Python writes is seen by an audit hook: files opened for writing, linked, made, renamed,
removed. Calls of ``fsync`` are counted too, where a file is written and does not yet have its name.
What is written by other libraries meets the limit on the size of files, which the kernel enforces
in mid-write.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["none", "kill", "torn", "full", "unreadable"]
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link")
_NEEDS_SPACE = ("open", "os.mkdir", "os.link", "fsync")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Fault:
    """What happens in this process, and when."""

    kind: Kind
    """``kill``: killed at a write; ``torn``: killed in the middle of one; ``full``: nothing is
    written from then on; ``unreadable``: one file cannot be read."""
    at: int = 0
    """Number of the write or the reading, from 0; bytes that a file may have, where it is torn."""


@dataclass
class Points:
    """Moments of a process at which something can go wrong."""

    writes: int = 0
    needs_space: int = 0
    reads: int = 0


class _Injection:
    """Counts moments and lets the fault happen at its own."""

    def __init__(self, fault: Fault, folder: str) -> None:
        self.fault, self.folder, self.points = fault, folder, Points()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook."""
        if event == "open":
            if self._is_below(arguments[0]):
                self.writing(event) if arguments[2] & _WRITES else self.reading()
        elif event in _CHANGES and (arguments[-1] != -1 or self._is_below(arguments[0])):
            self.writing(event)  # a name in an open folder may be of any folder

    def writing(self, event: str) -> None:
        fault, points = self.fault, self.points
        if fault.kind == "kill" and points.writes == fault.at:
            os.kill(os.getpid(), signal.SIGKILL)
        points.writes += 1
        if event in _NEEDS_SPACE:
            if fault.kind == "full" and points.needs_space >= fault.at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            points.needs_space += 1

    def reading(self) -> None:
        self.points.reads += 1
        if self.fault.kind == "unreadable" and self.points.reads == self.fault.at + 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _is_below(self, path: object) -> bool:
        named = isinstance(path, str | bytes | os.PathLike)
        return named and os.fsdecode(path).startswith(self.folder)


def install(fault: Fault, folder: Path) -> Points:
    """Let a fault happen in this process, which cannot take it back; counts what is met.

    Args:
        fault: what happens.
        folder: only what lies below it counts.
    """
    if fault.kind == "torn":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.at, fault.at))
    injection, synced = _Injection(fault, str(folder.resolve())), os.fsync

    def fsync(handle: int) -> None:
        injection.writing("fsync")
        synced(handle)

    sys.addaudithook(injection)
    os.fsync = fsync
    return injection.points
