"""A folder, a zip, or a Hugging Face image dataset, to one folder of images."""

from __future__ import annotations

import importlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.config import ImageLimits, ServerConfig
from core.gallery.store import Store
from core.images.archives import unpack_images
from core.images.decode import quoted
from core.images.files import file_digest, new_folder
from core.values import GalleryError, Progress, no_progress

_ON_HUB = re.compile(r"(zip://[^:]*::)?hf://datasets/")
_SOURCE = ".source"  # beside the images of a zip or dataset: which one it was


def materialise(source: str, *, into: Path, progress: Progress = no_progress) -> Path:
    """The folder of images that a source names.

    A folder is itself. A zip or a dataset (``hf:user/name`` or ``hf:folder``, then ``:split``
    unless it is ``train``) is written to ``into/images`` once, whole or not at all.

    Raises:
        GalleryError: when the source is not there or not one of these, or ``into`` holds the images
            of another one, or something else.
    """
    try:
        return _materialise(source, into, progress)
    except OSError as error:
        raise GalleryError(f"{quoted(source)} cannot be read: {error.strerror or error}") from error


def _materialise(source: str, into: Path, progress: Progress) -> Path:
    path = Path(source)
    if path.is_dir():
        return path
    if not source.startswith("hf:") and not path.is_file():
        raise GalleryError(
            f"{quoted(source)} is neither a folder, a zip, nor a dataset named as hf:user/name"
        )
    identity = file_digest(path) if path.is_file() else source
    target = into / "images"
    mark = target / _SOURCE
    if target.is_dir():
        if not mark.is_file() or mark.read_text(encoding="utf-8") != identity:
            raise GalleryError(f"{into.name} holds the images of another source; name another one")
        return target
    Store(into).require_free("")
    with new_folder(target) as partial:
        _write_images(source, partial, progress)
        (partial / _SOURCE).write_text(identity, encoding="utf-8")
    return target


def _write_images(source: str, folder: Path, progress: Progress) -> None:
    if not Path(source).is_file():
        _write_rows(*_open_dataset(source.removeprefix("hf:")), folder, progress=progress)
        return
    unpack_images(
        Path(source),
        folder,
        max_bytes=ServerConfig().max_unpacked_bytes,
        max_images=1_000_000,
        limits=ImageLimits(),
    )


def fetch_dataset(
    name: str, folder: Path, *, max_images: int, max_bytes: int, progress: Progress = no_progress
) -> None:
    """The first images of a public dataset as a new folder, read row by row.

    Raises:
        GalleryError: when the dataset cannot be had, or its images exceed ``max_bytes``.
    """
    rows, column = _open_dataset(name, streaming=True)
    with new_folder(folder) as partial:
        first = itertools.islice(rows, max_images)
        _write_rows(first, column, partial, max_bytes=max_bytes, progress=progress)


def _write_rows(
    rows: Iterable[Mapping[str, Any]],
    column: str,
    folder: Path,
    *,
    max_bytes: int | None = None,
    progress: Progress,
) -> None:
    """Every row's image as a file, its other plain columns as ``metadata.jsonl``."""
    lines: list[str] = []
    written = 0
    for number, row in enumerate(rows):
        image = row[column] or {}
        data = image.get("bytes") or _read(image.get("path"), remote=max_bytes is not None)
        if data is None:
            continue
        written += len(data)
        if max_bytes is not None and written > max_bytes:
            raise GalleryError(f"the dataset's images exceed the accepted {max_bytes:,} bytes")
        file_name = f"{number:07d}{_extension(data)}"
        (folder / file_name).write_bytes(data)
        plain = {k: v for k, v in row.items() if isinstance(v, str | int | float | bool)}
        lines.append(json.dumps({**plain, "file_name": file_name}, ensure_ascii=False))
        progress(number + 1, number + 1, "reading the dataset")
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read(path: str | None, *, remote: bool) -> bytes | None:
    """Bytes that a row only names; of a foreign dataset, only what lies on the Hub itself."""
    if not path:
        return None
    if not remote:
        return Path(path).read_bytes()
    if not _ON_HUB.match(path):
        raise GalleryError("the dataset names files that are not its own")
    with importlib.import_module("fsspec").open(path, "rb") as file:
        return file.read()


def _open_dataset(name: str, *, streaming: bool = False) -> tuple[Iterable[Mapping[str, Any]], str]:
    """Rows with undecoded images, and the name of the image column; streamed from the Hub only."""
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise GalleryError(
            "image datasets need one more package: pip install datasets==5.2.0"
        ) from error
    base, _, split = name.partition(":")
    try:
        if streaming and Path(base).exists():
            raise FileNotFoundError("there is no dataset of that name")
        if streaming:
            loaded = datasets.load_dataset(base, split=split or "train", streaming=True)
        elif (Path(base) / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(base)[split or "train"]
        elif (Path(base) / "dataset_info.json").is_file():
            loaded = datasets.load_from_disk(base)
        else:
            loaded = datasets.load_dataset(base, split=split or "train")
        columns = [key for key, kind in loaded.features.items() if isinstance(kind, datasets.Image)]
    except Exception as error:  # the library raises whatever its formats and clients raise
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise GalleryError(
            f"the dataset {base!r} cannot be opened: {why}. See that its name is right, that it is "
            "public and that the network is there, or give a zip of its images"
        ) from error
    if not columns:
        raise GalleryError(f"the dataset {base!r} has no column of images")
    return loaded.cast_column(columns[0], datasets.Image(decode=False)), columns[0]


def _extension(data: bytes) -> str:
    """Extension by the first bytes; what is none of these is refused later, as any broken file."""
    signs = {b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif", b"BM": ".bmp", b"II*\0": ".tif"}
    return next((ext for sign, ext in signs.items() if data.startswith(sign)), ".jpg")
