"""The table of a gallery's images: Parquet on disk, records in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.gallery.paths import check_phash, check_relative_path, check_sha256
from core.images.files import parse_json
from core.values import GalleryError, ImageRecord

STANDARD = ("source", "creator", "licence", "url", "title")
_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        *((name, pa.string()) for name in ("path", "sha256", "phash")),
        *((name, pa.int32()) for name in ("width", "height")),
        *((name, pa.int64()) for name in ("size", "modified")),
        *((name, pa.string()) for name in (*STANDARD, "extra")),
    ]
)


def to_parquet(records: Sequence[ImageRecord]) -> bytes:
    """The records as the bytes of a Parquet file, in their order."""
    columns = {
        name: [
            json.dumps(dict(r.extra), ensure_ascii=False) if name == "extra" else getattr(r, name)
            for r in records
        ]
        for name in _SCHEMA.names
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, schema=_SCHEMA), buffer, compression="zstd")
    return buffer.getvalue()


def from_parquet(path: Path) -> tuple[ImageRecord, ...]:
    """The records of a manifest.

    Raises:
        GalleryError: when the file is missing, damaged, or not a manifest, or when it names an
            image outside the folder of images.
    """
    try:
        rows = pq.read_table(path, schema=_SCHEMA).to_pylist()
    except (OSError, pa.ArrowException, ValueError, TypeError) as error:
        raise _damaged(path, type(error).__name__) from error
    try:
        return tuple(_record(row) for row in rows)
    except (ValueError, TypeError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> GalleryError:
    return GalleryError(
        f"the gallery's table {path.name} is missing or damaged ({why}); build the gallery again"
    )


def _record(row: dict[str, Any]) -> ImageRecord:
    """One row as a record.

    Raises:
        ValueError: when its path leads out of the folder of images, a hash is none, a number is
            missing, or free columns are not texts by name.
    """
    check_relative_path(row["path"])
    check_sha256(row["sha256"])
    check_phash(row["phash"])
    stamp = {name: row[name] or 0 for name in ("size", "modified")}  # earlier versions kept none
    texts = {name: row[name] or "" for name in STANDARD}
    if any(row[name] is None for name in ("id", "width", "height")):
        raise ValueError("an image lacks its number or its size")
    extra: Any = parse_json(row["extra"])
    if not (isinstance(extra, dict) and all(isinstance(value, str) for value in extra.values())):
        raise ValueError("free columns must be texts by name")
    return ImageRecord(**{**row, **stamp, **texts, "extra": extra})
