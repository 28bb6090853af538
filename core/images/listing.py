"""What lies below a folder: image files, tables of metadata, and pictures that are not read."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.images.decode import logger, quoted
from core.images.kinds import EXTENSIONS, FIRST_BYTES, READ, UNREAD_EXTENSIONS, kind_of
from core.values import ImageError

TABLE_EXTENSIONS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
"""Extensions of the files called ``metadata`` that are read as tables."""
IMAGE, TABLE, OTHER_TABLE = "image", "table", "other table"
"""What a file may be, besides a kind of pictures that are not read; another table is not either."""
_SHEETS = (*TABLE_EXTENSIONS, ".xlsx", ".xls", ".ods")  # of any name
_PACKED = re.compile(r"metadata\b.*\.(csv|tsv|txt|jsonl?|parquet)(\.(gz|bz2|xz|zst|zip))?")


@dataclass(frozen=True)
class Listing:
    """The visible files below a folder that matter, each sorted by its path."""

    images: tuple[Path, ...]
    tables: tuple[Path, ...] = ()
    """Tables of metadata."""
    other_tables: tuple[Path, ...] = ()
    """Files that may be tables of metadata but are not called so, and are not read."""
    unread: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """Pictures of kinds that are not read, by kind."""
    links: tuple[str, ...] = ()
    """What became of every link to a folder, and to nothing that is called a picture."""


def look(folder: str | os.PathLike[str]) -> Listing:
    """Look through a folder and the folders below it.

    Images are known by their extension, or else by their first bytes. Hidden files and folders are
    skipped. Links to folders are followed, unless they lead to what is listed anyway or above
    themselves.

    Raises:
        ImageError: when the folder is not one, or cannot be listed.
    """
    root = Path(folder)
    links: list[str] = []
    found: dict[str, list[Path]] = {}
    for path in _files(root, links):
        if kind := _kind(path):
            found.setdefault(kind, []).append(path)
    ordered = {
        kind: tuple(sorted(paths, key=lambda path: path.relative_to(root).as_posix()))
        for kind, paths in sorted(found.items())
    }
    images, tables, others = (ordered.pop(kind, ()) for kind in (IMAGE, TABLE, OTHER_TABLE))
    return Listing(images, tables, others, ordered, tuple(links))


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Image files below a folder, sorted by their path with forward slashes; see :func:`look`.

    Raises:
        ImageError: when the folder is not one, or cannot be listed.
    """
    return list(look(folder).images)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is nobody's picture: hidden, or what macOS adds to its zips."""
    return name.startswith(".") or name == "__MACOSX"


def kind_of_file(name: str, head: Callable[[], bytes]) -> str | None:
    """What a file is: ``IMAGE``, ``TABLE``, ``OTHER_TABLE``, a kind of pictures that are not read.

    ``None`` for anything else.

    Args:
        name: the file's name.
        head: gives its first :data:`FIRST_BYTES` bytes; only asked where the name does not tell.
    """
    stem, extension = os.path.splitext(name.lower())  # noqa: PTH122 - a name, not a path
    if is_hidden(name):
        return None
    if extension in EXTENSIONS:
        return IMAGE
    if stem == "metadata" and extension in TABLE_EXTENSIONS:
        return TABLE
    if extension in _SHEETS or _PACKED.fullmatch(name.lower()):
        return OTHER_TABLE
    kind, named = kind_of(head()), UNREAD_EXTENSIONS.get(extension)
    if kind == "TIFF" and named == "camera RAW":  # its first picture is only a small one
        return named
    return IMAGE if kind in READ else kind or named


def _kind(path: Path) -> str | None:
    def head() -> bytes:
        try:
            with open(path, "rb", opener=_open_at_once) as file:
                regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
                return file.read(FIRST_BYTES) if regular else b""
        except OSError:
            return b""

    kind = kind_of_file(path.name, head)
    return kind if kind not in (TABLE, OTHER_TABLE) or path.is_file() else None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for its writer


def _files(root: Path, links: list[str]) -> Iterator[Path]:
    """Visible files below a folder; says what became of links to folders."""
    tops, listed = [root], [root.resolve()]
    for top in tops:  # grows
        for parent, folders, files in os.walk(top, onerror=_unlisted(root)):
            folders[:] = sorted(name for name in folders if not is_hidden(name))
            for path in (Path(parent, name) for name in sorted(files)):
                yield path
                if (
                    path.suffix.lower() not in EXTENSIONS
                    and path.is_symlink()
                    and not path.exists()
                ):
                    links.append(f"the link {_shown(path, root)} leads nowhere")
            for link in [path for name in folders if (path := Path(parent, name)).is_symlink()]:
                said, follow = _followed(link, listed)
                links.append(f"the link {_shown(link, root)} {said}")
                if follow:
                    tops.append(link)
                    listed.append(link.resolve())


def _shown(link: Path, root: Path) -> str:
    return quoted(link.relative_to(root).as_posix())


def _followed(link: Path, listed: list[Path]) -> tuple[str, bool]:
    """What becomes of a link to a folder, and whether it is followed."""
    target = link.resolve()
    if any(target.is_relative_to(folder) for folder in listed):
        return "leads to a folder that is listed anyway", False
    if link.parent.resolve().is_relative_to(target):
        return "leads to a folder above it and is not followed", False
    return f"is followed to {target}", True


def _unlisted(root: Path) -> Callable[[OSError], None]:
    """The callback by which ``os.walk`` reports a folder that it cannot list."""

    def report(error: OSError) -> None:
        where = Path(error.filename)
        if where == root:
            raise ImageError(f"{quoted(root.name)} is not a readable folder") from error
        logger.warning("the folder %s cannot be listed: %s", quoted(where.name), error.strerror)

    return report
