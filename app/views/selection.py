"""What is said of points of a map that are selected: of many, of one, and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from app.views.answer import record_html
from app.views.map import Drawing, Panel
from app.views.names import in_markdown, label_of, number_of
from app.views.scene import Groups, Scene, named_columns
from app.views.templates import render
from core.report import csv_text

_LEVELS = 12  # groups of a selection that are named
_SHARED = 6  # columns of which the commonest value is told
_ABOUT = ("source", "creator", "licence", "url", "title")  # columns that every record has


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


def selection_words(scene: Scene, rows: Sequence[int], groups: Groups, *, shown: int) -> str:
    """What is selected, in a sentence."""
    if not rows:
        return "Nothing is selected: draw around points, choose a group, or click a point."
    n = len(scene.records)
    generated = sum(row >= n for row in rows)
    counts = {"gallery image": len(rows) - generated, "generated example": generated}
    what = " and ".join(number_of(count, noun) for noun, count in counts.items() if count)
    counted = Counter(in_markdown(groups.names[groups.of[row]]) for row in rows if row < n)
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


def note(scene: Scene, row: int, groups: Groups) -> str:
    """What stands below a point's name."""
    n = len(scene.records)
    if row < n:
        return groups.names[groups.of[row]]
    example = scene.examples[row - n]
    kind = example.kind.replace("-", " ")
    known = number_of(len(example.sources), "known source") if example.sources else "no source here"
    return f"Generated, {kind}: {known}" if kind else f"Generated: {known}"


def point_html(scene: Scene, row: int, groups: Groups, *, picture: str) -> str:
    """One point: its picture, what is known of it, and what can be asked about it.

    Args:
        scene: what is on the map.
        row: the point.
        groups: its colouring.
        picture: an address for the image.
    """
    n = len(scene.records)
    facts = record_html(scene.records[row], title=False) if row < n else ""
    return render(
        "map_point",
        row=row,
        name=scene.name(row),
        note=note(scene, row, groups),
        facts=facts,
        picture=picture,
        generated=row >= n,
    )


def shared_html(scene: Scene, rows: Sequence[int]) -> str:
    """The commonest value of every column among selected gallery images, the most telling first.

    Nothing is told of fewer than two images.
    """
    n = len(scene.records)
    inside = [row for row in rows if row < n]
    if len(inside) < 2:
        return ""
    found: list[tuple[float, str, str, float, float]] = []
    for column, values in named_columns(scene).items():
        here, there = Counter(values[row] for row in inside), Counter(values)
        here.pop("", None)
        if here:
            value = min(here, key=lambda each: (-here[each], each))
            share, overall = here[value] / len(inside), there[value] / n
            found.append((share / overall, label_of(column), value, share, overall))
    rows_shown = sorted(found, key=lambda each: (-each[0], each[1]))[:_SHARED]
    return render("map_shared", rows=[each[1:] for each in rows_shown]) if rows_shown else ""


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
