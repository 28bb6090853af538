"""What an answer is asked with: encoder, head, gallery, scoring and filter, by their names."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.config import ScoreConfig

DEFAULT_ENCODER = "lite0"
"""The encoder used where none is named."""


@dataclass(frozen=True)
class Choice:
    """What to answer with; the defaults are the program's."""

    encoder: str = DEFAULT_ENCODER
    """Name of an encoder, or the folder of one of our training."""
    head: str = "default"
    """``default`` (the encoder's own, else fitted), a kind to fit on the gallery, or a folder."""
    gallery: str = "builtin"
    """``builtin``, the name of a visitor's gallery, or, when not hosted, a folder."""
    score: ScoreConfig = field(default_factory=ScoreConfig)
    """How candidates are ranked."""
    where: str | None = None
    """Which images may be sources, as :mod:`core.gallery.filters` says; all where there is none. An
    empty text is no filter, and refused."""
