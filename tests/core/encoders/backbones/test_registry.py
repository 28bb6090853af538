"""The registry: names, licences, and loading with and without a network."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

from core.encoders import backbones
from core.encoders.backbones import (
    BackboneConfig,
    build,
    registry,
    save_backbone,
    weights_hash,
)
from core.encoders.backbones.hub import HubFile
from core.values import EncoderError


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the bundled networks."""
    monkeypatch.setattr(registry, "BUNDLED", tmp_path / "assets")
    return tmp_path / "assets"


def test_every_network_has_a_name_a_licence_and_a_source() -> None:
    found = backbones.specs()
    assert [spec.name for spec in found] == [
        "moco",
        "dino",
        "random",
        "dino-vits16",
        "dino-vitb16",
        "dinov2-vits14",
        "clip-vitb32",
        "mocov3-vits",
        "mocov3-vitb",
        "mocov2-r50",
        "sscd-r50",
    ]
    for spec in found:
        assert backbones.spec(spec.name) is spec
        assert spec.licence
        assert spec.needs_network == (spec.kind != "bundled")
        assert spec.needs_network == (spec.url or "").startswith("https://")
        assert (spec.licence == "CC BY-NC 4.0") == (spec.name.startswith("mocov"))


def test_hub_files_are_pinned_to_a_commit() -> None:
    sources = [spec.source for spec in backbones.specs() if isinstance(spec.source, HubFile)]
    assert len(sources) == 4
    for source in sources:
        assert len(bytes.fromhex(source.revision)) == 20
        assert source.url.endswith(f"/{source.repo}/resolve/{source.revision}/{source.name}")


def test_unknown_names_list_the_known_ones(tmp_path: Path) -> None:
    for name in ("mocco", str(tmp_path), "mocco=file.pth", ""):
        with pytest.raises(EncoderError, match=r"known: moco, dino, random, .*sscd-r50"):
            backbones.load(name)


def test_random_is_seeded() -> None:
    one, same = backbones.load("random"), build(BackboneConfig(), seed=0)
    assert weights_hash(one) == weights_hash(same)
    assert not one.training
    assert one.config == backbones.spec("moco").config == backbones.spec("dino").config


def test_a_missing_bundled_network_says_how_to_train_it(bundled: Path) -> None:
    with pytest.raises(EncoderError, match="python -m core train dino"):
        backbones.load("dino")


def test_bundled_and_local_folders_load(bundled: Path, tmp_path: Path) -> None:
    backbone = build(BackboneConfig(input_size=128), seed=7)
    for folder in (bundled / "moco", tmp_path / "mine"):
        save_backbone(backbone, folder)
    assert weights_hash(backbones.load("moco")) == weights_hash(backbone)
    assert weights_hash(backbones.load(tmp_path / "mine")) == weights_hash(backbone)


def test_without_a_network_the_error_names_what_works(bundled: Path, tmp_path: Path) -> None:
    save_backbone(build(BackboneConfig(), seed=7), bundled / "dino")
    message = r"weights of mocov3-vits are not here.*work: dino, random\..*mocov3-vits=FILE"
    with pytest.raises(EncoderError, match=message):
        backbones.load("mocov3-vits", cache=tmp_path, allow_download=False)


def test_a_failed_download_names_what_works(tmp_path: Path, monkeypatch) -> None:
    """The whole way through the client, to a port where nobody listens."""
    monkeypatch.setenv("NO_PROXY", "*")
    url = "https://127.0.0.1:9/x.pth"
    odd = registry.BackboneSpec("odd", "Odd", "MoCo", "upstream", "MIT", BackboneConfig(), url)
    monkeypatch.setitem(registry._SPECS, "odd", odd)
    with pytest.raises(EncoderError, match=r"cannot fetch https://127.*encoders work: .*random"):
        backbones.load("odd", cache=tmp_path)


def test_a_fetched_file_is_used_again(tmp_path: Path, monkeypatch) -> None:
    odd = registry.BackboneSpec(
        "odd", "Odd", "MoCo", "upstream", "MIT", BackboneConfig(), "https://example.org/a/x.pth"
    )
    monkeypatch.setitem(registry._SPECS, "odd", odd)
    wanted = build(BackboneConfig(), seed=8)
    (tmp_path / "odd").mkdir()
    torch.save(wanted.network.state_dict(), tmp_path / "odd" / "x.pth")
    found = backbones.load("odd", cache=tmp_path, allow_download=False)
    assert weights_hash(found) == weights_hash(wanted)


@pytest.mark.parametrize("revision", ["pinned", "main"])
def test_the_hub_cache_serves_without_a_network(revision: str, tmp_path: Path, monkeypatch) -> None:
    source = HubFile("timm/some", "a" * 40)
    some = registry.BackboneSpec("some", "Some", "DINO", "hub", "MIT", BackboneConfig(), source)
    monkeypatch.setitem(registry._SPECS, "some", some)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    wanted = build(BackboneConfig(), seed=9)
    commit = source.revision if revision == "pinned" else "b" * 40
    repo = tmp_path / "models--timm--some"
    (repo / "snapshots" / commit).mkdir(parents=True)
    save_file(wanted.network.state_dict(), repo / "snapshots" / commit / source.name)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("b" * 40)
    found = backbones.load("some", cache=tmp_path / "empty", allow_download=False)
    assert weights_hash(found) == weights_hash(wanted)
