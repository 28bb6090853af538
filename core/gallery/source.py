"""Where the images of a gallery come from: the files of a folder, and what lies beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.gallery.metadata import read_metadata
from core.gallery.store import is_thumbnail
from core.images.listing import list_images
from core.values import GalleryError


@dataclass(frozen=True)
class Source:
    """Images to index: those below a folder, or only some of them."""

    folder: Path
    only: tuple[str, ...] | None = None
    """Paths relative to the folder; all images below it when not given."""

    def files(self) -> dict[str, Path]:
        """The files by their paths relative to the folder, without thumbnails of galleries.

        Raises:
            GalleryError: when the folder is not there.
        """
        if not self.folder.is_dir():
            raise GalleryError(f"{self.folder.name!r} is not a folder of images")
        if self.only is not None:
            return {name: self.folder / name for name in sorted(set(self.only))}
        found = [path for path in list_images(self.folder) if not is_thumbnail(path)]
        return {path.relative_to(self.folder).as_posix(): path for path in found}


@dataclass(frozen=True)
class SourceFiles:
    """What a source holds now."""

    folder: Path
    """Absolute path of its folder."""
    files: Mapping[str, Path]
    """The files by their paths relative to the folder."""
    metadata: Mapping[str, Mapping[str, str]]
    """Rows of the metadata file beside the images, by the same paths."""


def read_source(source: Source) -> SourceFiles:
    """List the files of a source and read the metadata beside them.

    Raises:
        GalleryError: when the folder is not there, or its metadata cannot be read.
    """
    return SourceFiles(source.folder.resolve(), source.files(), read_metadata(source.folder))
