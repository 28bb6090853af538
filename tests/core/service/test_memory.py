from __future__ import annotations

import sys

import pytest

from core.service import memory


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert not memory.limit_heaps()
    assert not memory.give_back()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_returned():
    if memory.limit_heaps():  # not where the C library is another
        small = [bytes(1_000) for _ in range(100_000)]
        del small
        assert memory.give_back() in (True, False)
