"""Pages to count frames on: the app over a crowd of points, and the bare ways to show as many."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go  # pyright: ignore[reportMissingTypeStubs]

from app.ui import build, launch_options
from core.gallery.manifest import Records
from core.service import Choice, Gallery, Session

POINTS = 50_000
_AS_IT_IS = "as it is"
_CANVAS = Path(__file__).with_name("canvas.html")
_SPREAD = 0.03  # of made points around the real one, as a share of the map's side


class Crowd(Session):
    """A session whose gallery has as many images as wished, on its map and nowhere else.

    Each is one of a real gallery's, under a name of its own, somewhere near the place of that.

    Args:
        points: number of images.
        gallery: the real one, as :class:`core.service.Choice` names it.
    """

    def __init__(self, points: int, *, gallery: str = "builtin") -> None:
        super().__init__()
        self._real = gallery
        rng, real = np.random.default_rng(0), super().gallery(gallery)
        self._base = rng.integers(len(real), size=points)
        self._beside = rng.normal(0, _SPREAD, (points, 2))
        self._many = copy.copy(real)
        self._many.records = Records.of(
            replace(real.records[base], id=place, path=f"{place:05}/{real.records[base].path}")
            for place, base in enumerate(self._base.tolist())
        )
        self._many.row_of = {record.id: row for row, record in enumerate(self._many.records)}

    def gallery(self, name: str = "builtin", *, visitor: str = "") -> Gallery:
        """The made gallery, for all but the workspace."""
        return super().gallery(self._real) if name == _AS_IT_IS else self._many

    def workspace(self, choice: Choice, **more: Any) -> Any:
        """The real gallery's."""
        return super().workspace(replace(choice, gallery=_AS_IT_IS), **more)

    def layout(self, choice: Choice, **more: Any) -> Any:
        """The real map, each point many times."""
        found = super().layout(choice, **more)
        side = np.ptp(found.points, axis=0)
        points = found.points[self._base] + self._beside * side
        return replace(found, points=points.astype(np.float32))


@contextmanager
def app_over(session: Session, **more: str) -> Iterator[str]:
    """The app over a session, served; gives its address. More as :func:`app.ui.build` takes it."""
    blocks = build(session, **more)
    try:
        yield blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())[1]
    finally:
        blocks.close()


def canvas_page(width: int, height: int, points: int) -> str:
    """An empty page that moves a canvas of a size, on which points were drawn once."""
    page = _CANVAS.read_text(encoding="utf-8")
    for name, value in {"WIDE": width, "HIGH": height, "COUNT": points}.items():
        page = page.replace(name, str(value))
    return page


def plotly_page(width: int, height: int, points: np.ndarray, *, zoom: float) -> str:
    """The same points as plotly draws them: a scattergl, dragged and zoomed as the map is.

    Args:
        width: of the figure, pixels.
        height: of the figure, pixels.
        points: where they lie (n, 2).
        zoom: how large the middle is shown, as a multiple of the whole.
    """
    x, y = points.T
    marker = {"size": 4, "opacity": 0.6}
    figure = go.Figure(go.Scattergl(x=x, y=y, mode="markers", marker=marker))
    middle, half = (points.max(0) + points.min(0)) / 2, np.ptp(points, axis=0) / 2 / zoom
    ranges = np.stack([middle - half, middle + half], axis=1).tolist()
    figure.update_layout(
        width=width, height=height, dragmode="pan", margin=dict.fromkeys("lrtb", 0)
    )
    figure.update_xaxes(range=ranges[0])
    figure.update_yaxes(range=ranges[1])
    return figure.to_html(config={"scrollZoom": True, "displayModeBar": False})
