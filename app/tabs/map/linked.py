"""The handlers of what is selected on the map, and of what is asked about it from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from app.page.errors import user_error
from app.page.events import chosen, sent
from app.page.files import downloadable
from app.page.jobs import PROGRESS
from app.page.pictures import Pictures, fetchable
from app.page.state import Page, PageQuery, Sought
from app.page.visitor import visitor_of
from app.tabs.map.cards import Cards, Drawn, is_row, rows_of
from app.tabs.map.layout import Tab
from app.views import map as views
from app.views import near
from app.views import selection as said
from core.service import near_images

_SHOWN = 60  # thumbnails of a selection at most
_SOUGHT = 24  # images at most of which it is asked at once what was made from them
_NEAREST = 12  # images selected with one, as its nearest


class Linked:
    """Selections: from the map, the legend, the lists and the images themselves."""

    def __init__(self, page: Page, tab: Tab, cards: Cards) -> None:
        self.page, self.tab, self.cards = page, tab, cards

    def select(self, drawn: Drawn | None, event: gr.EventData) -> dict[Any, Any]:
        """What was selected on the map."""
        if drawn is None:
            return {self.tab.near: gr.skip()}
        rows = rows_of(event._data, drawn.drawing)
        return {**self.selected(drawn, rows), self.tab.group: gr.Dropdown(value=None)}

    def choose(self, drawn: Drawn | None, name: str | None) -> dict[Any, Any]:
        """Select a group by its name, as the map's legend does."""
        if drawn is None or not name:
            return {self.tab.near: gr.skip()}
        return self._chosen(drawn, drawn.drawing.groups.rows(name))

    def pick(self, drawn: Drawn | None, event: gr.SelectData) -> dict[Any, Any]:
        """Select one of the selected images alone."""
        if drawn is None:
            return {self.tab.near: gr.skip()}
        return self._one_of(drawn, drawn.drawing.chosen, event)

    def pick_near(self, drawn: Drawn | None, event: gr.SelectData) -> dict[Any, Any]:
        """Select one of the images nearest to the visitor's own."""
        if drawn is None:
            return {self.tab.near: gr.skip()}
        row_of = {record.id: row for row, record in enumerate(drawn.drawing.scene.records)}
        rows = [
            row_of[match.image.id] for found in drawn.nearest.values() for match in found.matches
        ]
        return self._one_of(drawn, rows, event)

    def pick_moved(self, drawn: Drawn | None, event: gr.SelectData) -> dict[Any, Any]:
        """Select one of the images that two encoders see most differently."""
        if drawn is None or drawn.moved is None:
            return {self.tab.near: gr.skip()}
        return self._one_of(drawn, drawn.moved.rows, event)

    def ask(
        self,
        drawn: Drawn | None,
        sought: Sought | None,
        encoder: str,
        request: gr.Request,
        event: gr.EventData,
        progress: gr.Progress = PROGRESS,
    ) -> dict[Any, Any]:
        """What is asked about a point: its nearest, where it came from, what was made from it."""
        tab, page = self.tab, self.page
        if drawn is None:
            return {tab.near: gr.skip()}
        asked = sent(event)
        row, act, records = asked.get("row"), asked.get("act"), drawn.drawing.scene.records
        if not is_row(row, drawn.drawing):
            raise user_error("this is no point of the map")
        if act == "ask" and row >= len(records):
            file = fetchable(drawn.shown(row))
            return {page.asked: PageQuery(file, encoder), page.example: 0, tab.go: "Attribute/One"}
        if act == "made" and row < len(records):
            number = (sought.number if sought else 0) + 1
            return self._seek(drawn, [row], number)
        if act == "near" and row < len(records):
            return self._nearest(drawn, row, request, progress)
        raise user_error("this cannot be asked about the point")

    def seek(self, drawn: Drawn | None, sought: Sought | None) -> dict[Any, Any]:
        """What was made from all selected gallery images."""
        if drawn is None:
            return {self.tab.near: gr.skip()}
        rows = _of_gallery(drawn)
        if not 0 < len(rows) <= _SOUGHT:
            raise user_error(f"select 1 to {_SOUGHT} gallery images; {len(rows):,} are")
        return self._seek(drawn, rows, (sought.number if sought else 0) + 1)

    def _seek(self, drawn: Drawn, rows: Sequence[int], number: int) -> dict[Any, Any]:
        ids = tuple(drawn.drawing.scene.records[row].id for row in rows)
        wanted = Sought(ids, fetchable(drawn.shown(rows[0])), number)
        return {self.page.sought: wanted, self.tab.go: "Attribute/Reverse"}

    def selected(self, drawn: Drawn, rows: Sequence[int]) -> dict[Any, Any]:
        """A selection as words, one point's record, thumbnails and a table."""
        tab, drawing = self.tab, drawn.drawing
        scene, groups = drawing.scene, drawing.groups
        content = said.table(scene, rows, drawing.panels, groups).encode() if rows else b""
        file = downloadable(content, tab.table, name="selection.csv") if rows else None
        several, shared = len(rows) > 1, said.shared_html(scene, rows)
        kept = replace(drawn, drawing=replace(drawing, chosen=tuple(rows)))
        return {
            tab.state: self.cards.keep(kept),
            tab.words: said.selection_words(scene, rows, groups, shown=_SHOWN),
            tab.point: self._point(drawn, rows) if len(rows) == 1 else gr.HTML("", visible=False),
            tab.shared: gr.HTML(shared, visible=bool(shared)),
            tab.chosen: gr.Gallery(
                self.pictures(drawn, rows[:_SHOWN]) if several else None,
                visible=several,
                selected_index=None,
            ),
            tab.table: gr.DownloadButton(value=file, visible=bool(rows)),
            tab.made: gr.Button(visible=len(_of_gallery(kept)) > 1),
        }

    @staticmethod
    def pictures(drawn: Drawn, rows: Sequence[int]) -> Pictures:
        """Thumbnails of gallery images, and examples."""
        scene = drawn.drawing.scene
        return [(fetchable(drawn.shown(row)), scene.name(row)) for row in rows]

    def _point(self, drawn: Drawn, rows: Sequence[int]) -> gr.HTML:
        (row,), scene, groups = rows, drawn.drawing.scene, drawn.drawing.groups
        picture = self.cards.picture(drawn, row)
        return gr.HTML(said.point_html(scene, row, groups, picture=picture), visible=True)

    def _one_of(self, drawn: Drawn, rows: Sequence[int], event: gr.SelectData) -> dict[Any, Any]:
        place = chosen(event)
        if not 0 <= place < len(rows):
            return {self.tab.near: gr.skip()}
        return self._chosen(drawn, [rows[place]])

    def _chosen(self, drawn: Drawn, rows: Sequence[int]) -> dict[Any, Any]:
        """A selection that was made elsewhere, on the map too."""
        changed = replace(drawn, drawing=replace(drawn.drawing, chosen=tuple(rows)))
        return {**self.selected(changed, rows), self.tab.map: views.value(changed.drawing)}

    def _nearest(
        self, drawn: Drawn, row: int, request: gr.Request, progress: gr.Progress
    ) -> dict[Any, Any]:
        """A point and its nearest images by the whole embedding, selected."""
        record = drawn.drawing.scene.records[row]
        row_of = {each.id: place for place, each in enumerate(drawn.drawing.scene.records)}
        visitor, again = visitor_of(request), "ask again"
        with self.page.jobs.run("map", request, progress, again=again) as report:
            workspace = self.page.session.workspace(drawn.choice, visitor=visitor, progress=report)
            found = near_images(workspace, record.id, top=_NEAREST, progress=report)
        rows = sorted({row, *(row_of[other.id] for other, _ in found)})
        return {**self._chosen(drawn, rows), self.tab.words: near.neighbour_words(record, found)}


def _of_gallery(drawn: Drawn) -> list[int]:
    """The selected rows that are gallery images."""
    return [row for row in drawn.drawing.chosen if row < len(drawn.drawing.scene.records)]
