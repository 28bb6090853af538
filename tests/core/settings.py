"""What every kind of settings has to hold."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import pytest


def kinds_of(module: ModuleType) -> list[type[Any]]:
    """The kinds of settings that a module makes."""
    own = [kind for kind in vars(module).values() if isinstance(kind, type)]
    return [kind for kind in own if kind.__module__ == module.__name__]


def assert_frozen_and_documented(settings: Any) -> None:
    name = dataclasses.fields(settings)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, name, getattr(settings, name))
    assert dataclasses.replace(settings) == settings
    assert hash(settings) == hash(dataclasses.replace(settings))
    assert type(settings).__doc__
