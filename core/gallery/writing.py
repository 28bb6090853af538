"""Writes the parts of the next generation: those that stay are shared, the others written anew."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Integer

from core.gallery.checksums import changed_files
from core.gallery.gallery import Gallery
from core.gallery.manifest import Records, from_parquet, to_parquet
from core.gallery.narrow import load_array
from core.gallery.parts import FIRST, MANIFEST, Part, kept_parts, share_files, write_parts
from core.gallery.shards import Shard
from core.heads.head import Head
from core.images.arrays import save_rows
from core.values import GalleryError, ImageRecord, Progress

_BLOCK = 4_096  # rows written between two reports


@dataclass(frozen=True)
class Difference:
    """How the images of the next generation differ from those of the one before."""

    gone: Collection[int] = ()
    """Ids of images that go."""
    changed: Mapping[int, ImageRecord] = field(default_factory=dict[int, ImageRecord])
    """What is now known of images that stay, by their ids."""
    added: Sequence[ImageRecord] = ()
    """Images that come; the features of each are stored already, or in a shard."""


@dataclass(frozen=True)
class Features:
    """What describes the images of the next generation and did not describe those before."""

    shards: Sequence[Shard] = ()
    """Newly encoded images."""
    patch_heads: Mapping[str, Head] = field(default_factory=dict[str, Head])
    """Heads of local descriptors of encoders that are new."""
    superseded: Collection[str] = ()
    """Keys of encoders whose features go."""
    keys: Collection[str] = ()
    """Keys of all encoders of the next generation: see :meth:`after`."""

    def after(self, before: Collection[str]) -> Features:
        """The same with the keys of all encoders, where a generation with some comes before."""
        keys = {*before}.union(*(shard.keys for shard in self.shards))
        return replace(self, keys=keys.difference(self.superseded))

    def write(
        self, gallery: Gallery, records: Records, folder: Path, *, progress: Progress
    ) -> None:
        """Write a part of some images, from a generation and the shards.

        Raises:
            GalleryError: when one lacks features.
        """
        shas = records.texts("sha256")
        folder.mkdir(parents=True, exist_ok=True)
        for key in sorted(self.keys):
            (folder / key).mkdir()
            for name in (f"{key}/features.npy", f"{key}/patches.npy"):
                sources = arrays_of(gallery, self.shards, name)
                gather(sources, shas, folder / name, progress=progress)
        (folder / MANIFEST).write_bytes(to_parquet(records))

    def write_heads(self, gallery: Gallery, target: Path) -> None:
        """Write the heads of local descriptors, those that are not new as a generation has them."""
        for key in self.keys:
            folder = gallery.folder / key / "patch_head"
            head = self.patch_heads.get(key) or (Head.load(folder) if folder.exists() else None)
            if head:
                head.save(target / key / "patch_head")


@dataclass(frozen=True)
class Rows:
    """An array, and the contents that some of its rows are of."""

    shas: Sequence[str]
    rows: Sequence[int]
    array: np.ndarray


@dataclass(frozen=True)
class _Old:
    """A part of the generation before, as it is in the next one."""

    part: Part
    records: Records
    """Its images, those that go now included."""
    left: Integer[np.ndarray, " m"]
    """The rows of its arrays that these are."""
    stays: Integer[np.ndarray, " s"]
    """Which of these images stay."""
    changed: Mapping[int, ImageRecord]
    """What is now known of some, by their places among them."""

    @property
    def now(self) -> Part:
        """The part as the next generation names it."""
        going = np.delete(self.left, self.stays).tolist()
        return Part(self.part.name, tuple(sorted([*self.part.gone, *going])))

    def share(self, before: Path, target: Path, listing: Mapping[str, str]) -> dict[str, str]:
        """Have it in the next generation; digests of its files that are the same there."""
        own, to = before / self.part.name, target / self.part.name
        leave = (MANIFEST,) if self.changed else ()
        names = share_files(own, to, leave=leave)
        paths = [f"{self.part.name}/{name}".removeprefix("./") for name in names]
        if self.changed:
            rows = {int(self.left[place]): record for place, record in self.changed.items()}
            table = from_parquet(own / MANIFEST).replaced(rows)
            to.mkdir(parents=True, exist_ok=True)
            (to / MANIFEST).write_bytes(to_parquet(table))
        return {path: listing[path] for path in paths if path in listing}


def write_next(
    gallery: Gallery,
    difference: Difference,
    target: Path,
    *,
    features: Features,
    anew: bool,
    progress: Progress,
) -> dict[str, str]:
    """Write tables and arrays of the next generation.

    Args:
        gallery: the generation before, opened whole.
        difference: how the images of the next one differ.
        target: the folder of the next one.
        features: what its images are described by.
        anew: whether no part stays.
        progress: told of files compared and rows written; may raise ``Cancelled``.

    Returns:
        Digests of the files that are shared, by their paths.

    Raises:
        GalleryError: when an image lacks features, or a file is missing, or one that would be
            written anew has changed.
    """
    old = list(_old(gallery, difference))
    images, gone = [len(each.stays) for each in old], [len(each.now.gone) for each in old]
    kept = 0 if anew else kept_parts(images, gone, new=len(difference.added))
    known: dict[str, str] = {}
    for each in old[:kept]:
        known |= each.share(gallery.folder, target, gallery.listing)
    _require_whole(gallery, features.keys, shared=known, progress=progress)
    tables = [each.records.replaced(each.changed).take(each.stays) for each in old[kept:]]
    records = Records.joined([*tables, Records.of(difference.added)])
    parts = [each.now for each in old[:kept]]
    if len(records) or not parts:
        parts.append(Part(f"parts/{target.name}" if parts else FIRST))
        features.write(gallery, records, target / parts[-1].name, progress=progress)
    if kept == 0:
        features.write_heads(gallery, target)
    write_parts(target, parts)
    return known


def _require_whole(
    gallery: Gallery, keys: Collection[str], *, shared: Collection[str], progress: Progress
) -> None:
    """Refuse damage that the next generation's listing would sign as whole.

    Args:
        gallery: the generation before.
        keys: keys of the next one's encoders; files of those that come or go do not count.
        shared: names of files that are shared, whose digests stay: `verify` finds their damage.
        progress: told of files compared; may raise ``Cancelled``.
    """
    if not gallery.contents.parts:
        return
    other = tuple(
        name for key in {*gallery.encoder_keys} ^ {*keys} for name in gallery.contents.prefixes(key)
    )
    but = {*shared, *(name for name in gallery.listing if name.startswith(other))}
    for path, what in changed_files(gallery.folder, but=but, progress=progress):
        raise gallery.damaged(
            f"{path.relative_to(gallery.store.folder).as_posix()} is damaged: {what}"
        )


def _old(gallery: Gallery, difference: Difference) -> list[_Old]:
    row_of, start, found = gallery.row_of, 0, list[_Old]()
    gone = np.array(sorted(row_of[number] for number in difference.gone), np.int64)
    changed = {row_of[number]: record for number, record in difference.changed.items()}
    for part, records in zip(gallery.contents.parts, gallery.contents.tables, strict=True):
        end = start + len(records)
        going = gone[(gone >= start) & (gone < end)] - start
        own = {row - start: record for row, record in changed.items() if start <= row < end}
        stays = np.delete(np.arange(len(records)), going)
        found.append(_Old(part, records, part.left(len(records) + len(part.gone)), stays, own))
        start = end
    return found


def arrays_of(gallery: Gallery, shards: Sequence[Shard], name: str) -> list[Rows]:
    """Every array of that name with the contents that its rows are of.

    Raises:
        GalleryError: when one is damaged.
    """
    contents, found = gallery.contents, list[Rows]()
    pairs = zip(contents.parts, contents.tables, strict=True)
    tables = [(gallery.folder / part.name, part, table) for part, table in pairs]
    tables += [(shard.folder, Part(FIRST), Records.of(shard.records)) for shard in shards]
    try:
        for folder, part, records in tables:
            if not (folder / name).exists():
                continue
            array, shas = load_array(folder / name), records.texts("sha256")
            if len(array) != len(shas) + len(part.gone):
                raise GalleryError(f"{name} is damaged")
            found.append(Rows(shas, part.left(len(array)).tolist(), array))
    except GalleryError as error:
        raise gallery.damaged(f"{name} is missing or damaged") from error
    return found


def gather(sources: Sequence[Rows], shas: Sequence[str], path: Path, *, progress: Progress) -> None:
    """Write one array whose rows are the contents' rows, wherever they come from.

    Args:
        sources: arrays that hold them.
        shas: the contents, in order.
        path: the file; nothing is written where there is no row.
        progress: told of rows written; may raise ``Cancelled``.

    Raises:
        GalleryError: when a content has no row.
    """
    if not sources or not shas:
        return
    wanted = {*shas}
    place = {
        sha: (each.array, row)
        for each in sources
        for sha, row in zip(each.shas, each.rows, strict=True)
        if sha in wanted
    }
    if len(place) < len(wanted):
        raise GalleryError(f"{path.name} lacks rows; build the gallery again")
    first = sources[0].array

    def rows() -> Iterator[np.ndarray]:
        for done, sha in enumerate(shas):
            if done % _BLOCK == 0:
                progress(done, len(shas), "writing what describes the images")
            array, row = place[sha]
            yield array[row]

    save_rows(path, rows(), shape=(len(shas), *first.shape[1:]), dtype=first.dtype)
