"""Shares summed by a column are the answer's shares, each counted once."""

from __future__ import annotations

import pytest

from core.evidence.shares import columns_of, shares_by
from core.values import (
    Answer,
    GalleryError,
    Group,
    ImageRecord,
    Match,
)


def _record(number, **said):
    return ImageRecord(number, f"{number}.png", str(number), "0" * 16, 9, 9, **said)


RECORDS = {
    1: _record(1, creator="Ada", extra={"series": "blue"}),
    2: _record(2, creator="Ben"),
    3: _record(3, creator="Ada"),
    4: _record(4),
}


KNOWN = columns_of(list(RECORDS.values()))


def _answer(*groups):
    made = tuple(
        Group(m[0], m, Match(RECORDS[m[0]], 0.5, 0.5, m[0]), 0.001, 0.99, share)
        for m, share in groups
    )
    none = 1 - sum(share for _, share in groups)
    return Answer((), made, none, 0.001, "n", "e@1", "h@1", "g@1")


def test_shares_of_one_creator_are_summed_and_copies_share_one():
    found = shares_by(
        _answer(((1,), 0.4), ((2, 3), 0.3), ((4,), 0.2)), "creator", records=RECORDS, known=KNOWN
    )
    assert found == pytest.approx({"Ada": 0.55, "": 0.2, "Ben": 0.15})
    assert list(found) == ["Ada", "", "Ben"]


def test_what_one_copy_does_not_say_the_others_do():
    assert shares_by(_answer(((2, 4), 0.3)), "creator", records=RECORDS, known=KNOWN) == {
        "Ben": 0.3
    }


def test_free_columns_are_taken_and_unknown_ones_refused():
    assert columns_of(list(RECORDS.values())) == ("creator", "series")
    assert shares_by(_answer(((1,), 1.0)), "series", records=RECORDS, known=KNOWN) == {"blue": 1.0}
    with pytest.raises(GalleryError, match="series"):
        shares_by(_answer(((1,), 1.0)), "colour", records=RECORDS, known=KNOWN)
