"""A hosted app and its pages: whose each is, and what one is told that the server forgot."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import gradio as gr
import httpx
import pytest

from app.guard.clients import CLIENT
from app.guard.guard import Guard
from app.guard.pages import OTHERS, UNKNOWN, Pages
from app.page.jobs import PROGRESS, Jobs
from app.ui import launch_options
from core.config import ServerConfig
from core.service import Session

BEGUN, HELD = threading.Event(), threading.Event()


class Served(NamedTuple):
    url: str
    blocks: gr.Blocks
    numbers: dict[str, int]

    @property
    def states(self) -> Any:
        return self.blocks.state_holder


def app() -> gr.Blocks:
    """A page that keeps a word, tells it, and works for long."""

    def load() -> str:
        return "nothing yet"

    def keep(word: str) -> str:
        return word

    def tell(kept: str) -> str:
        return kept

    def wait(word: str) -> str:
        BEGUN.set()
        HELD.wait(20)
        return word

    def work(request: gr.Request, progress: gr.Progress = PROGRESS) -> str:
        with jobs.run("work", request, progress) as report:
            BEGUN.set()
            for number in range(100):
                report(number, 100, "working")
                time.sleep(0.02)
        return "worked"

    private: Any = {"api_visibility": "private"}
    jobs = Jobs()
    with gr.Blocks() as blocks:
        kept = gr.State("default")
        word, out = gr.Textbox(), gr.Textbox()
        gr.Button().click(keep, word, kept, **private)
        gr.Button().click(tell, kept, out, **private)
        gr.Button().click(tell, kept, out, queue=False, api_name="at_once", **private)
        gr.Button().click(wait, word, out, **private)
        gr.Button().click(work, None, out, **private)
        gr.Button().click(lambda word: word, word, out, api_name="echo")
        blocks.load(load, None, kept, **private)
        jobs.stop_when_left()
    return blocks.queue(default_concurrency_limit=4, api_open=False)


def serve(*, hosted: bool) -> Iterator[Served]:
    blocks = app()
    guard = Guard(Session(server=ServerConfig(hosted=hosted, proxies=1)))
    guard.watch(blocks)
    _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(guard))
    numbers = {str(fn.api_name or fn.name): number for number, fn in blocks.fns.items()}
    yield Served(url, blocks, numbers)
    HELD.set()
    blocks.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    yield from serve(hosted=True)


@pytest.fixture(scope="module")
def own() -> Iterator[Served]:
    """A server on a machine of one's own."""
    yield from serve(hosted=False)


class Visitor:
    """Who asks: a browser that opened the page, or a client without cookies."""

    def __init__(self, served: Served, address: str, *, cookie: bool = True) -> None:
        self.served = served
        headers = {"X-Forwarded-For": address}
        self.http = httpx.Client(base_url=served.url, headers=headers, timeout=30)
        if cookie:
            self.http.get("/")

    def join(self, name: str, data: list[Any], page: str) -> httpx.Response:
        body = {"data": data, "fn_index": self.served.numbers[name], "session_hash": page}
        return self.http.post("/gradio_api/queue/join", json=body)

    def hear(self, page: str) -> Iterator[dict[str, Any]]:
        address = f"/gradio_api/queue/data?session_hash={page}"
        with self.http.stream("GET", address) as stream:
            assert stream.status_code == 200, stream.read()
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    def call(self, name: str, data: list[Any], page: str) -> Any:
        """What a handler gives, or the words of a refusal."""
        joined = self.join(name, data, page)
        if joined.status_code != 200:
            return joined.json()["detail"]
        told = next(each for each in self.hear(page) if each["msg"] == "process_completed")
        return (told["output"].get("data") or [told["output"].get("error")])[0]

    def opens(self, page: str) -> str:
        self.call("load", [], page)
        return page


@pytest.fixture
def ann(served: Served) -> Visitor:
    return Visitor(served, "198.51.100.1")


@pytest.fixture
def bob(served: Served) -> Visitor:
    """Another browser, behind the same address."""
    return Visitor(served, "198.51.100.1")


def test_a_page_keeps_what_it_holds(ann: Visitor):
    page = ann.opens("page of ann")
    ann.call("keep", ["secret"], page)
    assert ann.call("tell", [None], page) == "secret"


def test_no_other_browser_calls_on_a_page(served: Served, ann: Visitor, bob: Visitor):
    """Its number was enough: answers were made of what another visitor had uploaded."""
    page = ann.opens("page called on")
    ann.call("keep", ["secret"], page)
    for stranger in (bob, Visitor(served, "198.51.100.1", cookie=False)):
        assert stranger.call("keep", ["changed"], page) == OTHERS
        assert stranger.call("tell", [None], page) == OTHERS
        assert stranger.call("load", [], page) == OTHERS
        body = {"data": [None], "fn_index": served.numbers["at_once"], "session_hash": page}
        beside = stranger.http.post("/gradio_api/run/predict", json=body)
        assert not beside.is_success and "secret" not in beside.text
    assert ann.call("tell", [None], page) == "secret"
    assert ann.http.post("/gradio_api/run/predict", json=body).json()["data"] == ["secret"]


def test_no_other_browser_hears_a_page_or_its_calls(ann: Visitor, bob: Visitor):
    """Whoever listened got the answers, and the page itself got none."""
    BEGUN.clear()
    HELD.clear()
    page = ann.opens("page listened to")
    event = ann.join("wait", ["secret"], page).json()["event_id"]
    for path in (f"queue/data?session_hash={page}", f"call/wait/{event}"):
        heard = bob.http.get(f"/gradio_api/{path}")
        assert (heard.status_code, heard.json()["detail"]) == (403, OTHERS), path
    HELD.set()
    told = [each for each in ann.hear(page) if each["msg"] == "process_completed"]
    assert told[0]["output"]["data"] == ["secret"]


def test_no_other_browser_hears_a_page_below_a_path(served: Served):
    """Behind a proxy that passes the path on under which the app is served, everybody did."""
    served.states["ann's"].client = "ann"
    app = SimpleNamespace(get_blocks=lambda: served.blocks, state_holder=served.states)
    asks = {"type": "http", "method": "GET", "app": app, "root_path": "/tool", "headers": []}
    for path, query in (("heartbeat/ann's", b""), ("queue/data", b"session_hash=ann's")):
        scope = {**asks, "path": f"/tool/gradio_api/{path}", "query_string": query}
        assert Pages(hosted=True).refusal({**scope, CLIENT: "bob"}) is not None
        assert Pages(hosted=True).refusal({**scope, CLIENT: "ann"}) is None


def test_no_other_browser_stops_what_a_page_does(served: Served, ann: Visitor, bob: Visitor):
    """Opening and closing its heartbeat ended a build."""
    BEGUN.clear()
    page = ann.opens("page at work")
    event = ann.join("work", [], page).json()["event_id"]
    assert BEGUN.wait(10)
    with bob.http.stream("GET", f"/gradio_api/heartbeat/{page}") as beat:
        assert beat.status_code == 403
    for named in (page, "page of bob"):
        told = {"session_hash": named, "fn_index": served.numbers["work"], "event_id": event}
        assert bob.http.post("/gradio_api/cancel", json=told).status_code == 403
    assert not served.states.known(page).is_closed
    told = [each for each in ann.hear(page) if each["msg"] == "process_completed"]
    assert told[0]["output"].get("data") == ["worked"]


def test_a_client_without_cookies_is_known_by_its_address(served: Served, ann: Visitor):
    client = Visitor(served, "198.51.100.7", cookie=False)
    page = client.opens("page without cookies")
    client.call("keep", ["secret"], page)
    assert client.call("tell", [None], page) == "secret"
    assert ann.call("tell", [None], page) == OTHERS


@pytest.mark.parametrize("server", ["served", "own"])
def test_a_page_that_was_forgotten_is_told_to_reload(server: str, request: pytest.FixtureRequest):
    """Every state began anew, and the page answered from another gallery than it showed."""
    visitor = Visitor(request.getfixturevalue(server), "198.51.100.2")
    page = visitor.opens("page forgotten")
    visitor.call("keep", ["mine"], page)
    visitor.served.states.forget(page)  # as a restart does, or too many pages
    assert visitor.call("tell", [None], page) == UNKNOWN
    body = {"data": [None], "fn_index": visitor.served.numbers["at_once"], "session_hash": page}
    beside = visitor.http.post("/gradio_api/run/predict", json=body)
    assert not beside.is_success and "default" not in beside.text
    assert visitor.call("echo", ["still there"], page) == "still there"  # a public endpoint


def test_a_page_that_was_forgotten_while_its_call_waited_is_told(served: Served, ann: Visitor):
    page = ann.opens("page that waits")
    holds = served.blocks._queue.event_queue_per_concurrency_id
    line = holds[served.blocks.fns[served.numbers["tell"]].concurrency_id]
    line.current_concurrency += 10
    ann.join("tell", [None], page)
    served.states.known(page).opened = False
    line.current_concurrency -= 10
    told = next(each for each in ann.hear(page) if each["msg"] == "process_completed")
    assert (told["success"], told["output"]["error"]) == (False, UNKNOWN)


def test_a_call_may_overtake_the_loading_of_its_page(ann: Visitor):
    """Both are sent at once, and come in any order."""
    page, told = "page just opened", list[Any]()
    early = threading.Thread(target=lambda: told.append(ann.join("keep", ["early"], page)))
    early.start()
    time.sleep(0.3)
    assert ann.join("load", [], page).is_success
    early.join()
    assert told[0].is_success


def test_who_does_not_listen_calls_no_more(ann: Visitor, monkeypatch: pytest.MonkeyPatch):
    """All that a page was told was kept, though nobody ever listened."""
    monkeypatch.setattr("app.guard.pages.UNHEARD", 12)
    page = ann.opens("page that does not listen")
    refused = None
    for _ in range(40):
        sent = ann.join("tell", [None], page)
        if sent.status_code != 200:
            refused = sent
            break
        time.sleep(0.05)
    assert refused is not None and (refused.status_code, "Retry-After" in refused.headers) == (
        429,
        True,
    )
    assert "answers of this page wait to be fetched" in refused.json()["detail"]
    list(ann.hear(page))
    assert ann.call("tell", [None], page) == "nothing yet"


def test_clients_call_public_endpoints_without_a_page(served: Served):
    client = Visitor(served, "198.51.100.3", cookie=False)
    assert client.call("echo", ["x"], "a number of its own") == "x"
    joined = client.http.post("/gradio_api/call/echo", json={"data": ["y"]}).json()["event_id"]
    other = Visitor(served, "198.51.100.4", cookie=False)
    assert other.http.get(f"/gradio_api/call/echo/{joined}").status_code == 403
    assert '["y"]' in client.http.get(f"/gradio_api/call/echo/{joined}").text


def test_a_page_is_left_by_its_own_browser(served: Served, ann: Visitor):
    BEGUN.clear()
    page = ann.opens("page that is left")
    ann.join("work", [], page)
    assert BEGUN.wait(10)
    with ann.http.stream("GET", f"/gradio_api/heartbeat/{page}") as beat:
        assert next(beat.iter_lines()) == "data: ALIVE"
    told = next(each for each in ann.hear(page) if each["msg"] == "process_completed")
    assert not told["success"] and "Stopped" in told["output"]["error"]
    with contextlib.suppress(httpx.HTTPError):
        ann.http.get("/health")
    assert served.states.known(page).is_closed
