"""Backbones on disk: round trips, hashes, and everything that must not load."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.encoders.backbones import (
    Backbone,
    BackboneConfig,
    build,
    load_backbone,
    save_backbone,
    weights_hash,
)
from core.values import EncoderError


@pytest.fixture
def backbone() -> Backbone:
    return build(BackboneConfig(), seed=3).eval()


@pytest.fixture
def folder(backbone: Backbone, tmp_path: Path) -> Path:
    save_backbone(backbone, tmp_path / "encoder")
    return tmp_path / "encoder"


def edit(folder: Path, **change: object) -> None:
    config = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps(config | change))


def test_round_trip_is_equal_after_float16(backbone: Backbone, folder: Path) -> None:
    loaded = load_backbone(folder)
    assert loaded.config == backbone.config
    assert not loaded.training
    for name, tensor in backbone.network.state_dict().items():
        found = loaded.network.state_dict()[name]
        wanted = tensor.half().float() if tensor.is_floating_point() else tensor
        assert found.dtype == tensor.dtype
        assert torch.equal(found, wanted)
    assert weights_hash(loaded) == weights_hash(backbone)


def test_an_efficientnet_comes_back(tmp_path: Path) -> None:
    config = BackboneConfig(
        "tf_efficientnet_lite0", input_size=64, mean=(0.5,) * 3, std=(0.5,) * 3, patch_stage=1
    )
    backbone = build(config, seed=5).eval()
    save_backbone(backbone, tmp_path)
    loaded = load_backbone(tmp_path)
    assert loaded.config == config
    assert weights_hash(loaded) == weights_hash(backbone)
    assert weights_hash(build(config, seed=6)) != weights_hash(backbone)
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for found, wanted in zip(loaded(pixels).maps, backbone(pixels).maps, strict=True):
            assert (found - wanted).norm() < 0.01 * wanted.norm()  # float16 on disk


def test_files_are_small_whole_and_alone(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["backbone.safetensors", "cfg.json"]
    assert (folder / "backbone.safetensors").stat().st_size < 8.2e6
    floats = [t for t in load_file(folder / "backbone.safetensors").values() if t.numel() > 1]
    assert {tensor.dtype for tensor in floats} == {torch.float16}


def test_hash_changes_with_one_weight(backbone: Backbone) -> None:
    before = weights_hash(backbone)
    with torch.no_grad():
        backbone.network.layer3[1].conv2.weight[5, 4, 1, 1] += 0.01
    assert weights_hash(backbone) != before


def test_hash_ignores_what_the_disk_does_not_keep(backbone: Backbone) -> None:
    before = weights_hash(backbone)
    with torch.no_grad():
        backbone.network.bn1.weight += 1e-6  # float16 has steps of 1e-3 at 1
    assert weights_hash(backbone.to(memory_format=torch.channels_last)) == before


@pytest.mark.parametrize(
    "change",
    [
        {"input_size": 192},
        {"mean": (0.5, 0.5, 0.5)},
        {"std": (0.5, 0.5, 0.5)},
        {"stages": (1, 2, 4)},
        {"patch_stage": 1},
    ],
)
def test_hash_changes_with_the_configuration(change: dict, backbone: Backbone) -> None:
    other = Backbone(replace(backbone.config, **change), backbone.network)
    assert weights_hash(other) != weights_hash(backbone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "colour"),
        ({"architecture": "resnet-huge"}, "resnet-huge"),
        ({"architecture": 5}, "cfg.json"),
        ({"architecture": "resnet50"}, "do not fit"),
        ({"input_size": "160"}, "cfg.json"),
        ({"mean": [0.5, 0.5]}, "cfg.json"),
        ({"stages": [2, 9]}, "stages up to 4"),
        ({"stages": 3}, "cfg.json"),
        ({"patch_stage": 7}, "patch_stage"),
    ],
)
@pytest.mark.slow
def test_wrong_configurations_are_refused(change: dict, message: str, folder: Path) -> None:
    edit(folder, **change)
    with pytest.raises(EncoderError, match=message):
        load_backbone(folder)


@pytest.mark.parametrize("text", ["", "[]", "5", "{", "{}", '{"architecture": "resnet-mid"}'])
def test_damaged_configurations_are_refused(text: str, folder: Path) -> None:
    (folder / "cfg.json").write_text(text)
    with pytest.raises(EncoderError, match=r"cfg\.json"):
        load_backbone(folder)


def test_damaged_weights_are_refused(folder: Path) -> None:
    path = folder / "backbone.safetensors"
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-1], whole + b"x", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(EncoderError, match="cannot read weights"):
            load_backbone(folder)


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    path = folder / "backbone.safetensors"
    state = load_file(path)
    conv = state["conv1.weight"]
    for change in ({"conv1.weight": conv[:32].clone()}, {"fc.weight": conv.clone()}):
        save_file(state | change, path)
        with pytest.raises(EncoderError, match=next(iter(change))):
            load_backbone(folder)
    save_file({k: v for k, v in state.items() if k != "bn1.bias"}, path)
    with pytest.raises(EncoderError, match=r"bn1\.bias"):
        load_backbone(folder)
    save_file(state | {"conv1.weight": torch.full_like(conv, torch.inf)}, path)
    with pytest.raises(EncoderError, match=r"conv1\.weight .* not finite"):
        load_backbone(folder)


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "backbone.safetensors").unlink()
    with pytest.raises(EncoderError, match=r"backbone\.safetensors"):
        load_backbone(folder)
    (folder / "cfg.json").unlink()
    with pytest.raises(EncoderError, match=r"cfg\.json"):
        load_backbone(folder)


def test_what_float16_cannot_hold_is_not_written(backbone: Backbone, folder: Path) -> None:
    before = (folder / "backbone.safetensors").read_bytes()
    with torch.no_grad():
        backbone.network.bn1.running_var[0] = 1e5
    with pytest.raises(EncoderError, match=r"bn1\.running_var"):
        save_backbone(backbone, folder)
    assert (folder / "backbone.safetensors").read_bytes() == before


def test_a_failed_write_leaves_the_old_files(
    backbone: Backbone, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(OSError, match="No space"):
        save_backbone(build(BackboneConfig(), seed=4), folder)
    assert weights_hash(load_backbone(folder)) == weights_hash(backbone)
    assert sorted(path.name for path in folder.iterdir()) == ["backbone.safetensors", "cfg.json"]
