from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.page.opening import ADDRESSES, Opening


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
        if host == "nowhere":
            return HTMLResponse("not here", status_code=404)
        return HTMLResponse(f"<p>the page at {host}, {request.url.query}</p>" * 100)

    routes = [Route("/", page), Route("/other", page)]
    with TestClient(Starlette(routes=routes, middleware=[Middleware(Opening)])) as client:
        yield client


def test_the_page_is_made_once_and_sent_compressed(client: TestClient, asked: list[str]):
    first, second = client.get("/"), client.get("/?gallery=mine")
    assert first.text == second.text == "<p>the page at testserver, </p>" * 100
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
    assert answer.text == "<p>the page at testserver, </p>" * 100


@pytest.mark.parametrize(
    "headers", [{"Host": "b"}, {"X-Forwarded-Host": "b"}, {"X-Gradio-Server": "http://b"}]
)
def test_each_address_has_its_own_page(client: TestClient, asked: list[str], headers: Any):
    client.get("/")
    client.get("/", headers=headers)
    client.get("/", headers=headers)
    client.get("/")
    assert len(asked) == 2


def test_a_link_to_another_page_of_gradio_is_not_answered_with_this_one(
    client: TestClient, asked: list[str]
):
    client.get("/")
    assert "deep_link=x" in client.get("/?deep_link=x").text
    assert "page=y" in client.get("/?page=y").text
    client.get("/other")
    client.post("/")
    assert [each.removeprefix("http://testserver") for each in asked] == [
        "/",
        "/?deep_link=x",
        "/?page=y",
        "/other",
    ]


def test_what_is_no_page_is_passed_on_and_not_kept(client: TestClient, asked: list[str]):
    for _ in range(2):
        lost = client.get("/", headers={"Host": "nowhere"})
        assert (lost.status_code, lost.text) == (404, "not here")
    assert len(asked) == 2


def test_invented_addresses_do_not_fill_the_memory(client: TestClient, asked: list[str]):
    for number in range(3 * ADDRESSES):
        client.get("/", headers={"Host": f"host{number}"})
    kept: Any = client.app.middleware_stack  # type: ignore[attr-defined]
    while not isinstance(kept, Opening):
        kept = kept.app
    assert len(kept.made) == ADDRESSES
    assert len(asked) == 3 * ADDRESSES
