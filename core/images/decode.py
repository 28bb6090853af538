"""Bytes or files to safe RGB images, and batches of files decoded ahead.

Every input is a stranger's: the size is checked before a pixel is decoded, only regular files and
the kinds of ``core.images.kinds.READ`` are read, and whatever is refused is an ``ImageError``.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import stat
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Num, UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from core.config import ImageLimits
from core.images.colour import flat_srgb
from core.images.frames import chosen_frame
from core.images.jpeg import is_open_ended, with_end
from core.images.jxl import codestream, stated_size
from core.images.kinds import ACCEPTED, FIRST_BYTES, FORMATS, kind_of, refusal
from core.images.stated import note_code_points
from core.values import ImageError

logger = logging.getLogger(__name__)
DECODING = 2
"""Version of decoding, part of every encoder's identity; raised with every change that gives other
pixels for a file that was accepted before, so that nothing is compared with features of those."""
_LIMITS = ImageLimits()
_Source = TypeVar("_Source", Path, bytes, Path | bytes)
_MAX_SCANS = 100  # each scan of a progressive JPEG passes over all pixels; encoders write about 10
_SCAN = b"\xff\xda\x00"  # the marker that starts a scan, with the high byte of its length
_Transpose = Image.Transpose
_TURNS = {
    2: _Transpose.FLIP_LEFT_RIGHT,
    3: _Transpose.ROTATE_180,
    4: _Transpose.FLIP_TOP_BOTTOM,
    5: _Transpose.TRANSPOSE,
    6: _Transpose.ROTATE_270,
    7: _Transpose.TRANSVERSE,
    8: _Transpose.ROTATE_90,
}  # EXIF 2.3, tag 0x0112
_SIDEWAYS = frozenset(_TURNS[orientation] for orientation in (5, 6, 7, 8))


@dataclass(frozen=True)
class LoadedImage:
    """A decoded file and what is recorded of it."""

    image: Image.Image
    """Upright RGB pixels, at reduced scale where ``fit`` allowed it."""
    sha256: str = ""
    """Hash of the encoded bytes, 64 hexadecimal digits."""
    width: int = 0
    """Width of the upright image at full scale, pixels."""
    height: int = 0
    """Height of the upright image at full scale, pixels."""
    notes: tuple[str, ...] = ()
    """What was unusual, each in a few words for people: lower case, no full stop."""
    larger: Image.Image | None = None
    """A larger copy for people, where one was wanted and takes no second decoding."""


def load_image(
    source: bytes | str | os.PathLike[str],
    *,
    limits: ImageLimits = _LIMITS,
    fit: int | None = None,
    larger: int | None = None,
) -> LoadedImage:
    """Decode encoded bytes or a file.

    The image is upright by its EXIF orientation; colours are brought to sRGB by their profile
    or by the numbers that state them;
    transparency lies on white; of an animation it is the frame that tells most (see
    :mod:`core.images.frames`), of a document the first page; greyscale of more than 8 bits is
    scaled, not clipped, and its profile is not applied. A JPEG file may lack its end marker.

    Args:
        source: encoded bytes, or the path of a regular file.
        limits: what is accepted, checked before decoding.
        fit: shrink by a whole factor as long as the shorter side stays at least this many pixels;
            JPEG files are decoded at a reduced scale, which is several times faster.
        larger: most pixels of the longer side of a larger copy, which is made where the decoded
            pixels hold enough for it.

    Raises:
        ImageError: when the source is refused; says what was wrong and what is accepted, and
            names a file by its name alone, without the folder.
        ValueError: when ``fit`` is below 1.
    """
    _check_fit(fit)
    name = "The image" if isinstance(source, bytes) else quoted(Path(source).name)
    with _refusals(name, limits):
        data = source if isinstance(source, bytes) else _read(source, name, limits.max_bytes)
        _check_bytes(data, name, limits)
        image = _opened(data, name, limits)
        width, height = image.size
        lacks_end = is_open_ended(data)
        if lacks_end:
            image = _opened(with_end(data), name, limits)
        if fit is not None:
            image.draft(None, (fit, fit))
        enough = larger is not None and image.size == (width, height)
        frame, chosen = chosen_frame(image, data)
        note_code_points(frame, data, kind=image.format)
        upright = _upright(frame, fit)
        copy = at_most(_upright(frame, larger).image, larger) if larger and enough else None
    if upright.sideways:
        width, height = height, width
    ended = "its end marker is missing" if lacks_end else None
    notes = tuple(note for note in (ended, chosen, upright.note) if note is not None)
    sha256 = hashlib.sha256(data).hexdigest()
    return LoadedImage(upright.image, sha256, width, height, notes, copy)


def open_image(
    source: bytes | str | os.PathLike[str] | Image.Image,
    *,
    limits: ImageLimits = _LIMITS,
    fit: int | None = None,
) -> Image.Image:
    """Upright RGB pixels of encoded bytes, a file, or an image that Pillow has opened.

    As :func:`load_image`; a given Pillow image is left as it is, and a new one is returned.

    Raises:
        ImageError: when the source is refused.
        ValueError: when ``fit`` is below 1.
    """
    if not isinstance(source, Image.Image):
        return load_image(source, limits=limits, fit=fit).image
    _check_fit(fit)
    name = "The image"
    with _refusals(name, limits):
        _check_size(source.size, name, limits)
        return _upright(source, fit).image


def at_most(image: Image.Image, side: int) -> Image.Image:
    """The same image, or a smaller one whose longer side is at most so long."""
    if max(image.size) <= side:
        return image
    small = image.copy()
    small.thumbnail((side, side))
    return small


def decode_ahead(
    paths: Iterable[_Source],
    *,
    limits: ImageLimits = _LIMITS,
    workers: int,
    fit: int | None = None,
    ahead: int = 64,
) -> Generator[tuple[_Source, LoadedImage | ImageError], None, None]:
    """Decode files, or what they hold, in worker threads ahead of the consumer.

    They come in order, refusals in their places.

    Closing the iterator drops what is queued and waits for the files that are being decoded.

    Args:
        paths: taken from only as far ahead as files are decoded.
        limits: what is accepted.
        workers: number of threads.
        fit: as in :func:`load_image`; it also bounds the memory, ``ahead`` images of that size.
        ahead: decoded or queued files at most, beside the one handed out.

    Raises:
        ValueError: when ``workers``, ``fit`` or ``ahead`` is below 1.
    """
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, got {ahead}")
    source = iter(paths)
    pending: deque[tuple[_Source, Future[LoadedImage | ImageError]]] = deque()
    executor = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def queue(count: int) -> None:
        for path in islice(source, count):
            pending.append((path, executor.submit(_attempt, path, limits, fit)))

    try:
        queue(ahead)
        while pending:
            path, future = pending.popleft()
            queue(1)
            yield path, future.result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def quoted(name: str) -> str:
    """A file name fit for a message: one line, printable, not too long, in quotes."""
    return repr(name if len(name) <= 80 else f"{name[:79]}…")


def _attempt(path: Path | bytes, limits: ImageLimits, fit: int | None) -> LoadedImage | ImageError:
    try:
        return load_image(path, limits=limits, fit=fit)
    except ImageError as error:
        return ImageError(str(error))  # without the traceback, which would hold the file's bytes


@contextmanager
def _refusals(name: str, limits: ImageLimits) -> Iterator[None]:
    """Turn whatever Pillow raises into an ``ImageError``; its decoders raise nearly anything."""
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        most = min(limits.max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or limits.max_pixels))
        raise ImageError(f"{name} has too many pixels; at most {most:,} are accepted") from error
    except Exception as error:
        raise ImageError(
            f"{name} cannot be decoded: it is damaged, cut short or of an unusual kind; {ACCEPTED}"
        ) from error


def _check_fit(fit: int | None) -> None:
    if fit is not None and fit < 1:
        raise ValueError(f"fit must be at least 1, got {fit}")


def _read(path: str | os.PathLike[str], name: str, max_bytes: int) -> bytes:
    """At most ``max_bytes + 1`` bytes of a regular file."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError(f"{name} is not a regular file; {ACCEPTED}")
            return file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise ImageError(f"{name} cannot be read ({reason}); {ACCEPTED}") from error


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for its writer


def _check_bytes(data: bytes, name: str, limits: ImageLimits) -> None:
    if not data:
        raise ImageError(f"{name} is empty; {ACCEPTED}")
    if len(data) > limits.max_bytes:
        raise ImageError(f"{name} is too large; at most {limits.max_bytes:,} bytes are accepted")
    if data.count(_SCAN) > _MAX_SCANS:
        raise ImageError(f"{name} has too many scans; at most {_MAX_SCANS} are accepted")


def _check_size(size: tuple[int, int], name: str, limits: ImageLimits) -> None:
    short, long = sorted(size)
    found = f"{name} is {size[0]} x {size[1]} pixels"
    if short < limits.min_side or long > limits.max_side:
        raise ImageError(
            f"{found}; sides of {limits.min_side:,} to {limits.max_side:,} are accepted"
        )
    if short * long > limits.max_pixels:
        raise ImageError(f"{found}; at most {limits.max_pixels:,} in all are accepted")
    if long > limits.max_aspect * short:
        raise ImageError(
            f"{found}; a side at most {limits.max_aspect:g} times as long as the other is accepted"
        )


def _opened(data: bytes, name: str, limits: ImageLimits) -> Image.Image:
    """The image as Pillow opens it; nothing is decoded that is too large."""
    kind = kind_of(data[:FIRST_BYTES])
    if kind == "camera RAW":  # as TIFF it would be a small picture beside the real one
        raise ImageError(f"{name} {refusal(kind)}")
    if kind == "JPEG XL" and "JXL" in FORMATS:
        data = codestream(data)
        _check_size(stated_size(data), name, limits)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} {refusal(kind)}") from error
    _check_size(image.size, name, limits)
    return image


@dataclass(frozen=True)
class _Upright:
    """A new RGB image, shrunk and turned upright."""

    image: Image.Image
    sideways: bool
    """Whether turning it swapped its sides."""
    note: str | None


def _upright(image: Image.Image, fit: int | None) -> _Upright:
    image.load()
    plain = _plain(image)
    factor = 1 if fit is None else min(plain.size) // fit
    rgb, note = flat_srgb(plain.reduce(factor) if factor > 1 else plain)
    if _is_deep_grey(image.mode) and "icc_profile" in image.info:
        note = "its greys are of more than 8 bits, and were read without its colour profile"
    turn = _turn(image)
    upright = rgb if turn is None else rgb.transpose(turn)
    upright.info.clear()
    return _Upright(upright, turn in _SIDEWAYS, note)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a broken EXIF block may raise anything, and the pixels are sound
        logger.debug("an EXIF block was ignored", exc_info=True)
        return None


def _plain(image: Image.Image) -> Image.Image:
    """An image of the same colours, of mode L, LA, RGB, RGBA, CMYK or LAB; maybe the same image."""
    mode = image.mode
    if _is_deep_grey(mode):
        return Image.fromarray(_grey_levels(np.asarray(image)))
    if image.has_transparency_data:
        return image.convert("LA" if mode in ("1", "L", "LA") else "RGBA")
    if mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("L" if mode == "1" else "RGB")


def _is_deep_grey(mode: str) -> bool:
    return mode in ("I", "F") or mode.startswith("I;16")


def _grey_levels(values: Num[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """Greyscale of more than 8 bits, scaled to 0..255.

    16-bit values are divided by 257. Wider integers and floats state no range: it is taken as the
    first that holds all finite values of 0..1 (floats), 0..255, 0..65535 (integers) and, if none
    does, from the smallest to the largest.
    """
    if values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    finite = values[np.isfinite(values)].astype(np.float64)
    low, high = finite.min(initial=0), finite.max(initial=0)
    tops = (1, 255) if values.dtype.kind == "f" else (255, 65535)
    if low >= 0 and high <= tops[-1]:
        low, high = 0, min(top for top in tops if high <= top)
    known = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.rint((known - low) * (255 / (high - low))).astype(np.uint8)
