"""What one visitor does to another's open page: listens, asks, leaves and cancels in its name."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import httpx

from app.page.sessions import CAPACITY
from benchmarks.campaign import corpus
from benchmarks.campaign.children import Budget
from benchmarks.campaign.hosted import LOADING, Told, Visitor

_ASK = "attribute.search"
_PAUSE = 0.5  # seconds in which a call is on its way
_HEARD = 8.0  # seconds for which somebody listens


def ask_on(visitor: Visitor, secret: str) -> Told:
    """Ask about a picture on a visitor's page, whose answer is kept there."""
    return visitor.handler(_ASK, _question(visitor, secret))


def attacks(one: Visitor, other: Visitor, secret: str) -> Iterator[tuple[str, str]]:
    """Ways to reach another's page, and what is wrong with what came of each: nothing, mostly.

    Args:
        one: who does it, with a browser of its own.
        other: whose page it is; :func:`ask_on` was called for it.
        secret: a text in the names of all that the other has sent.
    """
    for handler in one.server.handlers:  # self-tests, reports and lists of several among them
        if "State" in handler.inputs:
            seen = one.handler(handler.number, list(handler.values), page=other.page)
            answers = "it answers" * (seen.status == httpx.codes.OK)
            yield f"{handler.name} on the other's page", _leaked(seen, secret) or answers
    yield from _files(one, other, secret)
    yield "listen to the other's page", _listened(one, other, secret)
    for way, act in (("leave", _leave), ("cancel", _cancel)):
        yield f"{way} in the other's name", _lost(one, other, secret, act)


def crowd_out(one: Visitor, others: Sequence[tuple[Visitor, str]], budget: Budget) -> list[str]:
    """Open more pages than a server keeps; whoever was there must still have the own gallery."""
    for number in range(CAPACITY + 50):
        if budget.left < 0:
            break
        one.join(LOADING, [], page=f"crowd{one.page}{number}")
    time.sleep(_PAUSE)
    shown = ((visitor.handler("gallery.show", [None]), secret) for visitor, secret in others)
    return [f"{secret} lost its page" for told, secret in shown if secret not in str(told.value)]


def _question(visitor: Visitor, secret: str) -> list[Any]:
    sent = visitor.upload(f"{secret}-asked.png", corpus.image_bytes(7))
    handler = visitor.server.handler(_ASK)
    values = handler.about(sent.value)
    values[handler.inputs.index("Dropdown")] = "histogram"
    return values


def _files(one: Visitor, other: Visitor, secret: str) -> Iterator[tuple[str, str]]:
    """Guess the addresses of an upload of the other's, and of the report of its answer."""
    sent = other.upload(f"{secret}-sent.png", content := corpus.image_bytes(8))
    explained, export = (one.server.handler(f"attribute.{name}") for name in ("explain", "export"))
    other.handler(explained.name, list(explained.values))
    report = other.handler(export.name, list(export.values))
    paths = {"an upload": [sent.value], "a report": _paths(report.value)}
    for what, found in paths.items():
        yield f"{what} has an address", "" if found else f"there is none: {report.value!r:.150}"
        for path in map(PurePosixPath, found):
            given = other.client.get(f"/gradio_api/file={path}").status_code
            yield f"{what} by its own visitor", "" if given == httpx.codes.OK else f"{given}"
            digest = hashlib.sha256(content).hexdigest()
            folders = (path.parent.parent / name for name in (digest, "0" * 64, "", "*"))
            for guess in (*(folder / path.name for folder in folders), path.parent):
                answer = one.client.get(f"/gradio_api/file={guess}")
                wrong = "it is given" if answer.status_code == httpx.codes.OK else ""
                yield f"{what} by a guessed address", wrong


def _paths(value: Any) -> list[str]:
    """Paths of the files in what a handler gave."""
    if isinstance(value, list):
        return [path for each in value for path in _paths(each)]
    if isinstance(value, dict):
        own = [value["path"]] if isinstance(value.get("path"), str) else []
        return own + [path for each in value.values() for path in _paths(each)]
    return []


def _leaked(told: Told, secret: str) -> str:
    return "it shows what is the other's" if secret in json.dumps(told.value, default=str) else ""


def _listened(one: Visitor, other: Visitor, secret: str) -> str:
    """Listen on the other's page while an answer is on its way there."""
    heard: list[str] = []

    def listen() -> None:
        address = f"/gradio_api/queue/data?session_hash={other.page}"
        until = time.monotonic() + _HEARD
        try:
            with one.client.stream("GET", address, timeout=_HEARD) as stream:
                for line in stream.iter_lines():
                    heard.append(line)
                    if "process_completed" in line or time.monotonic() > until:
                        return
        except httpx.HTTPError:
            return

    question = _question(other, secret)
    joined = other.join(_ASK, question)
    thread = threading.Thread(target=listen)
    thread.start()
    time.sleep(_PAUSE)
    told = _answer(other) if joined.status == httpx.codes.OK else joined
    thread.join()
    if any(secret in line or "process_completed" in line for line in heard):
        return "it hears the other's answer"
    return "" if told.status == httpx.codes.OK else f"the other gets no answer: {told.value!r:.100}"


def _answer(visitor: Visitor) -> Told:
    try:
        return visitor.heard(visitor.page)
    except httpx.HTTPError as error:
        return Told(0, repr(error))


def _leave(one: Visitor, other: Visitor, event: str) -> None:
    """Open the other's heartbeat and close it, as a page does that is closed."""
    address = f"/gradio_api/heartbeat/{other.page}"
    try:
        with one.client.stream("GET", address, timeout=_HEARD) as stream:
            next(stream.iter_bytes(), b"")
    except httpx.HTTPError:
        return


def _cancel(one: Visitor, other: Visitor, event: str) -> None:
    number = one.server.handler(_ASK).number
    body = {"session_hash": other.page, "fn_index": number, "event_id": event}
    one.client.post("/gradio_api/cancel", json=body)
    one.client.post("/gradio_api/reset", json={"event_id": event})


def _lost(
    one: Visitor, other: Visitor, secret: str, act: Callable[[Visitor, Visitor, str], None]
) -> str:
    """Whether what one does costs the other an answer that is on its way."""
    joined = other.join(_ASK, _question(other, secret))
    if joined.status != httpx.codes.OK:
        return f"the other cannot ask: {joined.value!r:.100}"
    act(one, other, json.loads(joined.value)["event_id"])
    told = _answer(other)
    if told.status == httpx.codes.OK and secret in str(other.handler("gallery.show", [None]).value):
        return ""
    return f"the other gets no answer: {told.value!r:.100}"
