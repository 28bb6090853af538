"""Published checkpoints: random weights in the authors' layouts must give the authors' features."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from core.encoders.backbones import Backbone, BackboneConfig, StageMaps
from core.encoders.backbones.upstream import Layout, load_checkpoint
from core.encoders.load import load_network
from core.encoders.registry import spec
from core.values import EncoderError
from tests.core.encoders.backbones import reference

BLOCKS = (2, 5, 8, 11)


@pytest.fixture(scope="module")
def vits() -> reference.State:
    """ViT-S/16 weights at 224 pixels."""
    return reference.vit_state(width=384, patch=16, tokens=197, seed=1)


@pytest.fixture(scope="module")
def resnet() -> reference.State:
    return reference.resnet50_state(seed=2)


def pixels(size: int) -> Tensor:
    return torch.rand((1, 3, size, size), generator=torch.Generator().manual_seed(3))


def normalised(images: Tensor) -> Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    return (images.double() - mean) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@torch.no_grad()
def read(backbone: Backbone, images: Tensor) -> StageMaps:
    """In float64, so that random networks amplify no rounding."""
    return backbone.double()(images.double())


def doubled(state: reference.State) -> reference.State:
    return {name: tensor.double() for name, tensor in state.items()}


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def assert_vit(backbone: Backbone, state: reference.State, *, heads: int) -> None:
    images = normalised(pixels(224))
    expected = reference.vit(doubled(state), images, heads=heads, blocks=BLOCKS)
    found = read(backbone, pixels(224))
    assert found.token is not None
    assert_close(found.token, expected[-1][:, 0])
    for stage, tokens in zip(found.maps, expected, strict=True):
        assert_close(stage.flatten(2).transpose(1, 2), tokens[:, 1:])  # patches row by row


def assert_resnet(backbone: Backbone, state: reference.State) -> None:
    expected = reference.resnet50(doubled(state), normalised(pixels(64)))
    found = read(backbone, pixels(64))
    assert found.token is None
    for stage, wanted in zip(found.maps, expected, strict=True):
        assert_close(stage, wanted)


def save_mocov3(state: reference.State, path: Path) -> None:
    """The authors' layout: both encoders and the predictor, with a projector as the head."""
    whole = {f"module.base_encoder.{name}": tensor for name, tensor in state.items()}
    whole["module.base_encoder.head.0.weight"] = torch.ones(4096, 384)
    whole["module.base_encoder.head.1.running_mean"] = torch.ones(4096)
    whole["module.momentum_encoder.cls_token"] = torch.ones(1, 1, 384)
    whole["module.predictor.0.weight"] = torch.ones(4096, 256)
    torch.save({"epoch": 300, "arch": "vit_small", "state_dict": whole}, path)


@pytest.fixture(scope="module")
def sincos() -> Tensor:
    return reference.sincos(384, 14)


@pytest.fixture(scope="module")
def mocov3(vits: reference.State, sincos: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mocov3") / "vit-s-300ep.pth.tar"
    save_mocov3(vits | {"pos_embed": sincos}, path)
    return path


@pytest.fixture(scope="module")
def twelve(mocov3: Path) -> Backbone:
    return load_network(f"mocov3-vits={mocov3}")


@pytest.mark.slow
def test_dino(vits: reference.State, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(vits, path)
    assert_vit(load_network(f"dino-vits16={path}"), vits, heads=6)


@pytest.mark.slow
def test_dinov2_at_another_input_size(tmp_path: Path) -> None:
    """Its file holds positions for 518 pixels; 37 x 37 become 16 x 16."""
    state = reference.vit_state(width=384, patch=14, tokens=1 + 37**2, seed=4, scale=True)
    path = tmp_path / "model.safetensors"
    save_file(state, path)
    backbone = load_network(f"dinov2-vits14={path}")
    grid = state["pos_embed"][:, 1:].reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, (16, 16), mode="bicubic", antialias=True)
    resized = torch.cat([state["pos_embed"][:, :1], grid.flatten(2).transpose(1, 2)], 1)
    assert_vit(backbone, state | {"pos_embed": resized}, heads=6)


@pytest.mark.slow
def test_mocov3(vits: reference.State, sincos: Tensor, twelve: Backbone) -> None:
    assert_vit(twelve, vits | {"pos_embed": sincos}, heads=12)


@pytest.mark.slow
def test_mocov3_with_six_heads_loads_and_is_wrong(mocov3: Path, twelve: Backbone) -> None:
    """Negative control: every tensor fits timm's ViT-S, whose 6 heads give other features."""
    known = spec("mocov3-vits")
    six = replace(known.config, architecture="vit_small_patch16_224")
    wrong = load_checkpoint(mocov3, config=six, layout=known.layout)
    for name, tensor in twelve.network.state_dict().items():
        assert torch.equal(tensor.float(), wrong.network.state_dict()[name])
    found, expected = read(wrong, pixels(224)).token, read(twelve, pixels(224)).token
    assert found is not None
    assert expected is not None
    assert F.cosine_similarity(found, expected).item() < 0.9


CLIP_NAMES = (
    ("patch_embed.proj", "conv1"),
    ("norm_pre", "ln_pre"),
    ("norm1", "ln_1"),
    ("norm2", "ln_2"),
    ("norm", "ln_post"),
    ("blocks.", "transformer.resblocks."),
    ("qkv.", "in_proj_"),
    ("attn.proj", "attn.out_proj"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
)


def save_clip(state: reference.State, path: Path) -> None:
    """OpenAI's layout, with something of the text tower."""
    whole = {"positional_embedding": torch.ones(77, 512), "logit_scale": torch.ones(())}
    whole["visual.proj"] = torch.ones(768, 512)
    whole["visual.class_embedding"] = state["cls_token"][0, 0]
    whole["visual.positional_embedding"] = state["pos_embed"][0]
    for name, tensor in state.items():
        if name not in ("cls_token", "pos_embed"):
            for ours, theirs in CLIP_NAMES:
                name = name.replace(ours, theirs)
            whole[f"visual.{name}"] = tensor
    torch.save(whole, path)


@torch.no_grad()
@pytest.mark.slow
def test_clip(tmp_path: Path) -> None:
    """All blocks share one set of weights, so that the file stays small."""
    one = reference.vit_state(width=768, patch=32, tokens=50, seed=6, depth=1)
    del one["patch_embed.proj.bias"]
    state = one | {
        name.replace("blocks.0", f"blocks.{block}"): tensor
        for name, tensor in one.items()
        for block in range(12)
        if "blocks" in name
    }
    state |= {"norm_pre.weight": torch.ones(768) * 2, "norm_pre.bias": torch.ones(768) / 10}
    save_clip(state, tmp_path / "clip.pt")
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    images = (pixels(224) - mean) / std
    expected = reference.vit(state, images, heads=12, blocks=BLOCKS, clip=True)
    found = load_network(f"clip-vitb32={tmp_path / 'clip.pt'}")(pixels(224))
    assert found.token is not None
    torch.testing.assert_close(found.token, expected[-1][:, 0], atol=2e-3, rtol=1e-3)
    for stage, tokens in zip(found.maps, expected, strict=True):
        patches = stage.flatten(2).transpose(1, 2)
        torch.testing.assert_close(patches, tokens[:, 1:], atol=2e-3, rtol=1e-3)


@pytest.mark.slow
def test_mocov2(resnet: reference.State, tmp_path: Path) -> None:
    path = tmp_path / "moco_v2_800ep_pretrain.pth.tar"
    whole = {f"module.encoder_q.{name}": tensor for name, tensor in resnet.items()}
    whole |= {f"module.encoder_k.{name}": torch.zeros(1) for name in resnet}
    whole["module.encoder_q.fc.0.weight"] = torch.ones(2048, 128)
    whole["module.queue"] = torch.ones(128, 16)
    torch.save({"epoch": 800, "arch": "resnet50", "state_dict": whole}, path)
    assert_resnet(load_network(f"mocov2-r50={path}"), resnet)


@pytest.mark.slow
def test_sscd(resnet: reference.State, tmp_path: Path) -> None:
    path = tmp_path / "sscd_disc_mixup.torchvision.pt"
    whole = {f"backbone.{name}": tensor for name, tensor in resnet.items()}
    whole |= {"backbone.fc.weight": torch.ones(512, 2048), "backbone.fc.bias": torch.ones(512)}
    torch.save(whole, path)
    assert_resnet(load_network(f"sscd-r50={path}"), resnet)


@pytest.mark.slow
def test_a_missing_or_extra_or_broken_tensor_is_refused(
    resnet: reference.State, tmp_path: Path
) -> None:
    path = tmp_path / "w.pt"
    flat = {
        f"backbone.{name}": torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
        for name, tensor in resnet.items()
    }
    torch.save(flat, path)
    load_network(f"sscd-r50={path}")
    torch.save({k: v for k, v in flat.items() if k != "backbone.layer3.5.conv2.weight"}, path)
    with pytest.raises(EncoderError, match=r"layer3\.5\.conv2"):
        load_network(f"sscd-r50={path}")
    torch.save(flat | {"backbone.layer5.weight": torch.ones(1)}, path)
    with pytest.raises(EncoderError, match="layer5"):
        load_network(f"sscd-r50={path}")
    torch.save(flat | {"backbone.conv1.weight": torch.full((64, 3, 7, 7), torch.nan)}, path)
    with pytest.raises(EncoderError, match="finite"):
        load_network(f"sscd-r50={path}")


@pytest.mark.slow
def test_timms_efficientnet_checkpoints_load_without_their_classifier(tmp_path: Path) -> None:
    """Its features are those of timm's own extractor."""
    torch.manual_seed(0)
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    config = BackboneConfig("tf_efficientnet_lite0", input_size=64)
    layout = Layout(drop=("conv_head.", "bn2.", "classifier."))
    backbone = load_checkpoint(tmp_path / "w.safetensors", config=config, layout=layout)
    extractor = timm.create_model("tf_efficientnet_lite0", features_only=True).eval().double()
    extractor.load_state_dict(doubled(whole.state_dict()), strict=False)
    with torch.no_grad():
        wanted = extractor(normalised(pixels(64)))[2:]
    for found, expected in zip(read(backbone, pixels(64)).maps, wanted, strict=True):
        assert_close(found, expected)
    with pytest.raises(EncoderError, match="conv_head"):
        load_checkpoint(tmp_path / "w.safetensors", config=config, layout=Layout())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {"conv1.weight": torch.ones(1)}}, "module.encoder_q"),
        ({"model": {}}, "state_dict"),
        ([1, 2], "state_dict"),
    ],
)
def test_another_layout_is_refused(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(content, path)
    with pytest.raises(EncoderError, match=message):
        load_network(f"mocov2-r50={path}")


class _Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_does_not_run(zipped: bool, tmp_path: Path) -> None:
    path, target = tmp_path / "w.pth.tar", tmp_path / "owned"
    torch.save({"state_dict": _Bomb(target)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(EncoderError, match="not loaded"):
        load_network(f"mocov2-r50={path}")
    assert not target.exists()


@pytest.mark.parametrize(
    "content", [b"", b"<html>404</html>", pickle.dumps(1, 2)[:-1], b"PK\3\4xx"]
)
def test_junk_is_refused(content: bytes, tmp_path: Path) -> None:
    for name in ("w.pth", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EncoderError):
            load_network(f"mocov2-r50={tmp_path / name}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"there is no file gone\.pth"):
        load_network(f"mocov2-r50={tmp_path / 'gone.pth'}")
