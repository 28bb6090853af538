"""A run's checkpoint: the state that it goes on with, and the settings that must not change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from core.images.files import new_file
from core.training.config import TrainConfig
from core.values import TrainingError

FREE = frozenset({"minutes", "checkpoint_minutes", "device", "watch"})
"""Settings that a resumed run may change: when it stops and saves, where it computes, what is
watched. All others decide what is learnt; ``steps`` too, because the schedules span them."""

Settings = Mapping[str, Any]
"""Values of the settings that must not change, by name, such as ``view.scale``."""

_ADVICE = "name another folder for this run, or remove it"


def held_settings(
    config: TrainConfig, images: UInt8[Tensor, "n 3 h w"], *, processes: int
) -> Settings:
    """The settings that a run must be resumed with, its images among them."""
    other = {"moco", "dino"} - {config.method}
    chosen = [field.name for field in fields(config) if field.name not in FREE | other]
    found = dict(pair for name in chosen for pair in _flat(name, getattr(config, name)))
    return {**found, "processes": processes, "images": _described(images)}


def write_checkpoint(path: Path, state: Mapping[str, Any], *, settings: Settings) -> None:
    """Write a run's state with its settings; a reader finds the old file or the new one."""
    with new_file(path) as partial:
        torch.save({**state, "settings": dict(settings)}, partial)


def read_checkpoint(path: Path, *, settings: Settings, device: torch.device) -> dict[str, Any]:
    """The state of a run that was begun with these settings.

    Raises:
        TrainingError: when the file is damaged, or the run was begun with other settings; names
            each of them with its old and its new value.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        begun = {"method": state.get("method"), **state.get("settings", {})}
        int(state["step"])
    except Exception as error:  # a damaged pickle can raise anything; none of its code runs
        raise TrainingError(f"{path} is damaged; {_ADVICE}") from error
    if begun["method"] not in (None, settings["method"]):
        raise TrainingError(
            f"{path} is of a run of {begun['method']}, not {settings['method']}; {_ADVICE}"
        )
    if "settings" not in state:
        raise TrainingError(f"{path} does not say what it was begun with; {_ADVICE}")
    changed = [name for name in settings if begun.get(name) != settings[name]]
    if changed:
        named = ", ".join(f"{name} {begun.get(name)}, not {settings[name]}" for name in changed)
        raise TrainingError(f"{path} is of a run with {named}; go on with that, or {_ADVICE}")
    return state


def restore(path: Path, state: Mapping[str, Any], **parts: Any) -> None:
    """Load the state of each part of a run, such as ``model`` and ``optimiser``.

    Raises:
        TrainingError: when a part is missing or of another shape.
    """
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} is of a run of another kind; {_ADVICE}") from error


def _flat(name: str, value: object) -> Iterator[tuple[str, object]]:
    """A setting, or those of a group of settings, under dotted names."""
    if not is_dataclass(value):
        yield name, value
        return
    for field in fields(value):
        yield from _flat(f"{name}.{field.name}", getattr(value, field.name))


def _described(images: UInt8[Tensor, "n 3 h w"]) -> str:
    """Number, size and a hash of the pixels, in their order."""
    digest = hashlib.sha256(images.cpu().contiguous().numpy().data).hexdigest()[:16]
    count, _, height, width = images.shape
    return f"{count} of {width} x {height} pixels (hash {digest})"
