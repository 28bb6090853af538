"""What an update of a gallery has to do: its images compared with the files of its source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from core.gallery.blocklist import Blocklist
from core.gallery.gallery import Gallery
from core.gallery.metadata import split_fields
from core.gallery.shards import Item, Shard, Skipped, hash_files
from core.gallery.source import SourceFiles
from core.values import Encoder, GalleryError, ImageRecord, Progress, no_progress


@dataclass(frozen=True)
class Plan:
    """What an update has to do."""

    new: Mapping[str, str]
    """Content hashes of new and changed files by path."""
    kept: Sequence[ImageRecord]
    """Records of images that stay."""
    changes: bool
    """Whether their metadata has changed, or a changed file now shows a blocked image."""
    items: Sequence[Item]
    """Every image that the gallery will hold."""
    unreadable: Sequence[Skipped]
    blocked: Sequence[str]
    """Files that show a blocked image."""


def make_plan(
    gallery: Gallery,
    found: SourceFiles,
    keys: Iterable[str],
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
    files, metadata = found.files, found.metadata
    shas, unreadable = hash_files(files, progress=progress)
    old = {record.path: record.sha256 for record in gallery.records}
    changed = {name: sha for name, sha in shas.items() if old.get(name) != sha}
    candidates = {name: files[name] for name in changed}
    blocked = Blocklist(gallery.store.folder).matching_files(candidates, workers=workers)
    new = {name: sha for name, sha in changed.items() if name not in blocked}
    if lacking := [key for key in gallery.encoder_keys if new and key not in keys]:
        raise GalleryError(
            f"the gallery also holds features of {', '.join(lacking)}: name those encoders too, so "
            "that new images get them"
        )
    stays = [record for record in gallery.records if record.path not in changed]
    kept = [
        described(record, metadata[record.path])
        if record.path in files and record.path in metadata
        else record
        for record in stays
    ]
    items = [Item(files[name], name, sha) for name, sha in new.items()]
    items += [
        Item(files.get(record.path, gallery.root / record.path), record.path, record.sha256)
        for record in kept
    ]
    changes = kept != [record for record in gallery.records if record.path not in new]
    return Plan(new, kept, changes, items, unreadable, sorted(blocked))


def missing(
    gallery: Gallery,
    shards: Sequence[Shard],
    items: Sequence[Item],
    encoders: Mapping[str, Encoder],
) -> Iterator[tuple[tuple[str, ...], list[Item]]]:
    """Images that still have to be encoded, each content once.

    Args:
        gallery: the gallery as it is.
        shards: what an unfinished build has encoded already.
        items: every image that the gallery will hold.
        encoders: the encoders to apply, by key.

    Yields:
        Keys of encoders, and the images that lack just these.
    """
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


def described(record: ImageRecord, fields: Mapping[str, str]) -> ImageRecord:
    """The record with metadata from beside the images in the place of its own."""
    own, extra = split_fields(fields)
    return replace(record, extra=extra, **own)
