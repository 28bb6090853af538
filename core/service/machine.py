"""Memory that was freed goes back to the system (glibc), and threads of torch share the cores."""

from __future__ import annotations

import ctypes
import os
import sys

import torch

_ARENA_MAX = -8  # mallopt's name for the number of heaps
_ARENAS = 2


def limit_heaps() -> bool:
    """Let all threads share two heaps, so that what one has freed serves another; whether it did.

    glibc gives each of many threads a heap of its own, and each keeps the most it ever held.
    """
    library = _library()
    return library is not None and bool(library.mallopt(_ARENA_MAX, _ARENAS))


def give_back() -> bool:
    """Return freed memory to the system; whether any was returned."""
    library = _library()
    return library is not None and bool(library.malloc_trim(0))


def share_cores(works: int) -> int:
    """Let networks use as many threads each that all cores are used by several at once.

    A network that passes on all cores beside another one waits for threads that do not run
    (docs/decisions/021-what-limits-a-hosted-server.md).

    Args:
        works: how many networks pass at once.

    Returns:
        The threads that each has.
    """
    threads = min(torch.get_num_threads(), max((os.cpu_count() or 1) // works, 1))
    torch.set_num_threads(threads)
    return threads


def _library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
