"""Filters say what they were written to say, and refuse in words what they cannot read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.gallery.filters import Condition, Filter, Operator, filter_columns, parse
from core.values import FilterError, ImageRecord


def record(number: int, path: str, **values: str) -> ImageRecord:
    own = {name: values.pop(name) for name in ("creator", "licence", "title") if name in values}
    return ImageRecord(number, path, f"{number:064x}", f"{number:016x}", 8, 8, extra=values, **own)


RECORDS = [
    record(0, "b/10.png", creator="Ann", licence="CC0", title="Red boat"),
    record(1, "a/9.png", creator="Jan and Piet", licence="CC BY", title='The "old" mill'),
    record(2, "c.png", licence="CC0", title="O'Hara's boat = ship"),
    record(3, "d.png", creator="ann", **{"Shown in": "Oslo"}),
]


@pytest.mark.parametrize(
    ("text", "passing"),
    [
        ("licence = CC0", [0, 2]),
        ("LICENCE=cc0", [0, 2]),
        ("licence != CC0", [1, 3]),
        ("licence ≠ CC0", [1, 3]),
        ("licence = CC0 and creator != Ann", [2]),
        ("creator = 'Jan and Piet'", [1]),
        ('creator="Jan and Piet" AND licence = "CC BY"', [1]),
        ("title contains boat", [0, 2]),
        ("title contains O'Hara's", [2]),
        ("title contains boat = ship", [2]),
        ('title = "The ""old"" mill"', [1]),
        ('title = The "old" mill', [1]),
        ("licence is filled", [0, 1, 2]),
        ("licence IS  NOT  filled", [3]),
        ("Shown in = Oslo", [3]),
        ("'shown in' contains slo", [3]),
        ("path contains a/", [1]),
        ("creator is filled\n and\tlicence is filled", [0, 1]),
    ],
)
def test_images_pass_for_whom_all_conditions_hold(text: str, passing: list[int]) -> None:
    assert np.flatnonzero(parse(text, RECORDS).passing(RECORDS)).tolist() == passing


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("artist = Ann", "no image has a column 'artist'; there are: creator, licence, title"),
        ("licence", "is no condition; write for example"),
        ("licence = CC0 and", "is no condition"),
        ("", "empty filter"),
        ("licence =", "say `licence is not filled`"),
        ("licence is CC0", "`is filled` or `is not filled`"),
        ('title = "The mill', "a quoted value ends with its quote"),
        ('title = "The" mill', "a quoted value ends with its quote"),
        ("'licence = CC0", "is no condition"),
        ("= CC0", "is no condition"),
        ("licence = " + 2_000 * "x", "at most 1,000 characters"),
        (1_000 * '"', "is no condition"),
        ("creator != Ann or licence = CC BY", "joined by `and` alone"),
        ("creator == Ann", "use one `=`, as in `creator = Ann`"),
        ("creator !== Ann", "use one `=`, as in `creator != Ann`"),
        ("creator ==", "use one `=`"),
        ("creator = Ann and Bob", '`and` is quoted: `creator = "Ann and Bob"`'),
        ('title contains "The mill" and Co', '`title contains "The mill and Co"`'),
        (
            "title = Ann and x = y",
            '; a value that holds `and` is quoted: `title = "Ann and x = y"`',
        ),
        ("creator != Ann && licence = CC0", "joined by `and` alone"),
        (
            "licence = GPL",
            "none of the 4 images has licence GPL; its commonest values are: CC0 (2)",
        ),
        ("creator = Ann and licence = CC BY", "some have one of these, none has all"),
    ],
)
def test_what_cannot_be_read_or_met_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(FilterError, match=re.escape(words)):
        parse(text, RECORDS).passing(RECORDS)


def test_a_name_is_compared_whatever_its_unicode_form() -> None:
    """File systems write letters and their marks apart, and no image was found."""
    records = [replace(RECORDS[0], creator="Zo\u00eb"), replace(RECORDS[0], creator="Zoe\u0308")]
    for name in ("Zo\u00eb", "ZOE\u0308"):
        assert parse(f"creator = {name}", records).passing(records).all()


def test_a_filter_says_what_it_asks_for() -> None:
    found = parse("licence = CC0 and creator != Ann and title contains boat and path is filled "
                  "and creator is not filled", RECORDS)  # fmt: skip
    assert str(found) == (
        "licence CC0 and creator other than Ann and “boat” in title and a path and no creator"
    )


def test_the_columns_are_those_that_say_anything() -> None:
    assert filter_columns(RECORDS) == ("creator", "licence", "title", "Shown in", "path")


TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=12)
CONDITIONS = st.builds(
    lambda operator, value: Condition("title", operator, "" if "is" in operator else value),
    st.sampled_from(get_args(Operator)),
    TEXTS.filter(str.strip),
)


def _written(condition: Condition) -> str:
    if condition.operator.startswith("is"):
        return f"title {condition.operator}"
    return 'title {} "{}"'.format(condition.operator, condition.value.replace('"', '""'))


@given(st.lists(CONDITIONS, min_size=1, max_size=4))
@example([Condition("title", "=", '" and title = "'), Condition("title", "!=", "'")])
def test_quoted_conditions_are_read_as_they_were_written(conditions: list[Condition]) -> None:
    assert parse(" and ".join(map(_written, conditions)), RECORDS) == Filter(tuple(conditions))


@given(TEXTS)
def test_no_text_fails_otherwise_than_in_words(text: str) -> None:
    try:
        parse(text, RECORDS).passing(RECORDS)
    except FilterError as error:
        assert str(error)
