"""Metadata that lies beside images, as a table or as lines of JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.gallery.manifest import STANDARD
from core.images.files import parse_json
from core.values import GalleryError

_COLUMNS = {name: name for name in (*STANDARD, "file_name")} | {
    "license": "licence",
    "author": "creator",
    "artist": "creator",
    "link": "url",
}
_MAX_METADATA_BYTES = 100_000_000


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
    own = {key: value for key, value in fields.items() if key in STANDARD}
    return own, {key: value for key, value in fields.items() if key not in STANDARD}
