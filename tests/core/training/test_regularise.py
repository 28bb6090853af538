"""The terms beside the objective, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.encoders.backbones import BackboneConfig, build
from core.training.config import RegulariseConfig, TrainConfig, ViewConfig
from core.training.loop import train
from core.training.regularise import infomax, low_rank, regularised


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_infomax_is_nothing_for_independent_features_and_grows_with_correlation():
    rows = torch.randn(20_000, 8, generator=_generator())
    assert float(infomax(rows, features=128, generator=_generator())) == pytest.approx(0, abs=5e-3)
    mixed = rows.clone()
    mixed[:, 1] = 0.6 * rows[:, 0] + 0.8 * rows[:, 1]  # correlation 0.6
    expected = -math.log(1 - 0.6**2) / 8
    found = float(infomax(mixed, features=128, generator=_generator()))
    assert found == pytest.approx(expected, rel=0.03)


def test_infomax_does_not_see_scale_or_offset():
    rows = torch.randn(500, 6, generator=_generator()) @ torch.randn(6, 6, generator=_generator(1))
    moved = rows * 50 + 7
    one, two = (float(infomax(r * 50, features=128, generator=_generator())) for r in (rows, moved))
    assert one == pytest.approx(two, rel=1e-2)


def test_infomax_descends_to_independence():
    rows = torch.randn(400, 6, generator=_generator()) @ torch.randn(6, 6, generator=_generator(1))
    weight = torch.eye(6, requires_grad=True)
    optimiser = torch.optim.Adam([weight], lr=0.05)
    before = float(infomax(rows, features=128, generator=_generator()))
    for _ in range(200):
        optimiser.zero_grad()
        infomax(rows @ weight, features=128, generator=_generator()).backward()
        optimiser.step()
    after = float(infomax(rows @ weight.detach(), features=128, generator=_generator()))
    assert after < 0.1 * before


def test_low_rank_is_the_nuclear_norm():
    views = torch.randn(3, 5, 16, generator=_generator())
    unit = torch.nn.functional.normalize(views, dim=-1).transpose(0, 1)
    norms = torch.linalg.svdvals(unit).sum(1)
    assert float(low_rank(views)) == pytest.approx(float(norms.mean()) - math.sqrt(3), abs=1e-3)


def test_low_rank_is_least_for_equal_views():
    one = torch.randn(1, 5, 16, generator=_generator())
    assert float(low_rank(one.expand(4, -1, -1))) == pytest.approx(0, abs=5e-3)
    assert float(low_rank(torch.randn(4, 5, 16, generator=_generator()))) > 1


def test_weights_of_nothing_add_nothing():
    views = [torch.randn(8, 4, generator=_generator(i)) for i in range(2)]
    assert float(regularised(views, RegulariseConfig(), generator=_generator())) == 0


def test_terms_are_taken_of_all_views_and_summed_by_their_weights():
    """The total correlation of the rows of all views, and the nuclear norm of each image's two."""
    views = torch.randn(2, 300, 4, generator=_generator())
    views[..., 1] = 0.6 * views[..., 0] + 0.8 * views[..., 1]
    rows = views.reshape(600, 4).double().numpy()
    independence = -math.log(np.linalg.det(np.corrcoef(rows.T))) / 4
    unit = views.double().numpy() / np.linalg.norm(views, axis=-1, keepdims=True)
    cosines = (unit[0] * unit[1]).sum(1)  # two unit rows have the squares 1 + cos and 1 - cos
    norms = np.sqrt(1 + cosines) + np.sqrt(1 - cosines)
    rank = norms.mean() - math.sqrt(2)
    for infomax_weight, low_rank_weight in ((2.0, 0.5), (0.0, 0.5), (2.0, 0.0)):
        weights = RegulariseConfig(infomax=infomax_weight, low_rank=low_rank_weight)
        found = float(regularised(list(views), weights, generator=_generator()))
        expected = infomax_weight * independence + low_rank_weight * rank
        assert found == pytest.approx(expected, rel=0.01)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("method", ["moco", "dino"])
def test_a_run_takes_them_and_learns_otherwise(images, tmp_path, method):
    weights = {}
    for name, regularise in (
        ("plain", RegulariseConfig()),
        ("both", RegulariseConfig(infomax=1.0, low_rank=1.0)),
    ):
        config = TrainConfig(
            method, steps=2, batch=8, view=ViewConfig(size=32), regularise=regularise
        )
        train(
            build(BackboneConfig(input_size=32), seed=0), images, config=config, out=tmp_path / name
        )
        state = torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["model"]
        weights[name] = state["student.backbone.network.conv1.weight"]
    assert not torch.equal(weights["plain"], weights["both"])
