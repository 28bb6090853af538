"""The parts of a generation: tables and arrays of some images each, never changed once written.

A change writes what is new as one more part, and shares the files of parts that stay with the
generation before by hard links: they are neither copied nor hashed again. Images that go are noted
as rows that are gone. Parts that have become small beside what came after them, or that mostly hold
rows that are gone, are written anew as one: a gallery has few parts, and a row is copied seldom.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from core.images.files import read_json, write_json
from core.values import GalleryError

PARTS = "parts.json"
"""File of a generation that names its parts, in their order, with the rows that are gone."""
MANIFEST = "manifest.parquet"
FIRST = "."
"""Name of the first part, which lies in the generation's own folder."""
SMALL = 4_096
"""Images of a part that is written anew rather than with rows that are gone, or beside others."""
_NAME = re.compile(r"\.|parts/[0-9]{1,18}")


@dataclass(frozen=True)
class Part:
    """Some images of a generation."""

    name: str
    """Its folder, in that of the generation."""
    gone: tuple[int, ...] = ()
    """Rows of its table and of its arrays that are no longer images, in their order."""

    def __post_init__(self) -> None:
        """Refuse what a damaged file may hold."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name[:80]!r} is no part of a generation")
        if {*map(type, self.gone)} - {int} or [*self.gone] != sorted({*self.gone}):
            raise ValueError(f"the rows of {self.name} that are gone are no rows")

    def left(self, rows: int) -> Integer[np.ndarray, " m"]:
        """Those of its rows that are images.

        Raises:
            GalleryError: when it has not as many rows.
        """
        if self.gone and not 0 <= self.gone[0] <= self.gone[-1] < rows:
            raise GalleryError(f"{PARTS} is damaged: {self.name} has {rows} rows")
        return np.delete(np.arange(rows), self.gone)


def read_parts(generation: Path) -> tuple[Part, ...]:
    """The parts of a generation.

    Raises:
        GalleryError: when the file that names them is missing or damaged.
    """
    try:
        found = read_json(generation / PARTS)["parts"]
        parts = tuple(Part(each["name"], tuple(each["gone"])) for each in found)
        names = [part.name for part in parts]
        if names[:1] != [FIRST] or len(names) != len({*names}):
            raise ValueError(f"its parts are {names[:9]}")
    except (OSError, ValueError, TypeError, KeyError) as error:
        words = f"{PARTS} is missing or damaged ({error})"
        raise GalleryError(f"{words}; build the gallery again") from error
    return parts


def write_parts(generation: Path, parts: Sequence[Part]) -> None:
    """Name the parts of a generation."""
    named = [{"name": part.name, "gone": part.gone} for part in parts]
    write_json(generation / PARTS, {"parts": named})


def kept_parts(images: Sequence[int], gone: Sequence[int], *, new: int) -> int:
    """How many parts stay as they are; those after them are written anew as one, with what is new.

    Each part is larger than all after it together (Bentley & Saxe 1980), so that their number, and
    how often a row is copied, grow with the logarithm of the gallery's size.

    Args:
        images: images of every part that stay.
        gone: rows of every part that are no images.
        new: images that come.
    """
    after = [*accumulate([new, *reversed(images)])][-2::-1] if images else []
    for number, counts in enumerate(zip(images, gone, after, strict=True)):
        own, others = counts[0], max(counts[1:])
        if others and own <= max(others, SMALL):
            return number
    return len(images)


def share_files(before: Path, now: Path, *, leave: Collection[str] = ()) -> Iterator[str]:
    """Have the files of a part in another generation as well, by hard links where they can be.

    Args:
        before: the part's folder.
        now: its folder there.
        leave: names of files that are left out.

    Yields:
        Paths of the files in these folders.
    """
    for path in (before / MANIFEST, *sorted(before.glob("[!.]*@*/**/*"))):
        name = path.relative_to(before)
        if path.is_dir() or name.as_posix() in leave:
            continue
        (now / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            (now / name).hardlink_to(path.resolve())
        except OSError:  # the disk has none
            shutil.copyfile(path, now / name)
        yield name.as_posix()
