"""Checksums of a folder's files, listed in it by whoever wrote them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from core.gallery.paths import check_relative_path
from core.images.files import file_digest, read_json, write_json
from core.values import Progress, no_progress

LISTING = "files.json"
"""File that lists the other files of its folder with their SHA-256."""
_MEGABYTE = 10**6


def write_listing(
    folder: Path, *, known: Mapping[str, str] | None = None, progress: Progress = no_progress
) -> None:
    """List every file below a folder with its digest, for :func:`changed_files`.

    Args:
        folder: the folder.
        known: digests of files that were listed elsewhere and are the same here.
        progress: told of files read; may raise ``Cancelled``.
    """
    names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
    digests = {**(known or {})}
    new = [name for name in names if name not in digests]
    digests |= _digests(folder, new, "megabytes of what was written read again", progress)
    write_json(folder / LISTING, {name: digests[name] for name in names})


def digests_of(folder: Path) -> dict[str, str]:
    """Digests of a folder's files as they are now."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != LISTING)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def listed(folder: Path) -> dict[str, str]:
    """Digests of a folder's files, as its writer listed them; none where it did not."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return dict(read_json(folder / LISTING))
    return {}


def changed_files(
    folder: Path, *, but: Collection[str] = (), progress: Progress = no_progress
) -> Iterator[tuple[Path, str]]:
    """Files that are not as a folder's listing has them, and what is wrong with each.

    Args:
        folder: the folder.
        but: names in it of files that are not looked at.
        progress: told of files read; may raise ``Cancelled``.
    """
    listing = folder / LISTING
    try:
        digests = dict(read_json(listing))
        for name in digests:
            check_relative_path(name)
    except (OSError, ValueError, TypeError):
        yield listing, "missing or damaged"
        return
    names = [name for name in digests if name not in but]
    missing = [name for name in names if not (folder / name).is_file()]
    yield from ((folder / name, "missing") for name in missing)
    there = [name for name in names if name not in missing]
    what = "megabytes of files compared with their digests"
    for name, digest in _digests(folder, there, what, progress):
        if digest != digests[name]:
            yield folder / name, "changed since it was written"


def _digests(
    folder: Path, names: Sequence[str], what: str, progress: Progress
) -> Iterator[tuple[str, str]]:
    """Every file of a folder with its digest as it is now; told in megabytes."""
    sizes = [(folder / name).stat().st_size for name in names]
    before, total = 0, max(sum(sizes) // _MEGABYTE, 1)

    def told(done: int) -> None:
        progress((before + done) // _MEGABYTE, total, what)

    for name, size in zip(names, sizes, strict=True):
        yield name, file_digest(folder / name, told=told)
        before += size
