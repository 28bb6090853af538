"""The components of the Disentanglement tab."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from app.page.components import file_button, stop_button, thumbnails
from app.page.encoders import EncoderChoice, encoder_choice
from app.page.state import HEADS, Page
from app.views import disentanglement as views
from app.views.templates import render

_MATRICES = (
    (
        views.WITHIN_REAL,
        "### Within real",
        "Dimensions of the gallery's images that rise and fall together. Off the diagonal, "
        "no colour is good: each dimension then says something of its own.",
    ),
    (
        views.WITHIN_SYNTHETIC,
        "### Within synthetic",
        "The same for the generated examples. They are few, so chance alone colours many cells.",
    ),
    (
        views.ACROSS,
        "### Real with synthetic",
        "Each source's dimensions against those of the image made from it. A teal diagonal is "
        "good: the two domains then share their dimensions.",
    ),
)

_SIDES = ("before", "after")


@dataclass(frozen=True)
class Controls:
    """What is measured."""

    choice: EncoderChoice
    head: gr.Dropdown
    beside: EncoderChoice
    """Another encoder, or none."""
    beside_head: gr.Dropdown
    run: gr.Button

    @property
    def encoder(self) -> gr.Dropdown:
        """The encoder that is chosen."""
        return self.choice.dropdown

    @property
    def given(self) -> set[Component]:
        """What decides what is measured."""
        return {self.encoder, self.head, self.beside.dropdown, self.beside_head}


@dataclass(frozen=True)
class Matrix:
    """One kind of correlation, on both sides."""

    which: str
    row: gr.Row
    titles: tuple[gr.Markdown, gr.Markdown]
    plots: tuple[gr.Plot, gr.Plot]


@dataclass(frozen=True)
class Factors:
    """Importance of dimensions for factors, on both sides."""

    column: gr.Accordion
    titles: tuple[gr.Markdown, gr.Markdown]
    plots: tuple[gr.Plot, gr.Plot]
    words: tuple[gr.Markdown, gr.Markdown]


@dataclass(frozen=True)
class Dimension:
    """One dimension of the embedding."""

    named: gr.Gallery
    """The most telling dimensions by name, each with the picture that excites it most."""
    numbers: gr.State
    """Which dimensions these are."""
    chosen: gr.Dropdown
    words: gr.Markdown
    spread: gr.Plot
    values: gr.Plot
    most: gr.Gallery
    least: gr.Gallery

    @property
    def shown(self) -> list[Component]:
        """What :meth:`Handlers.look` sets, in its order."""
        return [self.words, self.spread, self.values, self.most, self.least]


@dataclass(frozen=True)
class Result:
    """What was measured."""

    overview: gr.HTML
    downloads: tuple[gr.DownloadButton, gr.DownloadButton]
    """The measures as CSV, and with the matrices as JSON."""
    column: gr.Column
    matrices: tuple[Matrix, ...]
    factors: Factors
    dimension: Dimension
    levels: gr.HTML
    table: gr.HTML


def lay_controls(page: Page) -> Controls:
    """Encoder, head, and the button that measures."""
    with gr.Group():
        choice = encoder_choice(page)
        head = gr.Dropdown(HEADS, value="default", label="Head", filterable=False)
    with gr.Group():
        beside = encoder_choice(
            page, label="Beside it (none: before its head)", role="beside", elem_id="ws-beside"
        )
        beside_head = gr.Dropdown(
            HEADS,
            value="default",
            label="Head of the other",
            filterable=False,
            elem_id="ws-beside-head",
        )
    run = gr.Button("Measure", variant="primary", elem_id="ws-measure")
    gr.HTML(render("disentanglement_heads"))
    return Controls(choice, head, beside, beside_head, run)


def lay_result(page: Page) -> Result:
    """What was measured: overview and all measures; the rest of it unfolds on request."""
    overview = gr.HTML(render("empty", of="disentanglement"), elem_id="ws-overview", min_height=180)
    stop_button(page, "disentanglement", elem_id="ws-stop-measure", on_result=True)
    with gr.Column(visible=False, elem_classes="ws-results") as column:
        with gr.Row(elem_classes="ws-title"):
            gr.Markdown("### All measures")
            with gr.Row(elem_classes="ws-downloads"):
                csv, json = (
                    file_button(kind.upper(), elem_id=f"ws-measures-{kind}")
                    for kind in ("csv", "json")
                )
        table = gr.HTML(elem_id="ws-measures")
        with gr.Accordion("Level by level", open=False):
            levels = gr.HTML(elem_id="ws-measured-levels")
        with gr.Accordion("Which dimensions move together", open=False):
            gr.Markdown(
                "Correlations of the leading 32 dimensions: teal for +1, brown for -1, no colour "
                "for none, the same scale everywhere. Before the head these are the features that "
                "vary most.",
                elem_classes="ws-note",
            )
            matrices = tuple(_lay_matrix(*matrix) for matrix in _MATRICES)
        factors = _lay_factors()
        with gr.Accordion("What one dimension does", open=False):
            dimension = _lay_dimension()
    return Result(overview, (csv, json), column, matrices, factors, dimension, levels, table)


def _lay_matrix(which: str, title: str, words: str) -> Matrix:
    with gr.Row(elem_classes="ws-matrix") as row:
        with gr.Column(scale=3, min_width=180):
            gr.Markdown(title)
            gr.Markdown(words, elem_classes="ws-note")
        titles: list[gr.Markdown] = []
        plots: list[gr.Plot] = []
        for when in _SIDES:
            with gr.Column(scale=5, min_width=200):
                titles.append(gr.Markdown(elem_classes="ws-when"))
                plots.append(_plot(f"ws-{which}-{when}", f"{which}, {when}"))
    return Matrix(which, row, (titles[0], titles[1]), (plots[0], plots[1]))


def _lay_factors() -> Factors:
    with gr.Accordion("Which dimension tells which factor", open=False) as column:
        gr.Markdown(
            "Importance of each leading dimension for telling a factor; a row sums to 100 %. "
            "Few strong cells in a row and in a column are good: one dimension, one factor. Both "
            "sides have one colour scale.",
            elem_classes="ws-note",
        )
        titles, plots, words = zip(
            *(
                (
                    gr.Markdown(elem_classes="ws-when"),
                    _plot(f"ws-importance-{when}", f"importance, {when}"),
                    gr.Markdown(elem_classes="ws-note"),
                )
                for when in _SIDES
            ),
            strict=True,
        )
    return Factors(column, titles, plots, words)


def _lay_dimension() -> Dimension:
    named = thumbnails(
        "The most telling dimensions, each by the picture that excites it most",
        columns=6,
        elem_id="ws-named",
    )
    chosen = gr.Dropdown([], label="Dimension after the head", elem_id="ws-factor-dimension")
    words = gr.Markdown(elem_classes="ws-note", elem_id="ws-factor-words")
    with gr.Row(elem_classes="ws-plots"):
        with gr.Column(min_width=280):
            spread = _plot("ws-spread", "how its values are spread")
        with gr.Column(min_width=280):
            values = _plot("ws-values", "its values by the factor that it follows most")
    with gr.Row():
        most = thumbnails("Excite it most", columns=3, elem_id="ws-factor-most")
        least = thumbnails("Excite it least", columns=3, elem_id="ws-factor-least")
    return Dimension(named, gr.State([]), chosen, words, spread, values, most, least)


def _plot(elem_id: str, label: str) -> gr.Plot:
    return gr.Plot(
        label=label, show_label=False, container=False, elem_id=elem_id, elem_classes="ws-plot"
    )
