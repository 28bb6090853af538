"""What a generation holds, put together from its parts."""

from __future__ import annotations

from pathlib import Path

from core.gallery.header import WHOLE, Header
from core.gallery.manifest import Records, check_ids, from_parquet
from core.gallery.narrow import load_array
from core.gallery.parts import FIRST, MANIFEST, Part, read_parts
from core.gallery.store import Store
from core.images.joined import JoinedRows, ManyRows
from core.values import GalleryError


class Stored:
    """Records and arrays of all images of a generation, in one order."""

    def __init__(self, folder: Path, parts: tuple[Part, ...], tables: tuple[Records, ...]) -> None:
        """Take the parts of a generation and their tables, without the rows that are gone."""
        self.folder, self.parts, self.tables = folder, parts, tables
        self.records = Records.joined(tables)

    @classmethod
    def open(cls, store: Store, header: Header) -> Stored:
        """Read the current generation's tables; its arrays stay on disk.

        Raises:
            GalleryError: when a file is missing or damaged.
        """
        folder = store.generation(header.generation)
        if header.generation == 0:
            return cls(folder, (), ())
        parts = (Part(FIRST),) if header.format == WHOLE else read_parts(folder)
        found = cls(folder, parts, tuple(_images(folder, part) for part in parts))
        check_ids(found.records)
        return found

    def array(self, name: str) -> ManyRows:
        """An array by its path in a part: memory-mapped, and put together where there are several.

        Raises:
            GalleryError: when a file is missing or damaged.
        """
        arrays = [load_array(self.folder / part.name / name) for part in self.parts]
        if len(arrays) == 1 and not self.parts[0].gone:
            return arrays[0]
        rows = [part.left(len(array)) for part, array in zip(self.parts, arrays, strict=True)]
        counts = [len(table) for table in self.tables]
        if [*map(len, rows)] != counts or len({array.shape[1:] for array in arrays}) != 1:
            raise GalleryError(f"{name} is damaged")
        return JoinedRows(arrays, rows)

    def prefixes(self, key: str) -> tuple[str, ...]:
        """What the paths of an encoder's files begin with, in the generation's folder."""
        return tuple(f"{part.name}/{key}/".removeprefix("./") for part in self.parts)


def _images(generation: Path, part: Part) -> Records:
    """The records of a part, without those that are gone."""
    records = from_parquet(generation / part.name / MANIFEST)
    return records.take(part.left(len(records))) if part.gone else records
