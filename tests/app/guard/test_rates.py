from __future__ import annotations

import math

import pytest

from app.guard import rates
from app.guard.rates import Rate, in_words


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_all_may_be_used_at_once_and_comes_back_evenly():
    clock = Clock()
    rate = Rate(10, 60, clock=clock)
    assert [rate.take("ann") for _ in range(10)] == [0.0] * 10
    assert rate.take("ann") == pytest.approx(6)
    assert rate.take("bob") == 0
    clock.now += 6
    assert rate.take("ann") == 0
    assert rate.take("ann", 5) == pytest.approx(30)
    clock.now += 1_000  # nobody saves more than the amount
    assert rate.take("ann", 10) == 0
    assert rate.take("ann") > 0


def test_over_any_time_no_more_is_used_than_the_amount_and_what_comes_back():
    clock, used = Clock(), 0
    rate = Rate(30, 60, clock=clock)
    for _ in range(600):
        clock.now += 0.5
        used += rate.take("ann") == 0
    assert used == pytest.approx(30 + 300 * 30 / 60, abs=1)


def test_what_was_used_though_it_is_too_much_is_waited_for():
    clock = Clock()
    rate = Rate(1_800, 3_600, clock=clock)
    rate.use("ann", 2_700)
    assert rate.wait("ann") == pytest.approx(1_800)
    assert rate.wait("bob", 1_801) == math.inf


def test_those_at_rest_are_forgotten(monkeypatch):
    monkeypatch.setattr(rates, "CROWD", 100)
    clock = Clock()
    rate = Rate(10, 60, clock=clock)
    for number in range(1_000):
        clock.now += 7  # each is at rest when the next but one comes
        rate.use(str(number))
    assert len(rate.rests) <= 100


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "in 1 seconds"), (30.1, "in 31 seconds"), (90, "in 2 minutes"), (601, "in 11 minutes")],
)
def test_when_to_try_again_is_never_too_soon(seconds: float, words: str):
    assert in_words(seconds) == words
