"""Components that several tabs share."""

from __future__ import annotations

import gradio as gr
import pytest

from app.page.encoders import encoder_choice
from app.page.state import open_page
from core.service import Session


def test_a_choice_that_is_not_ready_is_told_to_its_tab() -> None:
    """The answer of the encoder before stood below the name of the one that was chosen."""
    with gr.Blocks() as blocks:
        encoder_choice(open_page(Session(), gallery="builtin", encoder="lite0"))
    choose = next(each.fn for each in blocks.fns.values() if each.name == "choose")
    assert choose is not None
    asker = gr.Request(session_hash="somebody0")
    assert choose("builtin", "lite0", 3, 5, asker)[-2:] == [4, gr.skip()]
    assert choose("builtin", "dino-vits16", 3, 5, asker)[-2:] == [gr.skip(), 6]


@pytest.mark.parametrize(("given", "taken"), [("moco", "moco"), ("gone", "gone"), (["x"], "")])
def test_an_encoder_of_the_gallery_before_is_taken_as_it_comes(given, taken) -> None:
    """It may be on its way while the choices are renewed, and was refused in Gradio's words."""
    with gr.Blocks():
        page = open_page(Session(), gallery="builtin", encoder="lite0")
        chosen = encoder_choice(page).dropdown
    assert not chosen.filterable
    assert type(chosen)(["lite0"]).preprocess(given) == taken
