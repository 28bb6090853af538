"""A gallery's images as people look for them: by words and values of any column, in any order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.gallery.manifest import STANDARD, Records
from core.values import ImageRecord

ADDED, NEWEST, NAME = "added", "newest", "name"
"""Orders that are no column: as images were added, the last one first, and by title or path."""

_DIGITS = re.compile(r"(\d{1,18})")


@dataclass(frozen=True)
class Wanted:
    """Which images are looked for, and in what order."""

    text: str = ""
    """Words that must all be somewhere in an image's path and values, in any case."""
    column: str = ""
    """A column whose value counts; empty for none."""
    value: str | None = None
    """What the column must hold, the empty text for no value; ``None`` for anything."""
    order: str = ADDED
    """One of the orders above, or a column."""


def column_names(
    records: Sequence[ImageRecord], *, known: Sequence[str] = STANDARD
) -> tuple[str, ...]:
    """Columns that say anything of these images: the known ones, then the free ones."""
    standard, free = Records.of(records).columns
    return (*(name for name in known if name in standard), *free)


def column_values(records: Sequence[ImageRecord], column: str) -> dict[str, int]:
    """How many images have each value of a column, the commonest first; no value is ``""``."""
    counts = Counter(value_of(record, column) for record in records)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], natural(item[0]))))


def value_of(record: ImageRecord, column: str) -> str:
    """An image's value of a column; empty where it has none."""
    return getattr(record, column) if column in STANDARD else record.extra.get(column, "")


def browse(records: Sequence[ImageRecord], wanted: Wanted) -> list[ImageRecord]:
    """The images that are looked for, in their order; those without a value come last."""
    words = wanted.text.casefold().split()
    found = [
        record
        for record in records
        if (not wanted.column or wanted.value in (None, value_of(record, wanted.column)))
        and (not words or _holds(record, words))
    ]
    if wanted.order == NEWEST:
        return found[::-1]
    if wanted.order == ADDED:
        return found
    keys = [
        (record.title or record.path) if wanted.order == NAME else value_of(record, wanted.order)
        for record in found
    ]
    places = sorted(range(len(found)), key=lambda place: (not keys[place], natural(keys[place])))
    return [found[place] for place in places]


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts texts as people do: whatever the case, and 9 before 10."""
    parts = _DIGITS.split(text.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _holds(record: ImageRecord, words: Sequence[str]) -> bool:
    values = [record.path, *(getattr(record, name) for name in STANDARD), *record.extra.values()]
    text = "\n".join(values).casefold()
    return all(word in text for word in words)
