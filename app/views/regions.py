"""Regions of a map by their names: what the page writes on it, and the same as a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.views.names import label_of, number_of
from core.report import words
from core.service import Standout, regions, standouts

COARSE, FINE = 0.05, 0.022
"""Kernels of the density whose peaks are regions, as shares of the map's side: from afar, near."""

_MOST = 60  # regions of one fineness that are named


@dataclass(frozen=True)
class Region:
    """A region that has a name."""

    label: int
    at: tuple[float, float]
    """Middle of its points."""
    size: int
    standout: Standout

    @property
    def text(self) -> str:
        """What stands on the map."""
        column = label_of(self.standout.column).lower()
        return f"{column}: {self.standout.value} {words.share(self.standout.share)}"

    @property
    def words(self) -> str:
        """The same for a list: where it is, how large, and what its name is worth."""
        return (
            f"{_where(self.at)}, {number_of(self.size, 'image')}: {standout_words(self.standout)}"
        )


@dataclass(frozen=True)
class Regions:
    """All regions of one fineness."""

    of: np.ndarray
    """Region of every gallery image, uint16."""
    named: tuple[Region, ...]
    """The largest first."""


def regions_of(points: np.ndarray, columns: Mapping[str, Sequence[str]]) -> tuple[Regions, Regions]:
    """The regions of a map, large and small.

    Args:
        points: where the gallery images lie on the unit square (n, 2).
        columns: the metadata that may name a region: values of every image by column.
    """
    coarse, fine = (_regions(points, columns, blur) for blur in (COARSE, FINE))
    return coarse, fine


def _regions(points: np.ndarray, columns: Mapping[str, Sequence[str]], blur: float) -> Regions:
    of = regions(points, blur=blur)
    found = standouts(of, columns)
    sizes = np.bincount(of, minlength=len(found))
    named: list[Region] = []
    for label, standout in enumerate(found):
        if standout is not None and len(named) < _MOST:
            x, y = np.median(points[of == label], axis=0).tolist()
            named.append(Region(label, (x, y), int(sizes[label]), standout))
    return Regions(np.minimum(of, 65_535).astype(np.uint16), tuple(named))


def standout_words(found: Standout) -> str:
    """A value with its shares, here and in the gallery."""
    share, overall = words.share(found.share), words.share(found.overall)
    return f"{share} {found.value} ({label_of(found.column)}), {overall} of the gallery"


def _where(at: tuple[float, float]) -> str:
    """Where on the map, in words."""
    across = "left" if at[0] < 1 / 3 else "right" if at[0] > 2 / 3 else ""
    along = "bottom" if at[1] < 1 / 3 else "top" if at[1] > 2 / 3 else ""
    return f"{along} {across}".strip().capitalize() or "Middle"
