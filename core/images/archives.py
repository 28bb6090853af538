"""Unpacks the images of an uploaded zip, trusting nothing that the zip says of itself."""

from __future__ import annotations

import contextlib
import io
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from core.config import ImageLimits
from core.images.decode import quoted
from core.images.files import new_folder
from core.images.kinds import ACCEPTED, FIRST_BYTES
from core.images.listing import IMAGE, TABLE, is_hidden, kind_of_file, list_images
from core.values import GalleryError, ImageError, Progress, WellspringError, no_progress

_MAX_TABLE_BYTES = 10_000_000
_MAX_NAME_BYTES = 255  # of one file or folder, as on every common file system
_MAX_PATH_BYTES = 1_024
_CHUNK = 1 << 20
_PACKED = (ZIP_STORED, ZIP_DEFLATED)
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # general purpose bits 0, 6 and 13, APPNOTE 4.4.4

_UTF8 = 0x800

_Entries = list[tuple[ZipInfo, PurePosixPath, str]]  # with what each is: see kind_of_file


def unpack_images(
    archive: Path,
    into: Path,
    *,
    max_bytes: int,
    max_images: int,
    limits: ImageLimits,
    progress: Progress = no_progress,
) -> list[Path]:
    """Unpack the images of a zip, and its tables of metadata, into an empty or new folder.

    Pictures of kinds that are not read come too, so that they can be named. All other files, nested
    archives among them, are left out, and so is whatever is hidden. Nothing is decoded. A refused
    archive leaves the folder as it was.

    Args:
        archive: a zip file, stored or deflated.
        into: folder that is made; it may exist when it is empty.
        max_bytes: sum of the unpacked sizes, bytes; the bytes are counted, not only declared.
        max_images: number of images.
        limits: ``max_bytes`` of it bounds every image.
        progress: called with files unpacked, and again within a large one; may raise ``Cancelled``.

    Returns:
        The images, in the order of :func:`core.images.listing.list_images`.

    Raises:
        GalleryError: when the archive is refused, or the folder cannot be written.
        ImageError: when an image is larger than accepted.
        Cancelled: when ``progress`` asked for it; the folder is left as it was.
    """
    most = 2 * max_images + 1_000
    with _refusals(archive), _staged(into) as stage, _opened(archive, most) as zipped:
        entries = _chosen(zipped, progress)
        _check_sizes(entries, limits.max_bytes, max_images)
        _extract(zipped, entries, stage, max_bytes=max_bytes, progress=progress)
    return list_images(into)


@contextmanager
def _refusals(archive: Path) -> Iterator[None]:
    """Turn whatever reading a zip or writing a folder raises into a ``GalleryError``."""
    name = quoted(archive.name)
    try:
        yield
    except WellspringError:
        raise
    except OSError as error:
        raise GalleryError(f"{name} cannot be unpacked: {error.strerror or 'error'}") from error
    except Exception as error:  # zipfile, zlib and struct raise many kinds on damaged input
        raise GalleryError(f"{name} is damaged, cut short or not a zip of images") from error


@contextmanager
def _staged(into: Path) -> Iterator[Path]:
    """A folder beside ``into`` that takes its place at the end, or goes without trace."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise GalleryError(f"{quoted(into.name)} must be a new or an empty folder")
    with new_folder(into) as stage:
        yield stage
        if into.exists():
            into.rmdir()


@contextmanager
def _opened(archive: Path, max_entries: int) -> Iterator[ZipFile]:
    if not archive.is_file():
        raise GalleryError(f"{quoted(archive.name)} is not a file; a zip of images is accepted")
    with _Reader(archive, max_entries) as file, ZipFile(file) as zipped:
        if len(zipped.infolist()) > max_entries:
            raise _too_many(max_entries)
        yield zipped


class _Reader(io.BufferedReader):
    """Refuses the one large read by which ``zipfile`` takes in its table of contents.

    A table of millions of entries, which fits an upload, would fill the memory before it could
    be counted.
    """

    def __init__(self, path: Path, max_entries: int) -> None:
        super().__init__(io.FileIO(path))
        self._max_entries = max_entries

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._max_entries * _MAX_PATH_BYTES:
            raise _too_many(self._max_entries)
        return super().read(size)


def _too_many(max_entries: int) -> GalleryError:
    return GalleryError(f"the zip holds too many files; at most {max_entries:,} are accepted")


def _chosen(zipped: ZipFile, progress: Progress) -> _Entries:
    """Pictures and tables of an archive in which no entry is suspect."""
    entries: _Entries = []
    seen: set[PurePosixPath] = set()
    infos = zipped.infolist()
    for done, info in enumerate(infos):
        progress(done, len(infos), "looking at the zip")
        path = _safe_path(info)
        if info.is_dir():
            continue
        if path in seen:
            raise GalleryError(f"the zip holds {quoted(str(path))} twice")
        seen.add(path)
        hidden = any(map(is_hidden, path.parts))
        if not hidden and (kind := kind_of_file(path.name, partial(_head, zipped, info))):
            entries.append((info, path, kind))
    return entries


def _head(zipped: ZipFile, info: ZipInfo) -> bytes:
    if info.compress_type not in _PACKED:
        return b""
    with zipped.open(info) as file:
        return file.read(FIRST_BYTES)


def _safe_path(info: ZipInfo) -> PurePosixPath:
    """The relative path of an entry, refused when it could leave the folder or is no plain file."""
    name = _name_of(info)
    path = PurePosixPath(name)
    shown = f"the zip holds {quoted(name)}"
    if path.is_absolute() or ".." in path.parts or re.search(r"\0|^[A-Za-z]:", name):
        raise GalleryError(f"{shown}; only relative paths are accepted")
    too_long = max((len(part.encode()) for part in path.parts), default=0) > _MAX_NAME_BYTES
    if too_long or len(name.encode()) > _MAX_PATH_BYTES:
        raise GalleryError(f"{shown}; names of at most {_MAX_NAME_BYTES} bytes are accepted")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise GalleryError(f"{shown}, a link or device; plain files and folders are accepted")
    if info.flag_bits & _ENCRYPTED:
        raise GalleryError(f"{shown}, which is encrypted; a zip without password is accepted")
    return path


def _name_of(info: ZipInfo) -> str:
    """The name of an entry as it was meant.

    Some programs on Windows write backslashes, against APPNOTE 4.4.17, and macOS writes UTF-8
    without its flag (4.4.4, bit 11).
    """
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _check_sizes(entries: _Entries, max_image_bytes: int, max_images: int) -> None:
    """Refuse by number, kind of compression and declared size, before anything is unpacked."""
    images = 0
    for info, path, kind in entries:
        shown = quoted(str(path))
        if info.compress_type not in _PACKED:
            raise GalleryError(f"{shown} is packed unusually; stored or deflated is accepted")
        if kind == TABLE and info.file_size > _MAX_TABLE_BYTES:
            raise GalleryError(f"{shown} exceeds the accepted {_MAX_TABLE_BYTES:,} bytes")
        if kind == IMAGE and info.file_size > max_image_bytes:
            raise ImageError(f"{shown} exceeds the accepted {max_image_bytes:,} bytes")
        images += kind == IMAGE
    if images == 0:
        raise GalleryError(f"the zip holds no images; {ACCEPTED}")
    if images > max_images:
        raise GalleryError(f"the zip holds {images:,} images; at most {max_images:,} are accepted")


def _extract(
    zipped: ZipFile, entries: _Entries, folder: Path, *, max_bytes: int, progress: Progress
) -> None:
    """Write the entries, refused once they declare or really hold more than ``max_bytes``."""
    if sum(info.file_size for info, *_ in entries) > max_bytes:
        raise _too_large(max_bytes)
    left = max_bytes
    for done, (info, path, _) in enumerate(entries):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        report = partial(progress, done, len(entries), "unpacking the zip")
        left -= _copy(zipped, info, target, max_bytes=left, report=report)
        if left < 0:
            raise _too_large(max_bytes)


def _copy(
    zipped: ZipFile, info: ZipInfo, target: Path, *, max_bytes: int, report: Callable[[], None]
) -> int:
    """Write one entry and count its bytes; stops soon after more than ``max_bytes``."""
    written = 0
    with zipped.open(info) as source, target.open("xb") as file:
        while written <= max_bytes and (chunk := source.read(_CHUNK)):
            report()
            written += file.write(chunk)
    if written < info.file_size:
        raise BadZipFile(f"{info.filename!r} is shorter than declared")
    return written


def _too_large(max_bytes: int) -> GalleryError:
    return GalleryError(f"the zip unpacks to more than the accepted {max_bytes:,} bytes")
