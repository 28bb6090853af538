"""Where everything lies in a figure: query and source side by side under the places that match."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from core.report.cases import Case
from core.search.patches import strongest_links
from core.values import Explanation

HEIGHT = 260
"""Height of an image, units of the figure."""

_SHOWN_SIDE = 320  # longer side of an embedded image, pixels
_LINKS = 8  # as many as the page marks
_GAP = 48  # between the two images
_ASPECTS = (0.5, 1.8)  # narrowest and widest panel, width over height


@dataclass(frozen=True)
class Panel:
    """An image, or an empty frame."""

    x: float
    width: float
    picture: str
    """Data URI of the image; empty where there is none."""


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
        for link in strongest_links(regions, count=_LINKS)
    )
    panels = (
        Panel(0.0, left, picture_address(case.image)),
        Panel(offset, right, picture_address(source)),
    )
    return Drawing(offset + right, HEIGHT, panels, tuple(lines))


def _width(image: Image.Image | None) -> float:
    aspect = 1.0 if image is None else image.width / image.height
    return HEIGHT * min(max(aspect, _ASPECTS[0]), _ASPECTS[1])


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
