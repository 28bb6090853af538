"""A run from folders of images to an encoder, and what it says where it cannot begin or go on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.encoders.load import load_encoder
from core.training import run as module
from core.training.config import TrainConfig, ViewConfig, WatchConfig
from core.training.loop import train
from core.training.run import train_encoder
from core.values import TrainingError

TINY = TrainConfig("moco", steps=1, batch=4, view=ViewConfig(size=16), watch=WatchConfig(gallery=3))

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")  # lightly's choice


@pytest.fixture
def photos(tmp_path, write_image) -> Path:
    for number in range(5):
        write_image(tmp_path / "photos" / f"{number}.png", number)
    return tmp_path / "photos"


@pytest.fixture
def pairs(photos) -> Path:
    """Pairs of both halves: an exemplar each, and itself as what was generated."""
    rows = [
        {"source": "s", "generator": "g", "exemplars": [p.name], "generated": p.name}
        for p in sorted(photos.glob("*.png"))
    ]
    (photos / "pairs.json").write_text(json.dumps(rows))
    return photos / "pairs.json"


@pytest.mark.slow
def test_a_run_writes_an_encoder_and_a_log_for_machines(
    photos, pairs, tmp_path, write_image
) -> None:
    """The monitor's column held Python's way to write a dictionary.

    A run whose images had changed under their names went on with the old ones.
    """
    out = tmp_path / "run"
    assert train_encoder(TINY, [photos], out=out, size=24, pairs=pairs)
    assert load_encoder(str(out / "encoder")).dim > 1000
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "1"]
    measured = json.loads(rows[1]["monitor"])
    assert 0 <= measured["watched_recall_at_1"] <= 1
    write_image(photos / "3.png", 99)
    with pytest.raises(TrainingError, match="is of a run with images 5 of"):
        train_encoder(TINY, [photos], out=out, size=24)
    write_image(photos / "3.png", 3)
    other = replace(TINY, method="dino")
    with pytest.raises(TrainingError, match="is of a run of moco, not dino; name another folder"):
        train_encoder(other, [photos], out=out, size=24)
    (out / "checkpoint.pt").write_bytes(b"garbage")
    with pytest.raises(TrainingError, match="is damaged; name another folder"):
        train_encoder(TINY, [photos], out=out, size=24)


def test_a_folder_without_images_is_refused(tmp_path) -> None:
    """It ended in a traceback."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="no image below"):
        train_encoder(TINY, [tmp_path / "empty"], out=tmp_path / "run", size=24)


def test_one_image_has_no_other_to_be_told_from(photos, tmp_path) -> None:
    one = torch.zeros(1, 3, 24, 24, dtype=torch.uint8)
    backbone = module.build(module.BackboneConfig(), seed=0)
    with pytest.raises(TrainingError, match="too few"):
        train(backbone, one, config=TINY, out=tmp_path / "run")


def test_pairs_that_cannot_be_watched_are_refused_before_training(
    photos, pairs, tmp_path, monkeypatch
) -> None:
    """It was noticed at the first checkpoint, and ended in a traceback."""
    halves = {p.half: p for p in module.read_pairs(pairs)}
    rows = json.loads(pairs.read_text())
    chosen = [row for row in rows if row["generated"] == halves["untouched"].generated]
    pairs.write_text(json.dumps(chosen))
    monkeypatch.setattr(module, "pack", None)
    with pytest.raises(TrainingError, match="tune half"):
        train_encoder(TINY, [photos], out=tmp_path / "run", size=24, pairs=pairs)
