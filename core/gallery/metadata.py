"""Rows of metadata joined to the images that they name, with an account of how."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.gallery.manifest import STANDARD
from core.gallery.naming import WAYS, matchers
from core.gallery.tables import Table, read_table
from core.images.files import parse_json
from core.values import GalleryError

_MEANT = {name: name for name in STANDARD} | {
    "license": "licence",
    "author": "creator",
    "artist": "creator",
    "photographer": "creator",
    "link": "url",
}


@dataclass(frozen=True)
class TableAccount:
    """What became of the rows of one table."""

    name: str
    """Its path relative to the folder."""
    rows: int
    matched: Mapping[str, int]
    """Rows that name an image, by how they were matched, as :mod:`core.gallery.naming` has it."""
    unmatched: tuple[tuple[int, str], ...]
    """Rows without an image: their number, from 1, and what they name."""
    repeated: int
    """Rows that name an image that an earlier row of the table names; the last is kept."""
    notes: tuple[str, ...]
    """What people should know of how it was read."""


@dataclass(frozen=True)
class Metadata:
    """What lies beside images."""

    fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Values of images by their paths relative to the folder, then by column."""
    tables: tuple[TableAccount, ...] = ()


def read_metadata(
    folder: Path, tables: Iterable[Path], files: Iterable[str], *, some: bool = False
) -> Metadata:
    """Read the tables of a folder and join them to its images.

    A table's paths are relative to its own folder. Where several have a value for an image, that of
    the table nearest to the image counts. Known columns fill the manifest's own (source, creator,
    licence, url, title); all others are kept as they are.

    Args:
        folder: the folder.
        tables: paths of its tables.
        files: paths of its images, relative to it.
        some: whether the images are only some of those of the folder, so that no table has to
            match any.

    Raises:
        GalleryError: when a table cannot be read, has no column of file names, or matches nothing.
    """
    names = list(files)
    found: dict[str, dict[str, str]] = {}
    accounts: list[TableAccount] = []
    for path in sorted(tables, key=lambda path: (len(path.parts), path.parent, _rank(path))):
        table, place = read_table(path), path.parent.relative_to(folder).as_posix()
        account, rows = _joined(table, _below(names, place), path.relative_to(folder).as_posix())
        if account.rows and not rows and not some:
            first = f"its first row names {account.unmatched[0][1]!r}" if account.unmatched else ""
            raise GalleryError(
                f"{account.name} names none of the {len(names)} images; "
                f"{first or 'its column of file names is empty'}. Paths are relative to the "
                "table's own folder"
            )
        accounts.append(account)
        for name, fields in rows:
            found.setdefault(name, {}).update(fields)
    return Metadata(found, tuple(accounts))


def _rank(path: Path) -> int:
    """Of several tables in one folder the later one counts: a table before lines of JSON."""
    return -[".csv", ".tsv", ".jsonl", ".json", ".parquet"].index(path.suffix.lower())


def _below(names: Sequence[str], place: str) -> dict[str, str]:
    """Files of a folder, by their paths relative to it."""
    start = "" if place == "." else f"{place}/"
    return {name[len(start) :]: name for name in names if name.startswith(start)}


def _joined(
    table: Table, files: Mapping[str, str], name: str
) -> tuple[TableAccount, list[tuple[str, Mapping[str, str]]]]:
    """The account of a table, and the fields of images, later rows last."""
    tried = [(columns, _match(table, columns, files)) for columns in table.name_columns]
    columns, matches = max(tried, key=lambda each: len(each[1]))
    plain = columns[0].lower().endswith(("file_name", "file_names"))
    taken = () if plain else (f"its column {columns[0]!r} was taken for file_name",)
    used = {at for at, _ in matches}
    comments = {at for at in range(len(table.rows)) if _is_comment(table, at)} - used
    named = [each for each in _names(table, columns) if each[0] not in comments]
    lost = [(at + 1, text) for at, text in named if text and (at, text) not in matches]
    nameless = len(table.rows) - len(comments) - len({at for at, text in named if text})
    blank = (f"{nameless} of its rows name no file",) if nameless else ()
    times = Counter(file for file, _ in matches.values())
    account = TableAccount(
        name,
        rows=len(table.rows) - len(comments),
        matched=dict(Counter(way for _, way in matches.values())),
        unmatched=tuple(lost),
        repeated=sum(count - 1 for count in times.values()),
        notes=(*table.notes, *taken, *blank),
    )
    return account, [
        (file, _meant(table.rows[at], without=columns)) for (at, _), (file, _) in matches.items()
    ]


def _is_comment(table: Table, row: int) -> bool:
    """Whether a row would be a comment, if it names no image."""
    return table.rows[row].get(table.columns[0], "").startswith("#")


def _names(table: Table, columns: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Row by row what the columns of file names hold; lists are several names."""
    for at, row in enumerate(table.rows):
        for column in columns:
            text = row.get(column, "")
            several = _several(text) if column.lower().endswith("s") else None
            yield from ((at, str(each)) for each in ([text] if several is None else several))


def _several(text: str) -> list[object] | None:
    """The names of a list; ``None`` for a text that is none."""
    with contextlib.suppress(ValueError):
        value = parse_json(text) if text.startswith("[") else None
        return value if isinstance(value, list) else None
    return None


def _match(
    table: Table, columns: Sequence[str], files: Mapping[str, str]
) -> dict[tuple[int, str], tuple[str, str]]:
    """Files of rows, with how each was found, in the order of the rows.

    A way that is less sure is only tried on rows and files that no surer one has matched.
    """
    left = [(at, text) for at, text in _names(table, columns) if text]
    found: dict[tuple[int, str], tuple[str, str]] = {}
    for way, matcher in zip(WAYS, matchers(files), strict=True):
        free = {*files.values()}.difference(file for file, _ in found.values())
        hits = {each: matcher(each[1]) for each in left}
        if way in WAYS[-2:]:  # such a name must be one row's alone
            times = Counter(file for _, file in {(text, file) for (_, text), file in hits.items()})
            hits = {each: file for each, file in hits.items() if times[file] == 1}
        found |= {each: (file, way) for each, file in hits.items() if file in free}
        left = [each for each in left if each not in found]
    return dict(sorted(found.items()))


def _meant(row: Mapping[str, str], *, without: Sequence[str]) -> dict[str, str]:
    """Fields of an image: those that the manifest has under its names, the others under their own.

    Of several columns that mean the same, the one of the manifest's own name counts, else the
    first; the others keep their names.
    """
    fields: dict[str, str] = {}
    others: dict[str, str] = {}
    plain = sorted(row.items(), key=lambda item: item[0].lower() not in STANDARD)
    for column, value in plain:
        if column in without:
            continue
        meant = _MEANT.get(column.lower())
        if meant and meant not in fields:
            fields[meant] = value
        else:
            others[column] = value
    return {**fields, **others}


def split_fields(fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Metadata of one image as (the manifest's own columns, all others)."""
    own = {key: value for key, value in fields.items() if key in STANDARD}
    return own, {key: value for key, value in fields.items() if key not in STANDARD}
