"""A visit that nobody uses goes from the disk; one that builds stays, and goes when it is idle."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from benchmarks.campaign.corpus import packed
from benchmarks.campaign.hosted import UNLIMITED, Hosted, Told, Visitor, hosted
from benchmarks.campaign.table import Row

_IMAGES = (80, 320, 1_280)  # as many as it takes for a build that outlasts its visit


@dataclass
class _Guest:
    """A visitor, known by a text in the names of all that was sent."""

    visitor: Visitor
    secret: str
    cookie: str = ""
    gallery: str = ""
    told: Told = field(default_factory=lambda: Told(0, ""))

    def build(self, server: Hosted, images: int, *, encoder: str = "histogram") -> None:
        archive = packed(self.secret, 0, images=images)
        self.told = self.visitor.build(archive, name=f"{self.secret}.zip", encoder=encoder)
        found = list((server.visitors / self.cookie / "galleries").glob("*/gallery.json"))
        self.gallery = found[0].parent.name if found else ""

    @property
    def sees_own(self) -> bool:
        """Whether the own page shows the own gallery."""
        shown = self.visitor.handler("gallery.show", [None])
        return shown.status == httpx.codes.OK and self.secret in json.dumps(shown.value)


def expired(kept: Path, *, seconds: int) -> Row:
    """Let the time of a visit run out while its gallery is built, and again when it is idle.

    Args:
        kept: folder of the visits.
        seconds: time without use after which they end.
    """
    config = replace(UNLIMITED, visitors=kept, session_seconds=seconds)
    with (
        hosted(config) as server,
        Visitor(server, 6_000_001) as one,
        Visitor(server, 6_000_002) as other,
    ):
        idle, builder = _Guest(one, "leaflet1x"), _Guest(other, "leaflet2x")
        looked = [
            *_building(server, idle, builder, seconds=seconds),
            *_idle(server, builder, idle, seconds=seconds),
        ]
    faults = tuple(f"expiry: not so: {what}" for what, is_so in looked if not is_so)
    return Row("visitors: time runs out, while they build and after", len(looked), faults, "gone")


def _building(
    server: Hosted, idle: _Guest, builder: _Guest, *, seconds: float
) -> Iterator[tuple[str, bool]]:
    """What must be so of a build that outlasts its visit's time, while another visit is idle."""
    for guest in (idle, builder):
        guest.cookie = guest.visitor.enter()
    took, left, longer = 0.0, False, 1.5 * seconds
    for images in _IMAGES:
        idle.build(server, 3)
        yield "the one who will be idle has built", bool(idle.gallery)
        took, left = _long(server, idle, builder, images)
        if took > longer:
            break
    yield f"the build outlasts the visit's time: it took {took:.1f} s", took > longer
    words = f"the build ended well: {builder.told.value!r:.150}"
    yield words, builder.told.status == httpx.codes.OK
    yield "its own visitor sees the gallery", builder.sees_own
    yield "the idle visit left the disk while the other built", left
    yield "the idle one is told that the gallery is gone", not idle.sees_own
    opened = idle.visitor.handler("gallery.open", [builder.gallery])
    yield "the idle one does not get the other's", opened.status != httpx.codes.OK


def _long(server: Hosted, idle: _Guest, builder: _Guest, images: int) -> tuple[float, bool]:
    """Seconds that a build takes, and whether the idle visit's folder went during it."""
    began, left = time.monotonic(), False
    thread = threading.Thread(
        target=builder.build, args=(server, images), kwargs={"encoder": "lite0"}
    )
    thread.start()
    while thread.is_alive():
        left = left or not (server.visitors / idle.cookie).exists()
        thread.join(0.1)
    return time.monotonic() - began, left


def _idle(
    server: Hosted, builder: _Guest, idle: _Guest, *, seconds: float
) -> Iterator[tuple[str, bool]]:
    """What must be so when nobody has used the gallery any more."""
    yield "it is there until then", builder.sees_own
    used = time.monotonic()
    while (left := _files(server, builder, idle)) and time.monotonic() - used < 4 * seconds:
        time.sleep(0.1)
    took = time.monotonic() - used
    yield f"nothing of it is on the disk: {left[:3]}", not left
    yield f"it did not go before its time: {took:.1f} s", took > seconds - 0.5
    yield "its visitor is told that it is gone", not builder.sees_own


def _files(server: Hosted, *guests: _Guest) -> list[str]:
    """What is on the disk of some visits: their folders, and uploads by their names."""
    secrets = [guest.secret for guest in guests]
    uploads = (path for path in server.log.parent.rglob("*") if path.is_file())
    named = [path for path in uploads if any(secret in path.name for secret in secrets)]
    folders = [server.visitors / guest.cookie for guest in guests]
    return [str(path) for path in [*named, *(each for each in folders if each.exists())]]
