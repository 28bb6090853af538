from __future__ import annotations

import pytest

from core.gallery.browse import ADDED, NAME, NEWEST, Wanted, browse, column_names, column_values
from core.values import ImageRecord


def record(number: int, path: str, **values: str) -> ImageRecord:
    own = {name: values.pop(name) for name in ("creator", "title") if name in values}
    return ImageRecord(number, path, f"{number:064x}", f"{number:016x}", 8, 8, extra=values, **own)


RECORDS = [
    record(0, "b/10.png", creator="Ann", title="Red boat", year="1990"),
    record(1, "a/9.png", creator="bob", year="20"),
    record(2, "c.png", title="A boat at sea"),
    record(4, "d.png", creator="Ann", year="1990", place="Zürich ÉTÉ"),
]


def ids(**wanted: str | None) -> list[int]:
    return [each.id for each in browse(RECORDS, Wanted(**wanted))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [0, 1, 2, 4]),
        ("BOAT", [0, 2]),
        ("boat red", [0]),
        ("1990 ann", [0, 4]),
        ("été", [4]),
        ("9.PNG", [1]),
        ("boat  zürich", []),
    ],
)
def test_words_are_looked_for_in_every_column(text: str, found: list[int]) -> None:
    assert ids(text=text) == found


def test_a_column_holds_a_value_none_or_anything() -> None:
    assert ids(column="creator", value="Ann") == [0, 4]
    assert ids(column="creator", value="") == [2]
    assert ids(column="creator") == [0, 1, 2, 4]
    assert ids(column="year", value="1990", text="boat") == [0]
    assert ids(column="nowhere", value="x") == []


def test_orders() -> None:
    assert ids(order=ADDED) == [0, 1, 2, 4]
    assert ids(order=NEWEST) == [4, 2, 1, 0]
    assert ids(order=NAME) == [2, 1, 4, 0]
    assert ids(order="year") == [1, 0, 4, 2]  # 20 before 1990, and without a value last
    assert ids(order="creator") == [0, 4, 1, 2]


def test_columns_and_values_are_those_that_there_are() -> None:
    assert column_names(RECORDS) == ("creator", "title", "place", "year")
    assert column_values(RECORDS, "creator") == {"Ann": 2, "": 1, "bob": 1}
    assert list(column_values(RECORDS, "year")) == ["1990", "", "20"]
