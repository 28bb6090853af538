"""The Disentanglement tab: an embedding before and after its head, and each of its dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
from gradio.blocks import Block
from gradio.components import Component
from gradio.events import Dependency

from app import views, views_factors
from app.common import (
    HEADS,
    Page,
    encoder_choices,
    encoder_dropdown,
    pictures,
    spoken,
    thumbnails,
    visitor_of,
)
from app.stops import Stops, stop_button, stoppable
from core.measures.disentangle import Disentanglement, Stage
from core.service.session import Choice

_EXCITING = 6
_PROGRESS = gr.Progress()
_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_QUIET: dict[str, Any] = {**_PRIVATE, "show_progress": "hidden"}
_MATRICES = (
    (
        views_factors.WITHIN_REAL,
        "### Within real",
        "Dimensions of the gallery's images that rise and fall together. Off the diagonal, "
        "pale is good: each dimension then says something of its own.",
    ),
    (
        views_factors.WITHIN_SYNTHETIC,
        "### Within synthetic",
        "The same for the example queries. They are few, so chance alone colours many cells.",
    ),
    (
        views_factors.ACROSS,
        "### Real with synthetic",
        "Each source's dimensions against those of the image made from it. A teal diagonal is "
        "good: the two domains then share their dimensions.",
    ),
)

Given = dict[Component, Any]
"""Values of components, by component."""


@dataclass(frozen=True)
class Controls:
    """What is measured."""

    encoder: gr.Dropdown
    renewed: Dependency
    """The event after which the encoders are those of another gallery."""
    head: gr.Dropdown
    run: gr.Button


@dataclass(frozen=True)
class Matrix:
    """One kind of correlation, before and after the head."""

    which: str
    row: gr.Row
    before: gr.Plot
    after: gr.Plot


@dataclass(frozen=True)
class Factors:
    """Importance of dimensions for factors, before and after the head."""

    column: gr.Column
    before: gr.Plot
    words_before: gr.Markdown
    after: gr.Plot
    words_after: gr.Markdown


@dataclass(frozen=True)
class Dimension:
    """One dimension of the embedding."""

    chosen: gr.Dropdown
    words: gr.Markdown
    spread: gr.Plot
    values: gr.Plot
    most: gr.Gallery
    least: gr.Gallery

    @property
    def shown(self) -> list[Component]:
        """What :meth:`Desk.look` sets, in its order."""
        return [self.words, self.spread, self.values, self.most, self.least]


@dataclass(frozen=True)
class Result:
    """What was measured."""

    overview: gr.HTML
    stop: gr.Button
    column: gr.Column
    matrices: tuple[Matrix, ...]
    factors: Factors
    dimension: Dimension
    table: gr.HTML


@dataclass(frozen=True)
class Desk:
    """The handlers of the tab: each calls the session, makes a view and returns it."""

    page: Page
    controls: Controls
    result: Result
    stops: Stops

    def measure(
        self, given: Given, request: gr.Request, progress: gr.Progress = _PROGRESS
    ) -> dict[Block, Any]:
        """Measure the chosen embedding; its views by component."""
        choice, visitor = self.choice(given), visitor_of(request)
        with stoppable(self.stops, request, progress) as report:
            report(0, 1, "Opening the encoder and the gallery")
            found = self.page.session.disentanglement(choice, visitor=visitor, progress=report)
        return {
            self.result.overview: views_factors.overview_html(found),
            self.result.column: gr.Column(visible=True),
            self.result.table: views_factors.measures_html(found.table()),
            self.result.dimension.chosen: gr.Dropdown(
                choices=views_factors.dimension_choices(found), value=telling(found.after)
            ),
            **self._matrices(found),
            **self._factors(found),
        }

    def choice(self, given: Given) -> Choice:
        """The embedding that the controls choose."""
        return Choice(
            given[self.controls.encoder], given[self.controls.head], given[self.page.gallery]
        )

    def look(self, choice: Choice | None, dimension: int | None, request: gr.Request) -> Any:
        """One dimension: words, spread, values by factor, images at both ends."""
        if choice is None or dimension is None:
            return tuple(gr.skip() for _ in self.result.dimension.shown)
        session, visitor = self.page.session, visitor_of(request)
        with spoken():
            view = session.dimension(choice, dimension, visitor=visitor)
            ends = session.workspace(choice, visitor=visitor).exciting(dimension, count=_EXCITING)
            most, least = (pictures(session, choice.gallery, end, visitor=visitor) for end in ends)
        values = views_factors.by_value(view)
        return (
            views_factors.dimension_words(view),
            views_factors.spread(view),
            gr.Plot(values, visible=values is not None),
            most,
            least,
        )

    def _matrices(self, found: Disentanglement) -> dict[Block, Any]:
        shown: dict[Any, Any] = {}
        for matrix in self.result.matrices:
            figure = views_factors.correlation_map(found.before, matrix.which)
            shown[matrix.row] = gr.Row(visible=figure is not None)
            shown[matrix.before] = figure
            shown[matrix.after] = views_factors.correlation_map(found.after, matrix.which)
        return shown

    def _factors(self, found: Disentanglement) -> dict[Block, Any]:
        factors, known = self.result.factors, found.after.by_factor is not None
        return {
            factors.column: gr.Column(visible=known),
            factors.before: views_factors.importance_map(found.before),
            factors.words_before: views_factors.accuracy_words(found.before),
            factors.after: views_factors.importance_map(found.after),
            factors.words_after: views_factors.accuracy_words(found.after),
        }


def telling(stage: Stage) -> int:
    """The dimension that tells most of any one factor; the first where none is known."""
    report = stage.by_factor
    if report is None:
        return int(stage.dimensions[0])
    return int(stage.factor_dimensions[np.argmax(report.importance.max(axis=0))])


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_classes="ws-desk"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            controls = _lay_controls(page)
        with gr.Column(scale=8, min_width=320, elem_classes="ws-stage"):
            result = _lay_result()
    _connect(Desk(page, controls, result, Stops()))
    _publish(page)


def _lay_controls(page: Page) -> Controls:
    with gr.Group():
        encoder, renewed = encoder_dropdown(page)
        head = gr.Dropdown(HEADS, value="default", label="Head", filterable=False)
    run = gr.Button("Measure", variant="primary", elem_id="ws-measure")
    gr.HTML(views.fill("factors_heads"))
    return Controls(encoder, renewed, head, run)


def _lay_result() -> Result:
    overview = gr.HTML(views.fill("factors_empty"), elem_id="ws-overview", min_height=180)
    stop = stop_button("ws-stop-measure")
    with gr.Column(visible=False, elem_classes="ws-results") as column:
        gr.Markdown("### Which dimensions move together", elem_classes="ws-chapter")
        gr.Markdown(
            "Correlations of the leading 32 dimensions: teal for +1, brown for -1, pale for "
            "none. Before the head these are the features that vary most.",
            elem_classes="ws-note",
        )
        matrices = tuple(_lay_matrix(*matrix) for matrix in _MATRICES)
        factors = _lay_factors()
        dimension = _lay_dimension()
        gr.Markdown("### All measures", elem_classes="ws-chapter")
        table = gr.HTML(elem_id="ws-measures")
    return Result(overview, stop, column, matrices, factors, dimension, table)


def _lay_matrix(which: str, title: str, words: str) -> Matrix:
    with gr.Row(elem_classes="ws-matrix") as row:
        with gr.Column(scale=3, min_width=180):
            gr.Markdown(title)
            gr.Markdown(words, elem_classes="ws-note")
        plots: list[gr.Plot] = []
        for when in ("before", "after"):
            with gr.Column(scale=5, min_width=260):
                gr.Markdown(f"{when.capitalize()} the head", elem_classes="ws-when")
                plots.append(_plot(f"ws-{which}-{when}", f"{which}, {when} the head"))
    return Matrix(which, row, *plots)


def _lay_factors() -> Factors:
    with gr.Column() as column:
        gr.Markdown("### Which dimension tells which factor", elem_classes="ws-chapter")
        gr.Markdown(
            "Importance of each leading dimension for telling a factor; a row sums to 100 %. "
            "Few strong cells in a row and in a column are good: one dimension, one factor.",
            elem_classes="ws-note",
        )
        shown: list[Any] = []
        for when in ("before", "after"):
            gr.Markdown(f"{when.capitalize()} the head", elem_classes="ws-when")
            shown.append(_plot(f"ws-importance-{when}", f"importance, {when} the head"))
            shown.append(gr.Markdown(elem_classes="ws-note"))
    return Factors(column, *shown)


def _lay_dimension() -> Dimension:
    gr.Markdown("### What one dimension does", elem_classes="ws-chapter")
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
    return Dimension(chosen, words, spread, values, most, least)


def _plot(elem_id: str, label: str) -> gr.Plot:
    return gr.Plot(
        label=label, show_label=False, container=False, elem_id=elem_id, elem_classes="ws-plot"
    )


def _connect(desk: Desk) -> None:
    page, controls, result = desk.page, desk.controls, desk.result
    measured = gr.State(None)
    given: set[Component] = {controls.encoder, controls.head, page.gallery}
    factors, dimension = result.factors, result.dimension
    outputs: list[Any] = [result.overview, result.column, result.table, dimension.chosen]
    for matrix in result.matrices:
        outputs += [matrix.row, matrix.before, matrix.after]
    outputs += [
        factors.column,
        factors.before,
        factors.words_before,
        factors.after,
        factors.words_after,
    ]
    ran = gr.on(
        [controls.run.click, controls.encoder.input, controls.head.input],
        desk.measure,
        given,
        outputs,
        show_progress_on=result.overview,
        trigger_mode="always_last",
        concurrency_id="encoder",
        **_PRIVATE,
    )
    ran.failure(_cleared, None, [measured, result.overview, result.column], **_QUIET)
    kept = ran.success(desk.choice, given, measured, **_QUIET)
    kept.success(desk.look, [measured, dimension.chosen], dimension.shown, **_QUIET)
    dimension.chosen.input(desk.look, [measured, dimension.chosen], dimension.shown, **_QUIET)
    controls.renewed.success(_cleared, None, [measured, result.overview, result.column], **_QUIET)
    result.stop.click(desk.stops.stop_asked, None, None, queue=False, **_QUIET)
    desk.stops.stop_when_left()


def _cleared() -> tuple[Any, ...]:
    return None, views.fill("factors_empty"), gr.Column(visible=False)


def _publish(page: Page) -> None:
    """The public endpoint; its components are never shown."""

    def factors(encoder: str, head: str) -> dict[str, object]:
        """Disentanglement of a gallery's embeddings, before and after the head.

        Args:
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.

        Returns:
            images, examples and pairs that were looked at; measures (a list of name, title,
            before, after, meaning, and better: higher, lower or neither); and before and after,
            each with dimensions (numbers of the leading ones), real, synthetic and cross
            (their correlations; null where there are none), factors, factor_dimensions and
            importance (a row for each factor, a column for each of these dimensions; null where
            fewer than two factors are known).
        """
        with spoken():
            found = page.session.disentanglement(Choice(encoder, head, page.start))
        return disentanglement_object(found)

    with gr.Group(visible=False):
        encoder = gr.Dropdown(encoder_choices(page.encoders), value=page.encoder, label="encoder")
        head = gr.Dropdown(HEADS, value="default", label="head")
        gr.Button().click(
            factors,
            [encoder, head],
            gr.JSON(label="measures"),
            api_name="factors",
            concurrency_id="encoder",
        )


def disentanglement_object(found: Disentanglement) -> dict[str, object]:
    """What was measured as the JSON object of ``/factors``."""
    return {
        "images": found.images,
        "examples": found.examples,
        "pairs": found.pairs,
        "measures": [
            {"name": name, "before": before, "after": after, **vars(measure)}
            for name, measure, before, after in found.table()
        ],
        "before": _stage_object(found.before),
        "after": _stage_object(found.after),
    }


def _stage_object(stage: Stage) -> dict[str, object]:
    report = stage.by_factor
    return {
        "dimensions": stage.dimensions.tolist(),
        "real": _rounded(stage.real),
        "synthetic": _rounded(stage.synthetic),
        "cross": _rounded(stage.cross),
        "factors": None if report is None else list(report.factors),
        "factor_dimensions": stage.factor_dimensions.tolist(),
        "importance": _rounded(None if report is None else report.importance),
    }


def _rounded(matrix: np.ndarray | None) -> list[list[float]] | None:
    return None if matrix is None else np.round(matrix, 4).tolist()
