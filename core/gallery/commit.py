"""The next generation of a gallery, written from the one before and from finished shards."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.gallery.gallery import Gallery, load_array, narrow_array, small_images
from core.gallery.manifest import to_parquet
from core.gallery.paths import delete_inside
from core.gallery.shards import Shard, Skipped
from core.gallery.source import Account
from core.gallery.store import write_listing
from core.heads.head import Head
from core.values import GalleryError, ImageRecord


@dataclass(frozen=True)
class Change:
    """What a change of a gallery did."""

    images: int
    """Images in the gallery now."""
    added: int
    """Images that were not there before, or whose file had changed."""
    removed: int
    """Images that are no longer there, those whose file had changed included."""
    skipped: tuple[Skipped, ...] = ()
    kept_out: tuple[str, ...] = ()
    """Files that show a blocked image, by their paths."""
    moved: int = 0
    """Images whose files have moved or were renamed."""
    gone: tuple[str, ...] = ()
    """Paths of images that stay though their files are no longer there."""
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """What was unusual about images that were read now, each with their paths."""
    account: Account | None = None
    """What became of every picture and row of the source, where one was read."""
    recall: Mapping[str, float] = field(default_factory=dict[str, float])
    """Share of the nearest images that are found, by encoder, where not all are compared."""
    opted_out: int = 0
    """Images of the gallery that are part of no answer."""


def commit(
    gallery: Gallery,
    records: Sequence[ImageRecord],
    shards: Sequence[Shard],
    *,
    patch_heads: Mapping[str, Head],
    narrowed: bool = False,
    superseded: Collection[str] = (),
) -> None:
    """Write the next generation of a gallery; the writer's lock is held.

    Thumbnails that it does not need are deleted: those of contents that are no longer in it, and
    those of small images, which are their own thumbnails.

    Args:
        gallery: the generation before, opened whole.
        records: the images of the next one; each is in the one before or in a shard.
        shards: newly encoded images.
        patch_heads: heads of local descriptors of the encoders that are new.
        narrowed: whether features are stored in 8 bits.
        superseded: keys of encoders whose features go.

    Raises:
        GalleryError: when an image lacks features; the generation before stays.
        OSError: when the disk is full or refuses; the generation before stays.
    """
    out = tuple(sorted(still_opted_out(gallery, records)))
    store, header = gallery.store, replace(gallery.header, opted_out=out)
    next_id = max([header.next_id, *(record.id + 1 for record in records)])
    keys = {*gallery.encoder_keys, *(key for shard in shards for key in shard.keys)}
    keys = keys.difference(superseded)
    shas = [record.sha256 for record in records]
    with store.next_generation(header, next_id=next_id) as target:
        for key in sorted(keys):
            (target / key).mkdir()
            for array in ("features.npy", "patches.npy"):
                gather(arrays_of(gallery, shards, f"{key}/{array}"), shas, target / key / array)
            head = patch_heads.get(key) or _patch_head(gallery, key)
            if head:
                head.save(target / key / "patch_head")
            if narrowed:
                narrow_array(target / key / "features.npy")
        (target / "manifest.parquet").write_bytes(to_parquet(records))
        write_listing(target)
    drop_thumbnails(Gallery.open(store.folder, whole=True))


def drop_thumbnails(gallery: Gallery) -> None:
    """Delete thumbnails that no image of a gallery needs, those a killed call left included.

    Only for the writer, when there is no unfinished build.

    Args:
        gallery: the current generation, opened whole.
    """
    store, records = gallery.store, gallery.stored
    small = small_images(store.folder, gallery.header.root, records)
    needed = {record.sha256 for record in records}.difference(small)
    for made in store.folder.glob("thumbnails/*/[!.]*.webp"):
        if made.stem not in needed:
            with contextlib.suppress(OSError):
                delete_inside(made, store.folder)
                made.parent.rmdir()


def still_opted_out(gallery: Gallery, records: Sequence[ImageRecord]) -> set[int]:
    """Ids of the next generation's images that stay opted out, or are what a file of such became.

    Args:
        gallery: the generation before, opened whole.
        records: the images of the next one.
    """
    ids = {record.id for record in records}
    out = {record.id: record.path for record in gallery.stored}
    out = {number: path for number, path in out.items() if number in gallery.header.opted_out}
    replaced = {path for number, path in out.items() if number not in ids}
    return {record.id for record in records if record.id in out or record.path in replaced}


def _patch_head(gallery: Gallery, key: str) -> Head | None:
    folder = gallery.folder / key / "patch_head"
    return Head.load(folder) if folder.exists() else None


def arrays_of(
    gallery: Gallery, shards: Sequence[Shard], name: str
) -> list[tuple[list[str], np.ndarray]]:
    """Every array of that name with the contents that its rows are of.

    Raises:
        GalleryError: when one is damaged.
    """
    places = [(gallery.folder, gallery.stored), *((s.folder, s.records) for s in shards)]
    try:
        found = [
            ([record.sha256 for record in records], load_array(folder / name))
            for folder, records in places
            if (folder / name).exists()
        ]
    except GalleryError as error:
        raise gallery.damaged(f"{name} is missing or damaged") from error
    if any(array.shape[:1] != (len(shas),) for shas, array in found):
        raise gallery.damaged(f"{name} is damaged")
    return found


def gather(sources: Sequence[tuple[list[str], np.ndarray]], shas: list[str], path: Path) -> None:
    """Write one array whose rows are the contents' rows, wherever they come from."""
    if not sources or not shas:
        return
    place = {sha: (array, row) for found, array in sources for row, sha in enumerate(found)}
    if any(sha not in place for sha in shas):
        raise GalleryError(f"{path.name} lacks rows; build the gallery again")
    first = sources[0][1]
    header = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": False,
        "shape": (len(shas), *first.shape[1:]),
    }
    with path.open("wb") as file:  # written, not mapped: a full disk must not kill the process
        np.lib.format.write_array_header_1_0(file, header)
        for sha in shas:
            array, row = place[sha]
            file.write(np.ascontiguousarray(array[row], first.dtype).tobytes())


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Turn what the file system refuses into a ``GalleryError``."""
    try:
        yield
    except OSError as error:
        raise GalleryError(
            f"the gallery could not be written ({_refusal(error)}); it is as it was before"
        ) from error


def _refusal(error: OSError) -> str:
    """What the file system said; NumPy tells of a full disk in counts of what it wrote."""
    if error.errno is None and "requested and" in str(error):
        return "No space left on device"
    return error.strerror or str(error)
