from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from app.ui import build, launch_options
from core.service import Session
from tests.app import small, tiny


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


def test_attribute_answers_like_the_command_line(client: Client, picture: Path):
    found = client.predict(handle_file(picture), "histogram", "default", 3, api_name="/attribute")
    assert found["query"] == picture.name
    assert found["matches"][0]["file"] == picture.name
    assert len(found["matches"]) == 3
    assert found["none"] + sum(g["influence"] for g in found["groups"]) == pytest.approx(1)
    assert found["encoder"].startswith("histogram@")


def test_selftest_traces_a_variation_twice(client: Client, picture: Path, tmp_path: Path):
    own = handle_file(tiny.draw(tmp_path / "own.png", 123))
    asked = (own, "histogram", "default", "blend")
    found = client.predict(*asked, 0.1, 3, api_name="/selftest")
    assert (found["way"], found["far"]) == ("blend", 0.1)
    assert found["first"] == (found["present"]["matches"][0]["id"] == found["original"])
    assert all(match["id"] != found["original"] for match in found["absent"]["matches"])
    for way, far, words in (
        ("copying", 0.1, "copying is not in the list"),
        ("blend", 2.0, "far must lie"),
    ):
        with pytest.raises(AppError, match=words):
            client.predict(*asked[:3], way, far, 0, api_name="/selftest")
    with pytest.raises(AppError, match="less than minimum"):
        client.predict(*asked, 0.1, -1, api_name="/selftest")
    assert found["taken_out"] == []
    held = client.predict(handle_file(picture), *asked[1:], 0.1, 0, api_name="/selftest")
    assert len(held["taken_out"]) == 1


def test_prior_and_shares_by_a_column(client: Client, picture: Path):
    found = client.predict(handle_file(picture), prior=0.2, by="creator", api_name="/attribute")
    assert found["prior"] == 0.2
    assert sum(found["shares"]["creator"].values()) == pytest.approx(1 - found["none"])
    assert "shares" not in client.predict(handle_file(picture), api_name="/attribute")


def test_a_filter_names_who_may_be_a_source(client: Client, picture: Path):
    asked = {"api_name": "/attribute", "where": "licence is not filled"}
    found = client.predict(handle_file(picture), **asked)
    assert picture.name not in [match["file"] for match in found["matches"]]
    assert (found["scope"]["passing"], found["scope"]["outside"]) == (tiny.COUNT - 1, True)
    assert found["none"] + sum(g["influence"] for g in found["groups"]) == pytest.approx(1)
    with pytest.raises(AppError, match="there are: creator, licence"):
        client.predict(handle_file(picture), api_name="/attribute", where="artist = A")
    for empty in ("", " "):
        with pytest.raises(AppError, match="an empty filter; write for example"):
            client.predict(handle_file(picture), api_name="/attribute", where=empty)
    assert client.predict(handle_file(picture), api_name="/attribute")["scope"] is None
    both = client.predict(handle_file(picture), api_name="/compare", where=asked["where"])
    assert both["first"]["scope"] == both["second"]["scope"] == found["scope"]


def test_eight_visitors_at_once_get_their_own_answers(url: str, gallery_folder: Path):
    """Each asks for another picture of the gallery, which must come first for it and no other."""
    files = sorted((gallery_folder.parent / "images").glob("*.png"))[:8]
    clients = [Client(url, verbose=False) for _ in files]

    def ask(client: Client, file: Path) -> str:
        found = client.predict(handle_file(file), "random", "default", 1, api_name="/attribute")
        return found["matches"][0]["file"]

    with ThreadPoolExecutor(len(files)) as pool:
        assert list(pool.map(ask, clients, files)) == [file.name for file in files]


def test_encoders_are_listed_with_licences(client: Client):
    found = {info["name"]: info for info in client.predict(api_name="/encoders")}
    assert found["histogram"]["ready"]
    assert not found["moco"]["ready"]
    assert "CC BY-NC" in found["mocov3-vits"]["licence"]
    assert all(info["licence"] for info in found.values())


def test_public_endpoints_have_typed_parameters(client: Client):
    info = client.view_api(return_format="dict")
    assert {"/attribute", "/encoders"} <= set(info["named_endpoints"])
    assert not info["unnamed_endpoints"]
    parameters = info["named_endpoints"]["/attribute"]["parameters"]
    assert [p["parameter_name"] for p in parameters] == [
        "image",
        "encoder",
        "head",
        "top",
        "prior",
        "by",
        "where",
    ]


def test_endpoints_are_tools_with_descriptions(url: str):
    tools = httpx.get(f"{url}gradio_api/mcp/schema").json()
    found = {tool["name"]: tool for tool in tools}
    assert "Candidate sources of an image" in found["attribute"]["description"]
    assert set(found["attribute"]["inputSchema"]["properties"]) == {
        "image",
        "encoder",
        "head",
        "top",
        "prior",
        "by",
        "where",
    }
    assert "encoders" in found


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"top": 0}, "minimum"),
        ({"top": 201}, "maximum"),
        ({"encoder": "nope"}, "not in the list"),
        ({"prior": 1}, "between 0 and 1, got 1"),
        ({"by": "nope"}, "no image has a column 'nope'"),
    ],
)
def test_attribute_refuses_wrong_values(
    client: Client, picture: Path, values: dict[str, object], message: str
):
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(picture), **values, api_name="/attribute")


def test_attribute_refuses_a_bad_file(client: Client, tmp_path: Path):
    (tmp_path / "bad.jpg").write_text("no image")
    with pytest.raises(AppError, match="accepted are JPEG"):
        client.predict(handle_file(tmp_path / "bad.jpg"), api_name="/attribute")


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_attribute_reads_no_file_of_the_server(url: str, picture: Path, meta: dict[str, object]):
    """A path without ``meta`` passes Gradio's own check."""
    data = [{"path": str(picture), **meta}, "histogram", "default", 3, 0.5, ""]
    call = f"{url}gradio_api/call/attribute"
    event = httpx.post(call, json={"data": data}).json()["event_id"]
    assert "event: error" in httpx.get(f"{call}/{event}", timeout=30).text


def test_answers_hold_no_server_path(client: Client, gallery_folder: Path, picture: Path):
    found = client.predict(handle_file(picture), api_name="/attribute")
    text = json.dumps(found)
    assert str(gallery_folder.parent) not in text
    assert tempfile.gettempdir() not in text


def test_endpoint_compares_and_names_no_server_path(url: str, picture: Path):
    client = Client(url, verbose=False)
    inputs = (handle_file(str(picture)), "random", "default", "histogram", "default")
    found = client.predict(*inputs, api_name="/compare")
    assert found["overlaps"]["1"] == 1
    assert found["first"]["matches"][0]["file"] == picture.name
    assert sorted(found["common"] + found["only_first"]) == sorted(
        match["id"] for match in found["first"]["matches"]
    )
    text = json.dumps(found)
    assert str(picture.parent.parent) not in text
    assert '"path"' not in text
    with pytest.raises(AppError, match="not an image"):
        bad = picture.parent.parent / "bad.png"
        bad.write_text("no image")
        client.predict(handle_file(str(bad)), *inputs[1:], api_name="/compare")


def test_endpoint_gives_measures_and_no_server_path(url: str, gallery_folder: Path):
    client = Client(url, verbose=False)
    found = client.predict("histogram", "whiten", api_name="/factors")
    names = {measure["name"] for measure in found["measures"]}
    assert {"mean_abs_correlation", "rankme"} <= names
    assert found["after"]["cross"] is None
    assert len(found["after"]["real"]) == len(found["after"]["dimensions"])
    assert str(gallery_folder.parent) not in json.dumps(found)


@pytest.fixture(scope="module")
def small_client(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Tabs and endpoints over a gallery whose map is there at once."""
    folder = small.make(tmp_path_factory.mktemp("small"))
    blocks = build(session, gallery=str(folder), encoder="random")
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield Client(address, verbose=False)
    blocks.close()


def test_no_tab_adds_a_public_endpoint(small_client: Client):
    named = small_client.view_api(return_format="dict")["named_endpoints"]
    known = ["/attribute", "/compare", "/encoders", "/factors", "/project", "/selftest"]
    assert sorted(named) == known


def test_project_places_an_image(small_client: Client, tmp_path: Path):
    image = handle_file(tiny.draw(tmp_path / "mine.png", 7))
    found = small_client.predict(image, "random", "default", 2, api_name="/project")
    assert found["nearest"][0]["file"] == "picture-07.png"
    assert len(found["nearest"]) == 2
    assert np.isfinite([found["x"], found["y"]]).all()
    with pytest.raises(AppError, match="minimum value 1"):
        small_client.predict(image, "random", "default", 0, api_name="/project")
