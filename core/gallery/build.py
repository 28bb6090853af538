"""Changes to a gallery: bring it up to date with a folder, take images out."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.config import BuildConfig
from core.gallery.blocklist import Graveyard, Tombstone
from core.gallery.gallery import (
    Gallery,
    load_array,
    narrow_array,
    small_images,
)
from core.gallery.manifest import to_parquet
from core.gallery.metadata import read_metadata, split_fields
from core.gallery.paths import is_own_root
from core.gallery.shards import (
    Item,
    Shard,
    ShardWriter,
    Skipped,
    hash_files,
)
from core.gallery.store import Store, is_thumbnail, write_listing
from core.heads.head import Head
from core.images.decode import open_image
from core.images.listing import list_images
from core.values import (
    Encoder,
    GalleryError,
    ImageRecord,
    Progress,
    no_progress,
)


@dataclass(frozen=True)
class Source:
    """Images to index: those below a folder, or only some of them."""

    folder: Path
    only: tuple[str, ...] | None = None
    """Paths relative to the folder; all images below it when not given."""

    def files(self) -> dict[str, Path]:
        """The files by their paths relative to the folder, thumbnails of galleries left out.

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
class Change:
    """What a change did."""

    images: int
    """Images in the gallery now."""
    added: int
    """Images that were not there before, or whose file had changed."""
    removed: int
    """Images that are no longer there, those whose file had changed included."""
    skipped: tuple[Skipped, ...] = ()
    kept_out: tuple[str, ...] = ()
    """Files that show an image with a tombstone, by their paths."""


def update(
    folder: Path,
    source: Source,
    encoders: Sequence[Encoder],
    *,
    patch_heads: Mapping[str, Head] | None = None,
    config: BuildConfig | None = None,
    progress: Progress = no_progress,
) -> Change:
    """Bring a gallery up to date with a folder of images under the given encoders; make it if new.

    Images already there are not encoded again; new and changed ones are, and an encoder that the
    gallery lacks is applied to all. Files that have gone from the source stay in the gallery: see
    :func:`remove`. Images with a tombstone are kept out before they are encoded. A call that was
    killed or cancelled is continued by calling again.

    Args:
        folder: the gallery.
        source: the images; ``metadata.csv`` or ``metadata.jsonl`` of their folder is read.
        encoders: encoders to apply, all that the gallery already holds among them.
        patch_heads: heads of local descriptors by encoder identity; others are fitted on a sample.
        config: sizes of batches, shards and thumbnails.
        progress: called with images done; may raise ``Cancelled``.

    Raises:
        GalleryError: when there is nothing to add, no encoder, a metadata file that cannot be read,
            a gallery that is in use or damaged, or a full disk.
        Cancelled: when ``progress`` asked for it; finished shards are kept.
    """
    if not encoders:
        raise GalleryError("a gallery needs an encoder; name at least one")
    found = _Found(source.folder.resolve(), source.files(), read_metadata(source.folder))
    store, root = Store(folder), _root(found.folder, folder.resolve())
    with _disk_errors():
        store.require_free(root)
        with store.writing():
            if not store.exists or store.header().generation == 0:
                store.create(store.folder.name, root=root)
            store.sweep()
            gallery = _rooted(Gallery.open(folder), root, found)
            by_key = {gallery.key_of(encoder): encoder for encoder in encoders}
            given = patch_heads or {}
            heads = {key: given[e.identity] for key, e in by_key.items() if e.identity in given}
            config = config or BuildConfig()
            return _bring_up(gallery, found, by_key, heads=heads, config=config, progress=progress)


@dataclass(frozen=True)
class _Found:
    """What a source holds now."""

    folder: Path
    files: Mapping[str, Path]
    metadata: Mapping[str, Mapping[str, str]]


def _rooted(gallery: Gallery, root: str, found: _Found) -> Gallery:
    """The gallery with its images in the source's folder: they were there, or have moved there.

    Raises:
        GalleryError: when its images lie in another folder.
    """
    if gallery.root.resolve() == found.folder:
        return gallery
    here = all(record.path in found.files for record in gallery.records)
    if gallery.records and (gallery.root.is_dir() or not here):
        raise GalleryError(
            f"the gallery's images lie in {gallery.root}, not in {found.folder}: put the new ones "
            "there, or index a folder that holds both as another gallery"
        )
    header = replace(gallery.header, root=root)
    return Gallery(gallery.store, header, gallery.records, read_only=gallery.read_only)


def _bring_up(
    gallery: Gallery,
    found: _Found,
    encoders: Mapping[str, Encoder],
    *,
    heads: Mapping[str, Head],
    config: BuildConfig,
    progress: Progress,
) -> Change:
    """Encode what is missing and commit it; the writer's lock is held."""
    store = gallery.store
    plan = _plan(gallery, found, encoders, workers=config.workers)
    heads = {**heads, **_stored_patch_heads(gallery, encoders)}
    work = store.work / _work_name(gallery, encoders, config)
    writer = ShardWriter(store, work, encoders, patch_heads=heads, config=config)
    for keys, missing in _missing(gallery, writer.finished(), plan.items, encoders):
        writer.write(missing, keys, progress)
    change = _finish(gallery, plan, writer, metadata=found.metadata)
    shutil.rmtree(store.work, ignore_errors=True)
    return change


def remove(folder: Path, ids: Iterable[int], *, tombstone: bool = False) -> Change:
    """Take images out of a gallery.

    Args:
        folder: the gallery.
        ids: ids of the images.
        tombstone: also take out their resaves, by perceptual hash, and keep all of them out of
            every later :func:`update` of this folder. Nothing but the hashes is kept.

    Raises:
        GalleryError: when an id is not there, or the gallery is in use or cannot be written.
        ImageError: when a tombstone is wanted and the image can be read no more.
    """
    store = Store(folder)
    store.header()
    with _disk_errors(), store.writing():
        gallery = Gallery.open(folder)
        gone = set(ids)
        if unknown := gone - gallery.row_of.keys():
            raise GalleryError(f"no image of the gallery has the id {min(unknown)}")
        if tombstone:
            gone |= _buried(gallery, sorted(gone))
        kept = [record for record in gallery.records if record.id not in gone]
        _commit(gallery, kept, (), patch_heads={})
    return Change(len(kept), added=0, removed=len(gone))


def _buried(gallery: Gallery, ids: Iterable[int]) -> set[int]:
    """Set tombstones for images; ids of all images of the gallery that these now bar."""
    records = [gallery.records[gallery.row_of[number]] for number in ids]
    graveyard = Graveyard(gallery.store.folder)
    graveyard.add(
        Tombstone.of(open_image(gallery.store.thumbnail(record.sha256)), phash=record.phash)
        for record in records
    )
    barred = graveyard.bars(record.phash for record in gallery.records)
    return {record.id for record, no in zip(gallery.records, barred, strict=True) if no}


def narrow(folder: Path) -> None:
    """Keep a gallery's features in half the space, 8 bits each; later additions are kept in full.

    Raises:
        GalleryError: when the gallery is damaged, in use, empty, or cannot be written.
    """
    store = Store(folder)
    store.header()
    with _disk_errors(), store.writing():
        gallery = Gallery.open(folder)
        if not len(gallery):
            raise GalleryError(f"{gallery.name} holds no image whose features could be narrowed")
        _commit(gallery, gallery.records, (), patch_heads={}, narrowed=True)


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
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


@dataclass(frozen=True)
class _Plan:
    """What an update has to do."""

    new: Mapping[str, str]
    """Contents of new and changed files by path."""
    kept: Sequence[ImageRecord]
    """Records of images that stay."""
    described: bool
    """Whether their metadata has changed, or a file became one with a tombstone."""
    items: Sequence[Item]
    """Every image that the gallery will hold."""
    unreadable: Sequence[Skipped]
    barred: Sequence[str]
    """Files that show an image with a tombstone."""


def _plan(gallery: Gallery, found: _Found, keys: Iterable[str], *, workers: int) -> _Plan:
    """Compare the files with the gallery by path and content.

    Raises:
        GalleryError: when new images would lack an encoder that the gallery holds.
    """
    files, metadata = found.files, found.metadata
    shas, unreadable = hash_files(files)
    old = {record.path: record.sha256 for record in gallery.records}
    changed = {name: sha for name, sha in shas.items() if old.get(name) != sha}
    graveyard = Graveyard(gallery.store.folder)
    barred = graveyard.barred({name: files[name] for name in changed}, workers=workers)
    new = {name: sha for name, sha in changed.items() if name not in barred}
    if lacking := [key for key in gallery.encoder_keys if new and key not in keys]:
        raise GalleryError(
            f"the gallery also holds features of {', '.join(lacking)}: name those encoders too, so "
            "that new images get them"
        )
    stays = [record for record in gallery.records if record.path not in changed]
    kept = [
        _described(record, metadata[record.path])
        if record.path in files and record.path in metadata
        else record
        for record in stays
    ]
    items = [Item(files[name], name, sha) for name, sha in new.items()]
    items += [
        Item(files.get(record.path, gallery.root / record.path), record.path, record.sha256)
        for record in kept
    ]
    described = kept != [record for record in gallery.records if record.path not in new]
    return _Plan(new, kept, described, items, unreadable, sorted(barred))


def _finish(
    gallery: Gallery,
    plan: _Plan,
    writer: ShardWriter,
    *,
    metadata: Mapping[str, Mapping[str, str]],
) -> Change:
    """Commit what the shards hold, with metadata from beside the images."""
    shards = [shard for shard in writer.finished() if shard.records]
    read = {record.sha256: record for shard in shards for record in shard.records}
    read.update({record.sha256: record for record in gallery.records})
    readable = [(name, sha) for name, sha in plan.new.items() if sha in read]
    added = [
        _described(replace(read[sha], id=number, path=name), metadata.get(name, {}))
        for number, (name, sha) in enumerate(readable, gallery.header.next_id)
    ]
    unread = writer.unread
    if lost := [record.path for record in plan.kept if record.sha256 in unread]:
        raise GalleryError(
            f"{len(lost)} images of the gallery, {lost[0]!r} first, could not be read again from "
            "where they were indexed; bring their files back, or remove them from the gallery"
        )
    if lost := [name for name, sha in plan.new.items() if sha not in read and sha not in unread]:
        raise GalleryError(
            f"{len(lost)} images, {lost[0]!r} first, are missing from the unfinished work; "
            "the same command reads them again"
        )
    left_out = [Skipped(name, unread[sha]) for name, sha in plan.new.items() if sha in unread]
    skipped = (*plan.unreadable, *left_out)
    if not (plan.kept or added or plan.barred):
        raise GalleryError(f"there is no image that can be read{_first(skipped)}")
    moved = gallery.header.root != gallery.store.header().root
    if shards or added or plan.described or moved:
        _commit(gallery, [*plan.kept, *added], shards, patch_heads=writer.patch_heads)
    removed = len(gallery.records) - len(plan.kept)
    total = len(plan.kept) + len(added)
    return Change(total, len(added), removed, skipped, tuple(plan.barred))


def _root(source: Path, folder: Path) -> str:
    """Where the images lie: relative to the gallery when inside it, so that it can be moved."""
    if not source.is_relative_to(folder):
        return str(source)
    root = source.relative_to(folder).as_posix()
    return root if is_own_root(root) else str(source)


def _missing(
    gallery: Gallery,
    shards: Sequence[Shard],
    items: Sequence[Item],
    encoders: Mapping[str, Encoder],
) -> Iterator[tuple[tuple[str, ...], list[Item]]]:
    """Images that still have to be encoded, each content once, by the encoders they lack."""
    stored = {record.sha256 for record in gallery.records}
    have = {(sha, key) for sha in stored for key in gallery.encoder_keys}
    have |= {(r.sha256, key) for shard in shards for r in shard.records for key in shard.keys}
    by_keys: dict[tuple[str, ...], dict[str, Item]] = {}
    for item in items:
        lacks = tuple(key for key in encoders if (item.sha256, key) not in have)
        if lacks:
            by_keys.setdefault(lacks, {}).setdefault(item.sha256, item)
    for keys, found in by_keys.items():
        yield keys, list(found.values())


def _stored_patch_heads(gallery: Gallery, encoders: Mapping[str, Encoder]) -> dict[str, Head]:
    heads = {key: gallery.patch_head(encoder) for key, encoder in encoders.items()}
    return {key: head for key, head in heads.items() if head is not None}


def _work_name(gallery: Gallery, encoders: Mapping[str, Encoder], config: BuildConfig) -> str:
    """Work is taken up again only from the same generation, encoders and settings."""
    parts = [str(gallery.header.generation), *sorted(encoders), repr(config)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _described(record: ImageRecord, fields: Mapping[str, str]) -> ImageRecord:
    own, extra = split_fields(fields)
    return replace(record, extra=extra, **own)


def _first(skipped: Sequence[Skipped]) -> str:
    return f"; the first: {skipped[0].path}: {skipped[0].reason}" if skipped else ""


def _commit(
    gallery: Gallery,
    records: Sequence[ImageRecord],
    shards: Sequence[Shard],
    *,
    patch_heads: Mapping[str, Head],
    narrowed: bool = False,
) -> None:
    """Write the next generation: these records and their features, from the old one and shards.

    Thumbnails that it does not need go: of contents that are in it no more, of small images.
    """
    store, header = gallery.store, gallery.header
    next_id = max([header.next_id, *(record.id + 1 for record in records)])
    keys = {*gallery.encoder_keys, *(key for shard in shards for key in shard.keys)}
    shas = [record.sha256 for record in records]
    with store.next_generation(header, next_id=next_id) as target:
        for key in sorted(keys):
            (target / key).mkdir()
            for array in ("features.npy", "patches.npy"):
                _gather(_sources(gallery, shards, f"{key}/{array}"), shas, target / key / array)
            head = patch_heads.get(key) or _patch_head(gallery, key)
            if head:
                head.save(target / key / "patch_head")
            if narrowed:
                narrow_array(target / key / "features.npy")
        (target / "manifest.parquet").write_bytes(to_parquet(records))
        write_listing(target)
    gone = {record.sha256 for record in gallery.records}.difference(shas)
    for sha in gone.union(small_images(store.folder, header.root, records)):
        made = store.made_thumbnail(sha)
        with contextlib.suppress(OSError):
            made.unlink()
            made.parent.rmdir()


def _patch_head(gallery: Gallery, key: str) -> Head | None:
    folder = gallery.folder / key / "patch_head"
    return Head.load(folder) if folder.exists() else None


def _sources(
    gallery: Gallery, shards: Sequence[Shard], name: str
) -> list[tuple[list[str], np.ndarray]]:
    """Every array of that name with the contents that its rows are of.

    Raises:
        GalleryError: when one is damaged.
    """
    places = [(gallery.folder, gallery.records), *((s.folder, s.records) for s in shards)]
    found = [
        ([record.sha256 for record in records], load_array(folder / name))
        for folder, records in places
        if (folder / name).exists()
    ]
    if any(array.shape[:1] != (len(shas),) for shas, array in found):
        raise GalleryError(f"{name} is damaged; build the gallery again")
    return found


def _gather(sources: Sequence[tuple[list[str], np.ndarray]], shas: list[str], path: Path) -> None:
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
