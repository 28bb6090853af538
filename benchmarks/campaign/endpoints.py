"""The app's endpoints, tools and routes, called with what no client should send.

The calls are made from what the app says of itself at ``/gradio_api/info``: Gradio describes the
values of its endpoints there and not in OpenAPI, which generators such as schemathesis read.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from app.guard.guard import Guard
from app.ui import build, launch_options
from benchmarks.campaign import corpus
from benchmarks.campaign.addresses import Canary, canary
from benchmarks.campaign.addresses import tried as addresses_tried
from benchmarks.campaign.children import Budget, Child, scratch
from benchmarks.campaign.mutate import TEXTS, Rng, hostile_value, of_bytes, pick
from benchmarks.campaign.table import Row
from core.config import ServerConfig
from core.service.session import Session

SECONDS = 60.0
"""What one call may take."""
_SECRETS = ("root:x:0", "Traceback (most recent", "site-packages", "secret of this server")
_ROUTES = (
    "gradio_api/file={}", "file={}", "gradio_api/proxy={}", "static/{}", "assets/{}", "svelte/{}",
    "gradio_api/stream/{}/0/0/playlist.m3u8", "gradio_api/upload_progress?upload_id={}",
    "gradio_api/deep_link?session_hash={}", "gradio_api/heartbeat/{}", "gradio_api/call/{}",
    "gradio_api/call/attribute/{}", "gradio_api/custom_component/{}/client/x/y", "theme.css?v={}",
    "gradio_api/queue/data?session_hash={}", "config?deep_link={}", "monitoring/{}", "?view={}",
    "{}",
)  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """What came back of a call."""

    status: int
    text: str
    seconds: float


@dataclass(frozen=True)
class Server:
    """A running app over a gallery of its own, and what must not be in its replies."""

    url: str
    client: httpx.Client
    image: str
    """Path of an upload, as the server told."""
    outside: str
    """A folder of the server that a caller may guess; it holds ``secret.txt``."""
    gallery: str
    """The gallery's folder. Gradio's addresses of the files that are served hold their paths, but
    no answer and no error has one."""
    hidden: tuple[str, ...]
    """Other paths of the server."""

    def faults(self, reply: Reply) -> Iterator[str]:
        """What is wrong with a reply."""
        if reply.status >= 500:
            yield f"status {reply.status}: {reply.text[:200]}"
        if reply.seconds > SECONDS:
            yield f"{reply.seconds:.0f} s"
        for text in (*self.hidden, *_SECRETS):
            if text in reply.text:
                at = reply.text.index(text)
                yield f"{reply.text[max(0, at - 80) : at + 80]!r} in a reply"


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Call every endpoint, tool and route with values made by a seed."""
    count = 60 if quick else 600
    with scratch("endpoints") as folder, canary() as forbidden, _served(folder) as (server, seen):
        rng = np.random.default_rng(seed)
        kinds: tuple[tuple[str, Callable[[Server, Rng, Canary], Reply]], ...] = (
            ("endpoints of the API", _endpoint),
            ("tools for MCP clients", _tool),
            ("routes", _route),
        )
        rows: list[Row] = []
        for number, (name, call) in enumerate(kinds):
            share = budget.share(len(kinds) - number)
            make = partial(call, server, rng, forbidden)
            rows.append(_row(name, make, server, count, share))
        beyond = tuple(f"server: {what}" for what in seen())
        beyond += tuple(f"the forbidden server was asked for {path}" for path in forbidden.asked)
    if beyond:
        rows.append(Row("calls: connections made", len(beyond), beyond, ""))
    number, faults = addresses_tried()
    return (*rows, Row("addresses: led to private ones", number, faults, "no connection"))


def _row(
    name: str,
    call: Callable[[], Reply],
    server: Server,
    count: int,
    budget: Budget,
) -> Row:
    faults: list[str] = []
    slowest, refused, tried = 0.0, 0, 0
    for number in range(count):
        if budget.left < 0:
            break
        reply = call()
        tried += 1
        slowest, refused = max(slowest, reply.seconds), refused + (reply.status >= 400)
        if found := list(server.faults(reply)):
            faults.append(f"{name} {number}: {found[0]}")
    return Row(f"calls: {name}", tried, tuple(faults), f"{slowest:.1f} s; {refused:,} refused")


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[tuple[Server, Callable[[], list[str]]]]:
    """The app in a child, and a function that says what it did beyond its own machine's files."""
    (folder / "secret.txt").write_text("secret of this server", encoding="utf-8")
    maker = Child(lambda give: give(corpus.gallery(folder / "made")))
    maker.value(seconds=300)
    maker.wait()
    child = Child(lambda give: _serve(folder / "made" / "g", give))
    try:
        url = child.value(seconds=300)
        with httpx.Client(timeout=SECONDS + 30, trust_env=False) as client:
            sent = {"files": ("x.png", (folder / "made" / "photos" / "03.png").read_bytes())}
            (image,) = client.post(f"{url}gradio_api/upload", files=sent).json()
            root = Path(__file__).parents[2]
            hidden = (str(root / "core"), str(root / "app"), sys.prefix)
            gallery = str(folder / "made")
            server = Server(url, client, image, str(folder), gallery, (*hidden, gallery))
            yield server, lambda: _events(child)
    finally:
        child.kill()
        child.wait()


def _events(child: Child) -> list[str]:
    seen: list[str] = []
    with contextlib.suppress(TimeoutError, EOFError):
        while True:
            seen.append(child.value(seconds=0.2))
    return seen


def _serve(gallery: Path, give: Callable[[Any], None]) -> None:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    session = Session(server=ServerConfig(hosted=False))
    blocks, guard = build(session, gallery=str(gallery)), Guard(session)
    guard.watch(blocks)
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(guard))
    give(url)

    def met(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and str(arguments[1][0]) not in ("127.0.0.1", "::1"):
            give(f"connects to {arguments[1]}")
        elif event == "open" and str(arguments[0]).endswith(("/etc/passwd", "secret.txt")):
            give(f"opens {arguments[0]}")

    sys.addaudithook(met)
    while True:
        time.sleep(60)


def _values(server: Server, parameters: list[dict[str, Any]], rng: Rng) -> list[Any]:
    """Values that a client would send."""
    return [
        {"path": server.image, "meta": {"_type": "gradio.FileData"}}
        if p["parameter_name"] == "image"
        else {"encoder": "random", "other_encoder": "random"}.get(
            p["parameter_name"], p.get("parameter_default")
        )
        for p in parameters
    ]


def _hostile(server: Server, rng: Rng, forbidden: Canary) -> Any:
    """A value of any type, or a file that is none of the caller's."""
    address = pick(forbidden.addresses(), rng)
    paths = ("/etc/passwd", "/proc/self/environ", "../../../etc/passwd", server.outside, "", "\0")
    path = pick((*paths, f"{server.outside}/secret.txt", address), rng)
    meta = {"_type": "gradio.FileData"}
    return pick(
        (
            hostile_value(rng),
            hostile_value(rng),
            path,
            {"path": path, "meta": meta},
            {"path": server.image, "url": address, "meta": meta},
            {"url": address, "meta": meta},
            {"path": path, "url": None, "size": -1, "orig_name": pick(TEXTS, rng), "meta": meta},
            [server.image] * 3,
        ),
        rng,
    )


def _spoiled(values: list[Any], server: Server, rng: Rng, forbidden: Canary) -> list[Any]:
    changed = list(values)
    for _ in range(int(rng.integers(1, 3))):
        if changed:
            changed[int(rng.integers(len(changed)))] = _hostile(server, rng, forbidden)
    if rng.random() < 0.1:
        changed = changed[: int(rng.integers(len(changed) + 1))]
    if rng.random() < 0.05:
        changed.append(_hostile(server, rng, forbidden))
    return changed


def _endpoint(server: Server, rng: Rng, forbidden: Canary) -> Reply:
    """One of the named endpoints, with some values that are wrong."""
    named = server.client.get(f"{server.url}gradio_api/info").json()["named_endpoints"]
    name = pick(sorted(named), rng)
    values = _values(server, named[name]["parameters"], rng)
    body: Any = {"data": _spoiled(values, server, rng, forbidden)}
    began = time.monotonic()
    address = f"{server.url}gradio_api/call{name}"
    content = json.dumps(body).encode()
    if rng.random() < 0.1:
        content = of_bytes(content, rng)
    headers = {"Content-Type": "application/json"}
    sent = server.client.post(address, content=content, headers=headers)
    text, status = sent.text, sent.status_code
    if status == httpx.codes.OK and "event_id" in text:
        heard = server.client.get(f"{address}/{sent.json()['event_id']}")
        text = heard.text
        status = 400 if "event: error" in text and heard.is_success else heard.status_code
    return Reply(status, text, time.monotonic() - began)


def _tool(server: Server, rng: Rng, forbidden: Canary) -> Reply:
    """One of the tools, with some values that are wrong."""
    tools = server.client.get(f"{server.url}gradio_api/mcp/schema").json()
    tool = pick(tools, rng)
    names = list(tool["inputSchema"].get("properties", {}))
    values = {name: _hostile(server, rng, forbidden) for name in names if rng.random() < 0.6}
    call: Any = {"name": tool["name"], "arguments": values}
    if rng.random() < 0.1:
        call = hostile_value(rng)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    began = time.monotonic()
    sent = server.client.post(
        f"{server.url}gradio_api/mcp/", content=json.dumps(message), headers=headers
    )
    failed = '"isError":true' in sent.text or '"error":' in sent.text
    status = 400 if failed and sent.is_success else sent.status_code
    return Reply(status, sent.text, time.monotonic() - began)


def _route(server: Server, rng: Rng, forbidden: Canary) -> Reply:
    """A route of the server with a path or an address in it."""
    secret = f"{server.outside}/secret.txt"
    texts = [text for text in TEXTS if len(text) < 2_000]
    ways = (secret, f"..{secret}", "../" * 12 + "etc/passwd", pick(forbidden.addresses(), rng))
    text = pick((*ways, "%2e%2e%2f" * 9 + "etc%2fpasswd", pick(texts, rng)), rng)
    safe = "".join(c if c.isascii() and c.isprintable() and c != " " else "%00" for c in text)
    method = pick(("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE"), rng)
    began = time.monotonic()
    try:
        with server.client.stream(
            method, server.url + pick(_ROUTES, rng).format(safe), timeout=5
        ) as answer:
            text = "".join(piece for piece, _ in zip(answer.iter_text(), range(50), strict=False))
            told = text.replace(server.gallery, "")
            return Reply(answer.status_code, told, time.monotonic() - began)
    except (httpx.ReadTimeout, httpx.InvalidURL, UnicodeError):  # a stream that waits for events
        return Reply(200, "", 0.0)
