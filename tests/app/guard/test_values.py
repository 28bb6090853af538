"""Values of the wrong kind never reach a handler, and its own faults stay faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from app.guard.guard import Guard
from app.page.errors import FAULT
from app.ui import build, launch_options
from core.config import ServerConfig
from core.service import Session
from tests.app import tiny

META = {"_type": "gradio.FileData"}


class Page:
    """Calls of an app's endpoints, and of its handlers by name."""

    def __init__(self, blocks: gr.Blocks, url: str, image: Path) -> None:
        self.blocks, self.pages = blocks, iter(range(10**6))
        self.client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        sent = {"files": (image.name, image.read_bytes())}
        (self.image,) = self.client.post("/gradio_api/upload", files=sent).json()
        self.file = {"path": self.image, "meta": META}

    def ask(self, name: str, data: list[Any], event: Any = None) -> dict[str, Any]:
        """What becomes of a call: whether it succeeded, and its words."""
        number = next(n for n, fn in self.blocks.fns.items() if name in (fn.api_name, fn.name))
        load = next(n for n, fn in self.blocks.fns.items() if fn.name == "restore")
        page = f"page{next(self.pages):06}"
        calls = [(load, [], None)] * (self.blocks.fns[number].api_visibility != "public")
        for handler, given, about in [*calls, (number, data, event)]:
            body = {"data": given, "fn_index": handler, "session_hash": page, "event_data": about}
            content = {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}
            joined = self.client.post("/gradio_api/queue/join", **content).raise_for_status()
        call = joined.json()["event_id"]
        address = f"/gradio_api/queue/data?session_hash={page}"
        with self.client.stream("GET", address) as stream:
            for line in stream.iter_lines():
                told = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if told.get("msg") == "process_completed" and told["event_id"] == call:
                    return told
        raise AssertionError("the handler did not end")


@pytest.fixture(scope="module")
def page(gallery_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """An app over a small gallery, as ``app.py`` serves it."""
    session = Session()
    blocks, guard = build(session, gallery=str(gallery_folder)), Guard(session)
    guard.watch(blocks)
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(guard))
    yield Page(blocks, url, tiny.draw(tmp_path_factory.mktemp("own") / "own.png", 123))
    blocks.close()


def refused(told: dict[str, Any]) -> str:
    """The words of a refusal; whatever else it was fails."""
    assert not told["success"], told
    assert told["output"]["error"] and told["output"]["title"] != FAULT, told
    return told["output"]["error"]


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (0, "/etc/passwd", "no image was given"),
        (0, {"path": "/tmp", "meta": META}, "does not fit|not uploaded"),
        (0, {"path": "/etc/passwd", "meta": META}, "does not fit|not uploaded"),
        (0, {"path": 5, "meta": META}, "no image was given"),
        (0, {"path": "a\0b", "meta": META}, "not uploaded"),
        (0, [], "no image|does not fit"),
        (1, ["histogram"], "encoder: "),
        (1, {"a": 1}, "encoder: a finite number is needed"),
        (1, "x" * 3_000, "not in the list|does not fit"),
        (2, None, "head: a value is needed"),
        (3, float("nan"), "top: a finite number is needed"),
        (3, "3", "top: a finite number is needed"),
        (3, True, "top: a finite number is needed"),
        (3, None, "top: a value is needed"),
        (3, 10**30, "top: a finite number is needed"),
        (3, 201, "greater than maximum"),
        (4, [0.5], "prior: a finite number is needed"),
        (5, {}, "by: a text is needed"),
        (5, "\ud800", "by: a text of whole characters is needed"),
        (6, "x" * 5_000, "where: a text of at most 4,000 characters is needed"),
    ],
)
def test_an_endpoint_refuses_in_words(page: Page, place: int, value: Any, words: str) -> None:
    data: list[Any] = [page.file, "histogram", "default", 3, 0.5, "", None]
    data[place] = value
    told = refused(page.ask("attribute", data))
    assert any(each in told for each in words.split("|")), told


@pytest.mark.parametrize("seed", [-1, None, 2**32, float("inf")])
def test_a_seed_that_is_none_is_refused(page: Page, seed: Any) -> None:
    """It was called a fault of the program."""
    refused(page.ask("selftest", [page.file, "histogram", "default", "blend", 0.5, seed]))


def test_what_fits_is_answered(page: Page) -> None:
    """Control: the same calls with values of the right kinds."""
    answer = page.ask("attribute", [page.file, "histogram", "default", 3, 0.5, "", None])
    assert answer["success"], answer
    test = page.ask("selftest", [page.file, "histogram", "default", "blend", 0.5, 0])
    assert test["success"], test


def test_a_file_that_is_gone_or_is_a_folder_is_said_so(page: Page) -> None:
    folder = str(Path(page.image).parent)
    for path in (folder, f"{folder}/none.png"):
        data = [{"path": path, "meta": META}, "histogram", "default", 3, 0.5, "", None]
        assert "send it again" in refused(page.ask("attribute", data))


@pytest.mark.parametrize("count", [0, 6, 8])
def test_too_few_and_too_many_values_are_refused(page: Page, count: int) -> None:
    data = [page.file, "histogram", "default", 3, 0.5, "", None, None][:count]
    assert f"7 values are needed, {count}" in refused(page.ask("attribute", data))


@pytest.mark.parametrize(
    "event",
    [None, "x", [], {}, {"index": 0}, {"index": -1, "value": 0}, {"index": 10**9, "value": None}]
    + [{"index": place, "value": None} for place in ([0], "0", None, 1.5, float("nan"), True)],
)
def test_a_selection_of_nothing_is_refused(page: Page, event: Any) -> None:
    refused(page.ask("opened", [], event))
    refused(page.ask("pick", [None], event))


def test_an_event_with_a_file_that_was_not_sent_is_refused(page: Page) -> None:
    for path in ("/etc/passwd", f"{page.image}\0"):
        refused(page.ask("row_of", [], {"row": 1, "file": {"path": path, "meta": META}}))


def test_a_dataset_of_a_long_name_is_refused(page: Page) -> None:
    """Three thousand characters were a fault: no file has such a name."""
    number = next(n for n, fn in page.blocks.fns.items() if fn.name == "build")
    inputs = page.blocks.fns[number].inputs
    data = [
        "x" * 3_000
        if getattr(each, "elem_id", "") == "ws-gallery-dataset"
        else getattr(each, "value", None)
        for each in inputs
    ]
    assert "at most 200 characters" in refused(page.ask("build", data))


def test_a_real_fault_stays_one() -> None:
    """Negative control: a handler that fails with a right value is not called a refusal."""

    def fail(name: str) -> str:
        raise TypeError(name)

    with gr.Blocks() as blocks:
        name = gr.Textbox("")
        gr.Button().click(fail, name, name, api_name="fail")
    session = Session(server=ServerConfig(hosted=True))
    guard = Guard(session)
    guard.watch(blocks)
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(guard))
    client = httpx.Client(base_url=url, timeout=30, trust_env=False)
    for value, title in (("x", FAULT), (["x"], "That did not work")):
        joined = client.post("/gradio_api/call/fail", json={"data": [value]}).json()
        told = client.get(f"/gradio_api/call/fail/{joined['event_id']}").text
        assert json.loads(told.rpartition("data: ")[2])["title"] == title
    blocks.close()
