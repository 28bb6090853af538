"""From a gallery's map to what the page draws: the drawing's data and its legend."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from app.views.images import data_uri
from app.views.names import number_of
from app.views.regions import Region, Regions, regions_of
from app.views.scene import Groups, Scene, named_columns
from app.views.square import within_square
from core.service import Placed

Value = dict[str, object]
"""What the drawing takes; plain JSON."""

_NAMED = 10  # groups that get a colour of their own
_EXAMPLES_SHADE, _OTHERS_SHADE = 10, 11
DENSE = 300
"""Images of a gallery above which its density is drawn."""

_SAMPLED = 5_000  # images of a gallery above which not every point is drawn from afar
_CARD_SIDE = 320  # longer side of a card's picture, pixels


@dataclass(frozen=True)
class You:
    """The visitor's own image on one map."""

    at: tuple[float, float]
    near: tuple[int, ...]
    """Ids of the gallery images nearest to it."""


@dataclass(frozen=True)
class Panel:
    """One map: its title, its points in the scene's order, the visitor's image."""

    title: str
    points: np.ndarray
    you: You | None = None
    regions: tuple[Regions, ...] = ()
    """Of the gallery images, the large ones first."""


@dataclass(frozen=True)
class Mark:
    """A gallery image that another tab has pointed at."""

    row: int
    label: str
    """What it is called on the map."""
    number: int
    """Tells one pointing from the next, which brings the image into view again."""


@dataclass(frozen=True)
class Drawing:
    """Everything drawn at once."""

    ticket: str
    scene: Scene
    panels: tuple[Panel, ...]
    groups: Groups
    chosen: Sequence[int] = field(default_factory=tuple[int, ...])
    mark: Mark | None = None


def panel_title(encoder: str, level: str) -> str:
    """What a map of an encoder, or of one level of it, is called."""
    return f"{encoder} \N{MIDDLE DOT} {level}" if level else encoder


def panel(
    title: str, points: np.ndarray, others: np.ndarray, placed: Placed | None, *, scene: Scene
) -> Panel:
    """One map on the unit square, its regions named by what the scene knows of its images.

    Args:
        title: its title.
        points: where the gallery images lie (n, 2).
        others: where the examples lie (q, 2).
        placed: the visitor's own image, if there is one.
        scene: what is on the map.
    """
    own = np.array([[placed.x, placed.y]] if placed else np.zeros((0, 2)), np.float32)
    points, rest = within_square(points, np.vstack([others, own]))
    found = regions_of(points, named_columns(scene))
    if placed is None:
        return Panel(title, np.vstack([points, rest]), regions=found)
    x, y = rest[-1].tolist()
    near = tuple(match.image.id for match in placed.nearest)
    return Panel(title, np.vstack([points, rest[:-1]]), You((x, y), near), found)


def picture(image: Image.Image) -> str:
    """An image as it stands on the card of a point."""
    return data_uri(image, side=_CARD_SIDE, quality=85)


def value(drawing: Drawing) -> Value:
    """The drawing as data: coordinates and groups as base64 of float32 and uint16."""
    scene, groups = drawing.scene, drawing.groups
    row_of = {record.id: row for row, record in enumerate(scene.records)}
    legend, shown = _legend(groups, examples=len(scene.examples))
    return {
        "ticket": drawing.ticket,
        "n": len(scene.records),
        "panels": [_panel(panel, row_of) for panel in drawing.panels],
        "groups": _packed(np.asarray(shown, np.uint16)),
        "legend": legend,
        "marks": marks(drawing),
        "marked": _marked(drawing.mark),
        "links": scene.links(),
        "chosen": [int(row) for row in drawing.chosen],
        "dense": DENSE,
        "words": words(scene, groups),
    }


def _panel(panel: Panel, row_of: Mapping[int, int]) -> Value:
    points = panel.points.astype(np.float32)
    you = None
    if panel.you is not None:
        you = {"at": list(panel.you.at), "near": [row_of[near] for near in panel.you.near]}
    x, y = (_packed(np.ascontiguousarray(points[:, axis])) for axis in (0, 1))
    regions = [
        {"names": [_region(each) for each in found.named], "of": _packed(found.of)}
        for found in panel.regions
    ]
    return {"title": panel.title, "x": x, "y": y, "you": you, "regions": regions}


def _region(region: Region) -> Value:
    about = {"text": region.text, "words": region.words}
    return {"label": region.label, "at": list(region.at), **about}


def _marked(mark: Mark | None) -> Value | None:
    return None if mark is None else {"row": mark.row, "label": mark.label, "id": mark.number}


def marks(drawing: Drawing) -> list[tuple[str, str]]:
    """Every mark and line besides the groups, for the legend: how it looks, and what it means."""
    size = len(drawing.scene.records)
    sampled = "; from afar, points are a sample" if size > _SAMPLED else ""
    found = [("cloud", f"Density of the gallery{sampled}")] if size > DENSE else []
    found.append(("tile", "Picture of an image that stands for those around it"))
    if any(regions.named for panel in drawing.panels for regions in panel.regions):
        found.append(
            (
                "name",
                "What a region has far more of than the gallery, and its share there",
            )
        )
    if drawing.scene.links():
        found.append(("link", "Generated example to its source"))
    if any(panel.you for panel in drawing.panels):
        found += [("star", "Your image"), ("own", "Your image to its nearest by the ranking")]
    if drawing.mark is not None:
        found.append(("ring", drawing.mark.label))
    return found


def _legend(groups: Groups, *, examples: int) -> tuple[list[Value], list[int]]:
    """Entries of the legend, small groups as one, and the entry of every point."""
    last = len(groups.names) - 1 if examples else len(groups.names)
    several = last > _NAMED + 1
    named = _NAMED if several else last
    entries: list[Value] = []
    sizes = groups.sizes()
    for number in range(named):
        grey = groups.names[number] in ("Not given", "No cluster") or number >= _NAMED
        shade = _OTHERS_SHADE if grey else number
        entries.append({"name": groups.names[number], "count": sizes[number], "shade": shade})
    if several:
        rest = sum(sizes[named:last])
        name = f"{last - named} more"
        entries.append({"name": name, "count": rest, "shade": _OTHERS_SHADE})
    if examples:
        generated: Value = {"name": groups.names[-1], "count": examples, "shade": _EXAMPLES_SHADE}
        generated["mark"] = "diamond"
        entries.append(generated)
    places = [min(number, named) for number in range(last)]
    places += [len(entries) - 1] if examples else []
    return entries, [places[number] for number in groups.of]


def _packed(array: np.ndarray) -> str:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little.tobytes()).decode()


def words(scene: Scene, groups: Groups) -> str:
    """The map in one sentence."""
    said = number_of(len(scene.records), "gallery image")
    if scene.examples:
        said += f" and {number_of(len(scene.examples), 'generated example')}"
    return f"{said}, in {number_of(len(groups.names), 'group')}."


def group_choices(groups: Groups) -> list[tuple[str, str]]:
    """Every group with its size, for a list to choose from."""
    sizes = groups.sizes()
    return [(f"{name} ({size:,})", name) for name, size in zip(groups.names, sizes, strict=True)]
