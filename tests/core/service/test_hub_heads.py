"""Heads on published networks: everything works the moment their files are there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from core.cli.commands import app
from core.encoders.registry import spec
from core.heads.head import Head
from tests.core.encoders.backbones import reference

IMAGES = 6


@pytest.fixture
def photos(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(IMAGES):
        coarse = Image.fromarray(rng.integers(0, 255, (4, 4, 3), np.uint8))
        coarse.resize((48, 48)).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def save_dino(path: Path) -> None:
    save_file(reference.vit_state(width=384, patch=16, tokens=197, seed=1), path)


def save_mocov3(path: Path) -> None:
    state = reference.vit_state(width=384, patch=16, tokens=197, seed=1)
    state |= {"pos_embed": reference.sincos(384, 14)}
    whole = {f"module.base_encoder.{name}": tensor for name, tensor in state.items()}
    whole["module.base_encoder.head.0.weight"] = torch.ones(8, 384)
    torch.save({"epoch": 300, "state_dict": whole}, path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "save", "features"),
    [("dino-vits16", save_dino, 4 * 2 * 384 + 384), ("mocov3-vits", save_mocov3, 3_456)],
)
def test_a_head_is_fitted_and_used(name, save, features, photos, tmp_path, monkeypatch) -> None:
    """In the authors' layout, in the cache where a first use would put it; nothing is fetched."""
    monkeypatch.setenv("WELLSPRING_CACHE", str(tmp_path / "cache" / "wellspring"))
    monkeypatch.setattr("core.encoders.backbones.download.fetch", None)
    target = tmp_path / "cache" / "wellspring" / name / Path(spec(name).url or "").name
    target.parent.mkdir(parents=True)
    save(target)
    folder, head = tmp_path / "gallery", tmp_path / "head"
    call("index", photos, "--out", folder, "--encoder", name)
    call("fit-head", folder, "--encoder", name, "--kind", "center", "--out", head)
    fitted = Head.load(head)
    assert fitted.width == features
    options = ("--gallery", folder, "--encoder", name, "--head", head, "--json")
    answer = json.loads(call("attribute", photos / "3.png", *options))
    assert answer["encoder"].startswith(f"{name}@")
    assert answer["head"] == f"center-{features}@{fitted.identity}"
    assert answer["matches"][0]["path"] == "3.png"
    assert answer["matches"][0]["cosine"] == pytest.approx(1, abs=1e-3)
    assert answer["matches"][1]["cosine"] < 0.9


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout
