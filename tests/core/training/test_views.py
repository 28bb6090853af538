"""A projector on the pooled features, and a teacher that starts as the student."""

from __future__ import annotations

import torch
from torch import nn

from core.encoders.backbones import BackboneConfig, build
from core.encoders.pooling import pool
from core.training.views import Projected


def _projected():
    return Projected(build(BackboneConfig(input_size=32), seed=0), lambda dim: nn.Linear(dim, 8))


def test_projections_are_of_the_standardised_pooled_features():
    network = _projected().train()
    views = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    stages = network.backbone(views)
    features = pool(stages.maps, stages.token)
    standard = (features - features.mean(0)) / (features.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(network(views), network.projector(standard), atol=1e-4, rtol=1e-3)


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
    network(torch.rand(4, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
