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
from core.images.stated import READING, stating_numbers
from core.values import Encoder, GalleryError, ImageRecord, Progress, no_progress


@dataclass(frozen=True)
class Plan:
    """What an update has to do."""

    new: Mapping[str, str]
    """Content hashes of new and changed files by path."""
    stamps: Mapping[str, Stamp]
    """What tells every file of the source from what it was before, by path."""
    kept: Sequence[tuple[str, str]]
    """Paths and contents of images that stay, of those whose files have moved the new paths."""
    dropped: Collection[int]
    """Ids of images that go."""
    edited: Mapping[int, ImageRecord]
    """What is now known of images that stay, by their ids, where it is something else."""
    changes: bool
    """Whether this is more than what a copy or a touch of a file changes too, or any image goes
    and none comes from its file."""
    moved: int
    """Images that stay whose files have moved or were renamed."""
    gone: Sequence[str]
    """Paths of images that stay though their files are no longer there."""
    items: Sequence[Item]
    """Images that may have to be encoded: new ones, or all where those that stay lack something."""
    unreadable: Sequence[Skipped]
    blocked: Sequence[str]
    """Files that show a blocked image."""
    superseded: Sequence[str]
    """Keys of encoders whose features go: others of the same names replace them."""
    by_numbers: Collection[str]
    """Contents whose colours numbers state, in a gallery that may hold them read as before."""
    again: Collection[str]
    """Those of them that the gallery holds, which are described again."""


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
    texts = gallery.records.texts
    there = [*zip(texts("path"), texts("sha256"), strict=True)]
    moves = _moves(there, shas) if found.whole else {}
    now = [(moves.get(path, path), sha) for path, sha in there] if moves else there
    old = {*now}
    candidates = {name: files[name] for name, sha in shas.items() if (name, sha) not in old}
    blocklist = Blocklist(gallery.store.folder)
    blocked = blocklist.matching_files(candidates, workers=workers, progress=progress)
    new = {name: shas[name] for name in candidates if name not in blocked}
    old_keys = _superseded(gallery, keys)
    if new:
        _require_all(gallery, [*keys, *old_keys])
    stays = [
        row
        for row, (path, sha) in enumerate(now)
        if shas.get(path, sha) == sha and not (found.prune and path not in files)
    ]
    kept = [now[row] for row in stays]
    dropped = sorted({*range(len(now))}.difference(stays))
    edited = _edited(gallery, now, stays, stamps, metadata)
    by_numbers: set[str] = set()
    if found.whole and gallery.header.reading < READING:
        by_numbers = stating_numbers([(s, files[n]) for n, s in shas.items()], progress=progress)
    again = by_numbers.intersection(sha for _, sha in kept) if by_numbers else by_numbers
    items = [Item(files[name], name, sha) for name, sha in new.items()]
    if again or not {*keys} <= {*gallery.encoder_keys}:
        copies = {sha: files[name] for name, sha in shas.items()}
        items += [Item(copies.get(sha, gallery.root / name), name, sha) for name, sha in kept]
    gone = [path for path, _ in kept if path not in files] if found.whole else []
    ids = gallery.records.ids
    replaced = any(there[row][0] not in new for row in dropped)
    return Plan(
        new,
        stamps,
        kept,
        dropped=[ids[row] for row in dropped],
        edited=edited,
        changes=replaced or _tells_more(gallery, edited),
        moved=len(moves),
        gone=gone,
        items=items,
        unreadable=unreadable,
        blocked=sorted(blocked),
        superseded=old_keys,
        by_numbers=by_numbers,
        again=again,
    )


def _require_all(gallery: Gallery, keys: Collection[str]) -> None:
    """Refuse to add images that would lack an encoder that the gallery holds.

    Raises:
        GalleryError: when there is one; names all.
    """
    if lacking := [key for key in gallery.encoder_keys if key not in keys]:
        raise GalleryError(
            f"the gallery also holds features of {', '.join(lacking)}: name those encoders too, so "
            "that new images get them"
        )


def _tells_more(gallery: Gallery, edited: Mapping[int, ImageRecord]) -> bool:
    """Whether more is known of an image now than when its file was last changed."""
    before = {number: gallery.records[gallery.row_of[number]] for number in edited}
    return any(_timeless(edited[i]) != _timeless(record) for i, record in before.items())


def _edited(
    gallery: Gallery,
    now: Sequence[tuple[str, str]],
    stays: Iterable[int],
    stamps: Mapping[str, Stamp],
    metadata: Mapping[str, Mapping[str, str]],
) -> dict[int, ImageRecord]:
    """Records by their ids of images that stay of which something else is known now."""
    seen = [row for row in stays if now[row][0] in stamps]
    records = gallery.records if len(seen) < len(now) / 10 else tuple(gallery.records)
    found: dict[int, ImageRecord] = {}
    for row in seen:
        before = records[row]
        record = _current(replace(before, path=now[row][0]), stamps[now[row][0]], metadata)
        if record != before:
            found[record.id] = record
    return found


def _superseded(gallery: Gallery, keys: Collection[str]) -> list[str]:
    """Keys of a gallery's encoders that others of the same names, trained or read anew, replace."""
    names = {key.rpartition("@")[0] for key in keys}
    known = gallery.encoder_keys
    return [key for key in known if key not in keys and key.rpartition("@")[0] in names]


def _moves(there: Sequence[tuple[str, str]], shas: Mapping[str, str]) -> dict[str, str]:
    """New paths, by the old ones, of images that are no longer where they were: by content."""
    still = {path for path, sha in there if shas.get(path) == sha}
    free: dict[str, list[str]] = {}
    for name, sha in shas.items():
        if name not in still:
            free.setdefault(sha, []).append(name)
    found: dict[str, str] = {}
    for path, sha in there:
        names = [] if path in still else free.get(sha, [])
        if names:
            same = [name for name in names if PurePosixPath(name).name == PurePosixPath(path).name]
            found[path] = (same or names)[0]
            names.remove(found[path])
    return found


def _timeless(record: ImageRecord) -> ImageRecord:
    """A record without what a copy or a touch of a file changes too."""
    return replace(record, size=0, modified=0)


def _current(
    record: ImageRecord, stamp: Stamp, metadata: Mapping[str, Mapping[str, str]]
) -> ImageRecord:
    """The record of an image that stays, with what its file and the metadata say now."""
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
    stored = {*gallery.stored.texts("sha256")}.difference(again)
    own = {*gallery.encoder_keys}
    have = {(r.sha256, key) for shard in shards for r in shard.records for key in shard.keys}
    by_keys: dict[tuple[str, ...], dict[str, list[Item]]] = {}
    for item in items:
        has = own if item.sha256 in stored else ()
        lacks = tuple(k for k in encoders if k not in has and (item.sha256, k) not in have)
        if lacks:
            by_keys.setdefault(lacks, {}).setdefault(item.sha256, []).append(item)
    for keys, found in by_keys.items():
        yield keys, [replace(first, copies=tuple(rest)) for first, *rest in found.values()]


def described(record: ImageRecord, fields: Mapping[str, str]) -> ImageRecord:
    """The record with metadata from beside the images in the place of its own."""
    own, extra = split_fields(fields)
    return replace(record, extra=extra, **{name: own.get(name, "") for name in STANDARD})
