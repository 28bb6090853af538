"""Each limit of a hosted server is met: words say what it is, and nobody else is refused by it."""

from __future__ import annotations

import io
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from benchmarks.campaign import corpus
from benchmarks.campaign.hosted import OWNER, Hosted, Told, Visitor, hosted
from benchmarks.campaign.table import Row
from core.config import ServerConfig

_IMAGES = 250  # of a gallery at most; as many take longer than the seconds that one may use
_UNPACKED = 2_400_000  # bytes that a gallery of so many never comes to
_KEPT = 34_000  # bytes of a gallery of three images, about
_ROOM = 4  # such galleries that have room while another one is built
_OLDEST = 10  # number of the visitor whose gallery has to go for room
_AGAIN = re.compile(r"try again in (a|\d)")


def limits(kept: Path) -> ServerConfig:
    """Limits that few calls meet."""
    return ServerConfig(
        visitors=kept,
        max_images=_IMAGES,
        max_upload_bytes=1_500_000,
        max_unpacked_bytes=_UNPACKED,
        max_total_bytes=2 * _UNPACKED + _ROOM * _KEPT,
        max_sent_bytes=4_000_000,
        max_requests=100,
        max_seconds=4,
        max_visitor_builds=1,
    )


def met(kept: Path) -> Row:
    """Meet each limit as a visitor of its own, and be served as another one after each."""
    faults, tried = list[str](), 0
    with hosted(limits(kept)) as server:
        for number, (what, meet) in enumerate(_WAYS.items()):
            with (
                Visitor(server, 4_000_000 + number) as one,
                Visitor(server, 4_100_000 + number) as other,
            ):
                for visitor in (one, other):
                    visitor.enter()
                told, words = meet(one)
                served = other.handler("gallery.show", [None])
            tried += 2
            if told.status not in (400, 411, 413, 429) or not words.search(str(told.value)):
                faults.append(f"limits: {what}: {told.status} {told.value!r:.200}")
            if served.status != httpx.codes.OK:
                faults.append(f"limits: another one beside {what}: {served.value!r:.200}")
        for what, is_so in (*_room(server), *_owner(server)):
            tried += 1
            faults += [f"limits: not so: {what}"] * (not is_so)
    return Row("visitors: limits met", tried, tuple(faults), "each told in words, others served")


def _too_many(one: Visitor) -> tuple[Told, re.Pattern[str]]:
    archive = corpus.packed("poster", 0, images=_IMAGES + 1)
    return one.build(archive), re.compile(f"at most {_IMAGES}")


def _too_large(one: Visitor) -> tuple[Told, re.Pattern[str]]:
    return one.upload("poster.zip", b"0" * 1_700_000), re.compile("too large; at most")


def _too_wide(one: Visitor) -> tuple[Told, re.Pattern[str]]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("poster.png", b"\x89PNG" + bytes(_UNPACKED))
    return one.build(buffer.getvalue()), re.compile(f"accepted {_UNPACKED:,} bytes")


def _too_much(one: Visitor) -> tuple[Told, re.Pattern[str]]:
    return _until(lambda: one.upload("poster.zip", b"0" * 1_000_000), 6), _AGAIN


def _too_often(one: Visitor) -> tuple[Told, re.Pattern[str]]:
    def call() -> Told:
        answer = one.client.get("/config")
        return Told(answer.status_code, "" if answer.is_success else answer.text)

    return _until(call, 110), _AGAIN


def _too_long(one: Visitor) -> tuple[Told, re.Pattern[str]]:
    """More work, when what was begun has been stopped."""
    archive = corpus.packed("poster", 0, images=_IMAGES)
    _until(lambda: one.build(archive, encoder="lite0"), 3)
    return one.build(archive), _AGAIN


def _twice(one: Visitor) -> tuple[Told, re.Pattern[str]]:
    """A second build beside one that is under way."""
    archive = corpus.packed("poster", 0, images=_IMAGES)
    first = _beginning(one, archive)
    with Visitor(one.server, 4_200_000) as page:  # a further page of the same browser
        page.client.cookies.update(one.client.cookies)
        told = page.build(corpus.packed("poster", 5))
    first.join()
    return told, re.compile("being built or changed")


_WAYS: dict[str, Callable[[Visitor], tuple[Told, re.Pattern[str]]]] = {
    "images of a gallery": _too_many,
    "bytes of a file": _too_large,
    "bytes of a zip unpacked": _too_wide,
    "bytes sent in an hour": _too_much,
    "requests in a minute": _too_often,
    "seconds of work in an hour": _too_long,
    "builds at once": _twice,
}


def _folder(visitor: Visitor) -> Path:
    return visitor.server.visitors / str(visitor.client.cookies["wellspring-visitor"])


def _beginning(visitor: Visitor, archive: bytes) -> threading.Thread:
    """A build that goes on when its images are unpacked."""
    building = threading.Thread(target=lambda: visitor.build(archive, encoder="lite0"))
    building.start()
    while building.is_alive() and not list(_folder(visitor).glob("galleries/*/images")):
        time.sleep(0.02)
    return building


def _until(call: Callable[[], Told], most: int) -> Told:
    """Call until it is refused, so often at most."""
    told = call()
    for _ in range(most - 1):
        if told.status != httpx.codes.OK:
            break
        told = call()
    return told


def _room(server: Hosted) -> Iterator[tuple[str, bool]]:
    """For room the oldest visit leaves, and none that builds."""
    builder = Visitor(server, _OLDEST - 1)
    builder.enter()
    building = _beginning(builder, corpus.packed("poster", 0, images=_IMAGES))
    folders = {0: _folder(builder)}
    for number in range(1, 2 * _ROOM):
        with Visitor(server, _OLDEST + number) as visitor:
            visitor.enter()
            folders[number] = _folder(visitor)
            told = visitor.build(corpus.packed("poster", 10 * number))
        yield f"there is room for gallery {number}: {told.value!r:.100}", told.status == 200
        if building.is_alive():
            yield "the visit that builds stays", bool(list(folders[0].glob("galleries/*")))
    left = [number for number, folder in folders.items() if number and not folder.exists()]
    yield f"the oldest left, in their order: {left}", left == list(range(1, len(left) + 1))
    yield "some had to leave", bool(left)
    building.join()


def _owner(server: Hosted) -> Iterator[tuple[str, bool]]:
    """What is refused is counted for the owner alone."""
    with Visitor(server, 4_300_000) as stranger:
        for path, status in (("/health", 200), ("/ready", 200), ("/metrics", 404)):
            yield (
                f"{path} gives {status} to a stranger",
                stranger.client.get(path).status_code == status,
            )
        told = stranger.client.get("/metrics", headers={"Authorization": f"Bearer {OWNER}"})
    yield "the owner sees the metrics", told.status_code == httpx.codes.OK
    counted = set(re.findall(r'wellspring_refused_total\{limit="([a-z ]+)"\}', told.text))
    yield f"refusals are counted: {counted}", {"size", "sent", "requests", "seconds"} <= counted
    yield "no name in the metrics", "poster" not in told.text
