"""Bringing a gallery up to date with a folder of images, under some encoders."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.config import BuildConfig
from core.encoders.load import shipped_heads
from core.gallery.cluster import ClusterWriter
from core.gallery.commit import Change, commit, disk_errors, drop_thumbnails, still_opted_out
from core.gallery.gallery import Gallery
from core.gallery.paths import is_folder, is_own_root
from core.gallery.plan import Plan, described, make_plan, missing
from core.gallery.shards import ShardWriter, Skipped, Stamp
from core.gallery.source import Source, SourceFiles
from core.gallery.store import Header, Store
from core.heads.head import Head
from core.images.decode import quoted
from core.images.files import file_digest
from core.images.stated import READING
from core.values import Encoder, GalleryError, ImageRecord, Progress, no_progress

_NAMED = 20  # images that a command names at most


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
    gallery lacks is applied to all. A file that has moved is the same image under its new path.
    Blocked images are kept out before they are encoded. A call that was killed or cancelled is
    continued by calling again.

    Args:
        folder: the gallery.
        source: the images; the tables of metadata beside them are read.
        encoders: encoders to apply, all that the gallery already holds among them.
        patch_heads: heads of local descriptors by encoder identity. Others are those that the
            gallery has, then those that come with the encoder, then fitted on a sample.
        config: sizes of batches, shards and thumbnails, and who encodes.
        progress: called with images done; may raise ``Cancelled``.

    Raises:
        GalleryError: when there is nothing to add, no encoder, a metadata file that cannot be read,
            a gallery that is in use or damaged, or a full disk.
        Cancelled: when ``progress`` asked for it; finished shards are kept.
    """
    if not encoders:
        raise GalleryError("a gallery needs an encoder; name at least one")
    found = source.look()
    store, root = Store(folder), _root(found.folder, folder.resolve())
    with disk_errors():
        store.require_free(root)
        with store.writing():
            if not store.exists or store.header().generation == 0:
                store.create(store.folder.name, root=root)
            gallery = _rooted(Gallery.open(folder, whole=True), root, found)
            by_key = {gallery.key_of(encoder): encoder for encoder in encoders}
            heads = _patch_heads(gallery, by_key, patch_heads or {})
            work = _Work(gallery, found, by_key, heads, config or BuildConfig())
            return _bring_up(work, progress)


@dataclass(frozen=True)
class _Work:
    """What an update is made of."""

    gallery: Gallery
    found: SourceFiles
    encoders: Mapping[str, Encoder]
    heads: Mapping[str, Head]
    config: BuildConfig


def _rooted(gallery: Gallery, root: str, found: SourceFiles) -> Gallery:
    """The gallery with its images in the source's folder: they were there, or some moved there.

    Raises:
        GalleryError: when its images lie in another folder.
    """
    if gallery.root.resolve() == found.folder:
        return gallery
    here = any(
        file_digest(found.files[record.path]) == record.sha256
        for record in gallery.records
        if record.path in found.files
    )
    if gallery.records and (is_folder(gallery.root) or not here):
        raise GalleryError(
            f"the gallery's images lie in {gallery.root}, not in {found.folder}: put the new ones "
            "there, or index a folder that holds both as another gallery"
        )
    return _with(gallery, replace(gallery.header, root=root))


def _with(gallery: Gallery, header: Header) -> Gallery:
    return Gallery(gallery.store, header, gallery.stored, read_only=False, whole=True)


def _root(source: Path, folder: Path) -> str:
    """Where the images lie: relative to the gallery when inside it, so that it can be moved."""
    if not source.is_relative_to(folder):
        return str(source)
    root = source.relative_to(folder).as_posix()
    return root if is_own_root(root) else str(source)


def _bring_up(work: _Work, progress: Progress) -> Change:
    """Encode what is missing and commit it; the writer's lock is held."""
    gallery, encoders, config = work.gallery, work.encoders, work.config
    store = gallery.store
    plan = make_plan(gallery, work.found, encoders, workers=config.workers, progress=progress)
    folder = store.work / _work_name(gallery, encoders, config)
    kind = ClusterWriter if config.ray else ShardWriter
    writer = kind(store, folder, encoders, patch_heads=work.heads, config=config)
    writer.renew = bool(plan.superseded or plan.again)
    if plan.by_numbers:
        gallery = _with(gallery, replace(gallery.header, reading=READING))
    lacking = missing(gallery, writer.finished(), plan.items, encoders, again=plan.again)
    for keys, items in lacking:
        writer.write(items, keys, progress)
    change = _finish(gallery, plan, writer, found=work.found)
    shutil.rmtree(store.work, ignore_errors=True)
    drop_thumbnails(Gallery.open(store.folder, whole=True))
    return change


def _finish(gallery: Gallery, plan: Plan, writer: ShardWriter, *, found: SourceFiles) -> Change:
    """Commit what the shards hold, with metadata from beside the images."""
    shards = [shard for shard in writer.finished() if shard.records]
    read = {record.sha256: record for shard in shards for record in shard.records}
    read.update({record.sha256: record for record in gallery.records})
    readable = [(name, sha) for name, sha in plan.new.items() if sha in read]
    added = [
        _added(replace(read[sha], id=number, path=name), plan.stamps[name], found.metadata.fields)
        for number, (name, sha) in enumerate(readable, gallery.header.next_id)
    ]
    unread = writer.unread
    if lost := [record.path for record in plan.kept if record.sha256 in unread]:
        raise GalleryError(
            f"{len(lost)} images of the gallery, {lost[0]!r} first, could not be read again from "
            "where they were indexed; bring their files back, or remove them from the gallery",
            command=("remove", "--gallery", str(gallery.store.folder), "--", *lost),
        )
    if lost := [name for name, sha in plan.new.items() if sha not in read and sha not in unread]:
        raise GalleryError(
            f"{len(lost)} images, {lost[0]!r} first, are missing from the unfinished work; "
            "the same command reads them again"
        )
    left_out = [Skipped(name, unread[sha][name]) for name, sha in plan.new.items() if sha in unread]
    skipped = (*plan.unreadable, *left_out)
    if not (plan.kept or added or plan.blocked):
        if found.prune and gallery.records and not found.files:
            raise GalleryError(
                f"none of the {len(gallery.records)} images is there any more, so none is dropped: "
                "see that the folder is the right one; to drop them all the same",
                command=(
                    *("remove", "--gallery", str(gallery.store.folder), "--"),
                    *(record.path for record in gallery.records[:_NAMED]),
                ),
            )
        where = quoted(found.folder.name)
        raise GalleryError(f"there is no image that can be read in {where}{_first(skipped)}")
    moved = gallery.header.root != gallery.store.header().root
    removed = len(gallery.records) - len(plan.kept)
    if shards or added or removed or plan.changes or moved or plan.superseded:
        anew = (record for shard in shards for record in shard.records if writer.renew)
        seen = {record.sha256: record for record in anew}
        kept = [replace(r, phash=seen.get(r.sha256, r).phash) for r in plan.kept]
        records, heads = [*kept, *added], writer.patch_heads
        commit(gallery, records, shards, patch_heads=heads, superseded=plan.superseded)
    images = [*plan.kept, *added]
    return Change(
        len(images),
        len(added),
        removed,
        skipped,
        tuple(plan.blocked),
        moved=plan.moved,
        gone=tuple(plan.gone),
        notes=_notes(images, writer.notes),
        account=found.account({record.path for record in images}),
        opted_out=len(still_opted_out(gallery, images)),
    )


def _notes(
    images: Sequence[ImageRecord], notes: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Paths of images by what was unusual about their contents."""
    found: dict[str, tuple[str, ...]] = {}
    for record in images:
        for note in notes.get(record.sha256, ()):
            found[note] = (*found.get(note, ()), record.path)
    return found


def _added(
    record: ImageRecord, stamp: Stamp, metadata: Mapping[str, Mapping[str, str]]
) -> ImageRecord:
    """The record of a new image, with what its own file and the metadata say."""
    own = replace(record, size=stamp.size, modified=stamp.modified)
    return described(own, metadata.get(record.path, {}))


def _patch_heads(
    gallery: Gallery, encoders: Mapping[str, Encoder], given: Mapping[str, Head]
) -> dict[str, Head]:
    """Heads of local descriptors by key: the gallery's own, else given, else the encoder's."""
    heads = {
        key: gallery.patch_head(encoder)
        or given.get(encoder.identity)
        or shipped_heads(encoder.name).patches
        for key, encoder in encoders.items()
    }
    return {key: head for key, head in heads.items() if head is not None}


def _work_name(gallery: Gallery, encoders: Mapping[str, Encoder], config: BuildConfig) -> str:
    """Work is taken up again only from the same generation, encoders and settings."""
    parts = [str(gallery.header.generation), *sorted(encoders), repr(config), str(READING)]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _first(skipped: Sequence[Skipped]) -> str:
    return f"; the first: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
