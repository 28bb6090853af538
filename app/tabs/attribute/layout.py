"""What the Attribute tab shows: the components of its query and of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from app.page.components import (
    file_button,
    query_examples,
    query_image,
    scripted,
    stop_button,
    thumbnails,
)
from app.page.encoders import EncoderChoice, encoder_choice
from app.page.state import HEADS, Page
from app.views.answer import empty_html
from core.config import PATCHES, AnswerConfig, ScoreConfig

LOCAL_SCALING, RERANKING = "Local scaling", "Re-ranking by patches"
VIEWS = {v.name: RERANKING if v.name == PATCHES else v.name.title() for v in ScoreConfig().views}
"""What the views beside the embedding are called, by their names."""
SCORING = [LOCAL_SCALING, *VIEWS.values()]  # a tuple would be one value to Gradio


@dataclass(frozen=True)
class Controls:
    """How images are answered for: one and many alike."""

    choice: EncoderChoice
    head: gr.Dropdown
    scoring: gr.CheckboxGroup
    prior: gr.Slider
    """Probability of a source before the image is seen, percent."""
    where: gr.Textbox
    """Which images may be sources of one and of several."""
    wrong: gr.HTML
    """What is wrong with it, beside it."""

    @property
    def encoder(self) -> gr.Dropdown:
        """The encoder that is chosen."""
        return self.choice.dropdown

    @property
    def inputs(self) -> set[Component]:
        """All that an answer depends on."""
        return {self.encoder, self.head, self.scoring, self.prior, self.where}


@dataclass(frozen=True)
class Query:
    """The image that is asked about."""

    image: gr.Image
    examples: gr.Gallery
    address: gr.Textbox
    """Address of a picture on the web; not shown where strangers are served."""


@dataclass(frozen=True)
class Downloads:
    """The answer as files."""

    html: gr.DownloadButton
    csv: gr.DownloadButton
    json: gr.DownloadButton

    @property
    def buttons(self) -> tuple[gr.DownloadButton, ...]:
        """All of them, in the order of the files."""
        return (self.html, self.csv, self.json)


@dataclass(frozen=True)
class Sums:
    """Shares of influence summed by a column of the metadata."""

    column: gr.Column
    by: gr.Dropdown
    table: gr.HTML


@dataclass(frozen=True)
class Result:
    """The answer and the chosen source."""

    answer: gr.HTML
    column: gr.Column
    sums: Sums
    downloads: Downloads
    heading: gr.Markdown
    candidates: gr.HTML
    why: gr.Accordion
    reading: gr.Radio
    pair: gr.HTML
    to_map: gr.Button
    """Shows the chosen match where it lies on the map."""
    levels: gr.HTML
    record: gr.HTML
    words: gr.Markdown
    single: gr.Column
    """What is shown of single dimensions, where any is stable."""
    bars: gr.Plot
    stable: gr.Markdown
    dimension: gr.Dropdown
    side: gr.Markdown
    """On which end of the dimension the two images lie."""
    most: gr.Gallery
    least: gr.Gallery


def lay_query(page: Page) -> Query:
    """The image, the address of one, and the examples.

    A hosted server fetches nothing for strangers: whoever asks is not known, and the request would
    come from the host's own network.
    """
    image = query_image("ws-query")
    address = gr.Textbox(
        show_label=False,
        label="Address of a picture on the web",
        placeholder="Or an address: https://…, then Enter",
        max_lines=1,
        max_length=2_000,
        submit_btn=True,
        visible=not page.session.server.hosted,
        elem_id="ws-address",
    )
    return Query(image, query_examples(page, "ws-examples"), address)


def lay_controls(page: Page) -> Controls:
    """Encoder, head, scoring, prior and filter, out of the way until they are wanted."""
    with gr.Accordion("Settings", open=False, elem_classes="ws-scoring"):
        choice = encoder_choice(page)
        head = gr.Dropdown(HEADS, value="default", label="Head", filterable=False)
        scoring = gr.CheckboxGroup(
            SCORING,
            value=SCORING,
            label="Scoring",
        )
        prior = gr.Slider(
            1,
            99,
            value=100 * AnswerConfig().prior,
            step=1,
            label="Prior probability of a source, %",
            elem_id="ws-prior",
        )
        page.where.render()
        wrong = gr.HTML(elem_id="ws-filter-wrong")
    return Controls(choice, head, scoring, prior, page.where, wrong)


def lay_result(page: Page) -> Result:
    """The answer, its candidates, and why the chosen one is among them."""
    size = len(page.session.gallery(page.start))
    answer = gr.HTML(empty_html(size=size), elem_id="ws-answer", min_height=180)
    stop_button(page, "attribute", elem_id="ws-stop", on_result=True)
    with gr.Column(visible=False, elem_classes="ws-results") as column:
        with gr.Row(elem_classes="ws-title"):
            heading = gr.Markdown(elem_id="ws-list-title")
            downloads = _lay_downloads(page)
        with gr.Row(elem_classes="ws-found"):
            with gr.Column(scale=4, min_width=240, elem_classes="ws-found-list"):
                candidates = scripted("matches.js", elem_id="ws-candidates")
            with gr.Column(scale=9, min_width=300, elem_classes="ws-found-why"):
                reasons = _lay_reasons()
        sums = _lay_sums()
    return Result(
        answer=answer,
        column=column,
        sums=sums,
        downloads=downloads,
        heading=heading,
        candidates=candidates,
        **reasons,
    )


def _lay_reasons() -> dict[str, Any]:
    """Why the chosen image is among the matches: for everybody, then for researchers."""
    with gr.Accordion("Why this image", elem_id="ws-why") as why:
        pair = scripted("pair.js", elem_id="ws-pair")
        with gr.Row(elem_classes="ws-downloads"):
            to_map = gr.Button("Show on the map", size="sm", min_width=0, elem_id="ws-to-map")
        levels = gr.HTML(elem_id="ws-levels")
        with gr.Accordion("About the image", open=False, elem_id="ws-about"):
            record = gr.HTML(elem_id="ws-record")
        with gr.Accordion("For researchers", open=False, elem_id="ws-research"):
            reading = gr.Radio([], label="Marked on the two images", elem_id="ws-reading")
            words = gr.Markdown(elem_classes="ws-note")
            stable = gr.Markdown(elem_classes="ws-note", elem_id="ws-stable")
            with gr.Column(visible=False) as single:
                bars = gr.Plot(show_label=False, container=False, elem_id="ws-bars")
                dimension = gr.Dropdown(
                    [],
                    label="What a dimension responds to",
                    filterable=False,
                    elem_id="ws-dimension",
                )
                side = gr.Markdown(elem_classes="ws-note", elem_id="ws-end")
                with gr.Row():
                    most = thumbnails("Highest end", columns=3, elem_id="ws-most")
                    least = thumbnails("Lowest end", columns=3, elem_id="ws-least")
    return {
        "why": why,
        "reading": reading,
        "pair": pair,
        "to_map": to_map,
        "levels": levels,
        "record": record,
        "words": words,
        "single": single,
        "bars": bars,
        "stable": stable,
        "dimension": dimension,
        "side": side,
        "most": most,
        "least": least,
    }


def _lay_sums() -> Sums:
    with gr.Column(visible=False, elem_classes="ws-sums") as column, gr.Row():
        by = gr.Dropdown([], label="Shares by", filterable=False, elem_id="ws-by", min_width=180)
        with gr.Column(scale=4, min_width=220):
            table = gr.HTML(elem_id="ws-shares")
    return Sums(column, by, table)


def _lay_downloads(page: Page) -> Downloads:
    with gr.Row(elem_classes="ws-downloads"):
        stop_button(page, "attribute", elem_id="ws-stop-files", on_result=True)
        return Downloads(
            html=file_button("Report", elem_id="ws-download-html"),
            csv=file_button("CSV", elem_id="ws-download-csv"),
            json=file_button("JSON", elem_id="ws-download-json"),
        )
