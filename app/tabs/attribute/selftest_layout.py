"""Components of the part of Attribute that tests itself on a picture of the visitor's own."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.page.components import image_given, run_row
from app.page.state import Page
from app.views.selftest import empty_html
from core.service import WAYS


@dataclass(frozen=True)
class Selftest:
    """The picture, and how its variation is made."""

    image: gr.Image
    way: gr.Dropdown
    far: gr.Slider
    run: gr.Button


def lay(page: Page) -> Selftest:
    """The picture, the way, the dial from near to far, and the button."""
    words = "Drop a picture of your own\nor click to choose it"
    image = image_given("Your picture", elem_id="ws-own", placeholder=words, height=240)
    way = gr.Dropdown(
        [(each.title, name) for name, each in WAYS.items()],
        value=next(iter(WAYS)),
        label="What is made of it",
        filterable=False,
        elem_id="ws-way",
    )
    far = gr.Slider(0, 100, value=50, step=1, label="How far from it, %", elem_id="ws-far")
    run = run_row(
        page,
        "attribute",
        "Make a variation and trace it",
        elem_id="ws-run-test",
        stop_id="ws-stop-test",
    )
    return Selftest(image, way, far, run)


def lay_result() -> gr.HTML:
    """The variation and both answers."""
    return gr.HTML(empty_html(), elem_id="ws-test", min_height=180)
