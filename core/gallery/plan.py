"""What an update of a gallery has to do: its images compared with the files of its source."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from core.gallery.blocklist import Blocklist
from core.gallery.gallery import Gallery
from core.gallery.manifest import STANDARD
from core.gallery.metadata import split_fields
from core.gallery.shards import Item, Shard, Skipped, Stamp, hash_files
from core.gallery.source import SourceFiles
from core.images.stated import READING, states_numbers
from core.values import Encoder, GalleryError, ImageRecord, Progress, no_progress


@dataclass(frozen=True)
class Plan:
    """What an update has to do."""

    new: Mapping[str, str]
    """Content hashes of new and changed files by path."""
    stamps: Mapping[str, Stamp]
    """What tells every file of the source from what it was before, by path."""
    kept: Sequence[ImageRecord]
    """Records of images that stay, those whose files have moved under their new paths."""
    changes: bool
    """Whether any of them has changed or goes, or a changed file now shows a blocked image."""
    moved: int
    """Images that stay whose files have moved or were renamed."""
    gone: Sequence[str]
    """Paths of images that stay though their files are no longer there."""
    items: Sequence[Item]
    """Every image that the gallery will hold."""
    unreadable: Sequence[Skipped]
    blocked: Sequence[str]
    """Files that show a blocked image."""
    superseded: Sequence[str]
    """Keys of encoders whose features go: others of the same names replace them."""
    by_numbers: Collection[str]
    """Contents whose colours numbers state, in a gallery that may hold them read as before."""

    @property
    def again(self) -> set[str]:
        """Contents that the gallery holds and that are described again."""
        return {record.sha256 for record in self.kept}.intersection(self.by_numbers)


def make_plan(
    gallery: Gallery,
    found: SourceFiles,
    keys: Collection[str],
    *,
    workers: int,
    progress: Progress = no_progress,
) -> Plan:
    """Compare the files of a source with the gallery, by path and content.

    Args:
        gallery: the gallery as it is.
        found: the files and their metadata.
        keys: keys of the encoders that new images will get.
        workers: number of threads that decode.
        progress: called with files compared; may raise ``Cancelled``.

    Raises:
        GalleryError: when new images would lack an encoder that the gallery holds.
    """
    files, metadata = found.files, found.metadata.fields
    stamps, unreadable = hash_files(files, progress=progress)
    shas = {name: stamp.sha256 for name, stamp in stamps.items()}
    moves = _moves(gallery.records, shas) if found.whole else {}
    records = [replace(r, path=moves.get(r.path, r.path)) for r in gallery.records]
    old = {(record.path, record.sha256) for record in records}
    changed = {name: sha for name, sha in shas.items() if (name, sha) not in old}
    candidates = {name: files[name] for name in changed}
    blocked = Blocklist(gallery.store.folder).matching_files(candidates, workers=workers)
    new = {name: sha for name, sha in changed.items() if name not in blocked}
    old_keys = _superseded(gallery, keys)
    if lacking := [k for k in gallery.encoder_keys if new and k not in (*keys, *old_keys)]:
        raise GalleryError(
            f"the gallery also holds features of {', '.join(lacking)}: name those encoders too, so "
            "that new images get them"
        )
    stays = [
        record
        for record in records
        if shas.get(record.path, record.sha256) == record.sha256
        and not (found.prune and record.path not in files)
    ]
    kept = [_current(record, stamps, metadata) for record in stays]
    copies = {sha: files[name] for name, sha in shas.items()}
    items = [Item(files[name], name, sha) for name, sha in new.items()]
    items += [
        Item(copies.get(record.sha256, gallery.root / record.path), record.path, record.sha256)
        for record in kept
    ]
    changes = _timeless(kept) != _timeless(r for r in gallery.records if r.path not in new)
    by_numbers: set[str] = set()
    if found.whole and gallery.header.reading < READING:
        by_numbers = {sha for name, sha in shas.items() if states_numbers(files[name])}
    gone = [record.path for record in kept if found.whole and record.path not in files]
    return Plan(
        new,
        stamps,
        kept,
        changes=changes,
        moved=len(moves),
        gone=gone,
        items=items,
        unreadable=unreadable,
        blocked=sorted(blocked),
        superseded=old_keys,
        by_numbers=by_numbers,
    )


def _superseded(gallery: Gallery, keys: Collection[str]) -> list[str]:
    """Keys of a gallery's encoders that others of the same names, trained or read anew, replace."""
    names = {key.rpartition("@")[0] for key in keys}
    known = gallery.encoder_keys
    return [key for key in known if key not in keys and key.rpartition("@")[0] in names]


def _moves(records: Sequence[ImageRecord], shas: Mapping[str, str]) -> dict[str, str]:
    """New paths, by the old ones, of images that are no longer where they were: by content."""
    there = {record.path for record in records if shas.get(record.path) == record.sha256}
    free: dict[str, list[str]] = {}
    for name, sha in shas.items():
        if name not in there:
            free.setdefault(sha, []).append(name)
    found: dict[str, str] = {}
    for record in records:
        names = [] if record.path in there else free.get(record.sha256, [])
        if names:
            same = [name for name in names if PurePosixPath(name).name == _base(record)]
            found[record.path] = (same or names)[0]
            names.remove(found[record.path])
    return found


def _timeless(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """Records without what a copy or a touch of a file changes too."""
    return [replace(record, size=0, modified=0) for record in records]


def _base(record: ImageRecord) -> str:
    return PurePosixPath(record.path).name


def _current(
    record: ImageRecord,
    stamps: Mapping[str, Stamp],
    metadata: Mapping[str, Mapping[str, str]],
) -> ImageRecord:
    """The record of an image that stays, with what its file and the metadata say now."""
    stamp = stamps.get(record.path)
    if stamp is None:
        return record
    if record.path in metadata:
        record = described(record, metadata[record.path])
    return replace(record, size=stamp.size, modified=stamp.modified)


def missing(
    gallery: Gallery,
    shards: Sequence[Shard],
    items: Sequence[Item],
    encoders: Mapping[str, Encoder],
    *,
    again: Collection[str] = (),
) -> Iterator[tuple[tuple[str, ...], list[Item]]]:
    """Images that still have to be encoded, each content once, with the files that hold it too.

    Args:
        gallery: the gallery as it is.
        shards: what an unfinished build has encoded already.
        items: every image that the gallery will hold.
        encoders: the encoders to apply, by key.
        again: contents of which the gallery's own features do not count.

    Yields:
        Keys of encoders, and the images that lack just these.
    """
    stored = {record.sha256 for record in gallery.stored}.difference(again)
    have = {(sha, key) for sha in stored for key in gallery.encoder_keys}
    have |= {(r.sha256, key) for shard in shards for r in shard.records for key in shard.keys}
    by_keys: dict[tuple[str, ...], dict[str, list[Item]]] = {}
    for item in items:
        lacks = tuple(key for key in encoders if (item.sha256, key) not in have)
        if lacks:
            by_keys.setdefault(lacks, {}).setdefault(item.sha256, []).append(item)
    for keys, found in by_keys.items():
        yield keys, [replace(first, copies=tuple(rest)) for first, *rest in found.values()]


def described(record: ImageRecord, fields: Mapping[str, str]) -> ImageRecord:
    """The record with metadata from beside the images in the place of its own."""
    own, extra = split_fields(fields)
    return replace(record, extra=extra, **{name: own.get(name, "") for name in STANDARD})
