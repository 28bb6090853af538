from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
import torch

from core.service import machine


@pytest.fixture
def threads() -> Iterator[int]:
    """The threads of torch, which are the process's and are put back."""
    before = torch.get_num_threads()
    yield before
    torch.set_num_threads(before)


def test_networks_at_once_share_the_cores(threads: int, monkeypatch: pytest.MonkeyPatch):
    """Two answers at once had two threads each on two cores, and a fifth of the time was lost."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    torch.set_num_threads(8)
    assert [machine.share_cores(works) for works in (2, 2, 16)] == [4, 4, 1]
    assert torch.get_num_threads() == 1
    torch.set_num_threads(3)
    assert machine.share_cores(1) == 3  # what somebody has set is never raised


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert not machine.limit_heaps()
    assert not machine.give_back()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_returned():
    if machine.limit_heaps():  # not where the C library is another
        small = [bytes(1_000) for _ in range(100_000)]
        del small
        assert machine.give_back() in (True, False)
