"""The Map tab: a gallery and its examples in the plane, to look at, select from and export."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.context import get_render_context

from app import views, views_map
from app.common import (
    HEADS,
    Page,
    encoder_choices,
    encoder_dropdown,
    image_given,
    require,
    share,
    spoken,
    taken_as,
    thumbnails,
    unopened,
)
from app.stops import stop_button
from app.tabs.map_desk import NONE, Cards, Desk, Tab
from app.theme import ASSETS
from core.service.session import Choice, Session

_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_QUIET: dict[str, Any] = {**_PRIVATE, "show_progress": "hidden"}


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    here, cards = get_render_context(), Cards(page.session)
    _connect(page, Desk(page, lay(page, cards), cards), here)
    _publish(page)


def lay(page: Page, cards: Cards) -> Tab:
    """The tab's components, in their places."""
    with gr.Row(elem_classes="ws-desk"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            side = _lay_side(page)
        with gr.Column(scale=8, min_width=320, elem_classes="ws-stage"):
            stage = _lay_stage(cards)
    return Tab(state=gr.State(None), wanted=gr.State(0), **side, **stage)


def _lay_side(page: Page) -> dict[str, Any]:
    with gr.Group():
        encoder, renewed = encoder_dropdown(page)
        head = gr.Dropdown(HEADS, value="default", label="Head", filterable=False)
        others = [("None", NONE), *encoder_choices(page.encoders)]
        beside = gr.Dropdown(
            others, value=NONE, label="Beside it", filterable=False, elem_id="ws-map-beside"
        )
    with gr.Group():
        colour = gr.Dropdown(
            views_map.FIRST_COLOURS,
            value=views_map.DOMAIN,
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
        stop = stop_button("ws-map-stop", beside=True)
    return {
        "encoder": encoder,
        "renewed": renewed,
        "head": head,
        "beside": beside,
        "colour": colour,
        "group": group,
        "image": image,
        "draw": draw,
        "stop": stop,
    }


def _lay_stage(cards: Cards) -> dict[str, Any]:
    def peek(payload: Any) -> dict[str, str] | None:  # Gradio marks functions, and not methods
        return cards.peek(payload)

    empty = gr.HTML(views.fill("map_empty"), elem_id="ws-map-empty", min_height=180)
    with gr.Column(visible=False, elem_classes="ws-results") as results:
        drawing = gr.HTML(
            html_template=(ASSETS / "map.html").read_text(encoding="utf-8"),
            js_on_load=(ASSETS / "map.js").read_text(encoding="utf-8"),
            server_functions=[peek],
            apply_default_css=False,
            elem_id="ws-map",
        )
        with gr.Column(visible=False) as nearby:
            gr.Markdown("### Nearest to your image")
            near = gr.Markdown(elem_classes="ws-note", elem_id="ws-map-near")
            neighbours = thumbnails("Nearest images", columns=8, elem_id="ws-map-neighbours")
        gr.Markdown("### Selection")
        words = gr.Markdown(elem_classes="ws-note", elem_id="ws-map-words")
        with gr.Row(elem_classes="ws-downloads"):
            table = gr.DownloadButton(
                "Selection as CSV", size="sm", visible=False, elem_id="ws-map-table"
            )
        chosen = thumbnails("Selected images", columns=8, elem_id="ws-map-chosen")
    return {
        "empty": empty,
        "results": results,
        "nearby": nearby,
        "near": near,
        "neighbours": neighbours,
        "map": drawing,
        "words": words,
        "table": table,
        "chosen": chosen,
    }


def _connect(page: Page, desk: Desk, here: Any) -> None:
    tab = desk.tab
    everything = [tab.state, tab.map, tab.results, tab.empty, tab.colour, tab.group]
    everything += [tab.nearby, tab.near, tab.neighbours]
    selection = [tab.words, tab.chosen, tab.table]
    asked = {tab.encoder, tab.head, tab.beside, tab.colour, tab.image, tab.state, page.gallery}
    draw: dict[str, Any] = {
        "fn": desk.draw,
        "inputs": asked,
        "outputs": [*everything, *selection],
        "show_progress_on": [tab.empty, tab.map],
        "concurrency_id": "encoder",
        **_PRIVATE,
    }
    triggers = [
        tab.draw.click,
        tab.encoder.input,
        tab.head.input,
        tab.beside.input,
        tab.image.upload,
        tab.image.clear,
    ]
    opened = [tab.state, tab.wanted, page.asked, tab.image]
    here.select(desk.wanted, opened, tab.wanted, **_QUIET)
    draws = [
        gr.on(triggers, trigger_mode="always_last", **draw),
        tab.wanted.change(**draw),
        share(page, "map", tab.image, tab.encoder, beside=tab.beside).change(**draw),
    ]
    for drawn in draws:
        drawn.failure(desk.refused, tab.image, tab.image, **_QUIET)
    tab.stop.click(desk.stops.stop_asked, None, None, queue=False, **_QUIET)
    cleared = tab.renewed.success(desk.cleared, None, [*everything, *selection], **_QUIET)
    cleared.success(desk.seconds, page.gallery, tab.beside, **_QUIET)
    known = [*everything, *selection]
    tab.colour.input(desk.recolour, [tab.state, tab.colour], known, **_PRIVATE)
    tab.map.select(desk.select, tab.state, [tab.state, tab.group, tab.near, *selection], **_QUIET)
    tab.group.input(desk.choose, [tab.state, tab.group], known, **_QUIET)
    desk.stops.stop_when_left()


class Projector:
    """The public endpoint, on the gallery that the server was started with."""

    def __init__(self, session: Session, gallery: str) -> None:
        self.session, self.gallery = session, gallery

    def project(self, image: str, encoder: str, head: str, top: int) -> dict[str, object]:
        """Where an image lies on the gallery's 2-D map, and the gallery images nearest to it.

        Args:
            image: the image file; JPEG, PNG, WebP, GIF, BMP or TIFF.
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.
            top: number of nearest gallery images, 1 to 200.

        Returns:
            The coordinates x and y, as ``project`` of the command line prints them, and nearest
            (best first: id, file, cosine).
        """
        require(image, top=top)
        with spoken():
            found = self.session.project(image, Choice(encoder, head, self.gallery), top=top)
        nearest = [
            {"id": match.image.id, "file": match.image.path, "cosine": match.cosine}
            for match in found.nearest
        ]
        return {"x": found.x, "y": found.y, "nearest": nearest}


def _publish(page: Page) -> None:
    """Add ``/project`` to the current Blocks; its components are never shown."""
    with gr.Group(visible=False):
        image = taken_as(gr.Image(type="filepath", label="image"), unopened)
        encoder = gr.Dropdown(encoder_choices(page.encoders), value=page.encoder, label="encoder")
        head = gr.Dropdown(HEADS, value="default", label="head")
        top = gr.Number(8, precision=0, minimum=1, maximum=200, label="top")
        gr.Button().click(
            Projector(page.session, page.start).project,
            [image, encoder, head, top],
            gr.JSON(label="place"),
            api_name="project",
            concurrency_id="encoder",
        )
