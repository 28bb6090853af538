"""Every network that can be named: what it is, its licence, where its weights come from."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.encoders.backbones.hub import HubFile
from core.encoders.backbones.network import Backbone, BackboneConfig, build
from core.encoders.backbones.storage import CONFIG_FILE, load_backbone
from core.encoders.backbones.upstream import PLAIN, Layout, load_checkpoint
from core.images.files import ASSETS
from core.values import EncoderError, Progress, no_progress

_log = logging.getLogger(__name__)

BUNDLED = ASSETS / "encoders"
"""Folder of the networks that come with the program."""


@dataclass(frozen=True)
class BackboneSpec:
    """One network of the registry."""

    name: str
    title: str
    method: Literal["MoCo", "DINO", "DINOv2", "CLIP", "SSCD", "random"]
    kind: Literal["bundled", "hub", "upstream"]
    licence: str
    """Licence of the weights."""
    config: BackboneConfig
    source: HubFile | str | None = None
    """The file at the hub, or the address of the authors' checkpoint; ``None`` when bundled."""
    layout: Layout = PLAIN
    checksum: str | None = None
    """``algorithm:digits`` as the source states it; ``None`` where it states none."""

    @property
    def needs_network(self) -> bool:
        """Whether the first use fetches a file."""
        return self.source is not None

    @property
    def url(self) -> str | None:
        """Address of the weights."""
        return self.source.url if isinstance(self.source, HubFile) else self.source


def specs() -> tuple[BackboneSpec, ...]:
    """All networks, those that need no network access first."""
    return tuple(_SPECS.values())


def spec(name: str) -> BackboneSpec:
    """The network of a name.

    Raises:
        EncoderError: when there is none; the message names the known ones.
    """
    if name not in _SPECS:
        raise EncoderError(f"no encoder is called {name!r}; known: {', '.join(_SPECS)}")
    return _SPECS[name]


def load(
    name_or_path: str | os.PathLike[str],
    *,
    cache: str | os.PathLike[str] | None = None,
    allow_download: bool = True,
    progress: Progress = no_progress,
    others: Sequence[str] = (),
) -> Backbone:
    """A network in evaluation mode.

    Args:
        name_or_path: a name of the registry; ``NAME=FILE``, a name with a local copy of its
            checkpoint; or a folder that our training wrote.
        cache: folder of fetched files; the user's cache folder by default.
        allow_download: whether a file that is not there yet may be fetched.
        progress: told of the bytes fetched.
        others: encoders that are no networks, for the message that says what works offline.

    Raises:
        EncoderError: when the name is unknown, or the weights cannot be had or do not fit.
    """
    text = os.fspath(name_or_path)
    name, _, file = text.partition("=")
    if name in _SPECS and file:
        return _from_file(_SPECS[name], Path(file))
    if text not in _SPECS and (Path(text) / CONFIG_FILE).is_file():
        return load_backbone(Path(text))
    found = spec(text)
    if found.source is None:
        return _bundled(found)
    folder = Path(cache or _user_cache()) / found.name
    path = _present(found, folder)
    try:
        if path is None:
            path = _fetched(found, folder, allow_download=allow_download, progress=progress)
    except EncoderError as error:
        raise EncoderError(
            f"the weights of {found.name} are not here: {error}. Without them these encoders work:"
            f" {', '.join([*_offline(), *others])}. A copy of the file can be named as"
            f" {found.name}=FILE."
        ) from error
    return _from_file(found, path)


def _bundled(found: BackboneSpec) -> Backbone:
    if found.method == "random":
        return build(found.config, seed=0).eval()
    folder = BUNDLED / found.name
    if not (folder / CONFIG_FILE).is_file():
        raise EncoderError(
            f"the encoder {found.name} is missing from assets/encoders; `python -m core train"
            f" {found.name}` makes one, whose folder `encoder` goes to assets/encoders/{found.name}"
        )
    return load_backbone(folder)


def _from_file(found: BackboneSpec, path: Path) -> Backbone:
    try:
        return load_checkpoint(path, config=found.config, layout=found.layout)
    except EncoderError:
        _log.warning("%s does not load as %s", path, found.name)
        raise


def _present(found: BackboneSpec, folder: Path) -> Path | None:
    ours = folder / Path(found.url or "").name
    if ours.is_file():
        return ours
    return found.source.cached() if isinstance(found.source, HubFile) else None


def _fetched(
    found: BackboneSpec, folder: Path, *, allow_download: bool, progress: Progress
) -> Path:
    url = found.url or ""
    if not allow_download:
        raise EncoderError(f"fetching {url} is not allowed")
    from core.encoders.backbones.download import fetch  # noqa: PLC0415 - nothing else needs a client

    return fetch(url, folder, checksum=found.checksum, progress=progress)


def _offline() -> list[str]:
    there = {path.parent.name for path in BUNDLED.glob(f"*/{CONFIG_FILE}")} | {"random"}
    return [name for name in _SPECS if name in there]


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wellspring"


def _vit(architecture: str) -> BackboneConfig:
    # Local descriptors come from block 9 of 12: correspondences are best there, says "Deep ViT
    # Features as Dense Visual Descriptors" (Amir et al. 2021).
    return BackboneConfig(architecture, input_size=224, stages=(2, 5, 8, 11), patch_stage=2)


_OURS = BackboneConfig()
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

_SPECS = {
    found.name: found
    for found in (
        BackboneSpec("moco", "Wellspring MoCo, ResNet", "MoCo", "bundled", "Apache-2.0", _OURS),
        BackboneSpec("dino", "Wellspring DINO, ResNet", "DINO", "bundled", "Apache-2.0", _OURS),
        BackboneSpec("random", "Random weights, ResNet", "random", "bundled", "Apache-2.0", _OURS),
        BackboneSpec(
            "dino-vits16",
            "DINO ViT-S/16 (Caron et al. 2021)",
            "DINO",
            "hub",
            "Apache-2.0",
            _vit("vit_small_patch16_224"),
            HubFile("timm/vit_small_patch16_224.dino", "733b42a211ebe03aa7327050699cfcee7cd96123"),
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
        ),
        BackboneSpec(
            "mocov2-r50",
            "MoCo v2 ResNet-50, 800 epochs (Chen et al. 2020)",
            "MoCo",
            "upstream",
            "CC BY-NC 4.0",
            BackboneConfig("resnet50", input_size=224),
            f"{_META}/moco/moco_checkpoints/moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar",
            _MOCO_V2,
            checksum="md5:a04e12f8",
        ),
        BackboneSpec(
            "sscd-r50",
            "SSCD ResNet-50, disc_mixup (Pizzi et al. 2022)",
            "SSCD",
            "upstream",
            "MIT",
            BackboneConfig("resnet50", input_size=320),  # the authors' square recipe
            # Weights with torchvision's names; the authors' TorchScript file would be code.
            f"{_META}/sscd-copy-detection/sscd_disc_mixup.torchvision.pt",
            _SSCD,
        ),
    )
}
