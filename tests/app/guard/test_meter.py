from __future__ import annotations

import pytest

from app.guard.limits import Limits
from app.guard.meter import Meter
from core.config import ServerConfig


def test_work_is_charged_while_it_goes_on_and_once_only(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    limits = Limits(ServerConfig(hosted=True, max_seconds=1_800))
    monkeypatch.setattr(limits.seconds, "clock", lambda: now[0])
    meter = Meter(limits, "ann", clock=lambda: now[0])
    said = []
    while not said:  # half of a second comes back in each second
        now[0] += 60
        said = [why] if (why := meter()) else []
    assert 3_540 <= now[0] <= 3_720
    assert said == [
        "your calls have taken as long as is allowed in an hour; try again in 7 minutes"
    ]
    assert limits.long_work("ann") is not None and limits.long_work("bob") is None
    wait = limits.seconds.wait("ann")
    meter.charge()
    assert limits.seconds.wait("ann") == wait
