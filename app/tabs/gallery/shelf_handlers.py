"""The handlers of a gallery's pictures: looking, choosing, opting out and in, removing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.page.errors import user_error, user_errors
from app.page.events import Given, sent
from app.page.state import Page
from app.page.visitor import visitor_of
from app.tabs.gallery.shelf_layout import IN, OUT, Shelf
from app.views import shelf as views
from app.views.matches import picture_of
from core.service import BUILTIN, Gallery, Wanted, browse, column_names, column_values
from core.values import ImageRecord

_EMPTY = "No image is part of answers."

Undo = tuple[str, tuple[int, ...]]
"""What undoes the last change of what is part of answers: ``in`` or ``out``, and ids."""


@dataclass(frozen=True)
class ShelfHandlers:
    """What is done with the pictures."""

    page: Page
    shelf: Shelf

    def fresh(self, gallery: Gallery, name: str) -> dict[Any, Any]:
        """Another gallery: all of its pictures, none chosen, and what they can be filtered by."""
        shelf, columns = self.shelf, column_names(gallery.stored)
        some = bool(gallery.opted_out)
        return {
            shelf.search: "",
            shelf.column: gr.Dropdown(views.column_choices(columns), value=""),
            shelf.value: gr.Dropdown([("anything", views.ANY)], value=views.ANY, visible=False),
            shelf.order: gr.Dropdown(views.order_choices(columns), value=Wanted().order),
            shelf.which: gr.Radio(visible=some, value=IN),
            shelf.pictures: self._page(gallery, gallery.records, Wanted(), 1, ()),
            shelf.leaf: 1,
            shelf.chosen: [],
            shelf.bar: gr.Column(visible=name != BUILTIN),
            shelf.said: "",
            shelf.undo: gr.Button(visible=False),
            **self._bar(0, out=False),
        }

    def again(self, given: Given, request: gr.Request) -> dict[Any, Any]:
        """The same gallery after a change: what was looked for is looked for again."""
        shelf, gallery = self.shelf, self._gallery(given, request)
        some, out = bool(gallery.opted_out), given[shelf.which] == OUT
        out = out and some
        records = gallery.opted_out if out else gallery.records
        return {
            shelf.which: gr.Radio(visible=some, value=OUT if out else IN),
            shelf.value: self._values(given, records),
            shelf.pictures: self._page(
                gallery, records, self._wanted(given), given[shelf.leaf], ()
            ),
            shelf.chosen: [],
            **self._bar(0, out=out),
        }

    def look(self, given: Given, request: gr.Request) -> tuple[Any, int]:
        """The first page of what is looked for now."""
        gallery, chosen = self._gallery(given, request), given[self.shelf.chosen]
        records = self._records(gallery, given)
        return self._page(gallery, records, self._wanted(given), 1, chosen), 1

    def turned(self, given: Given, request: gr.Request) -> dict[Any, Any]:
        """Images that are part of answers, or that are opted out: none of them is chosen."""
        pictures, leaf = self.look({**given, self.shelf.chosen: []}, request)
        shelf, records = self.shelf, self._records(self._gallery(given, request), given)
        bar = self._bar(0, out=given[shelf.which] == OUT)
        return {
            shelf.value: self._values(given, records),
            shelf.pictures: pictures,
            shelf.leaf: leaf,
            shelf.chosen: [],
            **bar,
        }

    def values(self, given: Given, request: gr.Request) -> tuple[Any, Any, int]:
        """The values of the column that was chosen, and what is found without any."""
        gallery, column = self._gallery(given, request), given[self.shelf.column]
        counts = column_values(self._records(gallery, given), column) if column else {}
        value = gr.Dropdown(views.value_choices(counts), value=views.ANY, visible=bool(column))
        return value, *self.look({**given, self.shelf.value: views.ANY}, request)

    def told(self, given: Given, request: gr.Request, event: gr.EventData) -> dict[Any, Any]:
        """What the page says: another leaf, or other images that are chosen."""
        shelf, said = self.shelf, sent(event)
        gallery = self._gallery(given, request)
        records = self._records(gallery, given)
        if type(said.get("leaf")) is int:
            leaf, chosen = said["leaf"], given[shelf.chosen]
            shown = self._page(gallery, records, self._wanted(given), leaf, chosen)
            return {shelf.pictures: shown, shelf.leaf: leaf}
        told = said.get("chosen")
        known = {record.id for record in records}
        ids = [i for i in told if type(i) is int and i in known] if isinstance(told, list) else []
        return {shelf.chosen: ids}

    def counted(self, ids: list[int], which: str) -> dict[Any, Any]:
        """What can be done with the images that were chosen last, in whatever order this comes."""
        return self._bar(len(ids), out=which == OUT)

    def every(self, given: Given, request: gr.Request) -> dict[Any, Any]:
        """All images that are found are chosen."""
        gallery = self._gallery(given, request)
        found = browse(self._records(gallery, given), self._wanted(given))
        return self._choose([record.id for record in found], gallery, given)

    def none(self, given: Given, request: gr.Request) -> dict[Any, Any]:
        """No image is chosen."""
        return self._choose([], self._gallery(given, request), given)

    def opt(
        self, name: str, ids: list[int], request: gr.Request, *, out: bool
    ) -> tuple[str, Undo | None, Any]:
        """Take the chosen images out of answers, or in again: words, what undoes it, its button."""
        if not ids:
            raise user_error("choose images first: click them")
        library, visitor = self.page.session.library, visitor_of(request)
        self.page.jobs.stop("gallery", request)  # what answers need is computed for what is now
        with user_errors():
            found = (library.opt_out if out else library.opt_in)(name, ids, visitor=visitor)
        undo: Undo = ("in" if out else "out", tuple(ids))
        words = views.opted_words(len(ids), out=out, total=len(found.out))
        return words, undo, gr.Button(visible=True)

    def opt_out(self, name: str, ids: list[int], request: gr.Request) -> tuple[Any, ...]:
        """Take the chosen images out of every answer."""
        return self.opt(name, ids, request, out=True)

    def opt_in(self, name: str, ids: list[int], request: gr.Request) -> tuple[Any, ...]:
        """Let the chosen images be part of answers again."""
        return self.opt(name, ids, request, out=False)

    def undo(self, name: str, undo: Undo | None, request: gr.Request) -> tuple[Any, ...]:
        """Undo the last change of what is part of answers."""
        if undo is None:
            return gr.skip(), None, gr.Button(visible=False)
        words, _, _ = self.opt(name, list(undo[1]), request, out=undo[0] == "out")
        return words, None, gr.Button(visible=False)

    def ask(self, ids: list[int]) -> tuple[Any, Any]:
        """Whether the chosen images shall go for good."""
        return gr.Column(visible=True), views.sure_words(len(ids))

    def _values(self, given: Given, records: Sequence[ImageRecord]) -> Any:
        """The values of the chosen column, counted anew; the chosen one stays, if with none."""
        column, value = given[self.shelf.column], given[self.shelf.value]
        if not column:
            return gr.skip()
        counts = dict(column_values(records, column))
        if value:
            counts.setdefault(value[1:], 0)
        return gr.Dropdown(views.value_choices(counts), value=value)

    def _choose(self, ids: list[int], gallery: Gallery, given: Given) -> dict[Any, Any]:
        shelf, records = self.shelf, self._records(gallery, given)
        shown = self._page(gallery, records, self._wanted(given), given[shelf.leaf], ids)
        bar = self._bar(len(ids), out=given[shelf.which] == OUT)
        return {shelf.pictures: shown, shelf.chosen: ids, **bar}

    def _bar(self, count: int, *, out: bool) -> dict[Any, Any]:
        """What can be done with so many chosen images."""
        shelf, some = self.shelf, count > 0
        return {
            shelf.picked: views.picked_words(count),
            shelf.none: gr.Button(interactive=some),
            shelf.opt_out: gr.Button(interactive=some, visible=not out),
            shelf.opt_in: gr.Button(interactive=some, visible=out),
            shelf.remove: gr.Button(interactive=some),
            shelf.sure: gr.Column(visible=False),
        }

    def _gallery(self, given: Given, request: gr.Request) -> Gallery:
        return self.page.gallery_of(given[self.page.gallery], request)

    def _records(self, gallery: Gallery, given: Given) -> Sequence[ImageRecord]:
        return gallery.opted_out if given[self.shelf.which] == OUT else gallery.records

    def _wanted(self, given: Given) -> Wanted:
        shelf, value = self.shelf, given[self.shelf.value]
        return Wanted(
            text=given[shelf.search],
            column=given[shelf.column],
            value=value[1:] if value else None,
            order=given[shelf.order],
        )

    def _page(
        self,
        gallery: Gallery,
        records: Sequence[ImageRecord],
        wanted: Wanted,
        number: int,
        chosen: Any,
    ) -> str:
        leaf = views.Leaf.of(browse(records, wanted), number)
        files = self.page.session.thumbnails(gallery, leaf.records)
        none = "No image has that. Try fewer words, or another value." if records else _EMPTY
        shown = [picture_of(file) for file in files]
        can = None if gallery.read_only else set(chosen)
        return views.shelf_html(leaf, shown, chosen=can, of=len(records), none=none)
