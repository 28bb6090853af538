"""One file from the internet: resumed where it was cut, checked, bounded in time and size."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
from filelock import FileLock, Timeout

from core.values import EncoderError, Progress, no_progress

_log = logging.getLogger(__name__)

MAX_BYTES = 4_000_000_000
"""Largest file that is fetched unless the caller says otherwise, bytes."""

FIRST_BYTE = 4.0
"""Longest wait for a server's first byte, seconds."""

Piece = tuple[int, int, bytes]
"""Offset of the bytes in the file, size of the file (0 while unknown), the bytes."""


def fetch(
    url: str,
    into: Path,
    *,
    checksum: str | None = None,
    timeout: float = 10.0,
    progress: Progress = no_progress,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Fetch a file into a folder, under its own name, and give its path.

    Bytes go to ``<name>.part``, which a later call resumes; the file itself appears whole. A file
    that is already there is not fetched again.

    Args:
        url: an https address (http is accepted for 127.0.0.1 alone); redirects are followed.
        into: folder, made where it is missing.
        checksum: ``algorithm:digits``, such as ``sha256:1f3a...``; first digits are enough.
        timeout: longest wait between two arrivals of bytes, seconds; for the first it is
            :data:`FIRST_BYTE` at most.
        progress: told the bytes so far, the bytes in all (0 while unknown) and the file's name.
        max_bytes: size of the largest file that is accepted.

    Raises:
        EncoderError: when the file cannot be had within these bounds or fails its checksum.
    """
    name = Path(unquote(urlsplit(url).path)).name
    target, part = into / name, into / f"{name}.part"
    if target.is_file():
        return target
    _log.info("fetching %s", url)
    try:
        into.mkdir(parents=True, exist_ok=True)
        with FileLock(into / f"{name}.lock", timeout=timeout):
            if not target.is_file():  # it may have come while this call waited
                _transfer(url, part, timeout=timeout, progress=progress, max_bytes=max_bytes)
                _check(part, checksum)
                part.replace(target)
    except Timeout as error:
        raise EncoderError(f"{name} is being fetched by another process") from error
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise EncoderError(f"cannot fetch {url}: {error or type(error).__name__}") from error
    except OSError as error:
        raise EncoderError(f"cannot store {name}: {error.strerror or error}") from error
    return target


def _transfer(url: str, part: Path, *, timeout: float, progress: Progress, max_bytes: int) -> None:
    start = part.stat().st_size if part.is_file() else 0
    pieces = _within(timeout, lambda: _pieces(url, start, timeout=timeout))
    with contextlib.closing(pieces), part.open("r+b" if start else "wb") as file:
        for offset, total, data in pieces:
            done = offset + len(data)
            if max(done, total) > max_bytes:
                part.unlink()
                raise EncoderError(f"{url} is larger than the {max_bytes} bytes that are accepted")
            file.seek(offset)
            file.truncate()  # drops what an earlier try left, where the server starts anew
            file.write(data)
            progress(done, total, part.stem)


def _pieces(url: str, start: int, *, timeout: float) -> Iterator[Piece]:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    local = urlsplit(url).hostname == "127.0.0.1"

    def admit(request: httpx.Request) -> None:
        if request.url.scheme != "https" and not (local and request.url.host == "127.0.0.1"):
            raise EncoderError(f"only https is fetched from, not {request.url}")

    hooks = {"request": [admit]}
    with (
        httpx.Client(timeout=timeout, follow_redirects=True, event_hooks=hooks) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        status, span = response.status_code, response.headers.get("Content-Range", "")
        if status == 416 and span == f"bytes */{start}":
            return  # the earlier try had it all
        if status not in (200, 206):
            raise EncoderError(f"cannot fetch {url}: HTTP {status} {response.reason_phrase}")
        offset = start if status == 206 else 0
        if status == 206 and not span.startswith(f"bytes {start}-"):
            raise EncoderError(f"cannot resume {url}: asked for bytes from {start}, got {span!r}")
        length = int(response.headers.get("Content-Length", 0))
        total = offset + length if length else 0
        yield offset, total, b""
        for data in response.iter_raw():
            yield offset, total, data
            offset += len(data)


def _within(timeout: float, make: Callable[[], Iterator[Piece]]) -> Generator[Piece]:
    """Pieces made in a thread, each within ``timeout`` seconds of the one before, the first sooner.

    The thread bounds what a socket's time-outs do not: name look-up, several addresses tried in
    turn, and redirects.
    """
    arrived: queue.Queue[Piece | BaseException | None] = queue.Queue(maxsize=8)
    stop = threading.Event()

    def pump() -> None:
        end: BaseException | None = None
        try:
            for piece in make():
                arrived.put(piece)
                if stop.is_set():
                    return
        except Exception as error:
            end = error
        arrived.put(end)

    threading.Thread(target=pump, daemon=True).start()
    wait = min(timeout, FIRST_BYTE)
    try:
        while (item := _next(arrived, wait)) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
            wait = timeout
    finally:
        stop.set()
        with contextlib.suppress(queue.Empty):
            while True:
                arrived.get_nowait()  # lets a waiting thread see that it is to stop


def _next(
    arrived: queue.Queue[Piece | BaseException | None], timeout: float
) -> Piece | BaseException | None:
    try:
        return arrived.get(timeout=timeout)
    except queue.Empty:
        raise TimeoutError(f"nothing came for {timeout:g} s") from None


def _check(part: Path, checksum: str | None) -> None:
    if checksum is None:
        return
    algorithm, _, expected = checksum.partition(":")
    with part.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if not found.startswith(expected):
        part.unlink()
        raise EncoderError(f"{part.stem} is damaged: its {algorithm} is {found}, not {expected}")
