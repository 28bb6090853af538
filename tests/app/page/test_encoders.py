"""Components that several tabs share."""

from __future__ import annotations

import gradio as gr
import pytest

from app.page.encoders import encoder_choice
from app.page.state import open_page
from core.service import Session


@pytest.mark.parametrize(("given", "taken"), [("moco", "moco"), ("gone", "gone"), (["x"], "")])
def test_an_encoder_of_the_gallery_before_is_taken_as_it_comes(given, taken) -> None:
    """It may be on its way while the choices are renewed, and was refused in Gradio's words."""
    with gr.Blocks():
        page = open_page(Session(), gallery="builtin", encoder="lite0")
        chosen = encoder_choice(page).dropdown
    assert not chosen.filterable
    assert type(chosen)(["lite0"]).preprocess(given) == taken
