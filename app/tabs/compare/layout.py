"""The components of the Compare tab."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.page.components import stop_button, thumbnails
from app.page.encoders import EncoderChoice, encoder_choice
from app.page.state import HEADS, Page
from app.views import compare as views
from app.views.templates import render

_PREFERRED = ("dino", "moco", "random")  # what the right side shows at first, if it is there
_WHERE = ("left", "right")


@dataclass(frozen=True)
class Side:
    """One way to search, and what it finds."""

    choice: EncoderChoice
    head: gr.Dropdown
    verdict: gr.HTML
    matches: gr.Gallery

    @property
    def encoder(self) -> gr.Dropdown:
        """The encoder that is chosen."""
        return self.choice.dropdown


@dataclass(frozen=True)
class Table:
    """The components of the tab that are not one side's."""

    image: gr.Image
    starts: gr.Gallery
    agreement: gr.HTML
    column: gr.Column
    which: gr.Radio
    examples: gr.HTML
    differing: gr.Gallery


def lay_choices(page: Page) -> list[tuple[EncoderChoice, gr.Dropdown]]:
    """Encoder and head of both sides."""
    others = [name for name in _PREFERRED if name in page.encoders and name != page.encoder]
    second = next(iter([*others, *(n for n in page.encoders if n != page.encoder)]), page.encoder)
    found: list[tuple[EncoderChoice, gr.Dropdown]] = []
    with gr.Row(elem_classes="ws-sides"):
        for where, encoder in zip(_WHERE, (page.encoder, second), strict=True):
            with gr.Column(min_width=280), gr.Group():
                chosen = encoder_choice(
                    page,
                    label=f"Encoder on the {where}",
                    value=encoder,
                    role="first" if where == _WHERE[0] else "second",
                )
                head = gr.Dropdown(
                    HEADS, value="default", label=f"Head on the {where}", filterable=False
                )
                found.append((chosen, head))
    return found


def lay_matches() -> tuple[gr.Radio, list[tuple[gr.HTML, gr.Gallery]]]:
    """What both sides find, and which of it is shown."""
    with gr.Row(elem_classes=["ws-title", "ws-which-title"]):
        gr.Markdown("### Candidate sources")
        which = gr.Radio(
            [views.ALL, views.BOTH, views.ONE],
            value=views.ALL,
            label="Which are shown",
            show_label=False,
            container=False,
            elem_id="ws-which",
        )
    gr.HTML(render("compare_note", of="key"))
    found: list[tuple[gr.HTML, gr.Gallery]] = []
    with gr.Row(elem_classes="ws-sides"):
        for where in _WHERE:
            with gr.Column(min_width=280):
                verdict = gr.HTML(elem_id=f"ws-verdict-{where}")
                label = f"Candidate sources, {where}"
                found.append((verdict, thumbnails(label, columns=4, elem_id=f"ws-{where}")))
    return which, found


def lay_examples(page: Page) -> tuple[gr.HTML, gr.Gallery, gr.Button]:
    """The comparison over the examples, and its buttons."""
    gr.Markdown("### Over the gallery's examples", elem_classes="ws-chapter")
    with gr.Row(elem_classes="ws-commands"):
        over = gr.Button("Compare over all examples", variant="primary", elem_id="ws-over")
        stop_button(page, "compare", elem_id="ws-stop-over", on_result=True)
    examples = gr.HTML(
        render("compare_note", of="examples"), elem_id="ws-over-found", min_height=60
    )
    differing = thumbnails("Examples that a side gets wrong", columns=6, elem_id="ws-differing")
    differing.visible = False
    return examples, differing, over
