"""Tests of events that tabs have in common."""

from pathlib import Path

import gradio as gr

from app.page.events import follow_query
from app.page.state import WELCOME, PageQuery, open_page
from core.service import Session


def test_what_a_page_opens_with_makes_way_for_a_picture_given_meanwhile(
    session: Session, gallery_folder: Path
):
    with gr.Blocks() as blocks:
        page = open_page(session, gallery=str(gallery_folder), encoder="random")
        image, encoder = gr.Image(), gr.Dropdown(["random"])
        count = follow_query(page, "attribute", image, encoder)
    (take,) = (each.fn for each in blocks.fns.values() if each.name == "take")
    assert take is not None
    request = gr.Request(session_hash="somebody0")
    given = {page.tab: "attribute", page.gallery: page.start, encoder: "random", count: 0}

    welcome = {page.asked: PageQuery("example.png", "random", WELCOME)}
    own = take({**given, **welcome, image: "own.png"}, request)
    assert own == {page.asked: PageQuery("own.png", "random", "attribute"), page.example: 0}
    assert take({**given, **welcome, image: None}, request)[image] == "example.png"
    sent = {page.asked: PageQuery("map.png", "random", "map")}
    assert take({**given, **sent, image: "own.png"}, request)[image] == "map.png"
