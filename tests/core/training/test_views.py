"""A projector on the pooled features, and a teacher that starts as the student."""

from __future__ import annotations

import torch
from torch import nn

from core.encoders.backbones import BackboneConfig, build
from core.encoders.pooling import pool
from core.training.views import Projected, by_level


def _projected():
    return Projected(build(BackboneConfig(input_size=32), seed=0), lambda dim: nn.Linear(dim, 8))


def test_projections_are_of_the_standardised_pooled_features():
    network = _projected().train()
    views = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    stages = network.backbone(views)
    features = pool(stages.maps, stages.token)
    standard = (features - features.mean(0)) / (features.var(0, correction=0) + 1e-5).sqrt()
    parts = standard.split(list(network.widths), dim=1)
    found = network(views)
    assert len(found) == len(parts) == len(stages.maps)
    for projected, projector, part in zip(found, network.projectors, parts, strict=True):
        torch.testing.assert_close(projected, projector(part), atol=1e-4, rtol=1e-3)


def test_views_are_gathered_level_by_level():
    one, two = ([torch.full((2, 3), 10.0 * view + level) for level in (1, 2)] for view in (0, 1))
    early, late = by_level([one, two])
    assert early[:, 0].tolist() == [1, 1, 11, 11]
    assert late[:, 0].tolist() == [2, 2, 12, 12]


def test_held_statistics_stay_as_they_are():
    backbone = build(BackboneConfig(input_size=32), seed=0)
    network = Projected(backbone, lambda dim: nn.Linear(dim, 8), hold_statistics=True).train()
    before = {name: value.clone() for name, value in backbone.named_buffers()}
    network(torch.rand(4, 3, 32, 32))
    assert all(torch.equal(value, before[name]) for name, value in backbone.named_buffers())
    assert network.standardise.training
    loose = Projected(backbone, lambda dim: nn.Linear(dim, 8)).train()
    loose(torch.rand(4, 3, 32, 32))
    changed = [not torch.equal(v, before[name]) for name, v in backbone.named_buffers()]
    assert any(changed)


def test_a_follower_is_equal_apart_and_without_gradients():
    student = _projected()
    teacher = student.follower()
    mine, its = student.state_dict(), teacher.state_dict()
    assert mine.keys() == its.keys()
    assert all(torch.equal(mine[name], its[name]) for name in mine)
    shared = {p.data_ptr() for p in student.parameters()} & {
        p.data_ptr() for p in teacher.parameters()
    }
    assert not shared
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(p.requires_grad for p in student.parameters())


def test_every_parameter_of_the_student_learns():
    network = _projected().train()
    torch.cat(network(torch.rand(4, 3, 32, 32))).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
