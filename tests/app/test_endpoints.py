from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError


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


def test_prior_and_shares_by_a_column(client: Client, picture: Path):
    found = client.predict(handle_file(picture), prior=0.2, by="creator", api_name="/attribute")
    assert found["prior"] == 0.2
    assert sum(found["shares"]["creator"].values()) == pytest.approx(1 - found["none"])
    assert "shares" not in client.predict(handle_file(picture), api_name="/attribute")


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
