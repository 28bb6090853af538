"""A hosted server in a process of its own, and visitors who come to it over the network."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from app.guard.guard import Guard
from app.page.warm import warm_up
from app.tabs.gallery.layout import ZIP
from app.ui import build, launch_options
from benchmarks.campaign.children import Child, computed, resident, scratch
from core.config import ServerConfig
from core.service.session import Session

SECONDS = 120.0
"""What one call may take."""


@dataclass(frozen=True)
class Hosted:
    """A running server."""

    url: str
    pid: int
    numbers: dict[str, int]
    """Numbers of the page's handlers, by tab and name."""
    inputs: list[str]
    """Kinds of the values that the handler that builds a gallery takes."""
    visitors: Path
    """Where galleries of visitors lie."""

    def computed(self) -> float:
        """Seconds of the processor that it has used."""
        return computed(self.pid)

    def memory(self) -> float:
        """Resident memory of its process, MB."""
        return resident(self.pid) / 1e6


@contextlib.contextmanager
def hosted(config: ServerConfig) -> Iterator[Hosted]:
    """Run one over the gallery that comes with the program, warm, behind one proxy."""
    with scratch("hosted") as folder:
        server = replace(config, hosted=True, proxies=1)
        child = Child(lambda give: _serve(folder, server, give))
        try:
            url, numbers, inputs, visitors = child.value(seconds=300)
            yield Hosted(url, child.pid, numbers, inputs, Path(visitors))
        finally:
            child.kill()
            child.wait()


def _serve(folder: Path, server: ServerConfig, give: Callable[[Any], None]) -> None:
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    tempfile.tempdir = str(folder)
    session = Session(server=server)
    blocks, guard = build(session), Guard(session)
    guard.watch(blocks)
    warm_up(session, gallery="builtin", encoder=None).join()
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(guard))
    named = {_called(fn.fn): number for number, fn in blocks.fns.items() if fn.fn is not None}
    inputs = [type(each).__name__ for each in blocks.fns[named["gallery.build"]].inputs]
    give((url, named, inputs, str(session.visitors.root())))
    while True:
        time.sleep(60)


def _called(handler: Callable[..., Any]) -> str:
    """Tab and name of a handler."""
    tab = handler.__module__.removeprefix("app.tabs.").partition(".")[0]
    return f"{tab}.{getattr(handler, '__name__', '')}"


@dataclass(frozen=True)
class Told:
    """What a call came to."""

    status: int
    value: Any
    """What it gave, or the words of its refusal."""

    @property
    def refused(self) -> bool:
        """Whether it was refused in words that say when to come again."""
        return self.status in (400, 429) and "try again in" in str(self.value)


_LOADING = "app.restore"
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
        image = {"path": path, "meta": {"_type": "gradio.FileData"}}
        address = f"/gradio_api/call/{endpoint}"
        sent = self.client.post(address, json={"data": [image, *values]})
        if not sent.is_success:
            return Told(sent.status_code, sent.text)
        heard = self.client.get(f"{address}/{sent.json()['event_id']}").text
        value = json.loads(heard.rpartition("data: ")[2])
        if "event: complete" in heard:
            return Told(200, value[0])
        return Told(400, (value or {}).get("error") or "an error without words")

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

    def handler(self, name: str, data: list[Any], *, page: str = "", query: str = "") -> Told:
        """What one of the page's handlers gives, called by its number once the page was loaded."""
        if not (page or self.loaded):
            self.loaded = True
            if name != _LOADING:
                self.handler(_LOADING, [])
        page = page or self.page
        body = {"data": data, "fn_index": self.server.numbers[name], "session_hash": page}
        sent = self.client.post(f"/gradio_api/queue/join{query}", json=body)
        if not sent.is_success:
            return Told(sent.status_code, sent.text)
        address = f"/gradio_api/queue/data?session_hash={page}"
        with self.client.stream("GET", address) as stream:
            for line in stream.iter_lines():
                told = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if told.get("msg") == "process_completed":
                    output = told["output"]
                    if told["success"]:
                        return Told(200, output["data"])
                    return Told(400, output.get("error") or "an error without words")
        return Told(500, "the handler did not end")

    def link(self, gallery: str) -> Told:
        """What the Gallery tab shows on a page that was opened by a link to a gallery."""
        opened = self.handler(_LOADING, [], query=f"?gallery={gallery}")
        return self.handler("gallery.show", [None]) if opened.status == 200 else opened

    def build(self, archive: bytes, *, encoder: str = "histogram") -> Told:
        """Build a gallery of a zip under one encoder, as the Gallery tab does."""
        sent = self.upload("pictures.zip", archive)
        if sent.status != 200:
            return sent
        file = {"path": sent.value, "meta": {"_type": "gradio.FileData"}}
        values = {"Radio": ZIP, "File": file, "Textbox": "", "CheckboxGroup": [encoder]}
        return self.handler("gallery.build", [values[kind] for kind in self.server.inputs])
