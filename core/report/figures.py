"""Where everything lies in a figure: query and source side by side under their evidence."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image

from core.report.cases import Case
from core.search.patches import strongest_links
from core.values import Explanation, Grid

HEIGHT = 260
"""Height of an image, units of the figure."""

_SHOWN_SIDE = 320  # longer side of an embedded image, pixels
_GAP = 48  # between the two images
_ASPECTS = (0.5, 1.8)  # narrowest and widest panel, width over height


@dataclass(frozen=True)
class Cell:
    """A patch that carries evidence."""

    x: float
    y: float
    width: float
    height: float
    opacity: float


@dataclass(frozen=True)
class Panel:
    """An image, or an empty frame, under its cells."""

    x: float
    width: float
    picture: str
    """Data URI of the image; empty where there is none."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Line:
    """A link between two matching patches."""

    x1: float
    y1: float
    x2: float
    y2: float
    opacity: float


@dataclass(frozen=True)
class Drawing:
    """Both panels and the strongest links between them."""

    width: float
    height: int
    panels: tuple[Panel, Panel]
    lines: tuple[Line, ...]


def drawing_of(case: Case, found: Explanation) -> Drawing | None:
    """Query and source with the regions that match; ``None`` where no regions are known."""
    regions = found.regions
    if regions is None:
        return None
    source = case.sources.get(found.match.id)
    left, right = _width(case.image), _width(source)
    offset = left + _GAP
    lines = (
        Line(
            x1=link.query[0] * left,
            y1=link.query[1] * HEIGHT,
            x2=offset + link.source[0] * right,
            y2=link.source[1] * HEIGHT,
            opacity=0.3 + 0.7 * link.strength,
        )
        for link in strongest_links(regions)
    )
    panels = (
        _panel(case.image, regions.query_heat, regions.query_grid, x=0.0, width=left),
        _panel(source, regions.source_heat, regions.source_grid, x=offset, width=right),
    )
    return Drawing(offset + right, HEIGHT, panels, tuple(lines))


def _width(image: Image.Image | None) -> float:
    aspect = 1.0 if image is None else image.width / image.height
    return HEIGHT * min(max(aspect, _ASPECTS[0]), _ASPECTS[1])


def _panel(
    image: Image.Image | None,
    heat: Float[np.ndarray, " p"],
    grid: Grid,
    *,
    x: float,
    width: float,
) -> Panel:
    high, wide = HEIGHT / grid.rows, width / grid.columns
    level = heat / max(float(heat.max(initial=0)), 1e-12)
    cells = (
        Cell(
            x=x + (patch % grid.columns) * wide,
            y=(patch // grid.columns) * high,
            width=wide,
            height=high,
            opacity=0.5 * float(level[patch]),
        )
        for patch in np.flatnonzero(level > 0).tolist()
    )
    return Panel(x, width, picture_address(image), tuple(cells))


def picture_address(image: Image.Image | None, *, side: int = _SHOWN_SIDE) -> str:
    """An image as an address that holds it; empty where there is none.

    Args:
        image: the image.
        side: most pixels of its longer side.
    """
    if image is None:
        return ""
    small = image.convert("RGB")
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
