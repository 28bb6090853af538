"""Encoders and the heads beside them, by name or folder."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from core.config import HeadConfig
from core.encoders import registry
from core.encoders.backbones import (
    BackboneConfig,
    build,
    save_backbone,
    weights_hash,
)
from core.encoders.backbones.hub import HubFile
from core.encoders.baselines import BASELINES
from core.encoders.load import fetch_weights, load_encoder, load_network, shipped_heads
from core.encoders.network import NetworkEncoder
from core.heads.fit import fit_head
from core.values import EncoderError, GalleryError

CONFIG = BackboneConfig(input_size=64)


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the bundled networks."""
    monkeypatch.setattr(registry, "BUNDLED", tmp_path / "assets")
    return tmp_path / "assets"


def _image(seed, size=(70, 50)):
    noise = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def test_a_folder_of_our_training_loads(tmp_path):
    backbone = build(CONFIG, seed=4).eval()
    save_backbone(backbone, tmp_path / "mine")
    loaded = load_encoder(str(tmp_path / "mine"))
    wanted = NetworkEncoder("mine", backbone)
    assert loaded.identity == wanted.identity
    features = loaded.encode([_image(0)]).features
    near = wanted.encode([_image(0)]).features
    assert np.linalg.norm(features - near) < 0.01 * np.linalg.norm(near)  # float16 on disk


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_load_by_name(name):
    assert load_encoder(name).name == name


def test_the_random_network_is_always_the_same():
    assert load_encoder("random").identity == load_encoder("random").identity


def test_unknown_encoders_are_refused(tmp_path):
    with pytest.raises(EncoderError, match="known: "):
        load_encoder("mocco")
    with pytest.raises(EncoderError, match="known: "):
        load_encoder(str(tmp_path))


def test_heads_beside_the_weights_are_found(tmp_path, monkeypatch):
    features = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    one, two = (fit_head(features, config=HeadConfig(k=k)) for k in (3, 4))
    one.save(tmp_path / "bundled" / "moco" / "head")
    two.save(tmp_path / "bundled" / "moco" / "patch_head")
    two.save(tmp_path / "mine" / "head")
    monkeypatch.setattr("core.encoders.registry.BUNDLED", tmp_path / "bundled")
    found = shipped_heads("moco")
    assert (found.embedding.identity, found.patches.identity) == (one.identity, two.identity)
    ours = shipped_heads(str(tmp_path / "mine"))
    assert ours.embedding.identity == two.identity
    assert ours.patches is None
    nothing = shipped_heads("thumbnail")
    assert nothing.embedding is None
    assert nothing.patches is None
    (tmp_path / "mine" / "head" / "head.json").write_text("{}")
    with pytest.raises(GalleryError, match="damaged"):
        shipped_heads(str(tmp_path / "mine"))


def test_what_works_offline_is_told_with_the_baselines(tmp_path, monkeypatch):
    """The message of a failed download named the networks alone."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(
        "core.encoders.backbones.hub.HubFile.url", "https://127.0.0.1:9/x.safetensors"
    )
    monkeypatch.setattr("core.encoders.backbones.hub.HubFile.cached", lambda _: None)
    with pytest.raises(EncoderError) as raised:
        load_encoder("dino-vits16", cache=tmp_path)
    assert all(
        name in str(raised.value) for name in ("lite0", "moco", "dino", "random", *BASELINES)
    )


def test_unknown_names_list_the_known_ones(tmp_path: Path) -> None:
    for name in ("mocco", str(tmp_path), "mocco=file.pth", ""):
        with pytest.raises(EncoderError, match=r"known: lite0, moco, dino, random, .*sscd-r50"):
            load_network(name)


def test_random_is_seeded() -> None:
    one, same = load_network("random"), build(registry.spec("random").config, seed=0)
    assert weights_hash(one) == weights_hash(same)
    assert not one.training
    assert one.config == registry.spec("moco").config == registry.spec("dino").config


def test_a_missing_bundled_network_says_how_to_train_it(bundled: Path) -> None:
    with pytest.raises(EncoderError, match="python -m core train dino"):
        load_network("dino")


def test_bundled_and_local_folders_load(bundled: Path, tmp_path: Path) -> None:
    backbone = build(BackboneConfig(input_size=128), seed=7)
    for folder in (bundled / "moco", tmp_path / "mine"):
        save_backbone(backbone, folder)
    assert weights_hash(load_network("moco")) == weights_hash(backbone)
    assert weights_hash(load_network(tmp_path / "mine")) == weights_hash(backbone)


def test_without_a_network_the_error_names_what_works(bundled: Path, tmp_path: Path) -> None:
    save_backbone(build(BackboneConfig(), seed=7), bundled / "dino")
    message = (
        r"weights of mocov3-vits are not here.*work: dino, random, thumbnail, histogram, phash,"
        r" edges, palette\..*mocov3-vits=FILE"
    )
    with pytest.raises(EncoderError, match=message):
        load_network("mocov3-vits", cache=tmp_path, allow_download=False)


def test_a_failed_download_names_what_works(tmp_path: Path, monkeypatch) -> None:
    """The whole way through the client, to a port where nobody listens."""
    monkeypatch.setenv("NO_PROXY", "*")
    url = "https://127.0.0.1:9/x.pth"
    odd = registry.BackboneSpec("odd", "Odd", "MoCo", "upstream", "MIT", BackboneConfig(), url)
    monkeypatch.setitem(registry.NETWORKS, "odd", odd)
    with pytest.raises(EncoderError, match=r"cannot fetch https://127.*encoders work: .*random"):
        load_network("odd", cache=tmp_path)
    with pytest.raises(EncoderError, match=r"cannot fetch https://127.*encoders work: .*lite0"):
        fetch_weights("odd", cache=tmp_path)


@pytest.mark.slow
def test_a_fetched_file_is_used_again(tmp_path: Path, monkeypatch) -> None:
    odd = registry.BackboneSpec(
        "odd", "Odd", "MoCo", "upstream", "MIT", BackboneConfig(), "https://example.org/a/x.pth"
    )
    monkeypatch.setitem(registry.NETWORKS, "odd", odd)
    wanted = build(BackboneConfig(), seed=8)
    (tmp_path / "odd").mkdir()
    torch.save(wanted.network.state_dict(), tmp_path / "odd" / "x.pth")
    found = load_network("odd", cache=tmp_path, allow_download=False)
    assert weights_hash(found) == weights_hash(wanted)


@pytest.mark.parametrize("revision", ["pinned", "main"])
def test_the_hub_cache_serves_without_a_network(revision: str, tmp_path: Path, monkeypatch) -> None:
    source = HubFile("timm/some", "a" * 40)
    some = registry.BackboneSpec("some", "Some", "DINO", "hub", "MIT", BackboneConfig(), source)
    monkeypatch.setitem(registry.NETWORKS, "some", some)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    wanted = build(BackboneConfig(), seed=9)
    commit = source.revision if revision == "pinned" else "b" * 40
    repo = tmp_path / "models--timm--some"
    (repo / "snapshots" / commit).mkdir(parents=True)
    save_file(wanted.network.state_dict(), repo / "snapshots" / commit / source.name)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("b" * 40)
    found = load_network("some", cache=tmp_path / "empty", allow_download=False)
    assert weights_hash(found) == weights_hash(wanted)
