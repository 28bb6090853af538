"""The example queries that may lie beside a gallery: generated images whose sources are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from filecmp import cmp
from pathlib import Path

from core.gallery.paths import check_relative_path, lies_inside
from core.images.files import read_json
from core.values import GalleryError


@dataclass(frozen=True)
class Example:
    """A generated image and where it came from."""

    file: Path
    sources: tuple[str, ...]
    """Paths of its sources, as the gallery's manifest has them; none when it has no source."""
    kind: str
    """How it was made."""
    chosen: bool = False
    """Whether it was made to show an answer that names its sources; it is then no test of that."""


def read_examples(folder: Path) -> tuple[Example, ...]:
    """The examples of a gallery's folder, listed in ``queries/queries.json``; none without it.

    Raises:
        GalleryError: when the list is damaged, or names a file that is not beside it.
    """
    listing = folder / "queries" / "queries.json"
    if not listing.is_file():
        return ()
    try:
        rows = read_json(listing)["queries"]
        return tuple(_example(listing.parent, row) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GalleryError(f"the example list queries.json is damaged: {error}") from error


def example_of(folder: Path, file: Path) -> Example | None:
    """The example of a gallery's folder that a file is, byte for byte; ``None`` where it is none.

    Nothing is an example where the list is damaged, or where the file is gone.
    """
    try:
        examples = read_examples(folder)
        return next((each for each in examples if cmp(each.file, file, shallow=False)), None)
    except (GalleryError, OSError):
        return None


def _example(folder: Path, row: Mapping[str, object]) -> Example:
    name, sources = row["file"], row["sources"]
    if not isinstance(name, str) or not isinstance(sources, list):
        raise TypeError("every example needs a file and a list of sources")
    check_relative_path(name)
    file = folder / name
    if not (file.is_file() and lies_inside(file, folder)):
        raise ValueError(f"{name!r} is not a file beside the list")
    kind, chosen = str(row.get("kind", "")), row.get("chosen") is True
    return Example(file, tuple(map(str, sources)), kind, chosen)
