"""Encoders by name: fetched where they must be, with the heads that they bring."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.encoders.backbones import Backbone, build, load_backbone
from core.encoders.backbones.storage import CONFIG_FILE
from core.encoders.backbones.upstream import load_checkpoint
from core.encoders.baselines import BASELINES
from core.encoders.network import NetworkEncoder
from core.encoders.registry import (
    NETWORKS,
    BackboneSpec,
    bundled_folder,
    encoder_infos,
    fetched_folder,
    spec,
    weights_file,
)
from core.heads.head import Head
from core.values import Encoder, EncoderError, Progress, no_progress


@dataclass(frozen=True)
class ShippedHeads:
    """Heads that lie beside an encoder's weights."""

    embedding: Head | None = None
    patches: Head | None = None


def shipped_heads(name: str) -> ShippedHeads:
    """The heads that an encoder brings, in ``head`` and ``patch_head`` of its folder.

    Raises:
        GalleryError: when one is there but damaged.
    """
    bundled = bundled_folder(name)
    folder = bundled if bundled.is_dir() else Path(name)
    places = {"embedding": folder / "head", "patches": folder / "patch_head"}
    return ShippedHeads(**{k: Head.load(path) for k, path in places.items() if path.is_dir()})


def load_encoder(
    name: str, *, device: str = "cpu", cache: str | os.PathLike[str] | None = None
) -> Encoder:
    """The encoder of a name: a baseline, a network of the registry, or a folder of our training.

    Raises:
        EncoderError: when the name is unknown or the weights cannot be fetched or trusted.
    """
    if name in BASELINES:
        return BASELINES[name]()
    return NetworkEncoder(name, load_network(name, cache=cache), device=device)


def load_network(
    name_or_path: str | os.PathLike[str],
    *,
    cache: str | os.PathLike[str] | None = None,
    allow_download: bool = True,
    progress: Progress = no_progress,
) -> Backbone:
    """A network in evaluation mode.

    Args:
        name_or_path: a name of the registry; ``NAME=FILE``, a name with a local copy of its
            checkpoint; or a folder that our training wrote.
        cache: folder of fetched files; by default that of the program.
        allow_download: whether a file that is not there yet may be fetched.
        progress: told of the bytes fetched.

    Raises:
        EncoderError: when the name is unknown, or the weights cannot be had or do not fit.
    """
    text = os.fspath(name_or_path)
    name, _, file = text.partition("=")
    if name in NETWORKS and file:
        return _from_file(NETWORKS[name], Path(file))
    if text not in NETWORKS and (Path(text) / CONFIG_FILE).is_file():
        return load_backbone(Path(text))
    network = spec(text)
    if network.source is None:
        return _bundled(network)
    path = weights_file(network, cache=cache)
    if path is None:
        folder = fetched_folder(network.name, cache=cache)
        path = _fetched(network, folder, allow_download=allow_download, progress=progress)
    return _from_file(network, path)


def fetch_weights(
    name: str, *, cache: str | os.PathLike[str] | None = None, progress: Progress = no_progress
) -> None:
    """Have a network's weights on this machine; a file that cannot be loaded is fetched anew.

    Args:
        name: a name of the registry.
        cache: folder of fetched files; by default that of the program.
        progress: told of the bytes fetched; may raise ``Cancelled``, and the next call goes on.

    Raises:
        EncoderError: when the name is unknown, or the weights cannot be had or do not fit.
    """
    network = spec(name)
    if network.source is None:
        return
    if weights_file(network, cache=cache) is None:
        folder = fetched_folder(name, cache=cache)
        path = _fetched(network, folder, allow_download=True, progress=progress)
        try:
            _from_file(network, path)
        except EncoderError:  # cut where nothing told of it, or another file in its place
            path.unlink(missing_ok=True)
            raise


def _bundled(network: BackboneSpec) -> Backbone:
    if network.method == "random":
        return build(network.config, seed=0).eval()
    folder = bundled_folder(network.name)
    if not (folder / CONFIG_FILE).is_file():
        made = f"`python -m core train {network.name} FOLDER --out RUN` makes one, whose folder"
        how = f"{made} `encoder` goes to assets/encoders/{network.name}"
        if network.name == "lite0":
            how = "`python -m core.training.start` puts it there"
        raise EncoderError(f"the encoder {network.name} is missing from assets/encoders; {how}")
    return load_backbone(folder)


def _from_file(network: BackboneSpec, path: Path) -> Backbone:
    return load_checkpoint(path, config=network.config, layout=network.layout)


def _fetched(
    network: BackboneSpec, folder: Path, *, allow_download: bool, progress: Progress
) -> Path:
    url = network.url or ""
    try:
        if not allow_download:
            raise EncoderError(f"fetching {url} is not allowed")
        from core.encoders.backbones.download import fetch  # noqa: PLC0415 - its client takes time

        return fetch(url, folder, checksum=network.checksum, progress=progress)
    except EncoderError as error:
        here = [info.name for info in encoder_infos() if info.here and not info.needs_network]
        raise EncoderError(
            f"the weights of {network.name} are not here: {error}. Without them these encoders"
            f" work: {', '.join(here)}. A copy of the file can be named as {network.name}=FILE."
        ) from error
