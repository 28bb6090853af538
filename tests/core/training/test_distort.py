"""Generator-like views: what each keeps and what it changes."""

from __future__ import annotations

import pytest
import torch

from core.training.config import DistortConfig
from core.training.distort import distort

KINDS = ("recompose", "shuffle", "warp", "restyle", "resample")


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def views(images):
    return images.float() / 255


def test_no_probability_changes_nothing(views):
    assert torch.equal(distort(views, DistortConfig(), generator=_generator()), views)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_seeded_and_stays_in_the_unit_interval(views, kind):
    config = DistortConfig(**{kind: 1.0})
    one, two = (distort(views, config, generator=_generator(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, distort(views, config, generator=_generator(4)))
    assert one.shape == views.shape
    assert 0 <= float(one.min()) <= float(one.max()) <= 1
    assert (one - views).abs().mean() > 0.005


@pytest.mark.parametrize("kind", KINDS)
def test_the_probability_is_the_share_of_changed_views(views, kind):
    many = views.repeat(25, 1, 1, 1)
    changed = distort(many, DistortConfig(**{kind: 0.3}), generator=_generator())
    share = ((changed - many).abs().amax((1, 2, 3)) > 0).float().mean()
    assert float(share) == pytest.approx(0.3, abs=0.08)


def test_shuffling_keeps_every_tile(views):
    found = distort(views, DistortConfig(shuffle=1.0), generator=_generator())
    tiles = [
        v.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).reshape(len(v), 16, -1)
        for v in (views, found)
    ]
    for before, after in zip(*tiles, strict=True):
        distances = torch.cdist(before, after)
        assert torch.equal(distances.argmin(1).sort().values, torch.arange(16))
        torch.testing.assert_close(distances.min(1).values, torch.zeros(16), atol=1e-3, rtol=0)


def test_recomposing_keeps_a_part_and_replaces_a_part(views):
    found = distort(views, DistortConfig(recompose=1.0), generator=_generator())
    same = ((found - views).abs().amax(1) < 0.02).float().mean((1, 2))
    assert float(same.min()) > 0.2
    assert float(same.max()) < 0.9


def test_restyling_moves_colour_statistics_and_keeps_the_order_of_brightness(views):
    calm = 0.3 + 0.4 * views  # nothing is clipped
    found = distort(calm, DistortConfig(restyle=1.0, restyle_share=1.0), generator=_generator())
    assert (found.mean((2, 3)) - calm.mean((2, 3))).abs().mean() > 0.01
    before, after = calm[:, 0].flatten(1), found[:, 0].flatten(1)
    correlations = [torch.corrcoef(torch.stack(p))[0, 1] for p in zip(before, after, strict=True)]
    assert min(map(float, correlations)) > 0.999


def test_resampling_removes_detail_and_keeps_the_mean(views):
    noisy = (views * 0.6 + 0.2 + 0.1 * torch.randn(views.shape, generator=_generator(1))).clamp(
        0, 1
    )
    found = distort(noisy, DistortConfig(resample=1.0, noise=0.0), generator=_generator())
    detail = [(v[..., 1:] - v[..., :-1]).abs().mean() for v in (noisy, found)]
    assert detail[1] < 0.5 * detail[0]
    torch.testing.assert_close(found.mean((2, 3)), noisy.mean((2, 3)), atol=0.01, rtol=0)


def test_a_probability_beyond_one_is_refused():
    with pytest.raises(ValueError, match="warp must be in"):
        DistortConfig(warp=1.5)
