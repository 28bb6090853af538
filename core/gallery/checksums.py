"""Checksums of a folder's files, listed in it by whoever wrote them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from core.gallery.paths import check_relative_path
from core.images.files import file_digest, read_json, write_json

LISTING = "files.json"
"""File that lists the other files of its folder with their SHA-256."""


def write_listing(folder: Path, *, known: Mapping[str, str] | None = None) -> None:
    """List every file below a folder with its digest, for :func:`changed_files`.

    Args:
        folder: the folder.
        known: digests of files that were listed elsewhere and are the same here.
    """
    digests = known or {}
    names = (p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file())
    write_json(folder / LISTING, {n: digests.get(n) or file_digest(folder / n) for n in names})


def digests_of(folder: Path) -> dict[str, str]:
    """Digests of a folder's files as they are now."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != LISTING)
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def listed(folder: Path) -> dict[str, str]:
    """Digests of a folder's files, as its writer listed them; none where it did not."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return dict(read_json(folder / LISTING))
    return {}


def changed_files(folder: Path, *, but: Collection[str] = ()) -> Iterator[tuple[Path, str]]:
    """Files that are not as a folder's listing has them, and what is wrong with each.

    Args:
        folder: the folder.
        but: names in it of files that are not looked at.
    """
    listing = folder / LISTING
    try:
        digests = dict(read_json(listing))
        for name in digests:
            check_relative_path(name)
    except (OSError, ValueError, TypeError):
        yield listing, "missing or damaged"
        return
    for name, digest in digests.items():
        path = folder / name
        if name in but:
            continue
        if not path.is_file():
            yield path, "missing"
        elif file_digest(path) != digest:
            yield path, "changed since it was written"
