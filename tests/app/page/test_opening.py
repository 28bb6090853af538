from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.routes import App
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.page.opening import KEPT, Opening
from tests.app import tiny


def shown(address: str, query: str = "") -> str:
    """A page that names its address twice."""
    return f"<p>{address}, {query}</p>{'word ' * 1_000}<a href='{address}/file'></a>"


@pytest.fixture
def asked() -> list[str]:
    """Addresses that the page was made for."""
    return []


@pytest.fixture
def client(asked: list[str]) -> Iterator[TestClient]:
    """Of an app whose page says where it is."""

    def page(request: Request) -> HTMLResponse:
        asked.append(str(request.url))
        host = request.headers.get("x-forwarded-host") or request.url.netloc
        if len(asked) > 2:
            return HTMLResponse("not here", status_code=404)
        return HTMLResponse(shown(f"http://{host}", request.url.query))

    routes = [Route(path, page) for path in (*KEPT, "/other")]
    with TestClient(Starlette(routes=routes, middleware=[Middleware(Opening)])) as client:
        yield client


def test_the_page_is_made_once_and_sent_compressed(client: TestClient, asked: list[str]):
    first, second = client.get("/"), client.get("/?gallery=mine")
    assert first.text == second.text == shown("http://testserver")
    assert len(asked) == 1
    assert first.headers["content-encoding"] == "gzip"
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert int(first.headers["content-length"]) < 200


def test_a_client_that_takes_no_compression_gets_the_same_page(client: TestClient):
    plain = client.get("/", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == client.get("/").text


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.1, deflate", True),
        ("gzip; q=1.0,br", True),
        ("gzip;q=0.001", True),
        ("gzip;q=0", False),
        ("deflate, gzip ; q=0.000 , br", False),
        ("identity, nogzip", False),
        ("*;q=0", False),
        ("", False),
    ],
)
def test_a_client_that_refuses_gzip_is_not_sent_it(client: TestClient, accepted: str, packed: bool):
    """A weight of zero refuses an encoding; it was taken for a wish."""
    answer = client.get("/", headers={"Accept-Encoding": accepted})
    assert ("content-encoding" in answer.headers) == packed
    assert answer.text == shown("http://testserver")


@pytest.mark.parametrize("number", range(3))
def test_whatever_the_address_the_page_is_made_once(client: TestClient, asked, number: int):
    """With each new one it was made anew, a tenth of a second, and pushed out those in use."""
    name = ("Host", "X-Forwarded-Host", "X-Gradio-Server")[number]
    for host in ("b", "c.example:80", "d", "e"):
        given = f"http://{host}" if number == 2 else host
        there = client.get("/", headers={name: given}).text
        assert there == shown(f"http://{host.removesuffix(':80')}")
    assert len(asked) == 1


def test_what_is_asked_for_behind_the_path_makes_no_other_page(client: TestClient, asked):
    """Links to a state of the page, which it does not offer, were looked up and described anew."""
    plain = client.get("/").text
    for query in ("deep_link=x", "page=y", "page=", "deep_link=", "x" * 1_000):
        assert client.get(f"/?{query}").text == plain
    assert client.head("/").headers["content-type"] == "text/html; charset=utf-8"
    assert len(asked) == 1
    full = client.get("/gradio_api/info?all_endpoints=True&serialize=False").text
    assert "all_endpoints=1" in full
    assert client.get("/gradio_api/info?all_endpoints=yes").text == full
    assert len(asked) == 2


def test_other_paths_and_ways_are_passed_on(client: TestClient):
    assert "page=y" in client.get("/other?page=y").text
    assert client.post("/").status_code == 405


def test_what_is_no_page_is_passed_on_and_not_kept(client: TestClient, asked: list[str]):
    client.get("/other")
    client.get("/other")
    for number in (3, 4):
        lost = client.get("/")
        assert (lost.status_code, lost.text) == (404, "not here")
        assert len(asked) == number


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> tuple[TestClient, TestClient]:
    """A page of Gradio's with a picture: kept, and as Gradio makes it each time."""
    picture = tiny.draw(tmp_path_factory.mktemp("picture") / "x.png", 1)
    with gr.Blocks(analytics_enabled=False) as blocks:
        image, text = gr.Image(str(picture), type="filepath"), gr.Textbox()
        gr.Button().click(lambda name: Path(name).name, image, text, api_name="name")
    blocks.launch(prevent_thread_lock=True, quiet=True)  # gives it a theme
    blocks.close()
    kept = App.create_app(blocks, app_kwargs={"middleware": [Middleware(Opening)]})
    bare = App.create_app(blocks)
    assert "/gradio_api/file=" in TestClient(bare).get("/").text
    return TestClient(kept), TestClient(bare)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "127.0.0.1:7860"},
        {"Host": "[::1]:7860"},
        {"Host": "A.Example:80"},
        {"X-Forwarded-Host": "x.hf.space", "X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "x.example:8443, y.example", "X-Forwarded-Proto": "https,http"},
        {"X-Gradio-Server": "http://127.0.0.1:7861"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/config", "/config/"])
def test_at_each_address_it_is_the_page_that_gradio_makes(apps, path: str, headers: Any):
    kept, bare = apps
    for _ in range(2):
        assert kept.get(path, headers=headers).text == bare.get(path, headers=headers).text


def test_a_description_of_endpoints_names_the_address_it_was_asked_at(apps):
    """Gradio keeps what it made for whoever asked first, and shows that address to all others."""
    for client, right in zip(apps, (True, False), strict=True):
        client.get("/gradio_api/info", headers={"X-Forwarded-Host": "evil.example"})
        told = client.get("/gradio_api/info", headers={"X-Forwarded-Host": "x.example"}).text
        assert ("http://x.example" in told, "evil.example" not in told) == (right, right)


def test_a_new_address_costs_little(apps):
    """A client that invented addresses took a tenth of a second with each."""
    costs: list[float] = []
    for client in apps:
        began = time.process_time()
        for number in range(30):
            client.get("/", headers={"Host": f"host{number}"})
        costs.append(time.process_time() - began)
    assert costs[0] < costs[1]
