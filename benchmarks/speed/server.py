"""The app as a process of its own, and the memory it holds."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.cli.console import say

_WAIT = 120


@contextmanager
def served(
    command: Sequence[str],
    url: str,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """The process of a command, once its page is there; says how long that took."""
    began = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, cwd=folder, env=environment
    ) as process:
        try:
            while not _answers(url):
                if process.poll() is not None or time.monotonic() - began > _WAIT:
                    raise SystemExit("the app did not start")
                time.sleep(0.1)
            say(f"server: {time.monotonic() - began:.1f} s from the command to a served page")
            yield process
        finally:
            process.terminate()


def memory(pid: int, which: str = "VmRSS") -> int:
    """Resident memory of a process, bytes (Linux): now, or with ``VmHWM`` the most it was."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"{which}:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
