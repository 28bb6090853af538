"""Bringing a gallery up to date with a folder of images, under some encoders."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.config import BuildConfig
from core.encoders.load import shipped_heads
from core.gallery.cluster import ClusterWriter
from core.gallery.commit import Change, commit, disk_errors, still_opted_out, tidy
from core.gallery.gallery import Gallery
from core.gallery.header import Header
from core.gallery.paths import is_folder, is_own_root
from core.gallery.plan import Plan, described, make_plan, missing
from core.gallery.shards import Shard, ShardWriter, Skipped, Stamp
from core.gallery.source import Source, SourceFiles
from core.gallery.store import Store
from core.gallery.writing import Difference, Features
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
        with store.writing() as unfinished:
            if not store.exists or store.header().generation == 0:
                store.create(store.folder.name, root=root)
            gallery = _rooted(Gallery.open(folder, whole=True), root, found, progress=progress)
            by_key = {gallery.key_of(encoder): encoder for encoder in encoders}
            heads = _patch_heads(gallery, by_key, patch_heads or {})
            work = _Work(gallery, found, by_key, heads, config or BuildConfig())
            return _bring_up(work, progress, unfinished=unfinished)


@dataclass(frozen=True)
class _Work:
    """What an update is made of."""

    gallery: Gallery
    found: SourceFiles
    encoders: Mapping[str, Encoder]
    heads: Mapping[str, Head]
    config: BuildConfig


def _rooted(gallery: Gallery, root: str, found: SourceFiles, *, progress: Progress) -> Gallery:
    """The gallery with its images in the source's folder: they were there, or some moved there.

    Raises:
        GalleryError: when its images lie in another folder.
    """
    if gallery.root.resolve() == found.folder:
        return gallery
    if gallery.records and (is_folder(gallery.root) or not _holds_any(found, gallery, progress)):
        raise GalleryError(
            f"the gallery's images lie in {gallery.root}, not in {found.folder}: put the new ones "
            "there, or index a folder that holds both as another gallery"
        )
    return _with(gallery, replace(gallery.header, root=root))


def _holds_any(found: SourceFiles, gallery: Gallery, progress: Progress) -> bool:
    """Whether any file of a source is that of an image of a gallery, by its path and content."""
    pairs = zip(gallery.records.texts("path"), gallery.records.texts("sha256"), strict=True)
    for done, (path, sha) in enumerate(pairs):
        progress(done, len(gallery.records), "looking for the images in their new folder")
        if path in found.files and file_digest(found.files[path]) == sha:
            return True
    return False


def _with(gallery: Gallery, header: Header) -> Gallery:
    return Gallery(gallery.store, header, gallery.contents, read_only=False, whole=True)


def _root(source: Path, folder: Path) -> str:
    """Where the images lie: relative to the gallery when inside it, so that it can be moved."""
    if not source.is_relative_to(folder):
        return str(source)
    root = source.relative_to(folder).as_posix()
    return root if is_own_root(root) else str(source)


def _bring_up(work: _Work, progress: Progress, *, unfinished: bool) -> Change:
    """Encode what is missing and commit it; the writer's lock is held.

    Args:
        work: what there is to do.
        progress: called with images done; may raise ``Cancelled``.
        unfinished: whether a call before was stopped before its end.
    """
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
    return _finish(
        gallery, plan, writer, found=work.found, unfinished=unfinished, progress=progress
    )


def _finish(
    gallery: Gallery,
    plan: Plan,
    writer: ShardWriter,
    *,
    found: SourceFiles,
    unfinished: bool,
    progress: Progress,
) -> Change:
    """Commit what the shards hold, with metadata from beside the images."""
    shards = [shard for shard in writer.finished() if shard.records]
    read = {record.sha256: record for shard in shards for record in shard.records}
    read.update(_known(gallery, {*plan.new.values()}))
    readable = [(name, sha) for name, sha in plan.new.items() if sha in read]
    added = [
        _added(replace(read[sha], id=number, path=name), plan.stamps[name], found.metadata.fields)
        for number, (name, sha) in enumerate(readable, gallery.header.next_id)
    ]
    unread = writer.unread
    _require_read(gallery, plan, writer, shards)
    left_out = [Skipped(name, unread[sha][name]) for name, sha in plan.new.items() if sha in unread]
    skipped = (*plan.unreadable, *left_out)
    if not (plan.kept or added or plan.blocked):
        raise _without_images(gallery, found, skipped)
    moved = gallery.header.root != gallery.store.header().root
    edited = dict(plan.edited) | (_read_again(gallery, plan, shards) if writer.renew else {})
    difference = Difference(plan.dropped, edited, added)
    changed = shards or added or plan.dropped or plan.changes or moved or plan.superseded
    if changed:
        new = Features(shards, writer.patch_heads, plan.superseded)
        commit(gallery, difference, new, progress=progress)
    if changed or unfinished:
        tidy(gallery, difference, everything=unfinished or moved, progress=progress)
    images = [*plan.kept, *((record.path, record.sha256) for record in added)]
    return Change(
        len(images),
        len(added),
        len(plan.dropped),
        skipped,
        tuple(plan.blocked),
        moved=plan.moved,
        gone=tuple(plan.gone),
        notes=_notes(images, writer.notes),
        account=found.account({path for path, _ in images}),
        opted_out=len(still_opted_out(gallery, difference)),
    )


def _require_read(
    gallery: Gallery, plan: Plan, writer: ShardWriter, shards: Sequence[Shard]
) -> None:
    """Refuse to commit less than was there, or less than was to be read.

    Raises:
        GalleryError: when an image that stays could not be read again, or a shard is gone.
    """
    unread = writer.unread
    if lost := [path for path, sha in plan.kept if sha in unread]:
        raise GalleryError(
            f"{len(lost)} images of the gallery, {lost[0]!r} first, could not be read again from "
            "where they were indexed; bring their files back, or remove them from the gallery",
            command=("remove", "--gallery", str(gallery.store.folder), "--", *lost),
        )
    lacking = missing(gallery, shards, plan.items, writer.encoders, again=plan.again)
    if lost := [each.name for _, items in lacking for each in items if each.sha256 not in unread]:
        raise GalleryError(
            f"{len(lost)} images, {lost[0]!r} first, are missing from the unfinished work; "
            "the same command reads them again"
        )


def _without_images(
    gallery: Gallery, found: SourceFiles, skipped: Sequence[Skipped]
) -> GalleryError:
    """The error that says why a gallery would have no image."""
    if not (found.prune and gallery.records and not found.files):
        where = quoted(found.folder.name)
        return GalleryError(f"there is no image that can be read in {where}{_first(skipped)}")
    return GalleryError(
        f"none of the {len(gallery.records)} images is there any more, so none is dropped: "
        "see that the folder is the right one; to drop them all the same",
        command=(
            *("remove", "--gallery", str(gallery.store.folder), "--"),
            *(record.path for record in gallery.records[:_NAMED]),
        ),
    )


def _known(gallery: Gallery, contents: Collection[str]) -> dict[str, ImageRecord]:
    """Records of some contents that a gallery holds."""
    rows = enumerate(gallery.records.texts("sha256"))
    return {sha: gallery.records[row] for row, sha in rows if sha in contents}


def _read_again(gallery: Gallery, plan: Plan, shards: Sequence[Shard]) -> dict[int, ImageRecord]:
    """Records by their ids of images that stay and were read otherwise than before."""
    hashes = {record.sha256: record.phash for shard in shards for record in shard.records}
    ids = {record.id for record in gallery.records if record.sha256 in hashes}
    before = {i: plan.edited.get(i) or gallery.records[gallery.row_of[i]] for i in ids}
    left = before.keys() - {*plan.dropped}
    return {i: replace(before[i], phash=hashes[before[i].sha256]) for i in left}


def _notes(
    images: Sequence[tuple[str, str]], notes: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Paths of images, given with their contents, by what was unusual about these."""
    found: dict[str, tuple[str, ...]] = {}
    for path, sha in images:
        for note in notes.get(sha, ()):
            found[note] = (*found.get(note, ()), path)
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
