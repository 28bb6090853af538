"""DINO's loss and centre against literal ones; prototypes are held back at the start."""

from __future__ import annotations

import pytest
import torch

from core.encoders.backbones import BackboneConfig, build
from core.training.augment import random_views
from core.training.config import DINOConfig, ViewConfig
from core.training.dino import DINO

BATCH, PROTOTYPES = 4, 48

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")  # lightly's choice


@pytest.fixture
def model():
    torch.manual_seed(0)
    backbone = build(BackboneConfig(input_size=32), seed=0)
    view = ViewConfig(size=32)
    config = DINOConfig(prototypes=PROTOTYPES, local_views=2)
    return DINO(backbone, view=view, config=config).train()


def _generator(step):
    return torch.Generator().manual_seed(step)


def _outputs(model, batch, step):
    generator = _generator(step)
    wide = [random_views(batch, model.global_view, generator=generator) for _ in range(2)]
    local = [random_views(batch, model.local_view, generator=generator) for _ in range(2)]
    with torch.no_grad():
        targets = [model.teacher(view) for view in wide]
        outputs = [model.student(view) for view in wide + local]
    return targets, outputs


def _cross_entropy(targets, outputs, centre, temperature):
    """Mean over the pairs of distinct views and over the images, view by view."""
    losses = []
    for t, target in enumerate(targets):
        wanted = ((target - centre) / temperature).softmax(1)
        for s, output in enumerate(outputs):
            if s != t:
                losses.append(-(wanted * (output / 0.1).log_softmax(1)).sum(1).mean())
    return torch.stack(losses).mean()


@pytest.mark.parametrize(("progress", "temperature"), [(0.0, 0.04), (0.05, 0.055), (0.6, 0.07)])
@pytest.mark.slow
def test_the_loss_is_the_literal_cross_entropy(model, images, progress, temperature):
    for criterion in model.criteria:
        criterion.center.normal_(std=0.05)
    centres = [criterion.center[0].clone() for criterion in model.criteria]
    targets, outputs = _outputs(model, images[:BATCH], 0)
    loss = model(images[:BATCH], generator=_generator(0), progress=progress)
    wanted = [
        _cross_entropy(
            [t[level] for t in targets], [o[level] for o in outputs], centre, temperature
        )
        for level, centre in enumerate(centres)
    ]
    torch.testing.assert_close(loss, torch.stack(wanted).mean(), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_the_centre_is_the_moving_mean_of_the_targets(model, images):
    wanted = torch.zeros(PROTOTYPES)
    for step in range(3):
        batch = images[step * BATCH : (step + 1) * BATCH]
        targets, _ = _outputs(model, batch, step)
        model(batch, generator=_generator(step), progress=0.0)
        wanted = 0.9 * wanted + 0.1 * torch.cat([target[1] for target in targets]).mean(0)
        torch.testing.assert_close(model.criteria[1].center[0, 0], wanted, atol=1e-5, rtol=1e-4)
    assert float(wanted.abs().max()) > 1e-3
    assert "criteria.1.center" in model.state_dict()


@pytest.mark.slow
def test_prototypes_have_no_gradient_at_the_start_only(model, images):
    last = dict(model.student.projectors[-1].last_layer.named_parameters())
    learned = [p for p in last.values() if p.requires_grad]
    assert learned
    for progress, held in ((0.0, True), (0.5, False)):
        model.zero_grad()
        model(images[:BATCH], generator=_generator(0), progress=progress).backward()
        model.before_step(progress)
        assert all((p.grad is None) == held for p in learned)
        assert all(p.grad is not None for p in model.student.backbone.parameters())
    assert all(p.grad is None for p in model.teacher.parameters())


def test_prototypes_stay_of_unit_length(model, images):
    last = model.student.projectors[-1].last_layer
    with torch.no_grad():
        last.weight_v.mul_(3)
    model(images[:BATCH], generator=_generator(0), progress=0.5)
    torch.testing.assert_close(last.weight.norm(dim=1), torch.ones(PROTOTYPES))
    assert not last.weight_g.requires_grad


def test_local_views_are_small_crops_and_go_through_the_student_only(model, images, monkeypatch):
    seen = {"student": [], "teacher": []}
    for name, shapes in seen.items():
        network = getattr(model, name)

        def spy(views, shapes=shapes, whole=network.features):
            shapes.append(len(views))
            return whole(views)

        monkeypatch.setattr(network, "features", spy)
    model(images[:BATCH], generator=_generator(0), progress=0.0)
    assert seen == {"student": [BATCH] * 4, "teacher": [BATCH] * 2}
    assert model.local_view.scale[1] <= model.global_view.scale[0]
    assert model.local_view.size == 32


def test_momentum_rises_to_one(model):
    assert model.momentum(0.0) == pytest.approx(0.99)
    assert model.momentum(1.0) == pytest.approx(1.0)
