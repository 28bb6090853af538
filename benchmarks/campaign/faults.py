"""Faults of this process at a chosen moment: it is killed, the disk is full, a file is unreadable.

What Python writes is seen by an audit hook: files opened for writing, linked, made, renamed,
removed. Calls of ``fsync`` are counted too, where a file is written and does not yet have its name.
The kernel itself refuses writes and readings that have begun, so that they fail where NumPy,
safetensors, Pillow and Python really write and read: by the limit on the size of files, and by a
file that gives an error of the device in the place of the one that was opened.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["none", "kill", "torn", "full", "filled", "unreadable", "unread"]
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link")
_NEEDS_SPACE = ("open", "os.mkdir", "os.link", "fsync")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_BROKEN = "/proc/self/mem"  # nothing lies at its beginning: the kernel answers EIO


@dataclass(frozen=True)
class Fault:
    """What happens in this process, and when."""

    kind: Kind
    """``kill``: killed at a write; ``torn``: killed in the middle of one; ``full``: nothing is
    written from then on; ``filled``: a file that is opened then, and each later one, takes some
    bytes and no more; ``unreadable``: one file cannot be opened; ``unread``: one file is opened
    and cannot be read."""
    at: int = 0
    """Number of the write, opening or reading, from 0."""
    size: int = 0
    """Bytes that a file may have, where it is torn or the disk is filled."""


@dataclass
class Points:
    """Moments of a process at which something can go wrong."""

    writes: int = 0
    needs_space: int = 0
    opens: int = 0
    """Files opened to be written."""
    reads: int = 0
    read: int = 0
    """Files opened to be read by Python's ``open``, as all libraries do that are not native."""
    came: bool = False
    """Whether the fault has come."""


class _Injection:
    """Counts moments and lets the fault happen at its own."""

    def __init__(self, fault: Fault, folder: str) -> None:
        self.fault, self.folder, self.points = fault, folder, Points()
        self._open = builtins.open

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
        if event == "open":
            if fault.kind == "filled" and points.opens == fault.at:
                self._limit()
            points.opens += 1
        if event in _NEEDS_SPACE:
            if fault.kind == "full" and points.needs_space >= fault.at:
                points.came = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            points.needs_space += 1

    def reading(self) -> None:
        self.points.reads += 1
        if self.fault.kind == "unreadable" and self.points.reads == self.fault.at + 1:
            self.points.came = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open(self, file: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
        """Python's ``open``; a file whose reading fails is another one under the same number."""
        opened = self._open(file, mode, *rest, **more)
        if set(mode) & set("wax+") or not self._is_below(file):
            return opened
        if self.fault.kind == "unread" and self.points.read == self.fault.at:
            broken = os.open(_BROKEN, os.O_RDONLY)
            os.dup2(broken, opened.fileno(), inheritable=False)
            os.close(broken)
            self.points.came = True
        self.points.read += 1
        return opened

    def tear(self) -> None:
        """Let the kernel kill this process where a file grows beyond its size."""
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self._limit()

    def _limit(self) -> None:
        """Let a write fail where it makes a file larger; what fits of it is written."""
        self.points.came = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.fault.size, self.fault.size))

    def _is_below(self, path: object) -> bool:
        named = isinstance(path, str | bytes | os.PathLike)
        return named and os.fsdecode(path).startswith(self.folder)


def install(fault: Fault, folder: Path) -> Points:
    """Let a fault happen in this process, which cannot take it back; counts what is met.

    Args:
        fault: what happens.
        folder: only what lies below it counts.
    """
    injection, synced = _Injection(fault, str(folder.resolve())), os.fsync
    if fault.kind == "torn":
        injection.tear()

    def fsync(handle: int) -> None:
        injection.writing("fsync")
        synced(handle)

    sys.addaudithook(injection)
    os.fsync = fsync
    builtins.open = io.open = injection.open  # pyright: ignore[reportAttributeAccessIssue]
    return injection.points
