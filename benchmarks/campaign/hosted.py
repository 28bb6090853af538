"""A hosted server in a process of its own, and visitors who come to it over the network."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from app.guard.guard import Guard
from app.guard.logs import log_lines
from app.page.warm import warm_up
from app.tabs.gallery.layout import DATASET, ZIP
from app.ui import build, launch_options
from benchmarks.campaign.children import Child, computed, resident, scratch
from benchmarks.campaign.hub import point_at
from core.config import ServerConfig
from core.service.session import Session

SECONDS = 120.0
"""What one call may take."""
META = {"_type": "gradio.FileData"}
"""By what Gradio knows an object as a file."""

TOKEN = "hf_madeUpForTheCampaignAndNobodyElse"
"""The server's own token of the Hub: in no answer to a visitor, and in no line of the log."""

OWNER = "madeUpForTheOwnerOfTheCampaign"
"""Who has it sees the metrics."""

UNLIMITED = ServerConfig(
    max_requests=10**9,
    max_total_requests=10**9,
    max_sent_bytes=10**15,
    max_seconds=10**9,
    max_waiting=4_096,
    max_client_waiting=4_096,
)
"""Limits that would only slow down those who try to break a server by many calls."""


@dataclass(frozen=True)
class Handler:
    """One of the page's handlers."""

    number: int
    name: str
    """Its tab and name."""
    inputs: tuple[str, ...]
    """Kinds of the values that it takes."""
    values: tuple[Any, ...]
    """What the page sends at first."""

    def about(self, picture: str) -> list[Any]:
        """What the page sends about an uploaded picture, by its path on the server."""
        kinds = zip(self.inputs, self.values, strict=True)
        return [uploaded(picture) if kind == "Image" else value for kind, value in kinds]


def uploaded(path: str) -> dict[str, Any]:
    """What a page sends for a file that was uploaded, by its path on the server."""
    return {"path": path, "meta": META}


@dataclass(frozen=True)
class Told:
    """What a call came to."""

    status: int
    value: Any
    """What it gave, or the words of its refusal."""
    config: float = 0.0
    """Seconds that ``/config`` took, where a page was opened."""

    @property
    def refused(self) -> bool:
        """Whether it was refused in words that say when to come again."""
        return self.status in (400, 429) and "try again in" in str(self.value)

    @property
    def is_fault(self) -> bool:
        """Whether the program says of itself that it failed."""
        return self.status >= 500 or any(words in str(self.value) for words in FAULTS)


FAULTS = ("a fault of the program", "The program has a fault", "an error without words")
"""Words by which a fault shows where a refusal is expected."""


@dataclass(frozen=True)
class Hosted:
    """A running server."""

    url: str
    pid: int
    handlers: tuple[Handler, ...]
    routes: tuple[tuple[str, tuple[str, ...]], ...]
    """Paths of all its routes, with their methods."""
    visitors: Path
    """Where galleries of visitors lie."""
    log: Path
    """What it says."""
    met: Callable[[], list[str]] = field(default=list)
    """What it did beyond its own machine and its own files, since it was last asked."""

    def handler(self, name: str) -> Handler:
        """The first handler of a tab and name."""
        return next(each for each in self.handlers if each.name == name)

    def log_faults(self, secrets: Sequence[str]) -> list[str]:
        """What it said that is no JSON object a line, or holds what a client sent, or its token."""
        lines = self.log.read_bytes().splitlines()
        return [repr(line[:200]) for line in lines if not _is_plain(line, [*secrets, TOKEN])]

    def computed(self) -> float:
        """Seconds of the processor that it has used."""
        return computed(self.pid)

    def memory(self) -> float:
        """Resident memory of its process, MB."""
        return resident(self.pid) / 1e6


def _is_plain(line: bytes, secrets: Sequence[str]) -> bool:
    try:
        return isinstance(json.loads(line), dict) and not any(s.encode() in line for s in secrets)
    except ValueError:
        return False


@contextlib.contextmanager
def hosted(
    config: ServerConfig, *, watched: bool = False, files: int = 0, hub: str = ""
) -> Iterator[Hosted]:
    """Run one over the gallery that comes with the program, warm, behind one proxy.

    Args:
        config: its limits.
        watched: whether it tells where it connects to and which secret files it opens.
        files: most files and connections that it may have open; 0 for what this process may.
        hub: address of what stands for the Hugging Face Hub; the empty text for the Hub itself.
    """
    with scratch("hosted") as folder:
        server = replace(config, hosted=True, proxies=1)

        def work(give: Callable[[Any], None]) -> None:
            if hub:
                os.environ["WELLSPRING_CACHE"] = str(folder / "cache")
                point_at(hub, folder / "hub")
            _serve(folder, server, give, watched=watched, files=files)

        child = Child(work)
        try:
            found: Hosted = child.value(seconds=300)
            yield replace(found, pid=child.pid, met=lambda: _told_by(child))
        finally:
            child.kill()
            child.wait()


def _told_by(child: Child) -> list[str]:
    seen: list[str] = []
    with contextlib.suppress(TimeoutError, EOFError):
        while True:
            seen.append(child.value(seconds=0.2))
    return seen


def _serve(
    folder: Path,
    server: ServerConfig,
    give: Callable[[Any], None],
    *,
    watched: bool,
    files: int,
) -> None:
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["WELLSPRING_METRICS_TOKEN"] = OWNER
    os.environ["HF_TOKEN"] = os.environ["HUGGING_FACE_HUB_TOKEN"] = TOKEN
    tempfile.tempdir = str(folder)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    log_lines()
    if files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    session = Session(server=server)
    blocks, guard = build(session), Guard(session)
    guard.watch(blocks)
    warm_up(session, gallery="builtin", encoder=None).join()
    app, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(guard))
    handlers = tuple(_handler(n, fn) for n, fn in blocks.fns.items() if fn.fn is not None)
    give(
        Hosted(url, 0, handlers, tuple(_routes(app)), session.visitors.root(), folder / "log", list)
    )
    if watched:
        sys.addaudithook(lambda event, arguments: _notice(event, arguments, give))
    while True:
        time.sleep(60)


_HERE = ("127.0.0.1", "::1", "localhost")


def _notice(event: str, arguments: tuple[Any, ...], give: Callable[[Any], None]) -> None:
    """Tell of a connection to another machine, and of a file that is none of the program's."""
    if event == "socket.connect" and str(arguments[1][0]) not in _HERE:
        give(f"connects to {arguments[1]}")
    elif event == "socket.getaddrinfo" and str(arguments[0]) not in _HERE:
        give(f"looks up {arguments[0]}")
    elif event == "open" and str(arguments[0]).endswith(("/etc/passwd", "secret.txt")):
        give(f"opens {arguments[0]}")


def _routes(app: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    for route in app.routes:
        if hasattr(route, "original_router"):  # FastAPI's, of Gradio's routes
            prefix = route.include_context.prefix
            yield from ((f"{prefix}{path}", how) for path, how in _routes(route.original_router))
        else:
            methods = getattr(route, "methods", None) or ("GET", "POST", "DELETE")
            yield route.path, tuple(sorted(methods))


def _handler(number: int, fn: Any) -> Handler:
    tab = fn.fn.__module__.removeprefix("app.tabs.").partition(".")[0]
    kinds = tuple(type(each).__name__ for each in fn.inputs)
    values = tuple(
        None if each.stateful else json.loads(json.dumps(getattr(each, "value", None), default=str))
        for each in fn.inputs
    )
    return Handler(number, f"{tab}.{getattr(fn.fn, '__name__', '')}", kinds, values)


LOADING = "app.restore"
"""What a page calls as it is loaded."""


class Visitor:
    """One browser with one page, at an address of its own."""

    def __init__(self, server: Hosted, number: int) -> None:
        self.server, self.page, self.loaded = server, f"page{number:08}", False
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self.client = httpx.Client(
            base_url=server.url,
            timeout=SECONDS,
            trust_env=False,
            verify=False,  # it asks this machine only, and reading certificates takes longer
            headers={"X-Forwarded-For": address},
            limits=httpx.Limits(max_keepalive_connections=0),  # an idle one may just be closing
        )

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def enter(self) -> str:
        """Open the page; the name that the browser was given."""
        self.client.get("/").raise_for_status()
        return str(self.client.cookies["wellspring-visitor"])

    def upload(self, name: str, content: bytes) -> Told:
        """Send a file; its path on the server."""
        sent = self.client.post("/gradio_api/upload", files={"files": (name, content)})
        return Told(sent.status_code, sent.json()[0] if sent.is_success else sent.text)

    def ask(self, path: str, endpoint: str, values: Sequence[Any]) -> Told:
        """What an endpoint gives for an uploaded picture and other values."""
        address = f"/gradio_api/call/{endpoint}"
        sent = self.client.post(address, json={"data": [uploaded(path), *values]})
        if not sent.is_success:
            return Told(sent.status_code, sent.text)
        heard = self.client.get(f"{address}/{sent.json()['event_id']}").text
        value = json.loads(heard.rpartition("data: ")[2])
        if "event: complete" in heard:
            return Told(200, value[0])
        words = value.get("error") if isinstance(value, dict) else value
        return Told(400, words or "an error without words")

    def tool(self, name: str, arguments: dict[str, Any]) -> Told:
        """What a tool gives to an MCP client."""
        call = {"name": name, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        accepted = {"Accept": "application/json, text/event-stream"}
        sent = self.client.post("/gradio_api/mcp/", json=message, headers=accepted)
        if not sent.is_success:
            return Told(sent.status_code, sent.text)
        heard = json.loads(
            sent.text[sent.text.index("{") :]
        )  # Gradio gives Python's text of a value
        result = heard.get("result", {})
        text = result.get("content", [{}])[0].get("text", str(heard))
        return Told(400, text) if result.get("isError", True) else Told(200, ast.literal_eval(text))

    def handler(
        self, name: str | int, data: Sequence[Any], *, page: str = "", query: str = "", **more: Any
    ) -> Told:
        """What one of the page's handlers gives, called by its number once the page was loaded."""
        page = page or self.page
        sent = self.join(name, data, page=page, query=query, **more)
        if sent.status != httpx.codes.OK:
            return sent
        return self.heard(page)

    def join(
        self, name: str | int, data: Sequence[Any], *, page: str = "", query: str = "", **more: Any
    ) -> Told:
        """Call a handler of the own page, once that was loaded, and listen to nothing."""
        if page in ("", self.page) and not self.loaded:
            self.loaded = True
            if name != LOADING and (opened := self.handler(LOADING, [])).status != httpx.codes.OK:
                self.loaded = False
                return opened
        number = name if isinstance(name, int) else self.server.handler(name).number
        body = {"data": data, "fn_index": number, "session_hash": page or self.page, **more}
        content = json.dumps(body)  # with NaN, which httpx would not send
        kind = {"Content-Type": "application/json"}
        sent = self.client.post(f"/gradio_api/queue/join{query}", content=content, headers=kind)
        return Told(sent.status_code, sent.text)

    def heard(self, page: str) -> Told:
        """What the handler that ends next on a page gives."""
        address = f"/gradio_api/queue/data?session_hash={page}"
        with self.client.stream("GET", address) as stream:
            if not stream.is_success:
                return Told(stream.status_code, stream.read().decode())
            for line in stream.iter_lines():
                told = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if told.get("msg") == "process_completed":
                    output = told["output"]
                    if told["success"]:
                        return Told(200, output["data"])
                    return Told(400, output.get("error") or "an error without words")
        return Told(500, "the handler did not end")

    def link(self, gallery: str) -> Told:
        """What the Gallery tab shows on a further page, opened by a link to a gallery."""
        page = f"{self.page}-{gallery}"
        opened = self.handler(LOADING, [], page=page, query=f"?gallery={gallery}")
        return self.handler("gallery.show", [None], page=page) if opened.status == 200 else opened

    def build(
        self, archive: bytes, *, name: str = "pictures.zip", encoder: str = "histogram"
    ) -> Told:
        """Build a gallery of a zip under one encoder, as the Gallery tab does."""
        sent = self.upload(name, archive)
        if sent.status != 200:
            return sent
        return self._build(ZIP, uploaded(sent.value), "", encoder)

    def build_from(self, dataset: str, *, encoder: str = "histogram") -> Told:
        """Build a gallery of a public dataset, likewise."""
        return self._build(DATASET, None, dataset, encoder)

    def _build(self, kind: str, file: dict[str, Any] | None, text: str, encoder: str) -> Told:
        values = {"Radio": kind, "File": file, "Textbox": text, "CheckboxGroup": [encoder]}
        inputs = self.server.handler("gallery.build").inputs
        return self.handler("gallery.build", [values[each] for each in inputs])
