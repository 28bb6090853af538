"""Where the images of a gallery come from: the files of a folder, and what lies beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.gallery.metadata import Metadata, TableAccount, read_metadata
from core.gallery.paths import is_folder
from core.gallery.store import is_of_store, is_thumbnail
from core.images.listing import look
from core.values import GalleryError


@dataclass(frozen=True)
class Source:
    """Images to index: those below a folder, or only some of them."""

    folder: Path
    only: tuple[str, ...] | None = None
    """Paths relative to the folder; all images below it when not given."""
    prune: bool = False
    """Whether images of a gallery go whose files are not among these; else they stay."""

    def look(self) -> SourceFiles:
        """List the files and read the metadata beside them; without thumbnails of galleries.

        Raises:
            GalleryError: when the folder is not there, or its metadata cannot be read.
        """
        if not is_folder(self.folder):
            raise GalleryError(f"{self.folder.name!r} is not a folder of images")
        found = look(self.folder)
        files = {
            path.relative_to(self.folder).as_posix(): path
            for path in found.images
            if not is_thumbnail(path)
        }
        if self.only is not None:
            files = {name: self.folder / name for name in sorted({*self.only})}
        some = self.only is not None
        metadata = read_metadata(self.folder, found.tables, files, some=some)
        unread = {
            kind: tuple(path.relative_to(self.folder).as_posix() for path in paths)
            for kind, paths in found.unread.items()
        }
        places = {path.parent for path in found.other_tables}
        stores = {place for place in places if is_of_store(place, below=self.folder)}
        others = [path for path in found.other_tables if path.parent not in stores]
        return SourceFiles(
            self.folder.resolve(),
            files,
            metadata,
            tuple(path.relative_to(self.folder).as_posix() for path in others),
            unread,
            found.links,
            whole=not some,
            prune=self.prune,
        )


@dataclass(frozen=True)
class SourceFiles:
    """What a source holds now."""

    folder: Path
    """Absolute path of its folder."""
    files: Mapping[str, Path]
    """The images by their paths relative to the folder."""
    metadata: Metadata
    """What the tables beside the images say of them, by the same paths."""
    other_tables: tuple[str, ...]
    """Paths of what may be tables but is not called so, and is not read."""
    unread: Mapping[str, tuple[str, ...]]
    """Paths of pictures of kinds that are not read, by kind."""
    links: tuple[str, ...]
    """What became of links to folders, for people."""
    whole: bool
    """Whether these are all images of the folder."""
    prune: bool
    """Whether images of a gallery go whose files are not among these."""

    def account(self, paths: Collection[str]) -> Account:
        """What became of every picture and of every row.

        Args:
            paths: the files that are images of the gallery now; others were left out.
        """
        fields = self.metadata.fields
        here = [name for name in self.files if name in paths]
        filled = Counter(column for name in here for column in fields.get(name, ()))
        return Account(
            images=len(here),
            bare=tuple(name for name in here if name not in fields) if fields else (),
            left_out=tuple(name for name in self.files if name in fields and name not in paths),
            tables=self.metadata.tables,
            other_tables=self.other_tables,
            filled=dict(filled),
            unread=self.unread,
            links=self.links,
        )


@dataclass(frozen=True)
class Account:
    """What became of the pictures of a source and of the rows beside them."""

    images: int
    """Files of the source that are images of the gallery."""
    bare: tuple[str, ...]
    """Those of them without a row, where there is a table."""
    left_out: tuple[str, ...]
    """Files with a row that are no images of the gallery: left out, or kept out for good."""
    tables: tuple[TableAccount, ...]
    other_tables: tuple[str, ...]
    """Paths of what may be tables but is not called so, and is not read."""
    filled: Mapping[str, int]
    """Images that have a value, by column."""
    unread: Mapping[str, tuple[str, ...]]
    """Paths of pictures of kinds that are not read, by kind."""
    links: tuple[str, ...]
    """What became of links to folders, for people."""
