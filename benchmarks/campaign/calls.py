"""Calls with what no client should send: of endpoints, of tools, of the page's handlers by number.

The calls are made from what the app says of itself at ``/gradio_api/info``: Gradio describes the
values of its endpoints there and not in OpenAPI, which generators such as schemathesis read.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.campaign.addresses import Canary
from benchmarks.campaign.hosted import FAULTS, META, TOKEN, Hosted, Told, Visitor, uploaded
from benchmarks.campaign.mutate import TEXTS, Rng, hostile_value, of_bytes, pick

SECONDS = 60.0
"""What one call may take."""
SECRETS = ("root:x:0", "Traceback (most recent", "site-packages", "secret of this server", TOKEN)
"""What is in no reply."""
_SLOW = "app.prepare"
"""Minutes of the processor for each encoder that fits: a whole gallery is described by it."""
_PAGES = itertools.count()


@dataclass(frozen=True)
class Reply:
    """What came back of a call."""

    status: int
    """0 where nothing came in time."""
    text: str
    seconds: float
    asked: str = ""
    """What was called, for whoever reads of a fault."""
    missing: tuple[str, ...] = ()
    """Headers that every response has, and this one has not."""


@dataclass(frozen=True)
class Target:
    """A server that is attacked, and what must not be in its replies."""

    server: Hosted
    client: httpx.Client
    image: str
    """Path of an upload, as the server told."""
    outside: str
    """A folder of this machine that a caller may guess; it holds ``secret.txt``."""
    hidden: tuple[str, ...]
    """Paths of the server that no reply has."""
    forbidden: Canary
    page: Visitor
    """A page that has asked and drawn, so that its handlers have something to work on."""
    reached: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    """How often each endpoint, tool and handler was called, by kind."""

    def turn(self, kind: str, names: Sequence[str], rng: Rng) -> str:
        """One of those of a kind that were called least often, so that all have their turn."""
        counts = self.reached.setdefault(kind, Counter(dict.fromkeys(names, 0)))
        least = min(counts[name] for name in names)
        name: str = pick([name for name in names if counts[name] == least], rng)
        counts[name] += 1
        return name

    def faults(self, reply: Reply) -> Iterator[str]:
        """What is wrong with a reply."""
        if reply.status >= 500 or reply.status == 0:
            yield f"{reply.asked}: status {reply.status}: {reply.text[:200]}"
        if reply.seconds > SECONDS:
            yield f"{reply.asked}: {reply.seconds:.0f} s"
        if reply.missing:
            yield f"{reply.asked}: without {', '.join(reply.missing)}"
        if any(words in reply.text for words in FAULTS):
            yield f"{reply.asked}: called a fault of the program: {reply.text[:120]}"
        for text in (*self.hidden, *SECRETS):
            if text in reply.text:
                at = reply.text.index(text)
                yield f"{reply.asked}: {reply.text[max(0, at - 80) : at + 80]!r} in a reply"


def used(server: Hosted, image: str, *, quick: bool) -> Visitor:
    """A page on which an image was asked about in each tab, or quickly, in the first."""
    page = Visitor(server, 400_000)
    slow = () if quick else ("compare.search", "map.draw", "disentanglement.measure")
    for name in ("attribute.search", *slow):
        handler = server.handler(name)
        told = page.handler(handler.number, handler.about(image))
        assert told.status == httpx.codes.OK, f"{name}: {told.value}"
    return page


def endpoint(target: Target, rng: Rng) -> Reply:
    """One of the named endpoints, with some values that are wrong."""
    named = target.client.get("/gradio_api/info").json()["named_endpoints"]
    name = target.turn("endpoints", sorted(named), rng)
    values = [_usual(target, each) for each in named[name]["parameters"]]
    data = _spoiled(values, target, rng)
    content = json.dumps({"data": data}).encode()
    if rng.random() < 0.1:
        content = of_bytes(content, rng)
    began, address = time.monotonic(), f"/gradio_api/call{name}"
    headers = {"Content-Type": "application/json"}
    sent = target.client.post(address, content=content, headers=headers)
    text, status = sent.text, sent.status_code
    if status == httpx.codes.OK and "event_id" in text:
        heard = target.client.get(f"{address}/{sent.json()['event_id']}")
        text = heard.text
        status = 400 if "event: error" in text and heard.is_success else heard.status_code
    return Reply(status, text, time.monotonic() - began, f"{name} {content[:150]!r}")


def tool(target: Target, rng: Rng) -> Reply:
    """One of the tools, with some values that are wrong."""
    tools = target.client.get("/gradio_api/mcp/schema").json()
    by_name = {each["name"]: each for each in tools}
    chosen = by_name[target.turn("tools", sorted(by_name), rng)]
    names = list(chosen["inputSchema"].get("properties", {}))
    values = {name: hostile(target, rng) for name in names if rng.random() < 0.6}
    call: Any = {"name": chosen["name"], "arguments": values}
    if rng.random() < 0.1:
        call = hostile_value(rng)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    began, content = time.monotonic(), json.dumps(message)
    sent = target.client.post("/gradio_api/mcp/", content=content, headers=headers)
    failed = '"isError":true' in sent.text or '"error":' in sent.text
    status = 400 if failed and sent.is_success else sent.status_code
    return Reply(status, sent.text, time.monotonic() - began, f"{chosen['name']} {content[60:200]}")


def handler(target: Target, rng: Rng) -> Reply:
    """One of the page's handlers by its number: values, and what an event says."""
    each_one = {str(each.number): each for each in target.server.handlers if each.name != _SLOW}
    chosen = each_one[target.turn("handlers", list(each_one), rng)]
    data = list(chosen.values)
    every = rng.random() < 0.5
    for place, kind in enumerate(chosen.inputs):
        if kind != "State" and (every or rng.random() < 1 / len(data)):
            data[place] = hostile(target, rng)
    if rng.random() < 0.05:
        data = data[:-1] if rng.random() < 0.5 else [*data, None]
    more = {"event_data": _event(target, rng)} if rng.random() < 0.7 else {}
    began = time.monotonic()
    if rng.random() < 0.5:
        told = target.page.handler(chosen.number, data, **more)
    else:
        with Visitor(target.server, 500_000 + next(_PAGES)) as visitor:
            told = visitor.handler(chosen.number, data, **more)
    asked = f"{chosen.name} {data!r:.150} {more!r:.60}"
    return Reply(told.status, _words(told), time.monotonic() - began, asked)


def hostile(target: Target, rng: Rng) -> Any:
    """A value of any type, or a file that is none of the caller's."""
    address = pick(target.forbidden.addresses(), rng)
    paths = ("/etc/passwd", "/proc/self/environ", "../../../etc/passwd", target.outside, "", "\0")
    folder = target.image.rpartition("/")[0]
    path = pick((*paths, "/tmp", folder, f"{target.outside}/secret.txt", address), rng)
    return pick(
        (
            hostile_value(rng),
            hostile_value(rng),
            path,
            "x" * 3_000,
            "\ud800",
            uploaded(path),
            {"path": target.image, "url": address, "meta": META},
            uploaded(f"{target.image}\0"),
            {"url": address, "meta": META},
            {"path": path, "url": None, "size": -1, "orig_name": pick(TEXTS, rng), "meta": META},
            [target.image] * 3,
            [uploaded(target.image)] * 2,
        ),
        rng,
    )


def _event(target: Target, rng: Rng) -> Any:
    """What a page may say of an event, and what it never says."""
    number = pick((0, -1, 1, 7, 10**9, 10**30, 1.5, float("nan"), [1], [0, 1], "0", None), rng)
    return pick(
        (
            None,
            hostile(target, rng),
            {"index": number, "value": None, "selected": True},
            {"index": number},
            {"row": number},
            {"row": number, "act": pick(("ask", "made", "near", None), rng)},
            {"leaf": number},
            {"chosen": [number]},
            {"rows": [number], "path": "/etc/passwd", "meta": META},
        ),
        rng,
    )


def _usual(target: Target, parameter: dict[str, Any]) -> Any:
    """The value that a client would send."""
    if parameter["parameter_name"] == "image":
        return uploaded(target.image)
    return parameter.get("parameter_default")


def _spoiled(values: Sequence[Any], target: Target, rng: Rng) -> list[Any]:
    changed = list(values)
    for _ in range(int(rng.integers(1, 3))):
        if changed:
            changed[int(rng.integers(len(changed)))] = hostile(target, rng)
    if rng.random() < 0.1:
        changed = changed[: int(rng.integers(len(changed) + 1))]
    if rng.random() < 0.05:
        changed.append(hostile(target, rng))
    return changed


def _words(told: Told) -> str:
    """What a handler gave, less the addresses of files that are served, which hold their paths."""
    return told.value if isinstance(told.value, str) else "" if told.status == 200 else str(told)
