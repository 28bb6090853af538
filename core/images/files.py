"""Files written whole or not at all, and read without trust."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ASSETS = Path(__file__).parents[2] / "assets"
"""What comes with the program."""

_TEMPORARY = "wellspring-work-"
_BLOCK = 2**22  # bytes of a file that are read at once
_STALE = 3_600  # seconds after which nobody writes on what is half-written, where no lock tells


def cache_home() -> Path:
    """Folder of what can be fetched or computed again.

    That is ``WELLSPRING_CACHE``, or ``wellspring`` in the user's cache folder.
    """
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wellspring"
    return Path(os.environ.get("WELLSPRING_CACHE") or usual)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary file to write that becomes ``path`` when the block ends well.

    Readers see the whole file or none, even after a loss of power. When the block fails, the
    temporary file is removed and ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    try:
        yield partial
        sync_file(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with new_file(path) as partial:
        partial.write_bytes(data)


def _beside(path: Path) -> Path:
    """A temporary name in the same folder."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")


def file_digest(
    path: Path, *, algorithm: str = "sha256", told: Callable[[int], None] = lambda _: None
) -> str:
    """Digest of a file, hexadecimal: 64 digits of SHA-256.

    Args:
        path: the file.
        algorithm: another one, as hashlib names it.
        told: called with the bytes read so far, before more are read; what it raises stops this.
    """
    digest, done = hashlib.new(algorithm), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            told(done)
            digest.update(block)
            done += len(block)
    return digest.hexdigest()


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder; files that are removed meanwhile do not count."""
    sizes: list[int] = []
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append(os.lstat(os.path.join(parent, name)).st_size)  # noqa: PTH118 - faster
    return sum(sizes)


def sync(folder: Path) -> None:
    """Have everything below a folder on the disk before what refers to it is written."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        sync_file(path)


def sync_file(path: Path) -> None:
    """Have a file's contents or a folder's names on the disk, where the system can say so."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):  # not for this kind of file
            raise
    finally:
        os.close(handle)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write a mapping as JSON, whole or not at all."""
    write_bytes(path, json.dumps(value, indent=2, ensure_ascii=False).encode())


@contextlib.contextmanager
def new_folder(path: Path, *, durable: bool = False, over: bool = False) -> Iterator[Path]:
    """A temporary folder to fill that becomes ``path`` when the block ends well.

    ``durable`` has its files on the disk by then, so that a power loss leaves no damaged ones;
    ``over`` takes the place of an earlier folder, which stays where the block fails.

    Where another writer made the same folder first, theirs stays: what a name holds is fixed by
    its content's identity. While it is filled a lock is held on it, which falls with the process:
    see :func:`remove_abandoned`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    partial.mkdir()
    try:
        with _held(partial):
            yield partial
            if durable:
                sync(partial)
            if over:
                remove_folder(path)
            try:
                partial.replace(path)
            except OSError:
                if not path.is_dir():
                    raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder, where there is one, at once: nobody finds a part of it, killed or not.

    It is out of sight before anything in it goes; what a killed process left of it is taken for
    what :func:`new_folder` did not finish.
    """
    aside = _beside(folder)
    with contextlib.suppress(OSError):
        folder.replace(aside)
    shutil.rmtree(aside, ignore_errors=True)


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove what :func:`new_folder` did not finish, unless its writer is still at work."""
    for folder in folders:
        with contextlib.suppress(OSError):
            if fcntl is None and time.time() - folder.stat().st_mtime < _STALE:
                continue
            with _held(folder, wait=False):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder(what: str) -> Iterator[Path]:
    """A folder for the time of some work, in the system's folder for such.

    What killed processes left there goes first: nobody holds the locks on their folders any more.
    Without locks, as on Windows, it stays.

    Args:
        what: the work, for whoever sees the folder's name.
    """
    if fcntl is not None:
        remove_abandoned(Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"))
    with contextlib.ExitStack() as stack:
        folder = None
        while folder is None or not folder.is_dir():  # taken for abandoned before it was locked
            folder = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{what}-"))
            with contextlib.suppress(FileNotFoundError):
                stack.enter_context(_held(folder))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextlib.contextmanager
def _held(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock on a folder; where the system or the disk has none, the writer goes on without.

    Raises:
        OSError: when this must not wait, and somebody else holds it or there are none.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError) if wait else contextlib.nullcontext():
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: when it is no JSON, is nested too deeply, or holds text that is no Unicode: a
            lone surrogate, which no file of ours could hold.
    """
    try:
        value = json.loads(text)
        escape = b"\\ud" if isinstance(text, bytes) else "\\ud"
        if escape in text.lower():  # pyright: ignore[reportOperatorIssue]
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a character: a lone surrogate") from error
    return value


def read_json(path: Path) -> Any:
    """The value of a JSON file, in UTF-8, with or without a byte-order mark.

    Raises:
        OSError: when it cannot be read.
        ValueError: as :func:`parse_json`.
    """
    return parse_json(path.read_text(encoding="utf-8-sig"))
