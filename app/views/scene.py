"""What is on a map, whatever it is drawn like: its points, and their groups by what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.views.names import label_of, name_of
from core.service import Example
from core.values import ImageRecord

DOMAIN, SOURCE, FOLDER = "domain", "source", "folder"
DENSITY, MEANS = "cluster:density", "cluster:means"

FIRST_COLOURS = [
    ("Real or generated", DOMAIN),
    ("Cluster: dense regions", DENSITY),
    ("Cluster: k means", MEANS),
]
"""Colourings that every gallery has: label and key."""

_MOST_VALUES = 200  # a column of more different values names images, not groups


@dataclass(frozen=True)
class Scene:
    """What is on a map, whatever its colours: gallery images, then example queries."""

    records: Sequence[ImageRecord]
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return len(self.records) + len(self.examples)

    def name(self, row: int) -> str:
        """What a point is called."""
        n = len(self.records)
        return name_of(self.records[row]) if row < n else self.examples[row - n].file.stem

    def links(self) -> list[tuple[int, int]]:
        """Every example with each of its sources: number of the example, row of the source."""
        row_of = {record.path: row for row, record in enumerate(self.records)}
        return [
            (number, row_of[path])
            for number, example in enumerate(self.examples)
            for path in example.sources
            if path in row_of
        ]


@dataclass(frozen=True)
class Groups:
    """Points by what they share."""

    names: tuple[str, ...]
    of: tuple[int, ...]
    """Group of every point."""

    def rows(self, name: str) -> list[int]:
        """Points of a group; none when no group has the name."""
        return [row for row, group in enumerate(self.of) if self.names[group] == name]

    def sizes(self) -> list[int]:
        """Number of points of every group."""
        counts = Counter(self.of)
        return [counts[group] for group in range(len(self.names))]


def colourings(scene: Scene) -> list[tuple[str, str]]:
    """By what points can be coloured: label and key."""
    found = list(FIRST_COLOURS)
    records = scene.records
    if _several({record.source for record in records}):
        found.append(("Source", SOURCE))
    if _several({_folder(record) for record in records}):
        found.append(("Folder", FOLDER))
    columns = sorted({name for record in records for name in record.extra})
    for name in columns:
        values = Counter(record.extra.get(name, "") for record in records)
        if _several(values) and max(values.values()) > 1:
            found.append((label_of(name), f"factor:{name}"))
    return found


def named_columns(scene: Scene) -> dict[str, list[str]]:
    """The columns that images can be grouped by: values of all gallery images, "" for none."""
    factors = [key for _, key in colourings(scene) if key.startswith("factor:")]
    found = {key.removeprefix("factor:"): _values(scene.records, key, None) for key in factors}
    if SOURCE in {key for _, key in colourings(scene)}:
        found[SOURCE] = _values(scene.records, SOURCE, None)
    return found


def group(scene: Scene, key: str, labels: Sequence[int] | None = None) -> Groups:
    """Points by a colouring.

    Args:
        scene: what is on the map.
        key: one of the keys of :func:`colourings`.
        labels: clusters of the gallery images, for the colourings by cluster.

    Raises:
        ValueError: when the scene has no such colouring.
    """
    if key not in {known for _, known in colourings(scene)}:
        raise ValueError(f"the map cannot be coloured by {key!r}")
    values = _values(scene.records, key, labels)
    counted = Counter(values)
    order = sorted(counted, key=lambda name: (name in ("", "No cluster"), -counted[name], name))
    names = [name or "Not given" for name in order]
    place = {name: number for number, name in enumerate(order)}
    of = [place[value] for value in values]
    if scene.examples:
        names.append("Generated examples")
        of += [len(order)] * len(scene.examples)
    return Groups(tuple(names), tuple(of))


def _values(records: Sequence[ImageRecord], key: str, labels: Sequence[int] | None) -> list[str]:
    if labels is not None:
        return [f"Cluster {label + 1}" if label >= 0 else "No cluster" for label in labels]
    if key == DOMAIN:
        return ["Gallery images"] * len(records)
    if key == SOURCE:
        return [record.source for record in records]
    if key == FOLDER:
        return [_folder(record) for record in records]
    name = key.removeprefix("factor:")
    return [record.extra.get(name, "") for record in records]


def _folder(record: ImageRecord) -> str:
    return record.path.rpartition("/")[0]


def _several(values: set[str] | Mapping[str, int]) -> bool:
    return 1 < len(values) <= _MOST_VALUES
