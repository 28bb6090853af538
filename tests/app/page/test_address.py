from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from app.page import address
from app.page.pictures import example_pictures
from app.page.state import WELCOME, PageQuery, open_page
from core.config import ServerConfig
from core.service import Session
from tests.app import tiny


def restored(session: Session, start: Path, *, readable: bool = True, **query: str):
    """What an address sets: gallery, tab, encoder, example."""
    kept = query if readable else {}
    with gr.Blocks():
        page = open_page(session, gallery=str(start), encoder="random")
        page.linked.append(gr.Dropdown(["random", "histogram"]))
    request = gr.Request(session_hash="somebody0", query_params=query)
    gallery, tab, name, example, lost, where, filtered, dropdown = address.restored(
        page, request, names=("attribute", "map")
    )
    assert getattr(tab, "selected", None) in (None, name)
    assert bool(lost) == (gallery != query.get("gallery", gallery))
    assert where == filtered
    assert where == ("" if lost else kept.get("where", ""))
    return gallery, getattr(tab, "selected", None), dropdown.value, example


def test_address_names_tab_encoder_and_example(session: Session, gallery_folder: Path):
    query = {"tab": "map", "encoder": "histogram", "example": "3", "where": "licence is filled"}
    assert restored(session, gallery_folder, **query) == (
        str(gallery_folder),
        "map",
        "histogram",
        3,
    )


def test_address_with_a_lost_gallery_names_no_example(session: Session, gallery_folder: Path):
    """The example of a gallery that was not there was looked up in another."""
    with pytest.warns(UserWarning, match="not a gallery"):
        found = restored(session, gallery_folder, gallery="/nowhere", example="3")
    assert found == (str(gallery_folder), None, "random", 0)


@pytest.mark.parametrize("where", ["licence == X", "colour = purple", "licence = GPL"])
def test_an_address_with_a_filter_that_cannot_be_read_is_told(
    session: Session, gallery_folder: Path, where: str
):
    with pytest.warns(UserWarning):
        restored(session, gallery_folder, readable=False, where=where)


def test_what_is_told_of_a_filter_holds_no_html(session: Session, gallery_folder: Path):
    """A link with such a filter showed another site's link on the page until it was closed."""
    with pytest.warns(UserWarning) as told:
        restored(session, gallery_folder, readable=False, where='creator = <a href="//b">c</a>')
    (words,) = (str(each.message) for each in told if each.category is UserWarning)
    assert "<a" not in words and "&lt;a" in words


def test_an_example_stays_in_the_address_while_its_gallery_does(
    session: Session, gallery_folder: Path, tmp_path_factory: pytest.TempPathFactory
):
    other = tiny.make(tmp_path_factory.mktemp("other"))
    with gr.Blocks():
        page = open_page(session, gallery=str(gallery_folder), encoder="random")
    request = gr.Request(session_hash="somebody0")
    file = example_pictures(session, str(gallery_folder))[2][0]
    for gallery, number in ((gallery_folder, 3), (other, 0)):
        asked = PageQuery(file, "random")
        assert address.kept_example(page, str(gallery), 3, asked, request=request) == number


def test_empty_address_changes_nothing(session: Session, gallery_folder: Path):
    assert restored(session, gallery_folder) == (str(gallery_folder), None, "random", 0)


def test_address_that_names_nothing_here_is_passed_over(session: Session, gallery_folder: Path):
    query = {"tab": "x", "encoder": "moco", "example": "-1", "gallery": "/nowhere"}
    with pytest.warns(UserWarning, match="not a gallery"):
        found = restored(session, gallery_folder, **query)
    assert found == (str(gallery_folder), None, "random", 0)


def test_address_opens_another_gallery(
    session: Session, gallery_folder: Path, tmp_path_factory: pytest.TempPathFactory
):
    other = tiny.make(tmp_path_factory.mktemp("other"))
    assert restored(session, gallery_folder, gallery=str(other))[0] == str(other)


def test_hosted_address_opens_no_folder(gallery_folder: Path):
    session = Session(server=ServerConfig(hosted=True))
    with gr.Blocks():
        page = open_page(session, gallery="builtin", encoder=None)
    request = gr.Request(session_hash="somebody0", query_params={"gallery": str(gallery_folder)})
    with pytest.warns(UserWarning, match="expired"):
        assert address.restored(page, request, names=())[0] == "builtin"


def test_a_page_opens_with_the_first_example_of_a_gallery_that_has_some(
    session: Session, gallery_folder: Path
):
    with gr.Blocks():
        page = open_page(session, gallery=str(gallery_folder), encoder="random")
    request = gr.Request(session_hash="somebody0")

    def welcome(gallery: str, tab: str = "attribute", number: int = 0):
        return address.welcome(page, gallery, "random", tab=tab, number=number, request=request)

    shown = [PageQuery(file, "random", WELCOME) for file, _ in example_pictures(session, "builtin")]
    assert welcome("builtin") == welcome("builtin", number=999) == (1, shown[0])
    assert welcome("builtin", "map", 3) == (3, shown[2]), "the address's, in any tab"
    assert welcome("builtin", "map") == (gr.skip(), gr.skip())
    assert welcome(str(gallery_folder)) == (gr.skip(), gr.skip()), "its own are no examples"
