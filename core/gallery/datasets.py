"""A folder, a zip, or a Hugging Face image dataset, to one folder of images."""

from __future__ import annotations

import functools
import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import ImageLimits, SourceLimits
from core.gallery.store import Store
from core.images.archives import unpack_images
from core.images.decode import quoted
from core.images.files import file_digest, new_folder
from core.images.waiting import awaited
from core.values import GalleryError, Progress, first_line, no_progress


@dataclass(frozen=True)
class OpenDataset:
    """A public dataset that says under which licence its images are."""

    name: str
    """As the Hugging Face Hub has it."""
    what: str
    licence: str


OPEN_DATASETS = (
    OpenDataset("huggan/smithsonian-butterfly-lowres", "Butterflies of the Smithsonian", "CC0 1.0"),
    OpenDataset("alfredplpl/artbench-pd-256x256", "Paintings out of copyright, 256 pixels", "MIT"),
    OpenDataset("common-canvas/commoncatalog-cc-by", "Photographs from Flickr", "CC BY 4.0"),
)
"""Datasets to begin with, with the licences that their pages state."""

_DATASET = re.compile(r"hf:[\w.-]{1,96}/[\w.-]{1,96}(:[\w.-]{1,64})?")
_ON_HUB = re.compile(r"(zip://[^:]*::)?hf://datasets/[^:]*")
_TABLES = "refs%2Fconvert%2Fparquet"  # the Hub's branch of a dataset: configuration/split/*.parquet
_SOURCE = ".source"  # beside the images of a zip or dataset: which one it was
_ANSWERS = 5.0  # seconds within which the Hub has answered once
_MEGABYTE = 10**6
_ROWS = 16  # rows of a public dataset that are in memory at once
_LIMITS = SourceLimits()


def materialise(
    source: str | Path,
    *,
    into: Path,
    limits: SourceLimits = _LIMITS,
    progress: Progress = no_progress,
) -> Path:
    """The folder of images that a source names.

    A folder is itself. A zip or a dataset (``hf:user/name`` or ``hf:folder``, then ``:split``
    unless it is ``train``) is written to ``into/images`` once, whole or not at all.

    Args:
        source: a path or a name; of a public source a path is a zip, and a text names a dataset.
        into: folder of the gallery.
        limits: what is taken.
        progress: called with images read; may raise ``Cancelled``.

    Raises:
        GalleryError: when the source is not there or not one of these, or exceeds the limits, or
            ``into`` holds the images of another one, or something else.
        ImageError: when an image of a zip is larger than accepted.
    """
    try:
        return _materialise(source, into, limits, progress)
    except OSError as error:
        name = quoted(str(source))
        raise GalleryError(f"{name} cannot be read: {error.strerror or error}") from error


def source_identity(source: str | Path, *, progress: Progress) -> str:
    """What tells a source from all others: the digest of a file's contents, else its name.

    Args:
        source: a path or a name.
        progress: told of megabytes read; may raise ``Cancelled``.
    """
    path = Path(source)
    if not path.is_file():
        return str(source)
    size = path.stat().st_size // _MEGABYTE + 1

    def told(done: int) -> None:
        progress(done // _MEGABYTE, size, "megabytes of the file read")

    return file_digest(path, told=told)


def _materialise(source: str | Path, into: Path, limits: SourceLimits, progress: Progress) -> Path:
    path = Path(source)
    if limits.public:
        _check_public(source)
    elif path.is_dir():
        return path
    elif not str(source).startswith("hf:") and not path.is_file():
        raise GalleryError(
            f"{quoted(str(source))} is neither a folder, a zip, nor a dataset named as hf:user/name"
        )
    identity = source_identity(source, progress=progress)
    target = into / "images"
    mark = target / _SOURCE
    if target.is_dir():
        if not mark.is_file() or mark.read_text(encoding="utf-8") != identity:
            raise GalleryError(
                f"{into.name} holds the images of another source; name another folder"
            )
        return target
    Store(into).require_free("")
    with new_folder(target) as partial:
        _write_images(source, partial, limits, progress)
        (partial / _SOURCE).write_text(identity, encoding="utf-8")
    return target


def _check_public(source: str | Path) -> None:
    """Refuse a public source that names anything of this machine.

    Raises:
        GalleryError: when it is neither an upload nor the name of a dataset.
    """
    if isinstance(source, str) and not _DATASET.fullmatch(source):
        raise GalleryError(f"{quoted(source)} is not a dataset named as hf:user/name")


def _write_images(
    source: str | Path, folder: Path, limits: SourceLimits, progress: Progress
) -> None:
    if isinstance(source, str) and not Path(source).is_file():
        rows, column = awaited(
            lambda: open_dataset(source.removeprefix("hf:"), public=limits.public),
            lambda: progress(0, 1, "opening the dataset"),
        )
        _write_rows(rows, column, folder, limits=limits, progress=progress)
        return
    unpack_images(
        Path(source),
        folder,
        max_bytes=limits.max_bytes,
        max_images=limits.max_images,
        limits=ImageLimits(),
        progress=progress,
    )


def _write_rows(
    rows: Iterable[Mapping[str, Any]],
    column: str,
    folder: Path,
    *,
    limits: SourceLimits,
    progress: Progress,
) -> None:
    """Write every row's image as a file, and its other plain columns as ``metadata.jsonl``.

    Raises:
        GalleryError: when a public dataset holds more bytes than the limits allow.
    """
    left, following = limits.max_bytes if limits.public else None, iter(rows)
    lines: list[str] = []
    for number in range(limits.max_images):
        most = ImageLimits().max_bytes if left is None else min(left, ImageLimits().max_bytes)
        row, data = awaited(
            functools.partial(_next_row, following, column, most + 1, public=limits.public),
            functools.partial(progress, number, number + 1, "reading the dataset"),
        )
        if row is None:
            break
        if data is None:
            continue
        file_name = f"{number:07d}{_extension(data)}"
        plain = {k: v for k, v in row.items() if isinstance(v, str | int | float | bool)}
        lines.append(json.dumps({**plain, "file_name": file_name}, ensure_ascii=False))
        if left is not None:
            left -= len(data) + len(lines[-1])
            if left < 0:
                raise GalleryError(
                    f"the dataset's images exceed the accepted {limits.max_bytes:,} bytes"
                )
        (folder / file_name).write_bytes(data)
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _next_row(
    rows: Iterator[Mapping[str, Any]], column: str, most: int, *, public: bool
) -> tuple[Mapping[str, Any] | None, bytes | None]:
    """The row that follows, ``None`` after the last, and its image as :func:`_image_bytes`."""
    row = next(rows, None)
    if row is None:
        return None, None
    return row, _image_bytes(row[column] or {}, most, public=public)


def _image_bytes(image: Mapping[str, Any], most: int, *, public: bool) -> bytes | None:
    """The first ``most`` bytes of the encoded image of a row, one more than may be accepted.

    What is cut is refused later, by its size, as any image that is too large.

    Raises:
        GalleryError: when a public dataset names a file that does not lie on the Hub.
    """
    if data := image.get("bytes"):
        return data[:most]
    path = image.get("path")
    if not path:
        return None
    if not public:
        with Path(path).open("rb") as file:
            return file.read(most)
    if not _ON_HUB.fullmatch(path):
        raise GalleryError("the dataset names files that are not its own")
    with importlib.import_module("fsspec").open(path, "rb", hf={"token": False}) as file:
        return _read_up_to(file, most)


def _read_up_to(file: Any, most: int) -> bytes:
    """At most so many bytes of an open file; one over a network may give them in parts."""
    parts: list[bytes] = []
    while most > 0 and (part := file.read(min(most, 1 << 20))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def open_dataset(name: str, *, public: bool = False) -> tuple[Iterable[Mapping[str, Any]], str]:
    """Rows with undecoded images, and the name of the image column.

    Raises:
        GalleryError: when it cannot be opened or has no images.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise GalleryError(
            "image datasets need one more package: pip install datasets==5.2.0"
        ) from error
    base, _, split = name.partition(":")
    try:
        split = split or "train"
        loaded = _load_public(base, split) if public else _load(datasets, base, split)
        columns = [key for key, kind in loaded.features.items() if isinstance(kind, datasets.Image)]
    except Exception as error:  # the library raises whatever its formats and clients raise
        why = first_line(error)
        raise GalleryError(
            f"the dataset {base!r} cannot be opened: {why}. See that its name is right, that it is "
            "public and that the network is there, or give a zip of its images"
        ) from error
    if not columns:
        raise GalleryError(f"the dataset {base!r} has no column of images")
    return loaded.cast_column(columns[0], datasets.Image(decode=False)), columns[0]


def _load_public(base: str, split: str) -> Any:
    """The split of a public dataset, without a token, a few undecoded rows at a time.

    It is read from the tables that the Hub makes of every public dataset: a dataset's own card may
    name files of other machines and of this one, which the library asks for before it judges them.
    No column is decoded, since that too reads what a row names, with the server's own token.

    Raises:
        ConnectionError: when the Hub does not answer.
        FileNotFoundError: when the Hub has no such tables.
    """
    _require_hub()
    root = f"datasets/{base}@{_TABLES}"
    client = importlib.import_module("huggingface_hub").HfFileSystem
    listed = client(token=False, skip_instance_cache=True).glob(f"{root}/*/*/*.parquet")
    folders = {path.rpartition("/")[0] for path in listed}
    ends = (f"/{split}", f"/partial-{split}")  # of a large dataset the Hub keeps the beginning
    found = sorted(folder for folder in folders if folder.endswith(ends))
    if not found:
        raise FileNotFoundError(f"the Hub has no tables of its split {split!r}")
    chosen = next((each for each in found if each.startswith(f"{root}/default/")), found[0])
    files = {"train": f"hf://{chosen}/*.parquet"}
    tables = importlib.import_module("datasets.packaged_modules.parquet.parquet").Parquet
    builder = tables(data_files=files, batch_size=_ROWS, token=False)
    return builder.as_streaming_dataset(split="train").decode(False)


def _load(datasets: Any, base: str, split: str) -> Any:
    """The split of a dataset: on this disk, or on the Hub."""
    if (Path(base) / "dataset_dict.json").is_file():
        return datasets.load_from_disk(base)[split]
    if (Path(base) / "dataset_info.json").is_file():
        return datasets.load_from_disk(base)
    kept = Path(datasets.config.HF_DATASETS_CACHE) / base.replace("/", "___")
    if not (kept.is_dir() or Path(base).is_dir()):  # what is here is opened without a network
        _require_hub()
    return datasets.load_dataset(base, split=split)


def _require_hub() -> None:
    """Ask the Hub once for anything: its clients try again for half a minute.

    Raises:
        ConnectionError: when it does not answer within a few seconds.
    """
    hub = importlib.import_module("huggingface_hub")
    try:
        hub.get_session().head(hub.constants.ENDPOINT, timeout=_ANSWERS)
    except Exception as error:  # of whatever transport the client has
        raise ConnectionError(f"the Hub cannot be reached ({first_line(error)})") from error


def _extension(data: bytes) -> str:
    """Extension by the first bytes; what is none of these is refused later, as any broken file."""
    signs = {b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif", b"BM": ".bmp", b"II*\0": ".tif"}
    return next((ext for sign, ext in signs.items() if data.startswith(sign)), ".jpg")
