"""Types are checked whenever values of another kind come or go, in all of core."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from beartype import beartype
from jaxtyping import Float, TypeCheckError

from core.config import HeadConfig
from core.evidence.combination import Combination, combined
from core.images.joined import JoinedRows
from tests import typed

checked = typed.jaxtyped(typechecker=beartype)


@checked
def sums(
    a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "n d"], *, how: Literal["a", "b"] = "a"
) -> Float[np.ndarray, " n"]:
    return (a + b).sum(axis=1) if len(a) < 3 else a


TWO = np.ones((2, 3))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((TWO, np.ones((2, 4))), {}),
        ((TWO, np.ones((2, 3), int)), {}),
        ((TWO, None), {}),
        ((TWO, TWO), {"how": "c"}),
        ((np.ones((3, 3)), np.ones((3, 3))), {}),  # what it gives has another shape
    ],
)
def test_what_does_not_fit_is_refused_after_what_did(given, named) -> None:
    for _ in range(2):
        assert sums(TWO, TWO, how="b").shape == (2,)
        with pytest.raises(TypeCheckError):
            sums(*given, **named)


def test_what_is_given_is_checked_where_what_comes_is_of_a_known_kind() -> None:
    @checked
    def first(values: list[object]) -> int:
        return values[-1]  # pyright: ignore[reportReturnType]

    assert first([1, 2]) == 2
    with pytest.raises(TypeCheckError):
        first([1, "2"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TWO, TWO[:1]),
        (TWO, TWO.astype(np.float32)),
        ((1, TWO), (1, None)),
        ([1], ["a"]),
        ([], [1]),
        ({"a": 1}, {"a": "b"}),
        ("gallery", "query"),
        (int, str),
        (1, 1.0),
        (Path(), None),
    ],
)
def test_kinds_differ_where_it_may_matter(one, other) -> None:
    assert typed.kind(one) != typed.kind(other)


def test_names_of_files_are_of_one_kind() -> None:
    assert typed.kind("photos/1.png") == typed.kind("2.png") == typed.kind("x" * 50)


def test_a_function_defined_anew_is_the_new_one() -> None:
    def made(number: int):
        @checked
        def give(more: int) -> int:
            return number + more

        return give

    assert [made(number)(1) for number in (1, 2)] == [2, 3]


def test_core_is_checked() -> None:
    """Its functions, methods and dataclasses."""
    with pytest.raises(TypeCheckError):
        combined(np.ones(3))
    with pytest.raises(TypeCheckError):
        Combination.of(3, aspects=1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeCheckError):
        HeadConfig(kind="none")  # pyright: ignore[reportArgumentType]


def test_arrays_of_other_kinds_are_told_apart_by_their_shapes() -> None:
    """Rows of several parts were known by their type alone."""
    one, other = (JoinedRows([np.ones((n, 2))], [np.arange(n)]) for n in (3, 4))
    assert typed.kind(one) != typed.kind(other)
