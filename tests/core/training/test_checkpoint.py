"""A run goes on with what it was begun with, and names what has changed."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch

from core.encoders.backbones import BackboneConfig, build
from core.training.checkpoint import FREE, held_settings, read_checkpoint, write_checkpoint
from core.training.config import (
    DistortConfig,
    RegulariseConfig,
    TrainConfig,
    ViewConfig,
    WatchConfig,
)
from core.training.loop import train
from core.values import TrainingError

CONFIG = TrainConfig("moco", steps=4, batch=4, view=ViewConfig(size=32))
CPU = torch.device("cpu")


@pytest.fixture
def path(images, tmp_path):
    """The checkpoint of a run that was begun with ``CONFIG``."""
    settings = held_settings(CONFIG, images, processes=1)
    write_checkpoint(tmp_path / "checkpoint.pt", {"step": 2}, settings=settings)
    return tmp_path / "checkpoint.pt"


def _read(path, images, config, *, processes=1):
    settings = held_settings(config, images, processes=processes)
    return read_checkpoint(path, settings=settings, device=CPU)


CHANGES = {
    "batch": ({"batch": 8}, "batch 4, not 8"),
    "steps": ({"steps": 9}, "steps 4, not 9"),
    "seed": ({"seed": 3}, "seed 0, not 3"),
    "rate": ({"learning_rate": 0.5}, "learning_rate 0.001, not 0.5"),
    "view": ({"view": ViewConfig(size=24)}, "view.size 32, not 24"),
    "generative": (
        {"view": ViewConfig(size=32, distort=DistortConfig(warp=0.3))},
        "view.distort.warp 0.0, not 0.3",
    ),
    "regulariser": (
        {"regularise": RegulariseConfig(infomax=0.5)},
        "regularise.infomax 0.0, not 0.5",
    ),
    "start": ({"start": "runs/other"}, "start None, not runs/other"),
    "several": ({"batch": 8, "seed": 3}, "batch 4, not 8, seed 0, not 3"),
}


@pytest.mark.parametrize(("change", "named"), CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_setting_is_refused_by_name(path, images, change, named):
    """The run went on with the new value, as if it had had it from the start."""
    with pytest.raises(TrainingError, match=f"a run with {named}; .*name another folder"):
        _read(path, images, replace(CONFIG, **change))


def test_another_number_of_processes_is_refused(path, images):
    """Batch and learning rate follow from it."""
    with pytest.raises(TrainingError, match="processes 1, not 2"):
        _read(path, images, CONFIG, processes=2)


def test_other_images_are_refused(path, images):
    """The steps that were done had seen other images."""
    darker = images.clone()
    darker[3, 0, 5, 5] ^= 1
    for other in (darker, images[:-1], images.flip(0), images[..., :16]):
        with pytest.raises(TrainingError, match=r"images 16 of 32 x 32 pixels .*, not 1[56] of"):
            _read(path, other, CONFIG)


def test_what_decides_when_and_where_may_change(path, images):
    """Another device draws other views of the same images in the same order."""
    changed = replace(
        CONFIG, minutes=1.0, checkpoint_minutes=9.0, device="meta", watch=WatchConfig(queries=3)
    )
    assert _read(path, images, changed)["step"] == 2
    differing = {f.name for f in fields(CONFIG) if getattr(changed, f.name) != vars(CONFIG)[f.name]}
    assert differing == FREE
    assert math.isinf(CONFIG.minutes)


def test_settings_of_the_other_method_do_not_matter(path, images):
    other = replace(CONFIG.dino, prototypes=8)
    assert _read(path, images, replace(CONFIG, dino=other))["step"] == 2


def test_a_run_that_does_not_say_its_settings_is_refused(path, images):
    torch.save({"step": 2, "method": "moco"}, path)
    with pytest.raises(TrainingError, match="does not say what it was begun with; name another"):
        _read(path, images, CONFIG)


@pytest.mark.parametrize("content", [{}, {"step": "x"}, {"step": 1, "settings": 5}, [1], None])
def test_a_damaged_checkpoint_is_refused(path, images, content):
    torch.save(content, path)
    with pytest.raises(TrainingError, match="is damaged; name another folder"):
        _read(path, images, CONFIG)


@pytest.mark.slow
def test_training_refuses_before_it_writes_anything(images, tmp_path):
    """The whole way: the second call says what was changed and leaves the run as it was."""
    config = replace(CONFIG, steps=1)
    backbone = build(BackboneConfig(input_size=32), seed=0)
    train(backbone, images, config=config, out=tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for change, other, named in (
        ({"batch": 8}, images, "batch 4, not 8"),
        ({}, images.flip(0), "images"),
    ):
        with pytest.raises(TrainingError, match=named):
            train(backbone, other, config=replace(config, **change), out=tmp_path)
    assert {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()} == before
