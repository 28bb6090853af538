from __future__ import annotations

import threading

import pytest

from app.page.work import Stops
from core.values import Cancelled


def test_a_stop_reaches_its_own_page_only():
    stops = Stops()
    with stops.running("a", lambda *_: None) as report:
        assert not stops.stop("b")
        report(0, 1, "goes on")
        thread = threading.Thread(target=stops.stop, args=("a",))
        thread.start()
        thread.join()
        with pytest.raises(Cancelled):
            report(1, 1, "ends")
    assert not stops.stop("a")
