"""MoCo's loss and queue against a literal InfoNCE."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from lightly.models.utils import update_momentum

from core.encoders.backbones import BackboneConfig, build
from core.training.augment import random_views
from core.training.config import MoCoConfig, ViewConfig
from core.training.moco import MoCo

VIEW = ViewConfig(size=32)
QUEUE, TEMPERATURE, BATCH = 24, 0.2, 4


@pytest.fixture
def model():
    torch.manual_seed(0)
    backbone = build(BackboneConfig(input_size=32), seed=0)
    config = MoCoConfig(queue=QUEUE, temperature=TEMPERATURE)
    return MoCo(backbone, view=VIEW, config=config).train()


def _generator(step):
    return torch.Generator().manual_seed(step)


def _banks(model):
    return [criterion.memory_bank.bank for criterion in model.criteria]


def _projections(model, batch, step):
    """Unit queries and keys of every level and both directions, computed apart."""
    generator = _generator(step)
    one, two = (random_views(batch, VIEW, generator=generator) for _ in range(2))
    with torch.no_grad():
        queries = zip(model.student(one), model.student(two), strict=True)
        keys = zip(model.teacher(two), model.teacher(one), strict=True)
    sides = ([F.normalize(torch.cat(views), dim=1) for views in side] for side in (queries, keys))
    return list(zip(*sides, strict=True))


def _info_nce(queries, keys, queue):
    losses = []
    for query, key in zip(queries, keys, strict=True):
        scores = torch.stack([query @ key, *(query @ other for other in queue)]) / TEMPERATURE
        losses.append(scores.logsumexp(0) - scores[0])
    return torch.stack(losses).mean()


def test_the_loss_is_the_literal_info_nce_over_the_queue(model, images):
    queues = [bank.clone() for bank in _banks(model)]
    assert len(queues) == len(model.student.widths)
    for step in range(3):
        batch = images[step * BATCH : (step + 1) * BATCH]
        levels = _projections(model, batch, step)
        loss = model(batch, generator=_generator(step), progress=0.0)
        pairs = zip(levels, queues, strict=True)
        wanted = torch.stack([_info_nce(query, key, queue) for (query, key), queue in pairs])
        torch.testing.assert_close(loss, wanted.mean(), atol=1e-4, rtol=1e-4)
        start = 2 * BATCH * step
        for (_, keys), queue, bank in zip(levels, queues, _banks(model), strict=True):
            queue[start : start + 2 * BATCH] = keys
            torch.testing.assert_close(bank, queue, atol=1e-4, rtol=1e-4)


def test_the_queue_of_a_step_holds_no_key_of_its_batch(model, images, monkeypatch):
    """The largest cosine of a key to the queue would be 1."""
    seen = []
    memory = model.criteria[0].memory_bank
    whole = memory.forward

    def spy(keys, *, update):
        _, bank = result = whole(keys, update=update)
        seen.append(float((keys @ bank).max()))
        return result

    monkeypatch.setattr(memory, "forward", spy)
    for step in range(5):  # the queue has gone round by then
        batch = images[4 * (step % 4) :][:BATCH]
        model(batch, generator=_generator(step), progress=0.0)
    assert len(seen) == 5
    assert max(seen) < 0.9999
    first = memory.bank
    assert float((first @ first.T).diagonal().min()) > 0.999


def test_the_loss_teaches_the_student_only(model, images):
    model(images[:BATCH], generator=_generator(0), progress=0.0).backward()
    assert all(p.grad is not None for p in model.student.parameters())
    assert all(p.grad is None for p in model.teacher.parameters())


def test_the_queue_is_part_of_the_state(model, images):
    """It was not saved, so that a resumed run compared with random keys."""
    model(images[:BATCH], generator=_generator(0), progress=0.0)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    backbone = build(BackboneConfig(input_size=32), seed=1)
    other = MoCo(backbone, view=VIEW, config=MoCoConfig(queue=QUEUE))
    other.load_state_dict(state)
    assert all(map(torch.equal, _banks(other), _banks(model)))
    assert other.criteria[0].memory_bank.bank_ptr.tolist() == [2 * BATCH]


def test_the_teacher_follows_by_an_exact_moving_average(model):
    student, teacher = list(model.student.parameters()), list(model.teacher.parameters())
    with torch.no_grad():
        for parameter in student:
            parameter.add_(torch.randn_like(parameter))
    wanted = [0.99 * t + 0.01 * s for s, t in zip(student, teacher, strict=True)]
    update_momentum(model.student, model.teacher, model.momentum(0.0))
    for found, parameter in zip(teacher, wanted, strict=True):
        torch.testing.assert_close(found, parameter)


def test_momentum_rises_over_the_run(model):
    assert model.momentum(0.0) == pytest.approx(0.99)
    assert model.momentum(1.0) == pytest.approx(0.999)
