"""Maps drawn lately, and what the page asks of them: cards of points, pictures, selections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from app.page.errors import user_error, user_errors
from app.views import map as views
from app.views.images import SMALL
from app.views.map import Drawing
from app.views.matches import picture_of
from app.views.near import Movers
from app.views.selection import note
from core.service import Choice, Session
from core.values import Answer, ImageRecord

_TICKETS = 32  # maps whose points can be asked about
_AT_ONCE = 64  # pictures given at once


@dataclass(frozen=True)
class Drawn:
    """What a page shows: later events are about it."""

    choice: Choice
    """Of the first map; clusters are its."""
    colour: str
    drawing: Drawing
    dims: tuple[int, ...]
    """Dimensions of every map's embedding."""
    nearest: Mapping[str, Answer]
    """What lies nearest to the visitor's image, by title of the encoder."""
    thumbnail: Callable[[ImageRecord], Path | bytes]
    """A gallery image's thumbnail, in its file or out of it."""
    level: str = ""
    """Level of the first map; the empty text for all."""
    moved: Movers | None = None
    """What two encoders see most differently, where two encoders are side by side."""

    def shown(self, row: int) -> Path | bytes:
        """A point's picture, in its file or out of it: a thumbnail, or the example itself."""
        scene = self.drawing.scene
        n = len(scene.records)
        return self.thumbnail(scene.records[row]) if row < n else scene.examples[row - n].file


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
        drawn, row = self._asked(payload, "row")
        if drawn is None or not is_row(row, drawn.drawing):
            return None
        scene = drawn.drawing.scene
        return {
            "picture": self.picture(drawn, row),
            "name": scene.name(row),
            "note": note(scene, row, drawn.drawing.groups),
        }

    def picture(self, drawn: Drawn, row: int) -> str:
        """Picture of one point, as the page can show it."""
        with user_errors():
            return views.picture(self.session.image(drawn.shown(row)))

    def pictures(self, payload: object) -> list[str] | None:
        """Small pictures of some gallery images, in their order; empty where one cannot be read."""
        drawn, rows = self._asked(payload, "rows")
        if drawn is None or not isinstance(rows, list) or len(rows) > _AT_ONCE:
            return None
        records = drawn.drawing.scene.records
        if not all(is_row(row, drawn.drawing) and row < len(records) for row in rows):
            return None
        return [picture_of(drawn.thumbnail(records[row]), side=SMALL) for row in rows]

    def _asked(self, payload: object, what: str) -> tuple[Drawn | None, Any]:
        """The map that is asked about, and what of it; nothing that is sent is trusted."""
        asked = payload if isinstance(payload, Mapping) else {}
        with self._lock:
            return self._drawn.get(str(asked.get("ticket"))), asked.get(what)


def is_row(row: object, drawing: Drawing) -> TypeGuard[int]:
    """Whether what a page sends is a point of its map."""
    return type(row) is int and 0 <= row < len(drawing.scene)


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
    if not all(is_row(row, drawing) for row in rows):
        raise user_error("this is no selection of points")
    return sorted(set(rows))
