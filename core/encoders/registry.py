"""Every encoder that can be named: what it is, its licence, where its weights come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.encoders.backbones import BackboneConfig
from core.encoders.backbones.hub import HubFile
from core.encoders.backbones.storage import CONFIG_FILE
from core.encoders.backbones.upstream import PLAIN, Layout
from core.encoders.baselines import BASELINES
from core.images.files import ASSETS, cache_home
from core.values import EncoderError

BUNDLED = ASSETS / "encoders"
"""Folder of the networks that come with the program."""


@dataclass(frozen=True)
class BackboneSpec:
    """One network of the registry."""

    name: str
    title: str
    method: Literal["MoCo", "DINO", "DINOv2", "CLIP", "SSCD", "supervised", "random"]
    kind: Literal["bundled", "hub", "upstream"]
    licence: str
    """Licence of the weights."""
    config: BackboneConfig
    source: HubFile | str | None = None
    """The file at the hub, or the address of the authors' checkpoint; ``None`` when bundled."""
    layout: Layout = PLAIN
    checksum: str | None = None
    """``algorithm:digits`` as the source states it; ``None`` where it states none."""
    work: float = 1.0
    """Multiplications of one image, 10^9: they decide how long it takes. Ours are limited by memory
    and count for more than they multiply."""
    megabytes: int = 0
    """Size of the file that is fetched, 10^6 bytes."""
    at_least: bool = False
    """Whether the file may be larger: authors kept the state of training beside the networks."""

    @property
    def needs_network(self) -> bool:
        """Whether the first use fetches a file."""
        return self.source is not None

    @property
    def url(self) -> str | None:
        """Address of the weights."""
        return self.source.url if isinstance(self.source, HubFile) else self.source


@dataclass(frozen=True)
class EncoderInfo:
    """One encoder as it is listed: a network or a baseline."""

    name: str
    title: str
    method: str
    kind: Literal["bundled", "hub", "upstream", "baseline"]
    licence: str
    """Licence of the weights."""
    needs_network: bool
    """Whether the first use on a new machine fetches a file."""
    here: bool
    """Whether it can be used at once: its weights are on this machine."""


def specs() -> tuple[BackboneSpec, ...]:
    """All networks, those that need no network access first."""
    return tuple(NETWORKS.values())


def spec(name: str) -> BackboneSpec:
    """The network of a name.

    Raises:
        EncoderError: when there is none; the message names the known ones.
    """
    if name not in NETWORKS:
        if name in BASELINES:
            raise EncoderError(f"{name!r} is no network; networks are: {', '.join(NETWORKS)}")
        known = ", ".join((*NETWORKS, *BASELINES))
        raise EncoderError(
            f"no encoder is called {name!r}; known: {known}, and folders of networks of one's own"
        )
    return NETWORKS[name]


def weights_file(
    network: BackboneSpec, *, cache: str | os.PathLike[str] | None = None
) -> Path | None:
    """The local copy of a network's weights; ``None`` where they would have to be fetched.

    Args:
        network: a network that does not come with the program.
        cache: folder of fetched files; by default that of the program.
    """
    ours = fetched_folder(network.name, cache=cache) / Path(network.url or "").name
    if ours.is_file():
        return ours
    return network.source.cached() if isinstance(network.source, HubFile) else None


def fetched_folder(name: str, *, cache: str | os.PathLike[str] | None = None) -> Path:
    """Folder that the weights of a network are fetched into."""
    return Path(cache or cache_home()) / name


def bundled_folder(name: str) -> Path:
    """Folder of a network that comes with the program, and of the heads beside it."""
    return BUNDLED / name


def is_here(network: BackboneSpec, *, cache: str | os.PathLike[str] | None = None) -> bool:
    """Whether a network can be loaded without fetching anything."""
    if network.needs_network:
        return weights_file(network, cache=cache) is not None
    return network.method == "random" or (bundled_folder(network.name) / CONFIG_FILE).is_file()


def at_hand(name: str) -> bool:
    """Whether an encoder can be loaded, or refused, without fetching anything."""
    return name not in NETWORKS or is_here(NETWORKS[name])


def encoder_infos() -> tuple[EncoderInfo, ...]:
    """All encoders, networks and baselines, those that never need the internet first."""
    networks = [
        EncoderInfo(s.name, s.title, s.method, s.kind, s.licence, s.needs_network, is_here(s))
        for s in specs()
    ]
    plain = [
        EncoderInfo(name, f"Baseline: {name}", "baseline", "baseline", "Apache-2.0", False, True)
        for name in BASELINES
    ]
    return tuple(sorted([*networks, *plain], key=lambda info: info.needs_network))


def _vit(architecture: str) -> BackboneConfig:
    # Local descriptors come from block 9 of 12: correspondences are best there, says "Deep ViT
    # Features as Dense Visual Descriptors" (Amir et al. 2021).
    return BackboneConfig(architecture, input_size=224, stages=(2, 5, 8, 11), patch_stage=2)


_LITE = BackboneConfig(
    "tf_efficientnet_lite0",
    input_size=224,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    stages=(1, 2, 3, 4),
    patch_stage=2,
)
_CLIP = BackboneConfig(
    # OpenAI trained with the quick approximation of GELU; timm's plain variant has the exact one.
    "vit_base_patch32_clip_quickgelu_224",
    input_size=224,
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
    stages=(2, 5, 8, 11),
    patch_stage=2,
)
_MOCO_V3 = Layout(key="state_dict", prefix="module.base_encoder.", drop=("head.",))
_MOCO_V2 = Layout(key="state_dict", prefix="module.encoder_q.", drop=("fc.",))
_SSCD = Layout(prefix="backbone.", drop=("fc.",))
_META = "https://dl.fbaipublicfiles.com"

NETWORKS = {
    found.name: found
    for found in (
        BackboneSpec(
            "lite0",
            "EfficientNet-Lite0, the start",
            "supervised",
            "bundled",
            "Apache-2.0",
            _LITE,
        ),
        BackboneSpec("moco", "Wellspring MoCo", "MoCo", "bundled", "Apache-2.0", _LITE),
        BackboneSpec("dino", "Wellspring DINO", "DINO", "bundled", "Apache-2.0", _LITE),
        BackboneSpec("random", "Random weights", "random", "bundled", "Apache-2.0", _LITE),
        BackboneSpec(
            "dino-vits16",
            "DINO ViT-S/16 (Caron et al. 2021)",
            "DINO",
            "hub",
            "Apache-2.0",
            _vit("vit_small_patch16_224"),
            HubFile("timm/vit_small_patch16_224.dino", "733b42a211ebe03aa7327050699cfcee7cd96123"),
            work=4.3,
            megabytes=87,
        ),
        BackboneSpec(
            "dino-vitb16",
            "DINO ViT-B/16 (Caron et al. 2021)",
            "DINO",
            "hub",
            "Apache-2.0",
            _vit("vit_base_patch16_224"),
            HubFile("timm/vit_base_patch16_224.dino", "c4ae505355ab2ffd6d399d6ab7a71ce3f3852465"),
            checksum="sha256:93181583427d6de3e18ab0e6ee4df35736cfc51a3c1bf9ae0e9b53b1316598dc",
            work=16.9,
            megabytes=343,
        ),
        BackboneSpec(
            "dinov2-vits14",
            "DINOv2 ViT-S/14 (Oquab et al. 2023)",
            "DINOv2",
            "hub",
            "Apache-2.0",
            _vit("vit_small_patch14_dinov2"),
            HubFile(
                "timm/vit_small_patch14_dinov2.lvd142m", "cace07adb9220de26eb51226ecbef6d04d35defe"
            ),
            work=5.6,
            megabytes=88,
        ),
        BackboneSpec(
            "clip-vitb32",
            "CLIP ViT-B/32, image tower (Radford et al. 2021)",
            "CLIP",
            "hub",
            "MIT",
            _CLIP,
            HubFile(
                "timm/vit_base_patch32_clip_224.openai",
                "ab5b8ef490e86faa07d3523926b842c765de1de5",
                "open_clip_model.safetensors",
            ),
            work=4.4,
            megabytes=605,
        ),
        BackboneSpec(
            "mocov3-vits",
            "MoCo v3 ViT-S/16 (Chen et al. 2021)",
            "MoCo",
            "upstream",
            "CC BY-NC 4.0",
            _vit("moco_v3_vit_small"),
            f"{_META}/moco-v3/vit-s-300ep/vit-s-300ep.pth.tar",
            _MOCO_V3,
            work=4.3,
            megabytes=337,
            at_least=True,
        ),
        BackboneSpec(
            "mocov3-vitb",
            "MoCo v3 ViT-B/16 (Chen et al. 2021)",
            "MoCo",
            "upstream",
            "CC BY-NC 4.0",
            _vit("moco_v3_vit_base"),
            f"{_META}/moco-v3/vit-b-300ep/vit-b-300ep.pth.tar",
            _MOCO_V3,
            work=16.9,
            megabytes=862,
            at_least=True,
        ),
        BackboneSpec(
            "mocov2-r50",
            "MoCo v2 ResNet-50, 800 epochs (Chen et al. 2020)",
            "MoCo",
            "upstream",
            "CC BY-NC 4.0",
            BackboneConfig("resnet50", input_size=224, stages=(1, 2, 3, 4), patch_stage=1),
            f"{_META}/moco/moco_checkpoints/moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar",
            _MOCO_V2,
            checksum="md5:a04e12f8",
            work=4.1,
            megabytes=257,
            at_least=True,
        ),
        BackboneSpec(
            "sscd-r50",
            "SSCD ResNet-50, disc_mixup (Pizzi et al. 2022)",
            "SSCD",
            "upstream",
            "MIT",
            # the authors' square recipe
            BackboneConfig("resnet50", input_size=320, stages=(1, 2, 3, 4), patch_stage=1),
            # Weights with torchvision's names; the authors' TorchScript file would be code.
            f"{_META}/sscd-copy-detection/sscd_disc_mixup.torchvision.pt",
            _SSCD,
            work=8.4,
            megabytes=98,
        ),
    )
}
