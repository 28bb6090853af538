"""Tables of metadata, read whatever they are written as: text, JSON or Parquet, to rows of text."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.images.files import parse_json
from core.values import GalleryError

MAX_BYTES = 100_000_000
"""Largest table that is read, in bytes, packed and unpacked alike."""

_DELIMITERS = ",;\t|"
_NAME = "file_name"
_ALIASES = ("filename", "file", "image", "image_path", "file_path", "filepath", "path", "name")


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
            if name == _NAME or name.endswith(("_file_name", "_file_names"))
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
        records = _of_lines(text) if kind == "jsonl" else _of_json(text)
        return _table(path, records, notes)
    except (ValueError, csv.Error, pa.ArrowException, OSError) as error:
        raise GalleryError(f"{path.name} cannot be read as {kind}: {error}") from error


def decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The text of a file, and a note where its encoding had to be guessed."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
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
    header, cells = lines[0] if lines else [], lines[1:]
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
    cells = next(_cells(text, delimiter), [])
    return _names_files(cells), len(cells)


def _names_files(columns: Sequence[str]) -> bool:
    names = {_plain(column) for column in columns}
    named = any(name.endswith((_NAME, "_file_names")) for name in names)
    return named or not names.isdisjoint(_ALIASES)


def _cells(text: str, delimiter: str, *, strict: bool = False) -> Iterator[list[str]]:
    """Lines that hold something, from the columns' on, without blank cells at their ends."""
    begun = False
    for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict):
        cells = [_bare(cell.strip()) for cell in line]
        while cells and not cells[-1]:
            cells.pop()
        comment = cells and cells[0].startswith("#") and not _names_files(cells[1:])
        begun = begun or bool(cells and not comment)
        if cells and begun:
            yield cells


def _bare(cell: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from taking it for a formula."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@") else cell


def _of_lines(text: str) -> list[Mapping[str, Any]]:
    rows = [parse_json(line) for line in text.split("\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("every line must be an object")
    return rows


def _of_json(text: str) -> list[Mapping[str, Any]]:
    """Objects of a list, alone or beside other things; by file name; or column by column."""
    value = parse_json(text)
    if isinstance(value, dict):
        columns = [column for column in value if _plain(column) in (_NAME, *_ALIASES)]
        inner = {type(each) for each in value.values()}
        if columns and inner == {list}:
            rows = zip(*value.values(), strict=True)
            return [dict(zip(value, row, strict=True)) for row in rows]
        if columns and inner == {dict}:
            keys = value[columns[0]]
            return [{c: cells.get(key) for c, cells in value.items()} for key in keys]
        if inner == {dict}:
            return [{**row, _NAME: row.get(_NAME) or key} for key, row in value.items()]
    lists = [value] if isinstance(value, list) else list(getattr(value, "values", list)())
    for each in lists:
        if isinstance(each, list) and all(isinstance(row, dict) for row in each):
            return each
    raise ValueError("it holds no list of objects, one for every image")


def _of_parquet(path: Path) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """Rows of a Parquet file and notes; columns of bytes, such as the images, are left out."""
    with pq.ParquetFile(path) as file:
        groups = range(file.metadata.num_row_groups)
        if sum(file.metadata.row_group(i).total_byte_size for i in groups) > MAX_BYTES:
            raise ValueError(f"it unpacks to over {MAX_BYTES:,} bytes")
        schema = file.schema_arrow
        binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_struct)
        kept = [field.name for field in schema if not any(is_of(field.type) for is_of in binary)]
        if not kept:
            raise ValueError(f"none of its columns is of text: {', '.join(schema.names)}")
        read = file.read(columns=list(dict.fromkeys(kept)))
        cells = zip(*(column.to_pylist() for column in read.columns), strict=True)
        return [_row(read.column_names, row) for row in cells], _twice(kept)


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
    """A column's name without differences of case, blanks and hyphens."""
    return "_".join(column.lower().replace("-", " ").split())
