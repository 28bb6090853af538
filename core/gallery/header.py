"""What ``gallery.json`` holds of a gallery, as a value that was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.gallery.paths import check_root

_IF_ANY = ("description", "opted_out", "reading", "lance")  # named only where there is any

FORMAT = 2
"""Version of the layout; raised with every change that older code would misread."""
WHOLE = 1
"""The version before, read as well: every generation is one whole part, which no file names."""


@dataclass(frozen=True)
class Header:
    """What ``gallery.json`` holds."""

    name: str
    root: str
    """Folder that the images' paths are relative to; relative itself when inside the gallery.

    Anywhere else it is a place to read images from, never one to write to or to delete from.
    """
    generation: int = 0
    next_id: int = 0
    """The id that the next new image gets; ids are never used again."""
    format: int = FORMAT
    description: str = ""
    """What its images are, a few words that follow a number: ``rendered still lifes``."""
    opted_out: tuple[int, ...] = ()
    """Ids of images that are stored and yet part of no answer, in their order."""
    reading: int = 0
    """How colours that numbers state were read: see :data:`core.images.stated.READING`."""
    lance: str = ""
    """The table of LanceDB that is searched: a URI, a path, or a path inside the gallery."""

    def __post_init__(self) -> None:
        """Refuse values of other types, as a damaged file may hold, and roots that climb."""
        texts = (self.name, self.root, self.description, self.lance)
        numbers = (self.generation, self.next_id, self.reading, *self.opted_out)
        if {*map(type, texts)} != {str} or {*map(type, numbers)} != {int} or min(numbers) < 0:
            raise TypeError("not the header of a gallery")
        if self.generation >= 2**63:  # no file has a name of as many digits as a text may hold
            raise ValueError("not the number of a generation")
        check_root(self.root)
        if "://" not in self.lance:
            check_root(self.lance)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Header:
        """The header that :meth:`as_json` gave.

        Raises:
            TypeError: when it has other fields, or values of other types.
            ValueError: when a value is none that a header may have.
        """
        return cls(**{**raw, "opted_out": tuple(raw.get("opted_out", ()))})

    def as_json(self) -> dict[str, Any]:
        """The fields by name, without what is said only where there is any."""
        return {name: value for name, value in asdict(self).items() if value or name not in _IF_ANY}
