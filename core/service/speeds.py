"""How fast this machine encodes: what it did last, or what two idle cores do."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import torch

from core.images.files import read_json, write_json

_PER_CORE = 22.0  # 10^9 multiplications a second, of a ViT-S/16 on one core of an idle server
_ON_GPU = 1_000.0  # the same where there is a GPU; decoding and copying are the limit
_FINISH = 0.03  # seconds for an image, for heads, groups and the null


class Speeds:
    """Speeds of one device, kept in a file; a file that cannot be read or written is ignored."""

    def __init__(self, file: Path, *, device: str) -> None:
        self.file, self.device = file, device
        self._usual = _PER_CORE * torch.get_num_threads() if device == "cpu" else _ON_GPU

    def seconds(self, work: float, *, passes: int, images: int) -> float:
        """Time to describe a gallery, estimated, seconds.

        Args:
            work: multiplications of one image, 10^9.
            passes: images that pass the network.
            images: images of the gallery.
        """
        encoding = passes * work / self._known("encode", self._usual)
        return encoding + images * self._known("finish", _FINISH)

    def learn(self, work: float, *, passes: int, seconds: float) -> None:
        """Keep what a description took; one of few images says little and is passed over."""
        if passes >= 8 and seconds > 0:
            self._keep("encode", passes * work / seconds)

    def learn_finish(self, seconds: float) -> None:
        """Keep what everything after the encoding took, seconds for an image of the gallery."""
        self._keep("finish", seconds)

    def _known(self, what: str, usual: float) -> float:
        found = self._read().get(f"{what} on {self.device}")
        if isinstance(found, float) and math.isfinite(found) and found > 0:
            return found
        return usual

    def _keep(self, what: str, value: float) -> None:
        with contextlib.suppress(OSError):
            write_json(self.file, {**self._read(), f"{what} on {self.device}": value})

    def _read(self) -> dict[str, object]:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return dict(read_json(self.file))
        return {}
