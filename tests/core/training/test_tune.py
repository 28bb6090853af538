"""What a start keeps while it goes on learning."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from core.encoders.backbones import BackboneConfig, build
from core.encoders.pooling import pool, pooled_widths
from core.training.config import MoCoConfig, TuneConfig, ViewConfig
from core.training.moco import MoCo
from core.training.tune import Start, freeze_early

LITE = BackboneConfig("tf_efficientnet_lite0", input_size=32, stages=(1, 2, 3, 4))


@pytest.mark.parametrize("config", [LITE, BackboneConfig(input_size=32)])
@pytest.mark.parametrize("stages", [0, 1, 2])
def test_early_stages_are_held_and_late_ones_learn(config, stages):
    backbone = build(config, seed=0)
    freeze_early(backbone, stages=stages)
    maps = backbone(torch.rand(2, 3, 32, 32)).maps
    assert [one.requires_grad for one in maps] == [level >= stages for level in range(len(maps))]


def _standard(backbone, view):
    stages = backbone(view)
    features = pool(stages.maps, stages.token)
    return (features - features.mean(0)) / (features.var(0, correction=0) + 1e-5).sqrt()


def test_nothing_is_lost_at_the_start_and_the_mean_over_levels_is_afterwards():
    backbone, other = build(LITE, seed=0).eval(), build(LITE, seed=1).eval()
    start = Start(backbone, TuneConfig(keep=2.0)).train()
    view = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        own, moved = _standard(backbone, view), _standard(other, view)
    assert float(start.kept([view], [own])) == pytest.approx(0, abs=1e-4)
    widths = list(pooled_widths(backbone))
    pairs = zip(own.split(widths, 1), moved.split(widths, 1), strict=True)
    wanted = torch.stack([1 - F.cosine_similarity(a, b).mean() for a, b in pairs]).mean()
    assert float(start.kept([view], [moved])) == pytest.approx(2 * float(wanted), rel=1e-3)
    assert not any(p.requires_grad for p in start.parameters())
    assert not start.backbone.training


def test_no_weight_keeps_nothing():
    start = Start(build(LITE, seed=0), TuneConfig(keep=0.0))
    assert float(start.kept([torch.rand(2, 3, 32, 32)], [torch.rand(2, 3)])) == 0


def test_a_model_with_a_start_pulls_the_student_back(images):
    """The term has a gradient of its own: without the contrast, the student returns."""
    torch.manual_seed(0)
    backbone = build(BackboneConfig(input_size=32), seed=0).eval()
    start = Start(backbone, TuneConfig(keep=1.0))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.mul_(1.3)
    model = MoCo(backbone, view=ViewConfig(size=32), config=MoCoConfig(queue=16), start=start)
    model.train()
    views = model.views(images[:8], generator=torch.Generator().manual_seed(0))
    features = [model.student.features(view) for view in views]
    before = start.kept(views, features)
    before.backward()
    with torch.no_grad():
        for parameter in model.student.backbone.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.05 * parameter.grad)
    after = start.kept(views, [model.student.features(view) for view in views])
    assert float(after) < float(before)
