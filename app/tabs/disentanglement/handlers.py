"""The handlers of the Disentanglement tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
from gradio.blocks import Block

from app.page.errors import user_errors
from app.page.events import Given
from app.page.jobs import PROGRESS
from app.page.pictures import pictures
from app.page.state import Page
from app.page.visitor import visitor_of
from app.tabs.disentanglement.layout import Controls, Result
from app.views import disentanglement as views
from app.views.templates import render
from core.service import Choice, Disentanglement, Stage

_EXCITING = 6


@dataclass(frozen=True)
class Handlers:
    """The handlers of the tab: each calls the session, makes a view and returns it."""

    page: Page
    controls: Controls
    result: Result

    def measure(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> dict[Block, Any]:
        """Measure the chosen embedding; its views by component."""
        choice, visitor = self.choice(given), visitor_of(request)
        with self.page.jobs.run("disentanglement", request, progress) as report:
            report(0, 1, "Opening the encoder and the gallery")
            found = self.page.session.disentanglement(choice, visitor=visitor, progress=report)
        return {
            self.result.overview: views.overview_html(found),
            self.result.column: gr.Column(visible=True),
            self.result.table: views.measures_html(found.table()),
            self.result.dimension.chosen: gr.Dropdown(
                choices=views.dimension_choices(found), value=telling(found.after)
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
        with user_errors():
            view = session.dimension(choice, dimension, visitor=visitor)
            ends = session.workspace(choice, visitor=visitor).exciting(dimension, count=_EXCITING)
            most, least = (pictures(session, choice.gallery, end, visitor=visitor) for end in ends)
        values = views.by_value(view)
        return (
            views.dimension_words(view),
            views.spread(view),
            gr.Plot(values, visible=values is not None),
            most,
            least,
        )

    def _matrices(self, found: Disentanglement) -> dict[Block, Any]:
        shown: dict[Any, Any] = {}
        for matrix in self.result.matrices:
            figure = views.correlation_map(found.before, matrix.which)
            shown[matrix.row] = gr.Row(visible=figure is not None)
            shown[matrix.before] = figure
            shown[matrix.after] = views.correlation_map(found.after, matrix.which)
        return shown

    def _factors(self, found: Disentanglement) -> dict[Block, Any]:
        factors, known = self.result.factors, found.after.by_factor is not None
        return {
            factors.column: gr.Column(visible=known),
            factors.before: views.importance_map(found.before),
            factors.words_before: views.accuracy_words(found.before),
            factors.after: views.importance_map(found.after),
            factors.words_after: views.accuracy_words(found.after),
        }


def telling(stage: Stage) -> int:
    """The dimension that tells most of any one factor; the first where none is known."""
    report = stage.by_factor
    if report is None:
        return int(stage.dimensions[0])
    return int(stage.factor_dimensions[np.argmax(report.importance.max(axis=0))])


def cleared() -> tuple[Any, ...]:
    """Nothing measured, as for a gallery that was just opened."""
    return None, render("empty", of="disentanglement"), gr.Column(visible=False)
