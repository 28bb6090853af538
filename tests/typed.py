"""Checks the types of core's functions once for each kind of values that they get and give.

The plugin of jaxtyping checks every call, which took half of the time of all tests. Whether values
fit depends on their types, and for arrays on kinds of numbers and shapes: what fitted once fits.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Hashable
from typing import Any

import jaxtyping
import numpy as np
import torch
from jaxtyping import _decorator

_NO_LITERAL = re.compile(r"[./\d]|.{20}")
_MOST = 8
"""Items of a tuple that are looked at; of other collections it is the first."""


class _Gives:
    """Stands for a function whose value is known already."""

    def __init__(self, fn: Callable[..., Any], value: object) -> None:
        functools.update_wrapper(self, fn)
        self.__globals__, self._value = fn.__globals__, value

    def __call__(self, *_args: object, **_named: object) -> object:
        return self._value


def kind(value: Any) -> Hashable:
    """What decides whether a value fits an annotation."""
    if isinstance(value, type):
        return value
    found = type(value)
    stands_for_an_array = {"shape", "dtype"} <= getattr(value, "__dict__", {}).keys()
    if stands_for_an_array or isinstance(value, np.ndarray | torch.Tensor):
        return found, value.dtype, tuple(value.shape)
    if found is str:  # one of a few words, or any text
        return found if _NO_LITERAL.search(value) else value
    if isinstance(value, tuple):
        return found, len(value) > _MOST, *map(kind, value[:_MOST])
    if isinstance(value, list | set | frozenset | dict):
        first = next(iter(value.items() if isinstance(value, dict) else value), ())
        return found, len(value) > 0, kind(first)
    return found


def jaxtyped(fn: Any = _decorator._sentinel, *, typechecker: Any) -> Any:
    """Stands for jaxtyping's own: functions check a call when its kinds of values are new."""
    if fn is _decorator._sentinel:
        return functools.partial(jaxtyped, typechecker=typechecker)
    check = functools.partial(_jaxtyped, typechecker=typechecker)
    if not inspect.isfunction(fn):
        return check(fn)
    fits = _FITS.setdefault(fn.__code__, {})

    @functools.wraps(fn)
    def call(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        got = (*map(kind, args), *((name, kind(value)) for name, value in named.items()))
        if got not in fits:
            given = check(fn)(*args, **named)
            fits.setdefault(got, set()).add(kind(given))
            return given
        given = fn(*args, **named)
        if kind(given) not in fits[got]:
            check(_Gives(fn, given))(*args, **named)
            fits[got].add(kind(given))
        return given

    return call


_jaxtyped = _decorator.jaxtyped
_FITS: dict[object, dict[Hashable, set[Hashable]]] = {}


def install() -> None:
    """Take the place of jaxtyping's decorator in all that is imported from now on."""
    jaxtyping.jaxtyped = _decorator.jaxtyped = jaxtyped
