"""Pairs keep what was found of them while both images stay, under whatever rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.search.survivors import Compared, names_of, places, rows_now

ROWS = st.integers(0, 9)
PAIRS = st.dictionaries(st.tuples(ROWS, ROWS), st.booleans(), max_size=25)


def compared(pairs: dict[tuple[int, int], bool]) -> Compared:
    rows = np.array(list(pairs), np.int64).reshape(-1, 2)
    return Compared(rows, np.array(list(pairs.values()), bool))


def plain(found: Compared) -> dict[tuple[int, int], bool]:
    pairs = {(one, two): linked for (one, two), linked in zip(found.pairs.tolist(),
             found.linked.tolist(), strict=True)}  # fmt: skip
    assert len(pairs) == len(found.pairs), "a pair is there twice"
    return pairs


@given(PAIRS, PAIRS)
def test_known_pairs_are_told_and_joined(one, two):
    asked = np.array([(i, j) for i in range(10) for j in range(10)])
    told = [int(one[pair]) if pair in one else -1 for pair in map(tuple, asked.tolist())]
    assert compared(one).of(asked).tolist() == told
    assert plain(compared(one).with_all(compared(two))) == {**two, **one}
    assert {tuple(p) for p in compared(one).links.tolist()} == {p for p in one if one[p]}


@given(PAIRS, st.permutations(range(10)), st.integers(0, 10))
def test_pairs_move_with_their_images(pairs, order, stay):
    """As if every image had its name written on it; those beyond ``stay`` are gone."""
    before = names_of([f"image {row}" for row in range(10)], np.zeros((10, 3)))
    now = order[:stay]
    rows = rows_now(before, names_of([f"image {row}" for row in now], np.zeros((stay, 3))))
    moved = plain(compared(pairs).moved(rows))
    assert {(now[i], now[j]): linked for (i, j), linked in moved.items()} == {
        pair: linked for pair, linked in pairs.items() if set(pair) <= set(now)
    }


def test_an_image_is_known_by_all_that_is_compared_of_it():
    same = names_of(["a", "a"], np.array([[1, 2], [1, 2]], np.int8))
    assert (same[0] == same[1]).all()
    for other in (names_of(["b"], np.array([[1, 2]], np.int8)),
                  names_of(["a"], np.array([[1, 3]], np.int8))):  # fmt: skip
        assert (other[0] != same[0]).any()


def test_places_are_told_in_any_order():
    known = np.array([7, 3, 9, 1])
    found = places(known, np.array([9, 2, 7, 10, 0]))
    assert found.tolist() == [2, -1, 0, -1, -1]
    assert places(known, known, order=np.argsort(known)).tolist() == [0, 1, 2, 3]
    assert places(known[:0], known).tolist() == [-1] * 4
