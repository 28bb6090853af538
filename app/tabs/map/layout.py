"""The components of the Map tab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.page.components import image_given, stop_button, thumbnails
from app.page.encoders import EncoderChoice, encoder_choice
from app.page.state import HEADS, Page
from app.tabs.map.drawing import drawing
from app.views.scene import DOMAIN, FIRST_COLOURS
from app.views.templates import render
from core.service import LEVELS

Peek = Callable[[object], dict[str, str] | None]
"""Picture and words of one point, as the map's script asks for them."""

Small = Callable[[object], list[str] | None]
"""Small pictures of some points, asked for in the same way."""

_ACTS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (button) trigger('select', { act: button.dataset.act, row: Number(button.dataset.row) });
});"""


@dataclass(frozen=True)
class Tab:
    """The tab's components, and what its page shows."""

    state: gr.State
    wanted: gr.State
    """Counts the times that the tab was opened with nothing drawn."""
    first: EncoderChoice
    head: gr.Dropdown
    level: gr.Dropdown
    """The level that the map is of; the empty text for all."""
    beside: EncoderChoice
    other_level: gr.Dropdown
    colour: gr.Dropdown
    group: gr.Dropdown
    image: gr.Image
    draw: gr.Button
    map: gr.HTML
    nearby: gr.Column
    near: gr.Markdown
    neighbours: gr.Gallery
    moved: gr.Column
    moved_words: gr.Markdown
    movers: gr.Gallery
    words: gr.Markdown
    point: gr.HTML
    shared: gr.HTML
    chosen: gr.Gallery
    table: gr.DownloadButton
    made: gr.Button
    """Asks what was made from all that are selected."""
    results: gr.Column
    empty: gr.HTML
    go: gr.Textbox
    """Where the page goes next, as ``tab/part``."""

    @property
    def encoder(self) -> gr.Dropdown:
        """The encoder of the map."""
        return self.first.dropdown

    @property
    def second(self) -> gr.Dropdown:
        """The encoder of a map beside it; the empty text for none."""
        return self.beside.dropdown


def lay(page: Page, peek_at: Peek, small_of: Small) -> Tab:
    """The tab's components, in their places."""
    with gr.Row(elem_classes="ws-columns"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            side = _lay_side(page)
        with gr.Column(scale=8, min_width=320, elem_classes="ws-stage"):
            stage = _lay_stage(peek_at, small_of)
    return Tab(state=gr.State(None), wanted=gr.State(0), **side, **stage)


def _lay_side(page: Page) -> dict[str, Any]:
    with gr.Group():
        first = encoder_choice(page)
        head = gr.Dropdown(HEADS, value="default", label="Head", filterable=False)
        level = _level("Level", "ws-map-level")
        beside = encoder_choice(page, label="Beside it", role="beside", elem_id="ws-map-beside")
        other_level = _level("Level of the other", "ws-map-other-level")
    with gr.Group():
        colour = gr.Dropdown(
            FIRST_COLOURS,
            value=DOMAIN,
            label="Colour by",
            filterable=False,
            elem_id="ws-map-colour",
        )
        group = gr.Dropdown([], label="Select a group", elem_id="ws-map-group")
    image = image_given(
        "Your image",
        elem_id="ws-map-you",
        placeholder="Drop an image here\nto see where it lies",
        height=180,
        show_label=True,
    )
    with gr.Row():
        draw = gr.Button(
            "Draw the map", variant="primary", min_width=120, scale=2, elem_id="ws-map-draw"
        )
        stop_button(page, "map", elem_id="ws-map-stop")
    return {
        "first": first,
        "head": head,
        "level": level,
        "beside": beside,
        "other_level": other_level,
        "colour": colour,
        "group": group,
        "image": image,
        "draw": draw,
    }


def _level(label: str, elem_id: str) -> gr.Dropdown:
    """A choice among what networks see early and late."""
    choices = [("All levels", ""), *((name.capitalize(), name) for name, _ in LEVELS)]
    return gr.Dropdown(choices, value="", label=label, filterable=False, elem_id=elem_id)


def _lay_stage(peek_at: Peek, small_of: Small) -> dict[str, Any]:
    def peek(payload: Any) -> dict[str, str] | None:  # Gradio marks functions, and not methods
        return peek_at(payload)

    def pictures(payload: Any) -> list[str] | None:
        return small_of(payload)

    empty = gr.HTML(render("empty", of="map"), elem_id="ws-map-empty", min_height=180)
    go = gr.Textbox("", visible=False)
    with gr.Column(visible=False, elem_classes="ws-results") as results:
        found = {"map": drawing(asked=[peek, pictures]), **_lay_selection(), **_lay_near()}
    return {"empty": empty, "results": results, "go": go, **found}


def _lay_selection() -> dict[str, Any]:
    gr.Markdown("### Selection")
    words = gr.Markdown(elem_classes="ws-note", elem_id="ws-map-words")
    point = gr.HTML(
        js_on_load=_ACTS, apply_default_css=False, visible=False, elem_id="ws-map-about"
    )
    shared = gr.HTML(apply_default_css=False, visible=False, elem_id="ws-map-share")
    with gr.Row(elem_classes="ws-downloads"):
        table = gr.DownloadButton(
            "Selection as CSV", size="sm", visible=False, elem_id="ws-map-table"
        )
        made = gr.Button(
            "Find what was made from these", size="sm", visible=False, elem_id="ws-map-made"
        )
    chosen = thumbnails("Selected images", columns=8, elem_id="ws-map-chosen")
    return {
        "words": words,
        "point": point,
        "shared": shared,
        "table": table,
        "made": made,
        "chosen": chosen,
    }


def _lay_near() -> dict[str, Any]:
    with gr.Column(visible=False) as nearby:
        gr.Markdown("### Nearest to your image")
        near = gr.Markdown(elem_classes="ws-note", elem_id="ws-map-near")
        neighbours = thumbnails("Nearest images", columns=8, elem_id="ws-map-neighbours")
    with gr.Column(visible=False) as moved:
        gr.Markdown("### Moved most among their neighbours")
        moved_words = gr.Markdown(elem_classes="ws-note", elem_id="ws-map-moved")
        movers = thumbnails("Images that moved most", columns=8, elem_id="ws-map-movers")
    return {
        "nearby": nearby,
        "near": near,
        "neighbours": neighbours,
        "moved": moved,
        "moved_words": moved_words,
        "movers": movers,
    }
