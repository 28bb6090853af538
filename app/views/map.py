"""From a gallery's map to what the page draws: the drawing's data, its words, a table."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from app.views.images import data_uri
from app.views.names import name_of, number_of
from app.views.scene import Groups, Scene
from app.views.square import within_square
from core.report import csv_text
from core.service import Placed
from core.values import Match

Value = dict[str, object]
"""What the drawing takes; plain JSON."""

_NAMED = 10  # groups that get a colour of their own
_EXAMPLES_SHADE, _OTHERS_SHADE = 10, 11
_LEVELS = 12  # groups of a selection that are named
_CARD_SIDE = 320  # longer side of a card's picture, pixels
_ABOUT = ("source", "creator", "licence", "url", "title")  # columns that every record has


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


@dataclass(frozen=True)
class Drawing:
    """Everything drawn at once."""

    ticket: str
    scene: Scene
    panels: tuple[Panel, ...]
    groups: Groups
    chosen: Sequence[int] = field(default_factory=tuple[int, ...])


def kept_rows(before: Drawing, scene: Scene) -> list[int]:
    """Rows of another scene for what is selected of a drawing; what is gone is left out."""
    old = before.scene
    row_of = {(r.id, r.sha256): row for row, r in enumerate(scene.records)}
    example_of = {e.file: row for row, e in enumerate(scene.examples, len(scene.records))}
    n = len(old.records)
    rows = [
        row_of.get((old.records[row].id, old.records[row].sha256))
        if row < n
        else example_of.get(old.examples[row - n].file)
        for row in before.chosen
    ]
    return sorted(row for row in rows if row is not None)


def panel(title: str, points: np.ndarray, others: np.ndarray, placed: Placed | None) -> Panel:
    """One map on the unit square.

    Args:
        title: its title.
        points: where the gallery images lie (n, 2).
        others: where the examples lie (q, 2).
        placed: the visitor's own image, if there is one.
    """
    own = np.array([[placed.x, placed.y]] if placed else np.zeros((0, 2)), np.float32)
    points, rest = within_square(points, np.vstack([others, own]))
    if placed is None:
        return Panel(title, np.vstack([points, rest]))
    x, y = rest[-1].tolist()
    near = tuple(match.image.id for match in placed.nearest)
    return Panel(title, np.vstack([points, rest[:-1]]), You((x, y), near))


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
        "links": scene.links(),
        "chosen": [int(row) for row in drawing.chosen],
        "words": words(scene, groups),
    }


def _panel(panel: Panel, row_of: Mapping[int, int]) -> Value:
    points = panel.points.astype(np.float32)
    you = None
    if panel.you is not None:
        you = {"at": list(panel.you.at), "near": [row_of[near] for near in panel.you.near]}
    x, y = (_packed(np.ascontiguousarray(points[:, axis])) for axis in (0, 1))
    return {"title": panel.title, "x": x, "y": y, "you": you}


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


def selection_words(scene: Scene, rows: Sequence[int], groups: Groups, *, shown: int) -> str:
    """What is selected, in a sentence."""
    if not rows:
        return "Nothing is selected: draw around points, choose a group, or click a point."
    n = len(scene.records)
    generated = sum(row >= n for row in rows)
    what = number_of(len(rows) - generated, "gallery image")
    if generated:
        what += f" and {number_of(generated, 'generated example')}"
    counted = Counter(groups.names[groups.of[row]] for row in rows if row < n)
    of = _levels(counted) if len({*groups.of[:n]}) > 1 else ""
    first = f". The first {shown} are shown; the table has all" if len(rows) > shown else ""
    return f"{what} selected{of}{first}."


def _levels(counted: Mapping[str, int]) -> str:
    """The groups of a selection's gallery images, the largest first."""
    if len(counted) < 2:
        return "".join(f"; all {name}" for name in counted)
    order = sorted(counted, key=lambda name: (-counted[name], name))
    named = [f"{name} ({counted[name]:,})" for name in order[:_LEVELS]]
    more = len(order) - len(named)
    return f": {', '.join([*named, f'{more:,} more groups'] if more else named)}"


def near_words(nearest: Mapping[str, Sequence[Match]]) -> str:
    """What lies nearest to the visitor's image, under every encoder shown."""
    return " ".join(
        f"{title}: nearest is {name_of(matches[0].image)}, cosine {matches[0].cosine:.2f}."
        for title, matches in nearest.items()
        if matches
    )


def near_captions(nearest: Mapping[str, Sequence[Match]]) -> list[str]:
    """Name and cosine of every nearest image, with its encoder where there are two."""
    several = len(nearest) > 1
    return [
        f"cosine {match.cosine:.2f}\n{f'{title}: ' if several else ''}{name_of(match.image)}"
        for title, matches in nearest.items()
        for match in matches
    ]


def note(scene: Scene, row: int, groups: Groups) -> str:
    """What stands below a point's name."""
    n = len(scene.records)
    if row < n:
        return groups.names[groups.of[row]]
    example = scene.examples[row - n]
    kind = example.kind.replace("-", " ")
    known = number_of(len(example.sources), "known source") if example.sources else "no source here"
    return f"Generated, {kind}: {known}" if kind else f"Generated: {known}"


def table(scene: Scene, rows: Sequence[int], panels: Sequence[Panel], groups: Groups) -> str:
    """Selected points as CSV."""
    extra = sorted({name for record in scene.records for name in record.extra})
    places = [f"{axis} ({panel.title})" for panel in panels for axis in ("x", "y")]
    columns = ["id", "file", "domain", "group", *places, *_ABOUT, *extra]
    lines: list[list[object]] = []
    for row in rows:
        group_name = groups.names[groups.of[row]]
        points = [round(float(value), 5) for panel in panels for value in panel.points[row]]
        if row < len(scene.records):
            record = scene.records[row]
            about = [getattr(record, name) for name in _ABOUT]
            about += [record.extra.get(name, "") for name in extra]
            lines.append([record.id, record.path, "gallery", group_name, *points, *about])
        else:
            file = scene.examples[row - len(scene.records)].file.name
            lines.append(["", file, "generated", group_name, *points])
    width = len(columns)
    return csv_text(columns, [[*line, *[""] * (width - len(line))] for line in lines])
