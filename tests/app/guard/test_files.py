from __future__ import annotations

import httpx
import pytest

from tests.app import tiny

SAID = {
    *("accept-ranges", "content-disposition", "content-length", "content-range", "content-type"),
    *("etag", "last-modified", "date", "server", "content-security-policy", "referrer-policy"),
    "x-content-type-options",
}
REFLECTED = {
    "X-Evil": "1",
    "Cookie": "wellspring-visitor=secret",
    "Set-Cookie": "wellspring-visitor=mine",
    "Location": "https://evil.example",
    "Access-Control-Expose-Headers": "cookie",
    "Refresh": "0; url=https://evil.example",
    "Content-Encoding": "gzip",
    "Authorization": "Bearer secret",
    "Origin": "https://evil.example",
}


@pytest.fixture(scope="module")
def file(url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """Address and content of a picture that was uploaded."""
    content = tiny.draw(tmp_path_factory.mktemp("sent") / "x.png", 1).read_bytes()
    (path,) = httpx.post(f"{url}gradio_api/upload", files={"files": ("x.png", content)}).json()
    return f"{url}gradio_api/file={path}", content


@pytest.mark.parametrize("part", ["bytes=0-9", "bytes=0-", "bytes=x", "bytes=999999-9999999", None])
def test_nothing_that_was_asked_with_comes_back(file: tuple[str, bytes], part: str | None):
    """All headers of a request came back with a part of a file: the visitor's cookie, readable."""
    asked = {**REFLECTED, **({"Range": part} if part else {})}
    answer = httpx.get(file[0], headers=asked)
    assert answer.headers.keys() <= SAID
    assert "secret" not in str(answer.headers) and "evil" not in str(answer.headers)


@pytest.mark.parametrize(
    ("part", "begin", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, None),
        ("bytes=-5", -5, None),
        ("bytes=3-999999999", 3, None),
    ],
)
def test_a_part_of_a_file_is_served(file: tuple[str, bytes], part: str, begin: int, end: int):
    answer = httpx.get(file[0], headers={"Range": part})
    assert (answer.status_code, answer.content) == (206, file[1][begin:end])
    assert answer.headers["Content-Type"] == "image/png"


@pytest.mark.parametrize(
    "part",
    [
        *("bytes=0-1,3-4", "bytes=0-1-2", "bytes=9-1", "bytes=a-b", "bytes=-", "bytes=", "bytes"),
        *("bytes=\u00b2-\u00b3", "bytes=0-" + "9" * 5_000, "bytes=--5", "Bytes=0-1", "x=0-1"),
    ],
)
def test_what_is_no_part_is_ignored(file: tuple[str, bytes], part: str):
    """Some were an error of the server."""
    answer = httpx.get(file[0], headers={"Range": part.encode("latin-1")})
    assert (answer.status_code, answer.content) == (200, file[1])


def test_a_part_behind_the_end_is_said_to_be_there(file: tuple[str, bytes]):
    answer = httpx.get(file[0], headers={"Range": "bytes=999999-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(file[1])}")
