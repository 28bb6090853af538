"""Encoders and the heads beside them, by name or folder."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.config import HeadConfig
from core.encoders.backbones import (
    BackboneConfig,
    build,
    save_backbone,
)
from core.encoders.baselines import BASELINES
from core.encoders.load import load_encoder, shipped_heads
from core.encoders.network import NetworkEncoder
from core.heads.fit import fit_head
from core.values import EncoderError, GalleryError

CONFIG = BackboneConfig(input_size=64)


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
    monkeypatch.setattr("core.encoders.load.BUNDLED", tmp_path / "bundled")
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
    assert all(name in str(raised.value) for name in ("moco", "dino", "random", *BASELINES))
