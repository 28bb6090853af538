"""The handlers of the Map tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from app.page.errors import without_unreadable
from app.page.jobs import PROGRESS
from app.page.pictures import fetchable
from app.page.state import Marked, Page, PageQuery, encoder_choices
from app.page.visitor import visitor_of
from app.tabs.map.cards import Cards, Drawn
from app.tabs.map.layout import Tab
from app.tabs.map.linked import Linked
from app.views import map as views
from app.views import near as words
from app.views.map import Drawing, Mark, Panel
from app.views.scene import DENSITY, DOMAIN, FIRST_COLOURS, MEANS, Groups, Scene, colourings, group
from app.views.selection import kept_rows
from core.service import Choice, Placed, mean_shared_neighbours, place, shared_neighbours
from core.values import Answer, Progress

_NEAREST = 8
_COMPARED = 10  # neighbours of an image under two encoders
_MOVED = 16  # images shown that moved most
_AGAIN = "draw it again when you like"
_ALONE = "The encoder beside it does not describe this gallery yet. Prepare it below its name."

_Seen = tuple[Choice, str]
"""What a map is of: an encoder and head, and its level; the empty text for all levels."""


class Handlers:
    """The handlers of the tab: each calls the session, makes a view and returns it."""

    def __init__(self, page: Page, tab: Tab, cards: Cards) -> None:
        self.page, self.session, self.tab, self.cards = page, page.session, tab, cards
        self.linked = Linked(page, tab, cards)

    def draw(
        self, given: dict[Any, Any], request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> dict[Any, Any]:
        """Lay the gallery out under one or two encoders, with the visitor's image if there is one.

        A map is laid out once and kept; what was there before is only read.
        """
        visitor = visitor_of(request)
        with self.page.jobs.run("map", request, progress, again=_AGAIN) as report:
            report(0, 1, "Opening the encoder and the gallery")
            drawn = self._lay_out(given, visitor, report)
        if given[self.tab.second] and len(drawn.drawing.panels) == 1:
            gr.Info(_ALONE, title="One map only")
        return {
            **self._shown(drawn),
            **self._near(drawn),
            **self._moved(drawn),
            **self._choices(drawn),
        }

    def follow(
        self, given: dict[Any, Any], request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> dict[Any, Any]:
        """The map with an image of another tab; states also report a change as the page opens."""
        if given[self.page.tab] != "map":
            return {self.tab.near: gr.skip()}
        return self.draw(given, request, progress)

    def refused(self, image: str | None) -> Any:
        """After a failure: an image that cannot be opened goes, so that the next map is drawn."""
        return gr.skip() if image is None else without_unreadable(self.session, image)

    def recolour(
        self,
        drawn: Drawn | None,
        colour: str,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> dict[Any, Any]:
        """The same map in other colours; what is selected stays so."""
        if drawn is None:
            return {self.tab.near: gr.skip()}
        scene, choice, visitor = drawn.drawing.scene, drawn.choice, visitor_of(request)
        with self.page.jobs.run("map", request, progress, again="choose it again") as report:
            seen = choice, drawn.level
            groups = self._groups(scene, seen, colour=colour, visitor=visitor, report=report)
        drawing = replace(drawn.drawing, groups=groups)
        changed = replace(drawn, colour=colour, drawing=drawing)
        return {**self._shown(changed), **self._choices(changed)}

    def mark(
        self, drawn: Drawn | None, marked: Marked | None, image: str | None, gallery: str
    ) -> tuple[Any, Any]:
        """The map that is drawn, with what another tab has pointed at."""
        if drawn is None or drawn.choice.gallery != gallery:
            return gr.skip(), gr.skip()
        mark = mark_of(drawn.drawing.scene, marked, image)
        if mark is None or mark == drawn.drawing.mark:
            return gr.skip(), gr.skip()
        changed = replace(drawn, drawing=replace(drawn.drawing, mark=mark))
        return self.cards.keep(changed), views.value(changed.drawing)

    @staticmethod
    def wanted(
        drawn: Drawn | None, count: int, asked: PageQuery | None, image: str | None, gallery: str
    ) -> Any:
        """Whether the tab was opened with nothing drawn of this gallery: one more time.

        An image of another tab that is about to be taken over is drawn with the map anyway. A map
        that was begun before another gallery was opened may be drawn after it.
        """
        awaited = asked is not None and asked.by != "map" and asked.image != image
        undrawn = drawn is None or drawn.choice.gallery != gallery
        return count + 1 if undrawn and not awaited else gr.skip()

    def cleared(self) -> dict[Any, Any]:
        """Nothing drawn, as for a gallery that was just opened."""
        tab = self.tab
        return {
            tab.state: None,
            tab.map: None,
            tab.nearby: gr.Column(visible=False),
            tab.moved: gr.Column(visible=False),
            tab.results: gr.Column(visible=False),
            tab.empty: gr.HTML(visible=True),
            tab.group: gr.Dropdown([], value=None),
            tab.colour: gr.Dropdown(FIRST_COLOURS, value=DOMAIN),
        }

    def _lay_out(self, given: dict[Any, Any], visitor: str, report: Progress) -> Drawn:
        """The maps asked for, and what lies nearest to the visitor's image."""
        tab = self.tab
        first = Choice(given[tab.encoder], given[tab.head], given[self.page.gallery])
        levels = given[tab.level], given[tab.other_level]
        beside = given[tab.second] or (first.encoder if levels[1] else "")  # a level of its own
        second = Choice(beside, "default", first.gallery)
        gallery = self.session.gallery(first.gallery, visitor=visitor)
        titles = {name: title for title, name in encoder_choices(gallery.encoder_names)}
        examples = self.session.examples(first, visitor=visitor, progress=report).examples
        scene = Scene(gallery.records, examples)
        asked = [*zip((first, second), levels, strict=True)][: 2 if beside in titles else 1]
        panels: list[Panel] = []
        nearest: dict[str, Answer] = {}
        for choice, level in asked:
            title = titles.get(choice.encoder, choice.encoder)
            points, placed = self._points((choice, level), given[tab.image], visitor, report)
            panels.append(
                views.panel(views.panel_title(title, level), *points, placed, scene=scene)
            )
            if placed is not None:
                nearest[title] = placed.answer
        spaces = [
            (self.session.workspace(choice, visitor=visitor, progress=report), level)
            for choice, level in asked
        ]
        moved = None
        few = len(gallery) <= spaces[0][0].score.exact  # a level has no graph of its own
        if len(spaces) > 1 and (few or not any(levels)):
            moved = words.movers(
                shared_neighbours(spaces[0], spaces[1], k=_COMPARED, progress=report),
                mean_shared_neighbours(spaces[0], spaces[1], progress=report),
                [panel.title for panel in panels],
                k=_COMPARED,
                top=_MOVED,
            )
        colour = self._known(scene, given[tab.colour])
        groups = self._groups(scene, asked[0], colour=colour, visitor=visitor, report=report)
        before: Drawn | None = given[tab.state]
        drawing = Drawing(
            secrets.token_urlsafe(16),
            scene,
            tuple(panels),
            groups,
            kept_rows(before.drawing, scene) if before else [],
            mark_of(scene, given[self.page.marked], given[tab.image]),
        )
        return Drawn(
            first,
            colour,
            drawing,
            tuple(len(range(space.head.dim)[space.dims_of(level)]) for space, level in spaces),
            nearest,
            lambda record: self.session.thumbnails(gallery, [record])[0],
            levels[0],
            moved,
        )

    def _points(
        self, seen: _Seen, image: str | None, visitor: str, report: Progress
    ) -> tuple[tuple[np.ndarray, np.ndarray], Placed | None]:
        """Where the gallery and its examples lie under one encoder, and the visitor's image."""
        session, (choice, level), placed = self.session, seen, None
        layout = session.layout(choice, level=level, visitor=visitor, progress=report)
        dims = session.workspace(choice, visitor=visitor, progress=report).dims_of(level)
        embeddings = session.examples(choice, visitor=visitor, progress=report).embeddings[:, dims]
        others = place(layout, embeddings) if len(embeddings) else np.zeros((0, 2), np.float32)
        if image:
            placed = session.project(
                image, choice, top=_NEAREST, level=level, visitor=visitor, progress=report
            )
        return (layout.points, others), placed

    @staticmethod
    def _known(scene: Scene, colour: str) -> str:
        """The colouring, or by domain where the gallery has no such one."""
        known = {key for _, key in colourings(scene)}
        return colour if colour in known else DOMAIN

    def _groups(
        self,
        scene: Scene,
        seen: _Seen,
        *,
        colour: str,
        visitor: str,
        report: Progress,
    ) -> Groups:
        labels, (choice, level) = None, seen
        if colour in (DENSITY, MEANS):
            labels = self.session.clusters(
                choice,
                kind="density" if colour == DENSITY else "means",
                level=level,
                visitor=visitor,
                progress=report,
            ).tolist()
        return group(scene, colour, labels)

    def _shown(self, drawn: Drawn) -> dict[Any, Any]:
        tab = self.tab
        return {
            tab.map: views.value(drawn.drawing),
            tab.results: gr.Column(visible=True),
            tab.empty: gr.HTML(visible=False),
        }

    def _near(self, drawn: Drawn) -> dict[Any, Any]:
        """What lies nearest to the visitor's image, in words and as thumbnails."""
        tab, nearest = self.tab, drawn.nearest
        files = [
            fetchable(drawn.thumbnail(match.image))
            for answer in nearest.values()
            for match in answer.matches
        ]
        captions = words.near_captions(nearest)
        drawing = drawn.drawing
        told = [words.near_words(nearest)]
        for panel, dim in zip(drawing.panels, drawn.dims, strict=True):
            far = words.far_words(panel, drawing.scene, dim=dim)
            several = len(drawing.panels) > 1
            told.append(f"{panel.title}: {far}" if far and several else far)
        return {
            tab.nearby: gr.Column(visible=bool(nearest)),
            tab.near: "\n\n".join(filter(None, told)),
            tab.neighbours: gr.Gallery(
                [*zip(files, captions, strict=True)] or None, selected_index=None
            ),
        }

    def _moved(self, drawn: Drawn) -> dict[Any, Any]:
        """What two encoders see most differently."""
        tab, moved = self.tab, drawn.moved
        rows = moved.rows if moved else ()
        return {
            tab.moved: gr.Column(visible=moved is not None),
            tab.moved_words: moved.words if moved else "",
            tab.movers: gr.Gallery(self.linked.pictures(drawn, rows) or None, selected_index=None),
        }

    def _choices(self, drawn: Drawn) -> dict[Any, Any]:
        """Colourings and groups to choose from, and what is selected."""
        scene, groups = drawn.drawing.scene, drawn.drawing.groups
        return {
            self.tab.colour: gr.Dropdown(colourings(scene), value=drawn.colour),
            self.tab.group: gr.Dropdown(views.group_choices(groups), value=None),
            **self.linked.selected(drawn, drawn.drawing.chosen),
        }


def mark_of(scene: Scene, marked: Marked | None, image: str | None) -> Mark | None:
    """What another tab has pointed at, where it is on the map and about the image that is asked."""
    if marked is None or marked.image != image:
        return None
    found = (row for row, record in enumerate(scene.records) if record.id == marked.image_id)
    row = next(found, None)
    return None if row is None else Mark(row, marked.label, marked.number)
