"""Tables of cases, of one row for each image: their files, their growth, the case a row opens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import gradio as gr

from app.page.components import file_button, scripted
from app.page.errors import user_error
from app.page.files import beside_uploads
from app.tabs.attribute.searches import Search
from core.service import Picture, pictures_of
from core.values import Progress, WellspringError

MOST = 200
"""Images at once."""

_PAUSE = 0.5  # seconds between two tables while both are short


@dataclass(frozen=True)
class Opened:
    """A case that is opened as a single image."""

    search: Search
    index: int = 0
    """Place of the match whose reasons are shown."""


@dataclass
class Shown:
    """When a table that grows was last sent; the longer it is, the more rarely it is sent."""

    rows: int = 0
    at: float = 0.0

    def due(self, rows: int) -> bool:
        """Whether so many rows are to be sent now."""
        now = time.monotonic()
        if self.rows and now - self.at < _PAUSE * (1 + rows / 20):
            return False
        self.rows, self.at = rows, now
        return True


def given_pictures(
    files: list[str] | None, given: gr.File, *, max_bytes: int, progress: Progress
) -> list[Picture]:
    """The pictures that were given, alone and in zips; they stay as long as uploads do.

    Args:
        files: pictures and zips.
        given: the component that they were given to.
        max_bytes: sum of what all zips hold, unpacked.
        progress: called while zips are unpacked; may raise ``Cancelled``.

    Raises:
        gr.Error: when there are none.
        GalleryError: when there are too many.
    """
    if not files:
        raise user_error("add some images first")
    with pictures_of(files, most=MOST, max_bytes=max_bytes, progress=progress) as pictures:
        return [
            (name, beside_uploads(file, given) if _is_unpacked(file, files) else file)
            for name, file in pictures
        ]


def _is_unpacked(file: Path | WellspringError, files: list[str]) -> TypeGuard[Path]:
    return isinstance(file, Path) and str(file) not in files


def cases_table(empty: str, *, elem_id: str) -> gr.HTML:
    """A table whose rows are sorted, filtered and selected on the page.

    Args:
        empty: what is shown before there are rows.
        elem_id: identity of the component.
    """
    return scripted("cases.js", elem_id=elem_id, value=empty, min_height=180)


def cases_file(label: str, *, elem_id: str) -> gr.DownloadButton:
    """The button below a table that downloads its cases, hidden before there are any."""
    with gr.Row(elem_classes="ws-downloads"):
        return file_button(label, elem_id=elem_id, visible=False)
