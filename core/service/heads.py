"""The head that a name, a kind or a folder means."""

from __future__ import annotations

from pathlib import Path

from core.config import HEAD_KINDS, HeadConfig
from core.encoders.baselines import BASELINES
from core.encoders.load import shipped_heads
from core.gallery.gallery import Gallery
from core.heads.head import Head
from core.search.prepare import fitted_head
from core.values import Encoder, GalleryError, Progress, no_progress

_KINDS: dict[str, HeadConfig] = {kind: HeadConfig(kind=kind) for kind in HEAD_KINDS}

HEADS = ("default", *_KINDS)
"""Names of heads: the encoder's own or the default kind, and every kind."""


def choose_head(
    gallery: Gallery, encoder: Encoder, spec: str, *, progress: Progress = no_progress
) -> Head:
    """The head that a specification names: see :class:`core.service.choice.Choice`.

    Raises:
        GalleryError: when it is neither a kind nor a folder with a head that fits the encoder.
    """
    if spec == "default":
        shipped = shipped_heads(encoder.name).embedding
        if shipped is not None:
            return shipped
        spec = "identity" if encoder.name in BASELINES else HeadConfig().kind
    if spec in _KINDS:
        return fitted_head(gallery, encoder, config=_KINDS[spec], progress=progress)
    if not Path(spec).is_dir():
        raise GalleryError(
            f"{spec!r} is neither a folder with a head nor any of: {', '.join(HEADS)}"
        )
    head = Head.load(Path(spec))
    if head.width != encoder.dim:
        raise GalleryError(
            f"the head takes {head.width} features, {encoder.name} gives {encoder.dim}"
        )
    return head
