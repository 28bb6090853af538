"""Values made by hand, for the tests of what is shown of them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from core.values import (
    Answer,
    CellParts,
    Contribution,
    Explanation,
    Grid,
    Group,
    ImageRecord,
    Match,
    RegionMatch,
)

GRID = Grid(2, 2)
EDGES = CellParts("edges", Grid(5, 5), np.linspace(-0.02, 0.1, 25, dtype=np.float32))


def record(i: int = 0, **values: str) -> ImageRecord:
    return ImageRecord(i, f"folder/image-{i}.png", "0" * 64, "0" * 16, 40, 30, **values)


def group(i: int, *, influence: float, confidence: float = 0.9, title: str = "") -> Group:
    best = Match(record(i, title=title), cosine=0.834, score=1.0, group=i)
    return Group(i, (i,), best, p_value=0.004, confidence=confidence, influence=influence)


def answer(
    *groups: Group, none: float | None, named: bool = True, **values: float | None
) -> Answer:
    matches = tuple(group.best for group in groups)
    names = {"encoder": "e@1", "head": "h@1", "gallery": "g@1", "null_id": "n"}
    numbers = {"p_value": 0.004, "null_size": 800, **values}
    return Answer(matches, groups, none, named=named, **names, **numbers)


def untold(*groups: Group, **values: float | None) -> Answer:
    """What a gallery with too few different images answers."""
    nothing = {"p_value": None, "confidence": None, "influence": None}
    bare = [Group(**{**vars(one), **nothing}) for one in groups]
    return answer(*bare, none=None, named=False, **{"p_value": None, "null_size": 12, **values})


def explanation(*, space: bool = True) -> Explanation:
    parts = (Contribution(7, 0.5, 0.625), Contribution(3, -0.2, -0.25), Contribution(1, 0.1, 0.125))
    heat = np.array([0, 0, 0, 2.0], np.float32)
    pairs, strengths = np.array([[3, 3]]), np.array([0.5], np.float32)
    regions = RegionMatch(GRID, GRID, heat, heat, pairs, strengths)
    signed = np.array([-0.2, 0, 0.2, 0.8], np.float32)
    if not space:
        return Explanation(record(), 0.8, parts, None, None, None, None)
    return Explanation(record(title="Hills"), 0.8, parts, GRID, signed, signed, regions, (EDGES,))


def grey(side: int = 64) -> Image.Image:
    return Image.new("RGB", (side, side), (128, 128, 128))
