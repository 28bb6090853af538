"""The handlers of the Disentanglement tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from app.page.errors import user_errors
from app.page.events import Given, chosen_of
from app.page.files import downloadable
from app.page.jobs import PROGRESS
from app.page.pictures import end_pictures, pictures
from app.page.state import Page, side_names
from app.page.visitor import visitor_of
from app.tabs.disentanglement.layout import Controls, Result
from app.views import disentanglement as views
from app.views import measures
from app.views.disentanglement import Sides
from app.views.objects import sides_object
from app.views.templates import render
from core.service import Choice, Stage, contrast
from core.values import Progress

_AGAIN = "choose the dimension again"
_NAMED = 12  # dimensions that are shown by name and picture


@dataclass(frozen=True)
class Handlers:
    """The handlers of the tab: each calls the session, makes a view and returns it."""

    page: Page
    controls: Controls
    result: Result

    def measure(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> dict[Block, Any]:
        """Measure the chosen embedding, and one beside it; their views by component."""
        choice, other, visitor = self.choice(given), self.other(given), visitor_of(request)
        session = self.page.session
        with self.page.jobs.run("disentanglement", request, progress) as report:
            report(0, 1, "Opening the encoder and the gallery")
            found = session.disentanglement(choice, visitor=visitor, progress=report)
            sides = views.Sides.of_head(found)
            if other is not None:
                second = session.disentanglement(other, visitor=visitor, progress=report)
                sides = views.Sides.of_two(found, second, side_names((choice, other)))
            dimensions = self._dimensions(choice, found.after, visitor, report)
        result, words = self.result, {"titles": sides.titles, "judged": sides.judged}
        return {
            result.overview: views.overview_html(found, sides),
            result.column: gr.Column(visible=True),
            result.table: measures.measures_html(contrast(*sides.stages), **words),
            result.levels: measures.levels_html(sides.stages, **words),
            **dimensions,
            **self._matrices(sides),
            **self._factors(sides),
            **self._files(sides),
        }

    def known(self, given: Given, request: gr.Request) -> bool:
        """Whether what the controls choose is measured already, so that it is shown at once."""
        choices = filter(None, (self.choice(given), self.other(given)))
        session, visitor = self.page.session, visitor_of(request)
        with user_errors():
            return all(session.is_measured(choice, visitor=visitor) for choice in choices)

    def other(self, given: Given) -> Choice | None:
        """The embedding beside it; ``None`` where none is chosen."""
        beside = given[self.controls.beside.dropdown]
        head, gallery = given[self.controls.beside_head], given[self.page.gallery]
        return Choice(beside, head, gallery) if beside else None

    def _dimensions(
        self, choice: Choice, stage: Stage, visitor: str, report: Progress
    ) -> dict[Block, Any]:
        """The most telling dimensions by name and picture, and all to choose from."""
        session, names = self.page.session, dict[int, str]()
        numbers, shown = views.telling(stage, count=_NAMED), self.result.dimension
        workspace = session.workspace(choice, visitor=visitor, progress=report)
        for number in numbers:
            report(len(names), len(numbers), f"Looking at dimension {number}")
            view = session.dimension(choice, number, visitor=visitor, progress=report)
            names[number] = views.dimension_name(view)
        first = [workspace.exciting(number, count=1)[0][0] for number in numbers]
        files = pictures(session, choice.gallery, first, visitor=visitor)
        captions = [f"Dimension {i}\n{name}".rstrip() for i, name in names.items()]
        return {
            shown.named: [(file, text) for (file, _), text in zip(files, captions, strict=True)],
            shown.numbers: numbers,
            shown.chosen: gr.Dropdown(
                choices=views.dimension_choices(stage, names), value=numbers[0]
            ),
        }

    @staticmethod
    def pick(numbers: list[int] | None, event: gr.SelectData) -> tuple[Any, Any]:
        """The dimension whose picture was selected; it can be selected again."""
        return chosen_of(numbers, event), gr.Gallery(selected_index=None)

    def choice(self, given: Given) -> Choice:
        """The embedding that the controls choose."""
        return Choice(
            given[self.controls.encoder], given[self.controls.head], given[self.page.gallery]
        )

    def look(
        self,
        choice: Choice | None,
        dimension: int | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> Any:
        """One dimension: words, spread, values by factor, images at both ends."""
        if choice is None or dimension is None:
            return tuple(gr.skip() for _ in self.result.dimension.shown)
        session, visitor = self.page.session, visitor_of(request)
        with self.page.jobs.run("disentanglement", request, progress, again=_AGAIN) as report:
            view = session.dimension(choice, dimension, visitor=visitor, progress=report)
            most, least = end_pictures(session, choice, dimension, visitor=visitor, progress=report)
        values = views.by_value(view)
        return (
            views.dimension_words(view),
            views.spread(view),
            gr.Plot(values, visible=values is not None),
            most,
            least,
        )

    def _matrices(self, sides: Sides) -> dict[Block, Any]:
        shown: dict[Any, Any] = {}
        for matrix in self.result.matrices:
            figures = [views.correlation_map(stage, matrix.which) for stage in sides.stages]
            shown[matrix.row] = gr.Row(visible=figures[0] is not None)
            shown |= dict(zip(matrix.plots, figures, strict=True))
            shown |= dict(zip(matrix.titles, sides.titles, strict=True))
        return shown

    def _factors(self, sides: Sides) -> dict[Block, Any]:
        factors, stages = self.result.factors, sides.stages
        most = views.strongest(stages)
        return {
            factors.column: gr.Accordion(visible=most > 0),
            **dict(zip(factors.titles, sides.titles, strict=True)),
            **dict(
                zip(
                    factors.plots, [views.importance_map(s, most=most) for s in stages], strict=True
                )
            ),
            **dict(zip(factors.words, map(views.accuracy_words, stages), strict=True)),
        }

    def _files(self, sides: Sides) -> dict[Block, Any]:
        csv, json_ = self.result.downloads
        table = measures.measures_csv(sides.stages, titles=sides.titles)
        whole = json.dumps(sides_object(sides.stages, sides.titles), indent=2)
        return {
            csv: downloadable(table.encode(), csv, name="disentanglement.csv"),
            json_: downloadable(whole.encode(), json_, name="disentanglement.json"),
        }


def cleared() -> tuple[Any, ...]:
    """Nothing measured, as for a gallery that was just opened."""
    return None, render("empty", of="disentanglement"), gr.Column(visible=False)
