"""Tables of metadata, read whatever they are written as: text, JSON or Parquet, to rows of text."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.gallery.columns import read_columns
from core.images.files import parse_json
from core.values import GalleryError

MAX_BYTES = 100_000_000
"""Largest table that is read, in bytes, packed and unpacked alike."""

_MARKS = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_DELIMITERS = ",;\t|"
_NAME = "file_name"
_NAMES = "file_names"
_ALIASES = (
    *("filename", "filenames", "file", "image", "image_file", "image_path", "image_name"),
    *("image_filename", "img", "img_path", "img_name", "file_path", "filepath", "path", "name"),
)
FORMULA_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
"""Signs by which a spreadsheet knows a formula, as in a regular expression's class; those of some
countries know them in their full width."""
_APOSTROPHE = re.compile(rf"(?:^|(?<=[;\t\r\n]))'(?=[{FORMULA_SIGNS}])")
_TITLES = 10  # lines that may stand above the columns


@dataclass(frozen=True)
class Table:
    """Rows of one file."""

    path: Path
    columns: tuple[str, ...]
    """As they are written."""
    rows: tuple[Mapping[str, str], ...]
    """Values that are there by column, without white space around them."""
    notes: tuple[str, ...] = ()
    """What people should know of how it was read."""

    @property
    def name_columns(self) -> tuple[tuple[str, ...], ...]:
        """Columns that may name the image files, the likeliest first.

        That is ``file_name`` and all ``*_file_name`` together, else any one of other usual names.

        Raises:
            GalleryError: when there is none.
        """
        plain = {column: _plain(column) for column in self.columns}
        stated = tuple(
            column
            for column, name in plain.items()
            if name in (_NAME, _NAMES) or name.endswith(("_file_name", "_file_names"))
        )
        others = [
            (column,) for alias in _ALIASES for column, name in plain.items() if name == alias
        ]
        if not stated and not others:
            found = (
                f"its columns are {', '.join(self.columns[:20])}" if self.columns else "it is empty"
            )
            raise GalleryError(f"{self.path.name}: the column file_name is missing; {found}")
        return (stated,) if stated else tuple(others)


def read_table(path: Path) -> Table:
    """A table by its extension: ``.csv``, ``.tsv``, ``.jsonl``, ``.json`` or ``.parquet``.

    Text may be UTF-8, UTF-16 or, with a note, Windows-1252; delimiters are found out; blank lines
    and delimiters at the end of lines are nothing.

    Raises:
        GalleryError: when the file is too large or no such table.
    """
    kind = path.suffix.lower()[1:]
    try:
        if path.stat().st_size > MAX_BYTES:
            raise GalleryError(f"{path.name} is over {MAX_BYTES:,} bytes")
        if kind == "parquet":
            return _table(path, *_of_parquet(path))
        text, notes = decoded(path.read_bytes())
        if kind in ("csv", "tsv"):
            return _of_text(path, text, notes)
        return _table(path, _of_json(text, lines=kind == "jsonl"), notes)
    except (ValueError, csv.Error, pa.ArrowException, OSError) as error:
        raise GalleryError(f"{path.name} cannot be read as {kind}: {error}") from error


def decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The text of a file, and a note where its encoding had to be guessed."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding), ()
    for encoding, places in (("utf-16-le", data[1:200:2]), ("utf-16-be", data[:200:2])):
        if len(places) > 1 and places.count(0) > len(places) / 2:
            return data.decode(encoding), ()
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        guess = "it is not UTF-8 and was read as Windows-1252; where letters look wrong, save it as"
        try:
            return data.decode("cp1252"), (f"{guess} UTF-8",)
        except UnicodeDecodeError:
            return data.decode("latin-1"), (f"{guess} UTF-8",)


def _of_text(path: Path, text: str, notes: tuple[str, ...]) -> Table:
    """A table of lines; a line ``sep=;``, as spreadsheets write it, says its delimiter."""
    stated, _, rest = text.partition("\n")
    said = stated.strip().lower()
    if said.startswith("sep=") and len(said) <= 5:
        text, delimiters = rest, said[4:] or "\t"
    else:
        delimiters = "\t,;|" if path.suffix.lower() == ".tsv" else _DELIMITERS
    delimiter = max(delimiters, key=lambda each: _fit(text, each))
    try:
        lines = list(_cells(text, delimiter, strict=True))
    except csv.Error as error:
        notes = (*notes, f"its quotation marks do not match ({error}): see that no row is missing")
        lines = list(_cells(text, delimiter))
    start = next((i for i, cells in enumerate(lines[:_TITLES]) if _names_files(cells)), 0)
    if start:
        notes = (*notes, f"its columns are named in line {start + 1} of those that hold something")
    header, cells = lines[start] if lines else [], lines[start + 1 :]
    long = [i for i, c in enumerate(cells, 1) if len(c) > len(header) and c[0][:1] != "#"]
    if long:
        shown = ", ".join(map(str, long[:10]))
        notes = (*notes, f"{len(long)} rows have more values than there are columns: {shown}")
    rows = tuple(_row(header, line) for line in cells)
    columns = tuple(dict.fromkeys(filter(None, header)))
    return Table(path, columns, rows, (*notes, *_twice(header)))


def _row(columns: Sequence[str], cells: Sequence[Any]) -> dict[str, Any]:
    """The first value of every column that has one."""
    row: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=False):
        if column and cell not in ("", None):
            row.setdefault(column, cell)
    return row


def _twice(columns: Sequence[str]) -> tuple[str, ...]:
    """A note for columns that stand there several times: of their values the first counts."""
    names = sorted({name for name in columns if name and columns.count(name) > 1})
    if not names:
        return ()
    return (f"several columns are called {', '.join(names)}: the first that has a value counts",)


def _fit(text: str, delimiter: str) -> tuple[bool, int]:
    """How well a delimiter splits the line of the columns: are files named, in how many columns."""
    lines = islice(_cells(text, delimiter), _TITLES)
    return max(((_names_files(cells), len(cells)) for cells in lines), default=(False, 0))


def _names_files(columns: Sequence[str]) -> bool:
    names = {_plain(column) for column in columns}
    named = any(name.endswith((_NAME, _NAMES)) for name in names)
    return named or not names.isdisjoint(_ALIASES)


def _cells(text: str, delimiter: str, *, strict: bool = False) -> Iterator[list[str]]:
    """Lines that hold something, from the columns' on, without blank cells at their ends."""
    begun = False
    file = io.StringIO(text, newline="")
    for line in csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=strict):
        cells = [_bare(cell.strip()) for cell in line]
        while cells and not cells[-1]:
            cells.pop()
        comment = cells and cells[0].startswith("#") and not _names_files(cells[1:])
        begun = begun or bool(cells and not comment)
        if cells and begun:
            yield cells


def _bare(cell: str) -> str:
    """A cell without the apostrophes that keep spreadsheets from taking it for a formula."""
    return _APOSTROPHE.sub("", cell) if "'" in cell else cell


def _of_json(text: str, *, lines: bool) -> list[Mapping[str, Any]]:
    """Objects of a JSON text, or one in every line, whichever it is; programs write either."""
    first, second = (_of_lines, _of_one) if lines else (_of_one, _of_lines)
    try:
        return first(text)
    except ValueError:
        with contextlib.suppress(ValueError):
            if len(rows := second(text)) > 1 or lines:
                return rows
        raise


def _of_lines(text: str) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            rows += [parse_json(line)] if line.strip() else []
        except ValueError as error:  # which counts lines from the beginning of this one
            raise ValueError(f"line {number}: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("every line must be an object")
    return rows


def _of_one(text: str) -> list[Mapping[str, Any]]:
    """Objects of a list, alone or beside other things; by file name; or column by column."""
    value = parse_json(text)
    if isinstance(value, dict):
        columns = [column for column in value if _plain(column) in (_NAME, _NAMES, *_ALIASES)]
        inner = {type(each) for each in value.values()}
        if columns and inner == {list}:
            rows = zip(*value.values(), strict=True)
            return [dict(zip(value, row, strict=True)) for row in rows]
        if columns and inner == {dict}:
            keys = value[columns[0]]
            return [{c: cells.get(key) for c, cells in value.items()} for key in keys]
        if columns and isinstance(value[columns[0]], str):
            return [value]
        if inner == {dict}:
            return [{**row, _NAME: row.get(_NAME) or key} for key, row in value.items()]
        if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
            return [dict(zip(value["columns"], row, strict=True)) for row in value["data"]]
    lists = [value] if isinstance(value, list) else list(getattr(value, "values", list)())
    objects = [each for each in lists if _are_objects(each)]
    if not objects:
        raise ValueError("it holds no list of objects, one for every image")
    return max(objects, key=_likelihood)


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _likelihood(rows: Sequence[Mapping[str, Any]]) -> int:
    """How likely a list is that of the images: by what the first of its objects is called by."""
    names = {_plain(str(column)) for row in rows[:1] for column in row}
    return 2 if _NAME in names else int(not names.isdisjoint(_ALIASES))


def _of_parquet(path: Path) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """Rows of a Parquet file and notes.

    Columns of bytes, such as the images, are left out; of images with their paths, as the
    Hugging Face format has them, the path is taken where no other column names files.
    """
    schema = pq.read_schema(path)
    leaves = {field.name: leaf for field in schema if (leaf := _leaf(field))}
    plain = [name for name, leaf in leaves.items() if name == leaf]
    names = plain if _names_files(plain) else [*leaves.values()]
    if not names:
        raise ValueError(f"none of its columns is of text: {', '.join(schema.names)}")
    read = read_columns(path, names, most=MAX_BYTES)
    cells = zip(*(map(_path_of, column.to_pylist()) for column in read.columns), strict=True)
    return [_row(read.column_names, row) for row in cells], _twice(
        [field.name for field in schema if field.name in read.column_names]
    )


def _leaf(field: pa.Field) -> str | None:
    """What is read of a column: all, the path of an image, or nothing."""
    kind = field.type
    if pa.types.is_struct(kind):
        return f"{field.name}.path" if kind.get_field_index("path") >= 0 else None
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return None if binary else field.name


def _path_of(value: object) -> object:
    return value["path"] if isinstance(value, dict) and {*value} == {"path"} else value


def _table(path: Path, records: Sequence[Mapping[str, Any]], notes: tuple[str, ...] = ()) -> Table:
    columns = tuple(dict.fromkeys(str(key).strip() for record in records for key in record))
    rows = [{str(k).strip(): _text(v) for k, v in record.items()} for record in records]
    return Table(path, columns, tuple({k: v for k, v in r.items() if k and v} for r in rows), notes)


def _text(value: object) -> str:
    """A value as people would write it; nothing for one that is not there."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value).strip()


def _plain(column: str) -> str:
    """A column's name in one form: ``Image Path``, ``image-path`` and ``ImagePath`` are alike."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", column).lower()
    return "_".join(re.sub(r"[-_]", " ", words).split())
