"""One file from the internet: resumed where it was cut, checked, bounded in time and size."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import httpx
from filelock import FileLock, Timeout

from core.images.files import file_digest
from core.images.waiting import begun
from core.values import EncoderError, Progress, no_progress

_log = logging.getLogger(__name__)

MAX_BYTES = 4_000_000_000
"""Largest file that is fetched unless the caller says otherwise, bytes."""

FIRST_BYTE = 4.0
"""Longest wait for a server's first byte, seconds."""

_Made = TypeVar("_Made")


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
                _check(part, checksum, progress)
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
    with _response(url, start, timeout=timeout) as response:
        if response.status_code == 416 and _span(response) == f"bytes */{start}":
            return  # the earlier try had it all
        done = _offset(response, url, start=start)
        length = int(response.headers.get("Content-Length", 0))
        total = done + length if length else 0
        with part.open("r+b" if start else "wb") as file:
            file.seek(done)
            file.truncate()  # drops what an earlier try left, where the server starts anew
            for data in itertools.chain([b""], response.iter_raw()):
                done += len(data)
                if max(done, total) > max_bytes:
                    part.unlink()
                    raise EncoderError(f"{url} is larger than the {max_bytes} bytes accepted")
                file.write(data)
                progress(done, total, part.stem)


def _offset(response: httpx.Response, url: str, *, start: int) -> int:
    """Where in the file the body of an answer begins."""
    if response.status_code == 200:
        return 0
    if response.status_code != 206:
        status = f"HTTP {response.status_code} {response.reason_phrase}"
        raise EncoderError(f"cannot fetch {url}: {status}")
    if not _span(response).startswith(f"bytes {start}-"):
        raise EncoderError(
            f"cannot resume {url}: asked for bytes from {start}, got {_span(response)!r}"
        )
    return start


def _span(response: httpx.Response) -> str:
    return response.headers.get("Content-Range", "")


@contextlib.contextmanager
def _response(url: str, start: int, *, timeout: float) -> Iterator[httpx.Response]:
    """The server's answer from byte ``start`` on, its body not yet read."""
    local = urlsplit(url).hostname == "127.0.0.1"

    def admit(request: httpx.Request) -> None:  # called for every redirect too
        if request.url.scheme != "https" and not (local and request.url.host == "127.0.0.1"):
            raise EncoderError(f"only https is fetched from, not {request.url}")

    hooks = {"request": [admit]}
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with httpx.Client(timeout=timeout, follow_redirects=True, event_hooks=hooks) as client:
        request = client.build_request("GET", url, headers=headers)
        response = _within(min(timeout, FIRST_BYTE), lambda: client.send(request, stream=True))
        with contextlib.closing(response):
            yield response


def _within(seconds: float, make: Callable[[], _Made]) -> _Made:
    """What ``make`` gives, waited for no longer than ``seconds``."""
    try:
        return begun(make).result(seconds)
    except TimeoutError:
        raise TimeoutError(f"nothing came for {seconds:g} s") from None


def _check(part: Path, checksum: str | None, progress: Progress) -> None:
    if checksum is None:
        return
    algorithm, _, expected = checksum.partition(":")
    size = part.stat().st_size
    told = functools.partial(progress, size, size, part.stem)
    found = file_digest(part, algorithm=algorithm, told=lambda _: told())
    if not found.startswith(expected):
        part.unlink()
        raise EncoderError(f"{part.stem} is damaged: its {algorithm} is {found}, not {expected}")
