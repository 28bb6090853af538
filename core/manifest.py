"""The table of a gallery's images: Parquet on disk, records in memory, metadata files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.json_text import parse_json
from core.values import GalleryError, ImageRecord

_STANDARD = ("source", "creator", "licence", "url", "title")
_COLUMNS = {name: name for name in (*_STANDARD, "file_name")} | {
    "license": "licence",
    "author": "creator",
    "artist": "creator",
    "link": "url",
}
_MAX_METADATA_BYTES = 100_000_000

_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        *((name, pa.string()) for name in ("path", "sha256", "phash")),
        *((name, pa.int32()) for name in ("width", "height")),
        *((name, pa.string()) for name in (*_STANDARD, "extra")),
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
        GalleryError: when the file is missing, damaged, or not a manifest.
    """
    try:
        rows = pq.read_table(path, schema=_SCHEMA).to_pylist()
        return tuple(ImageRecord(**{**row, "extra": parse_json(row["extra"])}) for row in rows)
    except (OSError, pa.ArrowException, ValueError, TypeError) as error:
        raise GalleryError(
            f"the gallery's table {path.name} is missing or damaged ({type(error).__name__}); "
            "build the gallery again"
        ) from error


def read_metadata(folder: Path) -> dict[str, dict[str, str]]:
    """Metadata that lies beside images: ``metadata.csv`` or ``metadata.jsonl`` at the top.

    Both need a column ``file_name``: the image's path relative to the folder. Known columns fill
    the manifest's own (source, creator, licence, url, title); all others are kept as they are.

    Raises:
        GalleryError: when the file is too large, not UTF-8, or without ``file_name``.
    """
    for name, parse in (("metadata.csv", _parse_csv), ("metadata.jsonl", _parse_jsonl)):
        path = folder / name
        if not path.is_file():
            continue
        if path.stat().st_size > _MAX_METADATA_BYTES:
            raise GalleryError(f"{name} is over {_MAX_METADATA_BYTES:,} bytes")
        try:
            rows = parse(path.read_text(encoding="utf-8-sig"))
        except (UnicodeDecodeError, ValueError, csv.Error) as error:
            raise GalleryError(
                f"{name} cannot be read as UTF-8 {path.suffix[1:]}: {error}"
            ) from error
        return _by_file_name(rows, name)
    return {}


def _parse_csv(text: str) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k and v} for row in csv.DictReader(io.StringIO(text))]


def _parse_jsonl(text: str) -> list[dict[str, str]]:
    rows = [parse_json(line) for line in text.split("\n") if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("every line must be an object")
    return [{str(k): str(v) for k, v in row.items() if v is not None} for row in rows]


def _by_file_name(rows: Sequence[Mapping[str, str]], name: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows, 1):
        fields = {_COLUMNS.get(key.strip().lower(), key): value for key, value in row.items()}
        if "file_name" not in fields:
            raise GalleryError(f"{name}, row {number}: the column file_name is missing")
        found[fields.pop("file_name")] = fields
    return found


def split_fields(fields: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Metadata of one image as (the manifest's own columns, all others)."""
    own = {key: value for key, value in fields.items() if key in _STANDARD}
    return own, {key: value for key, value in fields.items() if key not in _STANDARD}
