"""Kinds of clients of a hosted server: what each asks, and how it knows a right result."""

from __future__ import annotations

import base64
import io
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from benchmarks.campaign.corpus import packed
from benchmarks.campaign.hosted import Hosted, Told, Visitor
from core.gallery.gallery import SHIPPED, Gallery

DECK = ("answer",) * 10 + ("compare",) * 3 + ("map",) * 2 + ("page",) * 3 + ("MCP", "build")
"""The kinds of twenty arrivals, whose order is drawn."""
_SIDES = (96, 192, 256, 512, 1024, 2048)
_BUILT = 8  # images of a visitor's gallery
_NEW = itertools.count(100_000)  # numbers of visitors who come for the first time


@dataclass
class Seen:
    """What became of some arrivals."""

    seconds: list[float] = field(default_factory=list[float])
    """From arrival to result, of each right one."""
    refused: int = 0
    """Those who were told when to come again."""
    faults: list[str] = field(default_factory=list[str])
    configs: list[float] = field(default_factory=list[float])
    """Seconds that ``/config`` took for each right page."""


@dataclass(frozen=True)
class Arrival:
    """Somebody who comes."""

    kind: str
    picture: bytes
    source: str
    """What the picture is called in the gallery."""


def arrivals(rng: np.random.Generator) -> Iterator[Arrival]:
    """Arrivals of all kinds, with pictures of the gallery in several sizes and kinds of file."""
    gallery = Gallery.open(SHIPPED, read_only=True)
    while True:
        for kind in rng.permutation(DECK).tolist():
            record = gallery.records[int(rng.integers(len(gallery)))]
            side, buffer = int(rng.choice(_SIDES)), io.BytesIO()
            with Image.open(gallery.store.thumbnail(record.sha256)) as thumbnail:
                picture = thumbnail.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
            picture.save(buffer, "PNG" if side < 512 else "JPEG", quality=92)
            yield Arrival(kind, buffer.getvalue(), record.path)


def arrive(client: Visitor, arrival: Arrival, came: float, seen: Seen) -> None:
    """Ask, see whether the result is the right one, and note what became of it."""
    try:
        told, wrong = CLIENTS[arrival.kind](client, arrival)
    except Exception as error:  # the connection: it must not fail either
        seen.faults.append(f"{arrival.kind}: {type(error).__name__}: {error}")
        return
    if told.refused:
        seen.refused += 1
    elif told.status != 200:
        seen.faults.append(f"{arrival.kind}: status {told.status}: {str(told.value)[:200]}")
    elif wrong:
        seen.faults.append(f"{arrival.kind}: {wrong}")
    else:
        seen.seconds.append(time.monotonic() - came)
        seen.configs += [told.config] * (told.config > 0)


def _answer(client: Visitor, arrival: Arrival) -> tuple[Told, str]:
    """Upload a picture under a name of its own and ask for its sources."""
    told, name = _asked(client, arrival, "attribute", ["lite0", "default", 5, 0.5, "", None])
    if told.status != 200:
        return told, ""
    if told.value["query"] != name:
        return told, f"the answer of {told.value['query']} came to {name}"
    return told, _first(told.value["matches"], arrival)


def _compare(client: Visitor, arrival: Arrival) -> tuple[Told, str]:
    """Compare two encoders; both know the picture."""
    told, _ = _asked(client, arrival, "compare", ["lite0", "default", "moco", "default", None])
    if told.status != 200:
        return told, ""
    sides = (told.value[side]["matches"] for side in ("first", "second"))
    return told, next(filter(None, (_first(matches, arrival) for matches in sides)), "")


def _map(client: Visitor, arrival: Arrival) -> tuple[Told, str]:
    """Ask where a picture lies on the map."""
    told, _ = _asked(client, arrival, "project", ["lite0", "default", 3])
    return told, _first(told.value["nearest"], arrival) if told.status == 200 else ""


def _mcp(client: Visitor, arrival: Arrival) -> tuple[Told, str]:
    """Ask by a tool, with the picture inside the message."""
    image = f"data:image/png;base64,{base64.b64encode(arrival.picture).decode()}"
    given = {"image": image, "encoder": "lite0", "head": "default", "top": 5}
    told = client.tool("attribute", given)
    return told, _first(told.value["matches"], arrival) if told.status == 200 else ""


def _page(client: Visitor, arrival: Arrival) -> tuple[Told, str]:
    """Open the page in a browser that has never been here, and look at the gallery.

    As a browser does, it asks for what the page consists of as well.
    """
    with _newcomer(client.server) as visitor:
        opened = visitor.client.get("/")
        if not opened.is_success:
            return Told(opened.status_code, opened.text), ""
        if "wellspring-visitor" not in visitor.client.cookies or "ws-tabs" not in opened.text:
            return Told(200, ""), "the page lacks its name or its tabs"
        began = time.monotonic()
        config = visitor.client.get("/config")
        took = time.monotonic() - began
        if not config.is_success:
            return Told(config.status_code, config.text), ""
        if "components" not in config.json():
            return Told(200, ""), "the page does not say what it consists of"
        shown = replace(visitor.handler("gallery.show", [None]), config=took)
    whole = "gallery that comes with the program" in json.dumps(shown.value)
    return shown, "" if whole else "the page does not show the gallery"


def _build(client: Visitor, arrival: Arrival) -> tuple[Told, str]:
    """Build a gallery of a zip; the pictures in it are the visitor's own."""
    with _newcomer(client.server) as visitor:
        secret = f"drawing{visitor.page}x"
        visitor.enter()
        built = visitor.build(packed(secret, next(_NEW), images=_BUILT), encoder="lite0")
        if built.status != 200:
            return built, ""
        shown = visitor.handler("gallery.show", [None])
    return shown, "" if secret in json.dumps(shown.value) else "the gallery is not the visitor's"


CLIENTS: Mapping[str, Callable[[Visitor, Arrival], tuple[Told, str]]] = {
    "answer": _answer,
    "compare": _compare,
    "map": _map,
    "page": _page,
    "MCP": _mcp,
    "build": _build,
}
"""By kind: what came, and what is wrong with it."""


def _asked(
    client: Visitor, arrival: Arrival, endpoint: str, values: list[object]
) -> tuple[Told, str]:
    """What an endpoint tells of an upload, and the upload's name, which is nobody else's."""
    name = f"own-{threading.get_ident()}-{time.monotonic_ns()}.png"
    told = client.upload(name, arrival.picture)
    return (client.ask(told.value, endpoint, values) if told.status == 200 else told), name


def _first(matches: list[dict[str, str]], arrival: Arrival) -> str:
    found = matches[0]["file"]
    return "" if found == arrival.source else f"{found} in the place of {arrival.source}"


def _newcomer(server: Hosted) -> Visitor:
    return Visitor(server, next(_NEW))
