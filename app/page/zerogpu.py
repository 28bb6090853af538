"""The GPU that a ZeroGPU Space lends: import this before torch, as the Space's library asks."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

SECONDS = 10
"""Longest time that one encoding may hold the GPU."""

Lend = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Makes a function run in a process that has the GPU; arguments and results are pickled."""


def gpu_of_space() -> Lend | None:
    """What runs a function on the GPU of the Space, where there is one."""
    if find_spec("spaces") is None:
        return None
    spaces = importlib.import_module("spaces")
    return spaces.GPU(duration=SECONDS) if os.environ.get("SPACES_ZERO_GPU") else None


LEND = gpu_of_space()
