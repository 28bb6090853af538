"""Memory that was freed goes back to the system, where the C library knows how (glibc)."""

from __future__ import annotations

import ctypes
import sys

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


def _library() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
