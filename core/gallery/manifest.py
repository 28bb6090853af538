"""The table of a gallery's images: Parquet on disk, columns in memory, records when asked for."""

from __future__ import annotations

import functools
import io
import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Integer

from core.gallery.columns import counted
from core.gallery.paths import check_phashes, check_relative_paths, check_sha256s
from core.images.files import parse_json
from core.values import GalleryError, ImageRecord

STANDARD = ("source", "creator", "licence", "url", "title")
_NEEDED = ("id", "path", "sha256", "phash", "width", "height", "extra")
_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        *((name, pa.string()) for name in ("path", "sha256", "phash")),
        *((name, pa.int32()) for name in ("width", "height")),
        *((name, pa.int64()) for name in ("size", "modified")),
        *((name, pa.string()) for name in (*STANDARD, "extra")),
    ]
)

_LARGE = 8_000_000  # bytes of a table whose texts are not counted first: it takes as long again
_UNPACKED = 64_000_000, 200  # bytes that it may unpack to, and more for each byte of the file
_FEW = 20_000  # records that are all made as soon as one is wanted
_ROWS = 1_000_000, 1 / 16  # that it may have, and more for each byte: a hash alone takes 32


class Records(Sequence[ImageRecord]):
    """Records as columns, which never change; each is made when it is asked for.

    Who goes through all of them has all made, once; few are made together. A column alone is had
    for much less.
    """

    def __init__(self, table: pa.Table) -> None:
        """Take a table of the manifest's columns, without empty cells."""
        self.table = table
        self._made: tuple[ImageRecord, ...] | None = None

    @classmethod
    def of(cls, records: Iterable[ImageRecord]) -> Records:
        """The records as columns, in their order."""
        if isinstance(records, Records):
            return records
        given = tuple(records)
        columns = {
            name: [
                json.dumps(dict(r.extra), ensure_ascii=False)
                if name == "extra"
                else getattr(r, name)
                for r in given
            ]
            for name in _SCHEMA.names
        }
        return cls(pa.table(columns, schema=_SCHEMA))

    @classmethod
    def joined(cls, parts: Sequence[Records]) -> Records:
        """Several one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(pa.concat_tables([_SCHEMA.empty_table(), *(part.table for part in parts)]))

    def take(self, rows: Integer[np.ndarray, " m"]) -> Records:
        """The records of some rows."""
        return Records(self.table.take(pa.array(rows, pa.int64())))

    def replaced(self, changed: Mapping[int, ImageRecord]) -> Records:
        """The same but for some rows."""
        if not changed:
            return self
        rows = np.arange(len(self))
        rows[list(changed)] = len(self) + np.arange(len(changed))
        return Records.joined([self, Records.of(changed.values())]).take(rows)

    @property
    def ids(self) -> list[int]:
        """The id of every image."""
        return self.table["id"].to_pylist()

    def texts(self, name: str) -> list[str]:
        """One text of every image."""
        return self.table[name].to_pylist()

    def numbers(self, name: str) -> Integer[np.ndarray, " n"]:
        """One number of every image."""
        return np.asarray(self.table[name].to_numpy(), np.int64)

    @functools.cached_property
    def hashes(self) -> Integer[np.ndarray, " n"]:
        """The first 63 bits of the content hash of every image."""
        return np.array([hash_of(sha256) for sha256 in self.texts("sha256")], np.int64)

    @functools.cached_property
    def columns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the standard columns that say anything of these images, and of free ones."""
        standard = (name for name in STANDARD if any(self.table[name].unique().to_pylist()))
        free = {name for text in self.table["extra"].unique().to_pylist() for name in _extra(text)}
        return tuple(standard), tuple(sorted(free))

    def __len__(self) -> int:
        return self.table.num_rows

    @overload
    def __getitem__(self, index: SupportsIndex) -> ImageRecord: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ImageRecord, ...]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> ImageRecord | tuple[ImageRecord, ...]:
        if self._made is None and len(self) <= _FEW:
            self._made = _made(self.table)
        if self._made is not None:
            return self._made[index]
        if isinstance(index, slice):
            return _made(self.take(np.arange(len(self))[index]).table)
        row = operator.index(index)
        row += len(self) if row < 0 else 0
        if not 0 <= row < len(self):
            raise IndexError(index)
        return _made(self.table.slice(row, 1))[0]

    def __iter__(self) -> Iterator[ImageRecord]:
        if self._made is None:
            self._made = _made(self.table)
        return iter(self._made)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Records):
            return self.table.equals(other.table)
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # pyright: ignore[reportAssignmentType] - as of a list


def hash_of(sha256: str) -> int:
    """The first 63 bits of a content hash."""
    return int(sha256[:16], 16) >> 1


def to_parquet(records: Sequence[ImageRecord]) -> bytes:
    """The records as the bytes of a Parquet file, in their order."""
    buffer = io.BytesIO()
    pq.write_table(Records.of(records).table, buffer, compression="zstd")
    return buffer.getvalue()


def from_parquet(path: Path) -> Records:
    """The records of a manifest.

    Raises:
        GalleryError: when the file is missing, damaged, or not a manifest, or when it names an
            image outside the folder of images.
    """
    try:
        _check_unpacked(path)
        table = pq.read_table(path, schema=_SCHEMA)
        table.validate(full=True)
    except (OSError, pa.ArrowException, ValueError, TypeError) as error:
        raise _damaged(path, type(error).__name__) from error
    try:
        return Records(_checked(table))
    except (ValueError, TypeError) as error:
        raise _damaged(path, str(error)) from error


def _check_unpacked(path: Path) -> None:
    """Refuse a small file that would fill the memory, before it is unpacked.

    Raises:
        ValueError: when it would.
    """
    size, about = path.stat().st_size, pq.read_metadata(path)
    if about.num_rows > _ROWS[0] + _ROWS[1] * size:
        raise ValueError("it names more images than a file of its size can")
    if size < _LARGE:
        known = about.schema.to_arrow_schema().names
        present = [name for name in known if name in _SCHEMA.names]
        counted(path, present, most=_UNPACKED[0] + _UNPACKED[1] * size)


def check_ids(records: Records) -> None:
    """Refuse ids that do not tell images apart.

    Raises:
        GalleryError: when one is below zero, or two images have the same.
    """
    ids = records.numbers("id")
    if ids.min(initial=0) < 0 or not np.diff(np.sort(ids)).all():
        raise GalleryError("the gallery's table is damaged: images share an id, or have none")


def _damaged(path: Path, why: str) -> GalleryError:
    return GalleryError(
        f"the gallery's table {path.name} is missing or damaged ({why}); build the gallery again"
    )


def _checked(table: pa.Table) -> pa.Table:
    """A table as it was read, its empty cells filled.

    Raises:
        ValueError: when a path leads out of the folder of images, a hash is none, a number is
            missing, or free columns are not texts by name.
    """
    if any(table[name].null_count for name in _NEEDED):
        raise ValueError("an image lacks its number, its path, a hash or its size")
    check_relative_paths(table["path"])
    check_sha256s(table["sha256"])
    check_phashes(table["phash"])
    for text in table["extra"].unique().to_pylist():
        _extra(text)
    filled = [
        pc.fill_null(table[name], _empty(table.schema.field(name))) for name in table.schema.names
    ]
    return pa.table(filled, schema=_SCHEMA)


def _empty(field: pa.Field) -> pa.Scalar:
    """What stands for a value that an earlier version did not keep."""
    return pa.scalar("" if pa.types.is_string(field.type) else 0, field.type)


def _extra(text: str) -> Mapping[str, str]:
    """Free columns.

    Raises:
        ValueError: when they are not texts by name.
    """
    extra: Any = parse_json(text)
    if not (isinstance(extra, dict) and all(isinstance(value, str) for value in extra.values())):
        raise ValueError("free columns must be texts by name")
    return extra


def _made(table: pa.Table) -> tuple[ImageRecord, ...]:
    """The rows of a table as records."""
    *names, _ = _SCHEMA.names
    columns = [table[name].to_pylist() for name in names]
    extras = map(_extra, table["extra"].to_pylist())
    return tuple(
        ImageRecord(**dict(zip(names, values, strict=True)), extra=extra)
        for *values, extra in zip(*columns, extras, strict=True)
    )
