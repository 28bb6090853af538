"""Where a query lies in its source, and which of their matching places show anything.

What the search for crops knows of two images is asked of a query and a source: descriptors propose
scale, shift and mirroring, and pixels decide. Flat patches match any other flat patch, so that what
matches on an even background says nothing and is left out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int8
from PIL import Image

from core.config import ALIGNMENT, RegistrationConfig
from core.search.placement import placements
from core.search.registration import grey, register
from core.values import Alignment, Grid, RegionMatch

_FLAT = 0.012  # standard deviation of the grey values of a patch, in [0, 1], up to which it is flat
_CELL = 8  # pixels of a patch's side that are looked at


def aligned(
    query: Int8[np.ndarray, "p l"],
    source: Int8[np.ndarray, "p l"],
    *,
    grid: Grid,
    images: tuple[Image.Image, Image.Image],
    config: RegistrationConfig = ALIGNMENT,
) -> Alignment | None:
    """How a query lies in a source; ``None`` where their pixels do not agree on it.

    Args:
        query: local descriptors of the query.
        source: those of the source, on the same grid; nothing is found on one that is not square.
        grid: the grid.
        images: pixels of the query and of the source.
        config: from what the two are shown as one.
    """
    if grid.rows != grid.columns:
        return None
    place = placements(query[None], source[None], grid=grid)
    if place.votes[0] < config.votes:
        return None
    one, two = (grey(image)[None] for image in images)
    found = register(one, two, place, overlap=config.overlap, likeness=config.likeness)
    if found.agreement[0] < config.agreement:
        return None
    (down, right), (below, aside) = found.scale[0].tolist(), found.shift[0].tolist()
    return Alignment((down, right), (below, aside), mirrored=bool(place.mirrored[0]))


def telling(match: RegionMatch, images: tuple[Image.Image, Image.Image]) -> RegionMatch:
    """A match without what lies on flat patches of the query or of the source.

    Args:
        match: where two images agree.
        images: pixels of the query and of the source.
    """
    query, source = (
        _detailed(image, grid)
        for image, grid in zip(images, (match.query_grid, match.source_grid), strict=True)
    )
    kept = query[match.pairs[:, 0]] & source[match.pairs[:, 1]]
    return replace(
        match,
        query_heat=match.query_heat * query,
        source_heat=match.source_heat * source,
        pairs=match.pairs[kept],
        strengths=match.strengths[kept],
    )


def _detailed(image: Image.Image, grid: Grid) -> Bool[np.ndarray, " p"]:
    """Which patches show more than an even surface."""
    size = (grid.columns * _CELL, grid.rows * _CELL)
    pixels = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), np.float32) / 255
    cells = pixels.reshape(grid.rows, _CELL, grid.columns, _CELL)
    return (cells.std(axis=(1, 3)) > _FLAT).reshape(-1)
