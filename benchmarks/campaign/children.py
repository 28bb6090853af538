"""Work in a child process that may be killed, hang or break without harm to this one."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import pickle
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.values import WellspringError

_ROOT = str(Path(__file__).parents[2]) + os.sep
_PREFIX, _LOCK = "wellspring-campaign-", ".campaign"
_OLD = 86_400.0  # seconds after which a folder without a lock is nobody's
MEMORY = Path("/dev/shm")  # files here need no disk, so that syncing them takes no time


class Budget:
    """Time that a part of the campaign may take; what was tried by then is what counts."""

    def __init__(self, seconds: float, *, tries: float = 1.0) -> None:
        """Begin.

        Args:
            seconds: time that may be taken.
            tries: share of the usual attempts that are made.
        """
        self._until, self.tries = time.monotonic() + seconds, tries

    @property
    def left(self) -> float:
        """Seconds, below 0 when it is spent."""
        return self._until - time.monotonic()

    def share(self, parts: float) -> Budget:
        """One of equal parts of what is left."""
        return Budget(self.left / parts, tries=self.tries)

    def count(self, usual: int) -> int:
        """How many attempts are made where so many are usual: three at least."""
        return max(round(usual * self.tries), min(usual, 3))


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder for a part of the campaign, in memory where the system has such a place."""
    place = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
    _sweep(place)
    with (
        tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{name}-", dir=place) as folder,
        (Path(folder) / _LOCK).open("w") as held,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        yield Path(folder).resolve()


def _sweep(place: Path) -> None:
    """Remove the folders of campaigns that were killed: nobody holds their locks any more.

    A folder without a lock is one that is just being made, unless it is old.
    """
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if not (folder / _LOCK).is_file():
                if time.time() - folder.stat().st_mtime > _OLD:
                    shutil.rmtree(folder)
                continue
            with (folder / _LOCK).open("r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)


@dataclass(frozen=True)
class Ended:
    """How a child came to its end."""

    value: Any = None
    """What its work gave; ``None`` where it did not come to that."""
    signal: int = 0
    """The signal that ended it; 0 for none."""
    late: bool = False
    """Whether it was stopped since it took too long."""
    seconds: float = 0.0
    peak: float = 0.0
    """Most memory that it had, GB, what it shares with this process included."""


class Child:
    """A forked process that hands over values; only for a parent without threads at work."""

    def __init__(self, work: Callable[[Callable[[Any], None]], None]) -> None:
        """Start; ``work`` gets a function that hands a value to this process."""
        self._values, theirs = os.pipe()
        self._rest, self._began = b"", time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._values)
            _run(work, theirs)
        os.close(theirs)

    def value(self, *, seconds: float) -> Any:
        """The next value.

        Raises:
            TimeoutError: when none comes in time.
            EOFError: when the child has ended.
        """
        until = time.monotonic() + seconds
        while len(self._rest) < 8 or len(self._rest) < 8 + int.from_bytes(self._rest[:8]):
            ready, _, _ = select.select([self._values], [], [], max(until - time.monotonic(), 0))
            if not ready:
                raise TimeoutError
            more = os.read(self._values, 1 << 16)
            if not more:
                raise EOFError
            self._rest += more
        end = 8 + int.from_bytes(self._rest[:8])
        found, self._rest = pickle.loads(self._rest[8:end]), self._rest[end:]
        return found

    def soon(self, *, seconds: float) -> Any:
        """The next value, before the child has computed for longer, however busy the machine is.

        Raises:
            TimeoutError: when it has, or has waited for ten times as long.
            EOFError: when the child has ended.
        """
        began = computed(self.pid)
        for _ in range(10):
            with contextlib.suppress(TimeoutError):
                return self.value(seconds=seconds)
            if computed(self.pid) - began > seconds:
                break
        raise TimeoutError

    def kill(self) -> None:
        """Stop it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> tuple[int, float]:
        """The signal that ended it, 0 for none, and its peak of memory in GB."""
        os.close(self._values)
        _, status, usage = os.wait4(self.pid, 0)
        return (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0), usage.ru_maxrss / 1e6


def computed(pid: int) -> float:
    """Seconds of the processor that a process has used."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    return sum(map(int, stat.split()[11:13])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Resident memory of a process, bytes."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def ended(
    work: Callable[[], Any], *, seconds: float = 300.0, kill_after: float | None = None
) -> Ended:
    """Do some work in a child and see how that ends.

    Args:
        work: its value must be one that can be pickled.
        seconds: after which it is stopped and late.
        kill_after: seconds after which it is killed on purpose.
    """
    began = time.monotonic()
    child = Child(lambda give: give(work()))
    value, late = None, False
    try:
        value = child.value(seconds=seconds if kill_after is None else kill_after)
    except TimeoutError:
        late = kill_after is None
        child.kill()
    except EOFError:
        pass
    found, peak = child.wait()
    return Ended(value, found, late, time.monotonic() - began, peak)


def _run(work: Callable[[Callable[[Any], None]], None], handle: int) -> None:
    """The child's life; it does not return."""
    gc.freeze()  # to look for garbage among what it began with would copy all of that
    with contextlib.suppress(BaseException):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)

        def give(value: Any) -> None:
            data = pickle.dumps(value)
            data, sent = len(data).to_bytes(8) + data, 0
            while sent < len(data):
                sent += os.write(handle, data[sent:])

        work(give)
    os._exit(0)


def outcome(work: Callable[[], Any]) -> tuple[str, str]:
    """What some work comes to: ``done``, ``refused`` in words of ours, or ``broken``, and why."""
    try:
        work()
    except WellspringError as error:
        return "refused", f"{type(error).__name__}: {error}"
    except MemoryError:
        return "broken", "MemoryError"
    except BaseException as error:
        return "broken", f"{type(error).__name__}: {error} at {_place(error)}"
    return "done", ""


def _place(error: BaseException) -> str:
    """The last line of ours that an error came through."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(_ROOT):
            place = f"{name.removeprefix(_ROOT)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
