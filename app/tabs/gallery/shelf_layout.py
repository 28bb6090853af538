"""The pictures of a gallery: what is looked for, what is shown, what is done with the chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from app.page.components import scripted, stop_button
from app.page.files import taken_as
from app.page.state import Page

IN, OUT = "Part of answers", "Opted out"
"""Which images are shown."""


@dataclass(frozen=True)
class Shelf:
    """The components of the pictures."""

    search: gr.Textbox
    column: gr.Dropdown
    value: gr.Dropdown
    order: gr.Dropdown
    which: gr.Radio
    pictures: gr.HTML
    leaf: gr.State
    """The page that is shown, counted from 1."""
    chosen: gr.State
    """Ids of the chosen images, on whatever page they are."""
    bar: gr.Column
    said: gr.Markdown
    """What opting did."""
    undo: gr.Button
    undone: gr.State
    """What undoes the last opting out or in."""
    picked: gr.Markdown
    every: gr.Button
    none: gr.Button
    opt_out: gr.Button
    opt_in: gr.Button
    remove: gr.Button
    sure: gr.Column
    """Where removing is confirmed."""
    sure_words: gr.Markdown
    removed: gr.Button
    kept: gr.Button

    @property
    def wanted(self) -> set[Component]:
        """What decides which images are shown."""
        return {self.search, self.column, self.value, self.order, self.which}

    @property
    def buttons(self) -> list[Any]:
        """What follows from which images are chosen."""
        return [self.picked, self.none, self.opt_out, self.opt_in, self.remove, self.sure]


def _lay_filters() -> dict[str, Any]:
    """What is looked for."""
    with gr.Row(elem_classes="ws-filters"):
        search = gr.Textbox(
            "",
            label="Find",
            placeholder="Words in any column",
            max_lines=1,
            max_length=200,
            scale=3,
            min_width=160,
            elem_id="ws-gallery-search",
        )
        column, value, order = (
            taken_as(
                gr.Dropdown([], label=label, filterable=filterable, min_width=130, elem_id=elem_id),
                _text,
            )
            for label, filterable, elem_id in (
                ("Where", False, "ws-gallery-column"),
                ("is", True, "ws-gallery-value"),
                ("In the order of", False, "ws-gallery-order"),
            )
        )
    which = gr.Radio(
        [IN, OUT],
        value=IN,
        label="Images that are",
        show_label=False,
        container=False,
        visible=False,
        elem_id="ws-gallery-which",
    )
    return {"search": search, "column": column, "value": value, "order": order, "which": which}


def lay(page: Page) -> Shelf:
    """The pictures with what is above and below them."""
    filters = _lay_filters()
    pictures = scripted("shelf.js", elem_id="ws-gallery-shelf", min_height=320)
    with gr.Column(elem_id="ws-gallery-picked") as bar:
        with gr.Row(elem_classes="ws-picked"):
            said = gr.Markdown(elem_id="ws-gallery-said", elem_classes="ws-status")
            undo = gr.Button("Undo", size="sm", visible=False, elem_id="ws-gallery-undo")
            stop_button(page, "gallery", elem_id="ws-gallery-stop-finish", on_result=True)
        with gr.Row(elem_classes="ws-picked"):
            picked = gr.Markdown(elem_id="ws-gallery-chosen")
            every = gr.Button("Choose all that are found", size="sm", elem_id="ws-gallery-every")
            none = gr.Button("None", size="sm", elem_id="ws-gallery-none")
            opt_out = gr.Button(
                "Opt out", size="sm", variant="primary", elem_id="ws-gallery-opt-out"
            )
            opt_in = gr.Button("Opt in", size="sm", variant="primary", elem_id="ws-gallery-opt-in")
            remove = gr.Button("Remove …", size="sm", elem_id="ws-gallery-remove")
        with gr.Column(visible=False, elem_classes="ws-offer") as sure:
            sure_words = gr.Markdown()
            with gr.Row():
                removed = gr.Button("Remove them", variant="stop", elem_id="ws-gallery-removed")
                kept = gr.Button("Keep them", elem_id="ws-gallery-kept")
    return Shelf(
        **filters,
        pictures=pictures,
        leaf=gr.State(1),
        chosen=gr.State([]),
        bar=bar,
        said=said,
        undo=undo,
        undone=gr.State(None),
        picked=picked,
        every=every,
        none=none,
        opt_out=opt_out,
        opt_in=opt_in,
        remove=remove,
        sure=sure,
        sure_words=sure_words,
        removed=removed,
        kept=kept,
    )


def _text(value: object) -> str:
    """A choice as it came: its choices change with the gallery."""
    return value if isinstance(value, str) else ""
