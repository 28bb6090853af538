"""Every form of an image that an endpoint takes, and the words for all else."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import httpx
import pytest
from gradio.utils import get_upload_folder
from gradio_client import Client, handle_file

from app import api
from app.page.fetch import Fetcher
from app.page.image_forms import take_images
from app.page.state import open_page
from app.ui import launch_options
from core.service import Session
from tests.app import small
from tests.app.page.test_fetch import PUBLIC, Loopback
from tests.serving import Behaviour, serving

ADDRESS = "https://pictures.example/a/cat.png"
META = {"meta": {"_type": "gradio.FileData"}}


class Served(NamedTuple):
    url: str
    picture: bytes
    asked: list[str]
    """IP addresses that were connected to."""


def serve(session: Session, gallery: Path, *, hosted: bool = False) -> Iterator[Served]:
    """The endpoints alone, on a machine from which one picture of the web can be fetched."""
    asked: list[str] = []
    content = next((gallery.parent / "images").glob("*.png")).read_bytes()

    async def resolve(host: str) -> list[str]:
        return [PUBLIC] if host == "pictures.example" else [host]

    with serving({"/a/cat.png": Behaviour(content)}) as web:
        port = int(web.rpartition(":")[2])
        fetcher = Fetcher(resolve, lambda ip: Loopback(port, ip, asked))
        with gr.Blocks() as blocks:
            api.publish(open_page(session, gallery=str(gallery), encoder="random"))
        take_images(blocks, hosted=hosted, fetcher=fetcher)
        blocks.queue(api_open=False)
        _, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
        yield Served(url, content, asked)
        blocks.close()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def served(session: Session, gallery: Path) -> Iterator[Served]:
    yield from serve(session, gallery)


@pytest.fixture(scope="module")
def client(served: Served) -> Client:
    return Client(served.url, verbose=False)


@pytest.fixture(scope="module")
def hosted(session: Session, gallery: Path) -> Iterator[Served]:
    yield from serve(session, gallery, hosted=True)


NO_IMAGES: list[Any] = [7, 0, True, [], ["x"], {}, "", " ", "kitten.png", "data:image/png,abc"]
NO_IMAGES += [{"url": 7}, {"path": None}, {"path": ["x"], **META}, {"url": "ftp://x/a.png"}]


def form(served: Served, name: str) -> Any:
    """The picture in one form."""
    text = base64.b64encode(served.picture).decode()
    uri = f"data:image/png;base64,{text}"
    return {
        "address": ADDRESS,
        "data URI": uri,
        "base64": text,
        "base64 in lines": base64.encodebytes(served.picture).decode(),
        "url of data": {"url": uri},
        "url of the web": {"url": ADDRESS},
        "path of the web": {"path": ADDRESS},
        "file of the web": {"path": ADDRESS, **META},
    }[name]


IN_MEMORY = ("data URI", "base64", "base64 in lines", "url of data")
OF_WEB = ("address", "url of the web", "path of the web", "file of the web")
FORMS = (*IN_MEMORY, *OF_WEB)
ENDPOINTS = {
    "attribute": ["random", "default", 3, 0.5, "", None],
    "compare": ["random", "default", "histogram", "default", None],
    "project": ["random", "default", 2],
    "selftest": ["random", "default", "blend", 0.1, 0],
}


def post(url: str, endpoint: str, image: Any) -> str:
    """What the server tells a caller without a client library."""
    call = f"{url}gradio_api/call/{endpoint}"
    event = httpx.post(call, json={"data": [image, *ENDPOINTS[endpoint]]}).json()["event_id"]
    return httpx.get(f"{call}/{event}", timeout=60).text


def use(url: str, tool: str, **arguments: Any) -> str:
    call = {"name": tool, "arguments": arguments}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    accepted = {"Accept": "application/json, text/event-stream"}
    return httpx.post(
        f"{url}gradio_api/mcp/", json=message, headers=accepted, timeout=60, follow_redirects=True
    ).text


def kept() -> set[Path]:
    return set(Path(get_upload_folder()).rglob("*"))


@pytest.mark.parametrize("name", FORMS)
def test_an_endpoint_takes_every_form(served: Served, name: str):
    """All but an uploaded file ended in an error without a word."""
    before = kept()
    told = post(served.url, "attribute", form(served, name))
    assert "event: complete" in told, told
    (answer,) = json.loads(told.partition("event: complete\ndata: ")[2])
    assert answer["matches"][0]["cosine"] == pytest.approx(1, abs=1e-3)
    assert answer["query"] == ("cat.png" if name in OF_WEB else "image")
    assert {path for path in kept() - before if path.is_file()} == set()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_takes_them(served: Served, endpoint: str):
    told = post(served.url, endpoint, form(served, "address"))
    assert "event: complete" in told, told


@pytest.mark.parametrize("name", FORMS)
def test_clients_and_tools_take_them(served: Served, client: Client, name: str):
    image = form(served, name)
    found = client.predict(image, api_name="/attribute")
    assert found["matches"][0]["cosine"] == pytest.approx(1, abs=1e-3)
    told = use(served.url, "attribute", image=image)
    assert '"isError":false' in told, told


def test_a_client_s_own_ways_are_taken(client: Client, picture: Path):
    for image in (handle_file(picture), handle_file(ADDRESS)):
        assert client.predict(image, api_name="/attribute")["matches"]


@pytest.mark.parametrize(
    "image",
    NO_IMAGES,
)
def test_what_is_no_image_is_refused_in_words(served: Served, image: Any, caplog):
    """The answer was an error of null, and the log a traceback of Gradio's models."""
    with caplog.at_level(logging.WARNING):
        told = post(served.url, "attribute", image)
    assert "give an uploaded file, an https address, a data URI or base64" in told
    assert not caplog.records


def test_null_is_refused_in_words(served: Served):
    assert "no image was given; give an uploaded file" in post(served.url, "attribute", None)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("http://pictures.example/a.png", "beginning with https://"),
        ("https://192.168.0.1/a.png", "leads to a private network"),
        ({"path": "https://192.168.0.1/a.png", **META}, "leads to a private network"),
        ("https://pictures.example/none.png", "answers with 404"),
        (base64.b64encode(b"no image").decode(), "is not an image of an accepted kind"),
        ({"path": "/etc/passwd", **META}, "this file was not uploaded"),
        ({"path": "\0", **META}, "this file was not uploaded"),
    ],
)
def test_what_may_not_be_read_is_refused_in_words(served: Served, image: Any, words: str):
    assert words in post(served.url, "attribute", image)


@pytest.mark.parametrize("name", FORMS)
def test_a_hosted_server_fetches_nothing_and_says_so(hosted: Served, name: str):
    told = post(hosted.url, "attribute", form(hosted, name))
    if name in OF_WEB:
        assert "this server fetches nothing from the web; send the file itself" in told
    else:
        assert "event: complete" in told
    assert hosted.asked == []
    assert "give an uploaded file, a data URI or base64" in post(hosted.url, "attribute", 7)
