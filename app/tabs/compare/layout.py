"""The components of the Compare tab."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.page.components import file_button, query_given, scripted, stop_button, thumbnails
from app.page.encoders import EncoderChoice, encoder_choice
from app.page.state import HEADS, Page, compared
from app.views import compare as views
from app.views.templates import render

_WHERE = ("left", "right")

_FOLD = """const fold = () => document.querySelector('#ws-compare-settings > button.open');
const narrow = matchMedia('(max-width: 720px)').matches;
if (narrow) window.wellspring.soon(fold, (found) => found.click());"""
"""On a phone the settings, which fill it, are folded until they are wanted."""

Downloads = tuple[gr.DownloadButton, gr.DownloadButton]
"""A table as CSV, and all of it as JSON."""


@dataclass(frozen=True)
class Side:
    """One way to search, and what it finds."""

    choice: EncoderChoice
    head: gr.Dropdown
    verdict: gr.HTML
    matches: gr.Gallery
    pair: gr.HTML
    """The image that is asked about and the one that is looked at."""
    by: gr.HTML
    """By what that one stands out here."""

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
    title: gr.Markdown
    """What the matches of both sides are called."""
    which: gr.Radio
    downloads: Downloads
    """The comparison as CSV and as JSON."""
    looked: gr.HTML
    """Which match is looked at, and where either side has it."""
    reading: gr.Radio
    """What is marked on the images of both sides."""
    levels: gr.HTML
    """What makes its score on both sides."""
    examples: gr.HTML
    differing: gr.Gallery
    counted: Downloads
    """What was counted over the examples, as CSV and as JSON."""


def lay(page: Page) -> tuple[Table, tuple[Side, Side], gr.Button]:
    """The tab's components in their places: the table, both sides, and what starts the examples."""
    with gr.Row(elem_classes="ws-columns"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            image, starts = query_given(
                page, image_id="ws-compare-query", examples_id="ws-compare-starts"
            )
        with gr.Column(scale=8, min_width=320):
            choices = _lay_choices(page)
            with gr.Column(elem_classes="ws-stage"):
                agreement = gr.HTML(
                    render("empty", of="compare"), elem_id="ws-agreement", min_height=180
                )
                stop_button(page, "compare", elem_id="ws-stop-compare", on_result=True)
            with gr.Column(visible=False, elem_classes="ws-results") as column:
                title, which, downloads, found = _lay_matches()
                looked, reading, levels, why = _lay_reasons()
            examples, differing, counted, over = _lay_examples(page)
    left, right = (Side(*c, *shown, *w) for c, shown, w in zip(choices, found, why, strict=True))
    table = Table(
        image=image,
        starts=starts,
        agreement=agreement,
        column=column,
        title=title,
        which=which,
        downloads=downloads,
        looked=looked,
        reading=reading,
        levels=levels,
        examples=examples,
        differing=differing,
        counted=counted,
    )
    return table, (left, right), over


def _lay_choices(page: Page) -> list[tuple[EncoderChoice, gr.Dropdown]]:
    """Encoder and head of both sides."""
    found: list[tuple[EncoderChoice, gr.Dropdown]] = []
    with gr.Accordion("Settings", elem_id="ws-compare-settings"):
        gr.HTML(js_on_load=_FOLD, elem_classes="ws-unseen")
        with gr.Row(elem_classes="ws-sides"):
            for where, encoder in zip(_WHERE, compared(page, page.encoders), strict=True):
                with gr.Column(min_width=280), gr.Group():
                    chosen = encoder_choice(
                        page,
                        label=f"Encoder on the {where}",
                        value=encoder,
                        role="left" if where == _WHERE[0] else "right",
                    )
                    head = gr.Dropdown(
                        HEADS, value="default", label=f"Head on the {where}", filterable=False
                    )
                    found.append((chosen, head))
    return found


def _lay_matches() -> tuple[gr.Markdown, gr.Radio, Downloads, list[tuple[gr.HTML, gr.Gallery]]]:
    """What both sides find, under a title, which of it is shown, and all of it as files."""
    with gr.Row(elem_classes=["ws-title", "ws-which-title"]):
        title = gr.Markdown("### Matches")
        downloads = _lay_downloads("compare", visible=True)
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
                label = f"Matches, {where}"
                found.append((verdict, thumbnails(label, columns=4, elem_id=f"ws-{where}")))
    return title, which, downloads, found


def _lay_reasons() -> tuple[gr.HTML, gr.Radio, gr.HTML, list[tuple[gr.HTML, gr.HTML]]]:
    """The match that is looked at, what is marked, its score's parts, and both sides' reasons."""
    looked = gr.HTML(elem_id="ws-looked")
    reading = gr.Radio(
        [], label="Marked on the images of both sides", visible=False, elem_id="ws-marked"
    )
    found: list[tuple[gr.HTML, gr.HTML]] = []
    with gr.Row(elem_classes="ws-sides"):
        for where in _WHERE:
            with gr.Column(min_width=280):
                by = gr.HTML(elem_id=f"ws-by-{where}")
                pair = scripted("pair.js", elem_id=f"ws-pair-{where}")
                found.append((pair, by))
    levels = gr.HTML(elem_id="ws-both-levels")
    return looked, reading, levels, found


def _lay_downloads(name: str, *, visible: bool) -> Downloads:
    with gr.Row(elem_classes="ws-downloads"):
        csv, json = (
            file_button(kind.upper(), elem_id=f"ws-{name}-{kind}", visible=visible)
            for kind in ("csv", "json")
        )
    return csv, json


def _lay_examples(page: Page) -> tuple[gr.HTML, gr.Gallery, Downloads, gr.Button]:
    """The comparison over the examples, and its buttons."""
    gr.Markdown("### Over the gallery's examples", elem_classes="ws-chapter")
    with gr.Row(elem_classes="ws-commands"):
        over = gr.Button("Compare over all examples", variant="primary", elem_id="ws-over")
        stop_button(page, "compare", elem_id="ws-stop-over", on_result=True)
        counted = _lay_downloads("counted", visible=False)
    examples = gr.HTML(
        render("compare_note", of="examples"), elem_id="ws-over-found", min_height=60
    )
    differing = thumbnails("Examples that a side gets wrong", columns=6, elem_id="ws-differing")
    differing.visible = False
    return examples, differing, counted, over
