"""Paths and names that a gallery's files hold: checked where they are read.

A gallery may have been made by a stranger. Nothing that it says may lead out of its own folder,
but for the folder that its images are read from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.values import GalleryError

_UNSAFE = re.compile(r"\0|^[\s\S]:|(?:^|[\\/])[. ]*(?:[\\/]|\Z)")
# A NUL; a drive; a part that is empty (so an absolute path too) or holds dots and blanks alone.
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PHASH = re.compile(r"[0-9a-f]{16}")


def is_file(path: Path | str) -> bool:
    """Whether there is such a file; one whose name is too long, or that cannot be reached, is none.

    ``Path.is_file`` raises for these.
    """
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """The same of a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def is_relative_path(text: str) -> bool:
    """Whether a text names a file below any folder that it is joined to, on every system."""
    return _UNSAFE.search(text) is None


def check_relative_path(text: str) -> None:
    """Refuse a path that may lead out of the folder it is relative to.

    Raises:
        ValueError: when it is absolute, names a drive, has a part ``..``, or holds a NUL.
    """
    if not is_relative_path(text):
        raise ValueError(f"{text[:80]!r} is not a path inside the gallery")


def check_relative_paths(texts: pa.ChunkedArray) -> None:
    """As :func:`check_relative_path`, of a column."""
    unsafe = _UNSAFE.pattern.replace(r"\Z", r"\z")  # as the engine of Arrow calls the end
    for text in _first(texts, unsafe, matching=True):
        check_relative_path(text)


def check_root(text: str) -> None:
    """Refuse a folder of images that is neither inside the gallery nor an absolute path.

    Raises:
        ValueError: when it is neither.
    """
    absolute = Path(text).is_absolute() or PureWindowsPath(text).is_absolute()
    if "\0" in text or not (absolute or is_own_root(text)):
        raise ValueError(f"{text[:80]!r} is not a folder of images")


def is_own_root(text: str) -> bool:
    """Whether a root is the gallery's own folder or a folder below it."""
    return text in ("", ".") or is_relative_path(text)


def check_sha256(text: str) -> None:
    """Refuse what is not a SHA-256 of 64 lower-case hexadecimal digits: it becomes a file's name.

    Raises:
        ValueError: when it is none.
    """
    if not _SHA256.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not a SHA-256")


def check_sha256s(texts: pa.ChunkedArray) -> None:
    """As :func:`check_sha256`, of a column."""
    for text in _first(texts, f"^{_SHA256.pattern}$", matching=False):
        check_sha256(text)


def check_phashes(texts: pa.ChunkedArray) -> None:
    """As :func:`check_phash`, of a column."""
    for text in _first(texts, f"^{_PHASH.pattern}$", matching=False):
        check_phash(text)


def _first(texts: pa.ChunkedArray, pattern: str, *, matching: bool) -> list[str]:
    """The first of some texts in which a pattern is found, or is not, if there is one."""
    function: Any = getattr(pc, "match_substring_regex")  # noqa: B009 - made when it is imported
    rows = np.flatnonzero(function(texts, pattern).to_numpy() == matching)
    return texts.take(pa.array(rows[:1], pa.int64())).to_pylist()


def check_phash(text: str) -> None:
    """Refuse what is not a perceptual hash of 16 lower-case hexadecimal digits.

    Raises:
        ValueError: when it is none.
    """
    if not _PHASH.fullmatch(text):
        raise ValueError(f"a perceptual hash has 16 hexadecimal digits, got {text[:80]!r}")


def lies_inside(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder after all links are followed; not so for endless ones."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def delete_inside(path: Path, folder: Path) -> bool:
    """Delete a file, or a link, that lies in a folder; whether it lay there.

    A file that lies elsewhere, because a folder on the way is a link, is left alone.
    """
    if not lies_inside(path.parent, folder):
        return False
    path.unlink(missing_ok=True)
    return True


def check_links(paths: Iterable[Path], folder: Path) -> None:
    """Refuse links that lead out of a gallery's folder.

    Args:
        paths: files and folders below the folder; links among them are followed.
        folder: the gallery's folder.

    Raises:
        GalleryError: when one of the paths is such a link.
    """
    for path in paths:
        if path.is_symlink() and not lies_inside(path, folder):
            raise GalleryError(
                f"{path.relative_to(folder).as_posix()!r} of {folder.name} is a link that leads "
                "out of the gallery; put what it leads to in its place"
            )
