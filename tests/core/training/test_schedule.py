"""Which images a step sees, and its learning rate."""

from __future__ import annotations

import pytest
import torch

from core.training.schedule import batch_rows, rate_factor


def test_every_image_comes_once_in_an_epoch():
    epochs = [batch_rows(16, batch=4, step=step, seed=0) for step in range(8)]
    first, second = torch.cat(epochs[:4]), torch.cat(epochs[4:])
    for epoch in (first, second):
        assert epoch.sort().values.tolist() == list(range(16))
    assert not torch.equal(first, second)


def test_another_seed_gives_another_order():
    one, two = (batch_rows(16, batch=16, step=0, seed=seed) for seed in (0, 1))
    assert not torch.equal(one, two)


def test_processes_share_an_epoch_out():
    parts = [
        batch_rows(16, batch=4, step=step, seed=0, rank=rank, world=2)
        for rank in (0, 1)
        for step in (0, 1)
    ]
    assert {len(part) for part in parts} == {4}
    assert torch.cat(parts).sort().values.tolist() == list(range(16))


def test_fewer_images_than_a_batch_are_all_seen_at_every_step():
    for step in range(3):
        assert batch_rows(5, batch=8, step=step, seed=0).sort().values.tolist() == list(range(5))


def test_the_rate_warms_up_and_falls_to_nothing():
    rates = [rate_factor(step / 100, warm_up=0.1, steps=100) for step in range(100)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[0] == pytest.approx(1 / 11)
    assert max(rates) == pytest.approx(1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.01
