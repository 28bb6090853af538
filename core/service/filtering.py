"""Which images of a workspace pass a filter, and what an answer says of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.gallery.filters import parse
from core.search.engine import Among
from core.search.query import Query
from core.values import ImageRecord, Scope


@dataclass(frozen=True)
class Passing:
    """The images that pass a filter."""

    among: Among
    """Which they are, and the filter."""
    scope: Scope
    """What an answer says of them."""


def passing_of(where: str, records: Sequence[ImageRecord]) -> Passing:
    """The images that pass.

    Raises:
        FilterError: when the filter cannot be read, or no image passes.
    """
    chosen = parse(where, records)
    rows = chosen.passing(records)
    return Passing(Among(rows, chosen), Scope(where, str(chosen), int(rows.sum()), len(records)))


def identical_among(query: Query, passing: Passing, records: Sequence[ImageRecord]) -> int | None:
    """Row of an image that passes and has the bytes of a query; ``None`` where there is none."""
    if query.identical is None:
        return None
    sha256, rows = records[query.identical].sha256, np.flatnonzero(passing.among.rows).tolist()
    return next((row for row in rows if records[row].sha256 == sha256), None)
