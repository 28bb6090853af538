"""Work in a process of its own, which ends at once when it is stopped or nobody waits for it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from core.images.arrays import save_array
from core.images.files import temporary_folder
from core.values import GalleryError

_POLL = 0.1  # seconds between two looks at work under way
_ROOT = Path(__file__).parents[2]


def computed_apart(
    module: str, rows: np.ndarray, *arguments: str, go_on: Callable[[Path], object], failed: str
) -> np.ndarray:
    """What a module, run as a program that calls :func:`answer`, computes of an array.

    It takes its compiled code and its memory with it, and ends with the process that waits for it.

    Args:
        module: its full name.
        rows: the array.
        arguments: what the program is given beside it.
        go_on: asked a few times a second, with the folder of the work; what it raises ends it.
        failed: what is said, before the cause, where nothing is computed.

    Raises:
        GalleryError: when the program fails, or files cannot be written or read.
    """
    with _refused(failed), temporary_folder(module.rpartition(".")[2]) as folder:
        save_array(folder / "given.npy", rows)
        command = [sys.executable, "-m", module, str(folder), *arguments]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log
            ) as process,
        ):
            try:
                while process.poll() is None:
                    go_on(folder)
                    time.sleep(_POLL)
            finally:
                process.kill()
        if process.returncode:
            last = (folder / "log").read_text(errors="replace").strip().rpartition("\n")[2]
            raise GalleryError(f"{failed}: {last}")
        return np.load(folder / "found.npy", allow_pickle=False)


def answer(work: Callable[[np.ndarray, Path], np.ndarray]) -> None:
    """Compute, in the program that :func:`computed_apart` runs, what is asked of an array.

    Args:
        work: gets the array and the folder of the work.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(sys.argv[1])
    save_array(
        folder / "found.npy", work(np.load(folder / "given.npy", allow_pickle=False), folder)
    )


def _end_with_parent() -> None:
    """End this process as soon as the one that holds the other end of its input is gone."""
    while os.read(0, 1):
        pass
    os._exit(1)


@contextlib.contextmanager
def _refused(failed: str) -> Iterator[None]:
    """Say in words why files of the work cannot be written or read."""
    try:
        yield
    except OSError as error:
        raise GalleryError(f"{failed}: {error.strerror or error}") from error
