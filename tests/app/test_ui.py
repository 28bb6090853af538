from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from app import views
from app.tabs.attribute import LOCAL_SCALING, RERANKING, Desk
from app.ui import build, launch_options
from core.session import Session
from core.values import GalleryError
from tests.app import tiny

BOTH = [LOCAL_SCALING, RERANKING]


@pytest.fixture(scope="module")
def url(session: Session, gallery_folder: Path) -> Iterator[str]:
    blocks = build(session, gallery=str(gallery_folder))
    options = launch_options()
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **options)
    yield address
    blocks.close()


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


@pytest.fixture
def desk(session: Session, gallery_folder: Path) -> Desk:
    return Desk(session, str(gallery_folder))


def test_page_is_built_before_any_model_is_loaded(
    gallery_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("core.session.load_encoder", refuse)
    assert build(Session(), gallery=str(gallery_folder)).get_config_file()["components"]


def test_unknown_encoder_is_refused_with_those_there_are(gallery_folder: Path):
    with pytest.raises(GalleryError, match=r"moco.*histogram, random"):
        build(Session(), gallery=str(gallery_folder), encoder="moco")


def test_missing_gallery_is_refused(tmp_path: Path):
    with pytest.raises(GalleryError, match="not a gallery"):
        build(Session(), gallery=str(tmp_path))


def test_search_finds_the_picture_itself(desk: Desk, picture: Path):
    search, index, html, candidates, column = desk.search(str(picture), "random", "default", BOTH)
    assert search.answer.matches[0].image.path == picture.name
    assert (index, column.visible) == (0, True)
    assert "Candidate source: Blue &lt;b&gt;hills&lt;/b&gt;" in html
    assert candidates.value[0]["caption"].endswith("\nBlue <b>hills</b>")


def test_scoring_reaches_the_choice(desk: Desk, picture: Path):
    search = desk.search(str(picture), "histogram", "identity", [LOCAL_SCALING])[0]
    assert (search.choice.score.local_scaling, search.choice.score.rerank) == (True, False)
    assert (search.choice.encoder, search.choice.head) == ("histogram", "identity")


def test_no_image_shows_the_empty_state(desk: Desk):
    search, _, html, _, column = desk.search(None, "random", "default", BOTH)
    assert search is None
    assert str(tiny.COUNT) in html
    assert not column.visible


def test_explanation_and_dimension_of_the_chosen_match(desk: Desk, picture: Path):
    search = desk.search(str(picture), "random", "default", BOTH)[0]
    found, pair, reading, record, words, bars, dimension = desk.explain(search, 1, None)
    assert found.match.id == search.answer.matches[1].image.id
    assert reading.value == views.MATCHING
    assert pair.count("<img") == 2
    assert found.match.path in record
    assert f"{found.cosine:.3f}" in words
    assert len(bars.data[0].x) == 16
    most, least = desk.excite(search, dimension.value)
    assert len(most) == len(least) == 6
    assert {path for path, _ in most}.isdisjoint(path for path, _ in least)
    assert desk.look(search, found, views.PARTS) != pair


def test_encoder_without_space_has_no_heatmap(desk: Desk, picture: Path):
    search = desk.search(str(picture), "histogram", "default", BOTH)[0]
    _, pair, reading, *_ = desk.explain(search, 0, views.MATCHING)
    assert not reading.visible
    assert "highlighted" not in pair


def test_refused_file_is_taken_off_the_page_and_a_good_one_stays(
    desk: Desk, picture: Path, tmp_path: Path
):
    (tmp_path / "bad.jpg").write_text("no image")
    assert desk.refused(str(tmp_path / "bad.jpg"))[0] is None
    assert desk.refused(str(picture))[0] is not None


def test_error_tells_what_to_do(desk: Desk, tmp_path: Path):
    (tmp_path / "bad.jpg").write_text("no image")
    with pytest.raises(gr.Error, match="accepted are JPEG"):
        desk.search(str(tmp_path / "bad.jpg"), "random", "default", BOTH)


def test_endpoint_answers_like_the_command_line(client: Client, picture: Path, url: str):
    found = client.predict(handle_file(picture), "histogram", "default", 3, api_name="/attribute")
    assert found["query"] == picture.name
    assert found["matches"][0]["file"] == picture.name
    assert len(found["matches"]) == 3
    assert found["none"] + sum(g["influence"] for g in found["groups"]) == pytest.approx(1)
    assert found["encoder"].startswith("histogram@")


def test_only_the_endpoint_is_public(client: Client):
    info = client.view_api(return_format="dict")
    assert list(info["named_endpoints"]) == ["/attribute"]
    assert not info["unnamed_endpoints"]
    parameters = info["named_endpoints"]["/attribute"]["parameters"]
    assert [p["parameter_name"] for p in parameters] == ["image", "encoder", "head", "top"]


@pytest.mark.parametrize(
    ("values", "message"),
    [({"top": 0}, "minimum"), ({"top": 201}, "maximum"), ({"encoder": "nope"}, "not in the list")],
)
def test_endpoint_refuses_wrong_values(
    client: Client, picture: Path, values: dict[str, object], message: str
):
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(picture), **values, api_name="/attribute")


def test_endpoint_refuses_a_bad_file(client: Client, tmp_path: Path):
    (tmp_path / "bad.jpg").write_text("no image")
    with pytest.raises(AppError, match="accepted are JPEG"):
        client.predict(handle_file(tmp_path / "bad.jpg"), api_name="/attribute")


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_endpoint_reads_no_file_of_the_server(url: str, picture: Path, meta: dict[str, object]):
    """A path without ``meta`` passes Gradio's own check."""
    data = [{"path": str(picture), **meta}, "histogram", "default", 3]
    call = f"{url}gradio_api/call/attribute"
    event = httpx.post(call, json={"data": data}).json()["event_id"]
    assert "event: error" in httpx.get(f"{call}/{event}", timeout=30).text


def test_thumbnails_are_served_and_nothing_beside_them(url: str, gallery_folder: Path):
    thumbnail = next((gallery_folder / "thumbnails").glob("*/*.webp"))
    assert httpx.get(f"{url}gradio_api/file={thumbnail}").status_code == 200
    for path in (gallery_folder / "gallery.json", Path(__file__)):
        assert httpx.get(f"{url}gradio_api/file={path}").status_code == 403


def test_page_names_no_other_host(url: str):
    page = httpx.get(url).text
    for host in ("googleapis", "gstatic", "cdnjs", "unpkg", "jsdelivr"):
        assert host not in page


def test_answers_hold_no_server_path(client: Client, gallery_folder: Path, picture: Path):
    found = client.predict(handle_file(picture), api_name="/attribute")
    text = json.dumps(found)
    assert str(gallery_folder.parent) not in text
    assert tempfile.gettempdir() not in text


def test_phone_photo_is_turned_upright(desk: Desk, picture: Path, tmp_path: Path):
    turned = Image.open(picture).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees clockwise
    turned.save(tmp_path / "phone.png", exif=exif)
    search = desk.search(str(tmp_path / "phone.png"), "random", "default", BOTH)[0]
    assert search.answer.matches[0].image.path == picture.name
