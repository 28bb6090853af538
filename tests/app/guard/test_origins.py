from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.guard.origins import is_addressed, is_foreign


def scope(method: str = "POST", **headers: str) -> dict[str, Any]:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": method, "headers": lines}


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"sec_fetch_site": "same-origin", "origin": "https://x.hf.space"}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": "same-site", "origin": "http://127.0.0.1:3000"}, True),
        ({"sec_fetch_site": "cross-site"}, True),
        ({"origin": "http://localhost:7860"}, False),
        ({"origin": "http://LOCALHOST:7860"}, False),
        ({"origin": "http://localhost:3000"}, True),
        ({"origin": "http://localhost"}, True),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "http://[::1"}, True),
        ({"origin": "https://x.hf.space", "x_forwarded_host": "x.hf.space"}, False),
        ({"origin": "https://x.hf.space", "x_forwarded_host": "x.hf.space:443"}, False),
        ({"origin": "https://x.hf.space", "x_forwarded_host": "y.hf.space"}, True),
    ],
)
def test_who_may_ask_for_something_to_be_done(headers: dict[str, str], foreign: bool):
    assert is_foreign(scope(host="localhost:7860", **headers)) == foreign
    assert not is_foreign(scope("GET", host="localhost:7860", **headers))


@pytest.mark.parametrize(
    ("host", "known"),
    [
        *(("localhost:7860", True), ("127.0.0.1", True), ("[::1]:7860", True)),
        *(("my_app:7860", True), ("user-space.hf.space", True), ("http://x.example", True)),
        *(("a b", False), ("", False), ("999.1.1.1", False), ("[::1", False), ("xn--", False)),
        *(("<b>", False), ("a/b", False), ("x" * 300, False), ("\u00e4", False), ("a:b", False)),
    ],
)
def test_what_an_address_of_a_server_is(host: str, known: bool):
    """Gradio failed on some, and wrote the others into the page."""
    for name in ("host", "x_forwarded_host", "x_gradio_server"):
        assert is_addressed(scope(**{name: host})) == known
        assert is_addressed(scope(**{name: f"a.example, {host}"})) == known
    assert is_addressed(scope())


def test_pages_of_other_sites_ask_for_nothing(url: str):
    call = f"{url}gradio_api/call/encoders"
    told = httpx.post(call, json={"data": []}, headers={"Origin": "https://evil.example"})
    assert (told.status_code, "pages of other sites" in told.json()["detail"]) == (403, True)
    assert httpx.post(call, json={"data": []}).is_success
    assert httpx.post(call, json={"data": []}, headers={"Origin": url.rstrip("/")}).is_success
    assert httpx.get(url, headers={"X-Forwarded-Host": "a b"}).status_code == 400
