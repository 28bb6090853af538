"""What the Attribute tab shows: the components of its query and of its answer."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from app.page.components import query_given, stop_button, thumbnails
from app.page.encoders import encoder_choice
from app.page.state import HEADS, Page
from app.views.answer import empty_html
from core.config import NullConfig

LOCAL_SCALING, EDGES, RERANKING = "Local scaling", "Edges", "Re-ranking by patches"


@dataclass(frozen=True)
class Controls:
    """How images are answered for: one and many alike."""

    encoder: gr.Dropdown
    renewed: Dependency
    """The event after which the encoders are those of another gallery."""
    ready: gr.State
    """Changes when an encoder was chosen that describes the gallery."""
    head: gr.Dropdown
    scoring: gr.CheckboxGroup
    prior: gr.Slider
    """Probability of a source before the image is seen, percent."""

    @property
    def inputs(self) -> set[Component]:
        """All that an answer depends on."""
        return {self.encoder, self.head, self.scoring, self.prior}


@dataclass(frozen=True)
class Query:
    """The image that is asked about."""

    image: gr.Image
    examples: gr.Gallery


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
    candidates: gr.Gallery
    reading: gr.Radio
    pair: gr.HTML
    levels: gr.HTML
    record: gr.HTML
    words: gr.Markdown
    bars: gr.Plot
    stable: gr.Markdown
    dimension: gr.Dropdown
    side: gr.Markdown
    """On which end of the dimension the two images lie."""
    most: gr.Gallery
    least: gr.Gallery


def lay_query(page: Page) -> Query:
    """The image and the examples."""
    return Query(*query_given(page, image_id="ws-query", examples_id="ws-examples"))


def lay_controls(page: Page) -> Controls:
    """Encoder, head, scoring and prior."""
    with gr.Group():
        encoder = encoder_choice(page)
        head = gr.Dropdown(HEADS, value="default", label="Head", filterable=False)
    with gr.Accordion("Scoring", open=False, elem_classes="ws-scoring"):
        scoring = gr.CheckboxGroup(
            [LOCAL_SCALING, EDGES, RERANKING],
            value=[LOCAL_SCALING, EDGES, RERANKING],
            label="Scoring",
            show_label=False,
            container=False,
        )
        prior = gr.Slider(
            1,
            99,
            value=100 * NullConfig().prior,
            step=1,
            label="Prior probability of a source, %",
            elem_id="ws-prior",
        )
    return Controls(encoder.dropdown, encoder.renewed, encoder.ready, head, scoring, prior)


def lay_result(page: Page) -> Result:
    """The answer, its candidates, and why the chosen one is among them."""
    size = len(page.session.gallery(page.start))
    answer = gr.HTML(empty_html(size=size), elem_id="ws-answer", min_height=180)
    stop_button(page, "attribute", elem_id="ws-stop", on_result=True)
    with gr.Column(visible=False, elem_classes="ws-results") as column:
        sums = _lay_sums()
        with gr.Row(elem_classes="ws-title"):
            gr.Markdown("### Candidate sources")
            downloads = _lay_downloads()
        candidates = thumbnails("Candidate sources", columns=6, elem_id="ws-candidates")
        gr.Markdown("### Why this source")
        reading = gr.Radio(
            [], label="Heatmap", show_label=False, container=False, elem_id="ws-reading"
        )
        pair = gr.HTML(elem_id="ws-pair")
        levels = gr.HTML(elem_id="ws-levels")
        with gr.Row(elem_classes="ws-reasons"):
            with gr.Column(scale=6, min_width=320):
                gr.Markdown("### Contributions")
                words = gr.Markdown(elem_classes="ws-note")
                stable = gr.Markdown(elem_classes="ws-note", elem_id="ws-stable")
                bars = gr.Plot(show_label=False, container=False, elem_id="ws-bars")
            with gr.Column(scale=5, min_width=300):
                gr.Markdown("### About the source")
                record = gr.HTML(elem_id="ws-record")
        gr.Markdown("### What a dimension responds to")
        dimension = gr.Dropdown([], label="Dimension", filterable=False, elem_id="ws-dimension")
        side = gr.Markdown(elem_classes="ws-note", elem_id="ws-end")
        with gr.Row():
            most = thumbnails("Highest end", columns=3, elem_id="ws-most")
            least = thumbnails("Lowest end", columns=3, elem_id="ws-least")
    return Result(
        answer=answer,
        column=column,
        sums=sums,
        downloads=downloads,
        candidates=candidates,
        reading=reading,
        pair=pair,
        levels=levels,
        record=record,
        words=words,
        bars=bars,
        stable=stable,
        dimension=dimension,
        side=side,
        most=most,
        least=least,
    )


def _lay_sums() -> Sums:
    with gr.Column(visible=False, elem_classes="ws-sums") as column, gr.Row():
        by = gr.Dropdown([], label="Shares by", filterable=False, elem_id="ws-by", min_width=180)
        with gr.Column(scale=4, min_width=220):
            table = gr.HTML(elem_id="ws-shares")
    return Sums(column, by, table)


def _lay_downloads() -> Downloads:
    with gr.Row(elem_classes="ws-downloads"):
        return Downloads(
            html=gr.DownloadButton("Report", size="sm", min_width=0, elem_id="ws-download-html"),
            csv=gr.DownloadButton("CSV", size="sm", min_width=0, elem_id="ws-download-csv"),
            json=gr.DownloadButton("JSON", size="sm", min_width=0, elem_id="ws-download-json"),
        )
