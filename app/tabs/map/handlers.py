"""The handlers of the Map tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app.page.errors import user_error, user_errors, without_unreadable
from app.page.files import downloadable
from app.page.jobs import PROGRESS, visitor_of
from app.page.pictures import Pictures, fetchable
from app.page.state import Asked, Page, encoder_choices
from app.tabs.map.layout import Tab
from app.views import map as views
from app.views.map import Drawing, Panel
from app.views.scene import DENSITY, DOMAIN, FIRST_COLOURS, MEANS, Groups, Scene, colourings, group
from core.service import Choice, Placed, Session, place
from core.values import (
    ImageRecord,
    Match,
    Progress,
    no_progress,
)

_SHOWN = 60  # thumbnails of a selection at most
_NEAREST = 8
_AGAIN = "draw it again when you like"
_TICKETS = 32  # maps whose points can be asked about


@dataclass(frozen=True)
class Drawn:
    """What a page shows: later events are about it."""

    choice: Choice
    """Of the first map; clusters are its."""
    colour: str
    drawing: Drawing
    nearest: Mapping[str, tuple[Match, ...]]
    """What lies nearest to the visitor's image, by title of the encoder."""
    thumbnail: Callable[[ImageRecord], Path]
    """File of a gallery image's thumbnail."""


class Cards:
    """The cards beside the pointer, for maps drawn lately; a map is asked about by its ticket."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._drawn: dict[str, Drawn] = {}
        self._lock = threading.Lock()

    def keep(self, drawn: Drawn) -> Drawn:
        """Remember a map by its ticket, the latest ones only."""
        with self._lock:
            self._drawn.pop(drawn.drawing.ticket, None)
            self._drawn[drawn.drawing.ticket] = drawn
            while len(self._drawn) > _TICKETS:
                del self._drawn[next(iter(self._drawn))]
        return drawn

    def peek(self, payload: object) -> dict[str, str] | None:
        """Picture and words of one point, for the card beside the pointer."""
        asked = payload if isinstance(payload, Mapping) else {}
        with self._lock:
            drawn = self._drawn.get(str(asked.get("ticket")))
        row = asked.get("row")
        if drawn is None or type(row) is not int or not 0 <= row < len(drawn.drawing.scene):
            return None
        scene = drawn.drawing.scene
        with user_errors():
            if row < len(scene.records):
                file = drawn.thumbnail(scene.records[row])
            else:
                file = scene.examples[row - len(scene.records)].file
            picture = views.picture(self.session.image(file))
        return {
            "picture": picture,
            "name": scene.name(row),
            "note": views.note(scene, row, drawn.drawing.groups),
        }


class Handlers:
    """The handlers of the tab: each calls the session, makes a view and returns it."""

    def __init__(self, page: Page, tab: Tab, cards: Cards) -> None:
        self.page, self.session, self.tab, self.cards = page, page.session, tab, cards

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
        return {**self._shown(drawn), **self._near(drawn), **self._choices(drawn)}

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

    def recolour(self, drawn: Drawn | None, colour: str, request: gr.Request) -> dict[Any, Any]:
        """The same map in other colours; what is selected stays so."""
        if drawn is None:
            return {self.tab.near: gr.skip()}
        scene, choice = drawn.drawing.scene, drawn.choice
        with user_errors():
            groups = self._groups(scene, choice, colour=colour, visitor=visitor_of(request))
        drawing = replace(drawn.drawing, groups=groups)
        changed = replace(drawn, colour=colour, drawing=drawing)
        return {**self._shown(changed), **self._choices(changed)}

    def select(self, drawn: Drawn | None, event: gr.EventData) -> dict[Any, Any]:
        """What was selected on the map."""
        if drawn is None:
            return {self.tab.near: gr.skip()}
        rows = rows_of(event._data, drawn.drawing)
        return {**self._selected(drawn, rows), self.tab.group: gr.Dropdown(value=None)}

    def choose(self, drawn: Drawn | None, name: str | None) -> dict[Any, Any]:
        """Select a group by its name, as the map's legend does."""
        if drawn is None or not name:
            return {self.tab.near: gr.skip()}
        rows = drawn.drawing.groups.rows(name)
        chosen = replace(drawn, drawing=replace(drawn.drawing, chosen=rows))
        shown = self._selected(chosen, rows)
        return {**shown, self.tab.map: views.value(chosen.drawing)}

    @staticmethod
    def wanted(
        drawn: Drawn | None, count: int, asked: Asked | None, image: str | None, gallery: str
    ) -> Any:
        """Whether the tab was opened with nothing drawn of this gallery: one more time.

        An image of another tab that is about to be taken over is drawn with the map anyway. A map
        that was begun before another gallery was opened may be drawn after it.
        """
        awaited = asked is not None and asked[0] != image
        undrawn = drawn is None or drawn.choice.gallery != gallery
        return count + 1 if undrawn and not awaited else gr.skip()

    def cleared(self) -> dict[Any, Any]:
        """Nothing drawn, as for a gallery that was just opened."""
        tab = self.tab
        return {
            tab.state: None,
            tab.map: None,
            tab.nearby: gr.Column(visible=False),
            tab.results: gr.Column(visible=False),
            tab.empty: gr.HTML(visible=True),
            tab.group: gr.Dropdown([], value=None),
            tab.colour: gr.Dropdown(FIRST_COLOURS, value=DOMAIN),
        }

    def _lay_out(self, given: dict[Any, Any], visitor: str, report: Progress) -> Drawn:
        """The maps asked for, and what lies nearest to the visitor's image."""
        tab = self.tab
        first = Choice(given[tab.encoder], given[tab.head], given[self.page.gallery])
        second = Choice(given[tab.second], "default", first.gallery)
        gallery = self.session.gallery(first.gallery, visitor=visitor)
        titles = {name: title for title, name in encoder_choices(gallery.encoder_names)}
        panels: list[Panel] = []
        nearest: dict[str, tuple[Match, ...]] = {}
        for choice in (first, second)[: 2 if second.encoder in titles else 1]:
            title = titles.get(choice.encoder, choice.encoder)
            points, placed = self._points(choice, given[tab.image], visitor, report)
            panels.append(views.panel(title, *points, placed))
            if placed is not None:
                nearest[title] = placed.nearest
        examples = self.session.examples(first, visitor=visitor).examples
        scene = Scene(gallery.records, examples)
        colour = self._known(scene, given[tab.colour])
        groups = self._groups(scene, first, colour=colour, visitor=visitor, report=report)
        before: Drawn | None = given[tab.state]
        chosen = views.kept_rows(before.drawing, scene) if before else []
        drawing = Drawing(secrets.token_urlsafe(16), scene, tuple(panels), groups, chosen)
        return Drawn(
            first,
            colour,
            drawing,
            nearest,
            lambda record: self.session.thumbnails(gallery, [record])[0],
        )

    def _points(
        self, choice: Choice, image: str | None, visitor: str, report: Progress
    ) -> tuple[tuple[np.ndarray, np.ndarray], Placed | None]:
        """Where the gallery and its examples lie under one encoder, and the visitor's image."""
        session = self.session
        layout = session.layout(choice, visitor=visitor, progress=report)
        embeddings = session.examples(choice, visitor=visitor, progress=report).embeddings
        others = place(layout, embeddings) if len(embeddings) else np.zeros((0, 2), np.float32)
        placed = None
        if image:
            placed = session.project(image, choice, top=_NEAREST, visitor=visitor, progress=report)
        return (layout.points, others), placed

    @staticmethod
    def _known(scene: Scene, colour: str) -> str:
        """The colouring, or by domain where the gallery has no such one."""
        known = {key for _, key in colourings(scene)}
        return colour if colour in known else DOMAIN

    def _groups(
        self,
        scene: Scene,
        choice: Choice,
        *,
        colour: str,
        visitor: str,
        report: Progress = no_progress,
    ) -> Groups:
        labels = None
        if colour in (DENSITY, MEANS):
            kind = "density" if colour == DENSITY else "means"
            labels = self.session.clusters(choice, kind=kind, visitor=visitor, progress=report)
            labels = labels.tolist()
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
            for matches in nearest.values()
            for match in matches
        ]
        captions = views.near_captions(nearest)
        return {
            tab.nearby: gr.Column(visible=bool(nearest)),
            tab.near: views.near_words(nearest),
            tab.neighbours: gr.Gallery([*zip(files, captions, strict=True)] or None),
        }

    def _choices(self, drawn: Drawn) -> dict[Any, Any]:
        """Colourings and groups to choose from, and what is selected."""
        scene, groups = drawn.drawing.scene, drawn.drawing.groups
        return {
            self.tab.colour: gr.Dropdown(colourings(scene), value=drawn.colour),
            self.tab.group: gr.Dropdown(views.group_choices(groups), value=None),
            **self._selected(drawn, drawn.drawing.chosen),
        }

    def _selected(self, drawn: Drawn, rows: Sequence[int]) -> dict[Any, Any]:
        """The selection as words, thumbnails and a table."""
        tab, drawing = self.tab, drawn.drawing
        scene, groups = drawing.scene, drawing.groups
        shown = rows[:_SHOWN]
        content = views.table(scene, rows, drawing.panels, groups).encode() if rows else b""
        file = downloadable(content, tab.table, name="selection.csv") if rows else None
        return {
            tab.state: self.cards.keep(
                replace(drawn, drawing=replace(drawing, chosen=tuple(rows)))
            ),
            tab.words: views.selection_words(scene, rows, groups, shown=_SHOWN),
            tab.chosen: gr.Gallery(self._pictures(drawn, shown), visible=bool(rows)),
            tab.table: gr.DownloadButton(value=file, visible=bool(rows)),
        }

    def _pictures(self, drawn: Drawn, rows: Sequence[int]) -> Pictures:
        """Thumbnails of gallery images, and examples."""
        scene = drawn.drawing.scene
        n = len(scene.records)
        return [
            (fetchable(drawn.thumbnail(scene.records[row])), scene.name(row))
            if row < n
            else (fetchable(scene.examples[row - n].file), scene.name(row))
            for row in rows
        ]


def rows_of(payload: object, drawing: Drawing) -> list[int]:
    """The points that a page says it has selected; what it sends is not trusted.

    Raises:
        gr.Error: when it is not a selection of the map that is shown.
    """
    sent = payload if isinstance(payload, Mapping) else {}
    rows = sent.get("rows")
    if sent.get("ticket") != drawing.ticket:
        raise user_error("the map has changed; select again")
    if not isinstance(rows, list) or len(rows) > len(drawing.scene):
        raise user_error("this is no selection of points")
    if not all(type(row) is int and 0 <= row < len(drawing.scene) for row in rows):
        raise user_error("this is no selection of points")
    return sorted(set(rows))
