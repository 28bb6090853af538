"""Shares of influence summed by what the metadata says: by creator, licence or any column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.gallery.browse import column_names, value_of
from core.values import Answer, GalleryError, ImageRecord

COLUMNS = ("creator", "licence", "source")
"""Columns that every gallery has; its free columns come beside them."""


def columns_of(records: Sequence[ImageRecord]) -> tuple[str, ...]:
    """Columns by which shares can be summed: those that say anything of these images."""
    return column_names(records, known=COLUMNS)


def shares_by(
    answer: Answer, column: str, *, records: Mapping[int, ImageRecord], known: Sequence[str]
) -> dict[str, float]:
    """Influence by value of a column, the largest first; with ``answer.none`` they sum to 1.

    A group of near-duplicates whose images say different things divides its share evenly among
    the things said. What is not said is the value "".

    Args:
        answer: the answer.
        column: one of :data:`COLUMNS` or a free column.
        records: the images of the answer's groups by id.
        known: columns of the gallery, see :func:`columns_of`.

    Raises:
        GalleryError: when no image of the gallery has the column.
    """
    known = tuple(dict.fromkeys([*COLUMNS, *known]))
    if column not in known:
        raise GalleryError(f"no image has a column {column!r}; there are: {', '.join(known)}")
    sums: dict[str, float] = {}
    for group in answer.groups:
        if group.influence:
            said = {value_of(records[member], column) for member in group.members}
            said = (said - {""}) or said
            for value in said:
                sums[value] = sums.get(value, 0.0) + group.influence / len(said)
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))
