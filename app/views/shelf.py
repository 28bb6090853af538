"""The pictures of a gallery as they are browsed: a page, its words, the choices of a filter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from app.views.names import label_of, name_of, number_of
from app.views.templates import render
from core.service import ADDED, NAME, NEWEST
from core.values import ImageRecord

LEAF = 36
"""Images on a page."""

ANY = ""
"""The choice of any value; every other one is an equals sign and the value."""

_VALUES = 500  # values of a column that can be chosen
_LONG = 60  # characters of a value that are shown


@dataclass(frozen=True)
class _Item:
    id: int
    name: str
    picture: str


@dataclass(frozen=True)
class Leaf:
    """A page of the images that were found."""

    found: Sequence[ImageRecord]
    number: int
    """From 1; at most the last page that there is."""

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(-(-len(self.found) // LEAF), 1)

    @property
    def first(self) -> int:
        """Place of the first image of the page."""
        return (self.number - 1) * LEAF

    @property
    def records(self) -> Sequence[ImageRecord]:
        """The images of the page."""
        return self.found[self.first : self.first + LEAF]

    @classmethod
    def of(cls, found: Sequence[ImageRecord], number: int) -> Leaf:
        """The page of a number, the nearest one where there is no such."""
        return cls(found, min(max(number, 1), cls(found, 1).pages))


def shelf_html(
    leaf: Leaf, pictures: Sequence[str], *, chosen: Collection[int] | None, of: int, none: str
) -> str:
    """A page of images that can be chosen.

    Args:
        leaf: the page.
        pictures: an address for the picture of each of its images.
        chosen: ids of the images that are chosen; ``None`` where none can be.
        of: how many images were looked through.
        none: what to say where none was found.
    """
    items = [
        _Item(record.id, name_of(record), picture)
        for record, picture in zip(leaf.records, pictures, strict=True)
    ]
    return render(
        "shelf",
        items=items,
        chosen=sorted(chosen or ()),
        fixed=chosen is None,
        words=leaf_words(leaf, of=of),
        empty=none,
        leaf=leaf.number,
        pages=leaf.pages,
    )


def leaf_words(leaf: Leaf, *, of: int) -> str:
    """Which of the images are on the page."""
    count = len(leaf.found)
    if not count:
        return f"None of {number_of(of, 'image')}."
    among = f" of {of:,}" if count < of else ""
    return f"{leaf.first + 1:,} to {leaf.first + len(leaf.records):,} of {count:,} found{among}."


def picked_words(count: int) -> str:
    """How many images are chosen."""
    return f"{number_of(count, 'image')} chosen" if count else "Click pictures to choose them."


def sure_words(count: int) -> str:
    """What removing means."""
    return (
        f"Remove {number_of(count, 'image')} from the gallery? This cannot be undone. "
        "An image that is opted out is part of no answer either, and can be opted in again."
    )


def opted_words(count: int, *, out: bool, total: int) -> str:
    """What opting did, and what it comes to: the same twice in a row would look like nothing.

    Args:
        count: images that were opted out or in.
        out: whether out.
        total: images that are opted out now.
    """
    images = number_of(count, "image")
    if out:
        return f"Opted out: {images}, {total:,} in all. No answer, map or group knows of them."
    rest = f"{number_of(total, 'image')} still opted out" if total else "all are part of answers"
    return f"Opted in again: {images}; {rest}."


def column_choices(columns: Sequence[str]) -> list[tuple[str, str]]:
    """Columns to filter by."""
    return [("any column", ""), *((label_of(column).lower(), column) for column in columns)]


def value_choices(values: Mapping[str, int]) -> list[tuple[str, str]]:
    """Values of a column to filter by, each with how many images have it."""
    listed = sorted(values.items(), key=lambda item: bool(item[0]))[:_VALUES]  # none first
    return [("anything", ANY), *((f"{_short(v)} ({n:,})", f"={v}") for v, n in listed)]


def order_choices(columns: Sequence[str]) -> list[tuple[str, str]]:
    """What images can be sorted by."""
    first = [("date added", ADDED), ("date added, last first", NEWEST), ("name", NAME)]
    return [*first, *((label_of(column).lower(), column) for column in columns)]


def _short(value: str) -> str:
    if not value:
        return "no value"
    return value if len(value) <= _LONG else f"{value[: _LONG - 1]}…"
