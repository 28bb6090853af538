"""A build that is under way when the server is killed goes on with the same zip."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.campaign.corpus import packed
from benchmarks.campaign.hosted import Hosted, Visitor
from benchmarks.campaign.table import Row

_IMAGES = 160  # seconds of work
_WAIT = 60.0  # seconds in which it must have begun
_SECRET = "etching1x"
_NUMBER = 5_000_001  # of the visitor


@dataclass(frozen=True)
class Begun:
    """A build that is under way."""

    visitor: Visitor
    archive: bytes
    names: tuple[str, ...]
    """The gallery that is being built."""
    building: threading.Thread


def begin(server: Hosted) -> Begun:
    """Begin a build, and wait until its images are unpacked."""
    visitor, archive = Visitor(server, _NUMBER), packed(_SECRET, 0, images=_IMAGES)
    kept = server.visitors / visitor.enter() / "galleries"

    def work() -> None:
        with contextlib.suppress(httpx.HTTPError):  # the server is killed
            visitor.build(archive, encoder="lite0")

    building = threading.Thread(target=work)
    building.start()
    until = time.monotonic() + _WAIT
    while not (names := _galleries(kept)) and building.is_alive() and time.monotonic() < until:
        time.sleep(0.02)
    return Begun(visitor, archive, names, building)


def resumed(server: Hosted, begun: Begun) -> Row:
    """Build from the same zip on the server that came after; it is the gallery that was begun."""
    begun.building.join()
    visitor = Visitor(server, _NUMBER)
    visitor.client.cookies.update(begun.visitor.client.cookies)
    kept = server.visitors / str(visitor.client.cookies["wellspring-visitor"]) / "galleries"
    unfinished = (kept.parent / "unfinished.json").exists()
    told = visitor.build(begun.archive, encoder="lite0")
    shown = visitor.handler("gallery.show", [None])
    looked = {
        "the server was killed while it built": unfinished and bool(begun.names),
        f"the build goes on: {told.value!r:.150}": told.status == httpx.codes.OK,
        "it is the gallery that was begun": _galleries(kept) == begun.names,
        "its visitor sees it": _SECRET in json.dumps(shown.value),
    }
    faults = tuple(f"resumed: not so: {what}" for what, is_so in looked.items() if not is_so)
    what = "visitors: a build that was under way when the server was killed"
    return Row(what, len(looked), faults, "gone on with")


def _galleries(kept: Path) -> tuple[str, ...]:
    """Names of the galleries whose images are unpacked."""
    return tuple(path.parent.name for path in kept.glob("*/images"))
