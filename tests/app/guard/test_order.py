from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize("path", ["", "config", "gradio_api/info", "nowhere", "theme.css"])
def test_no_page_of_another_site_reads_what_is_served(url: str, path: str):
    """Whoever asked was allowed to read, with the cookies of the visitor."""
    foreign = {"Origin": "https://evil.example"}
    answer = httpx.get(f"{url}{path}", headers=foreign)
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    asks = {**foreign, "Access-Control-Request-Method": "POST"}
    ahead = httpx.options(f"{url}{path}", headers=asks)
    assert not [name for name in ahead.headers if name.startswith("access-control-")]
    assert not ahead.is_success
    assert ahead.headers["X-Content-Type-Options"] == "nosniff"


def test_texts_are_still_compressed(url: str):
    answer = httpx.get(f"{url}theme.css", headers={"Accept-Encoding": "br"})
    assert answer.headers["Content-Encoding"] == "br"
