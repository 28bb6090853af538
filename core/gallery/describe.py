"""A gallery described by one more encoder, beside it: the gallery itself is only read.

Layout of the folder beside a gallery::

    <identity>/<key>/        features of an encoder for the images of one state of the gallery, with
                             the manifest of these images
    <identity>/artefacts/    what follows from them, where the gallery may not keep it itself
    <identity>/work/<key>/   what was not finished
    lock                     held by the one writer
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from core.config import DESCRIPTION, BuildConfig
from core.encoders.load import shipped_heads
from core.gallery.checksums import write_listing
from core.gallery.commit import disk_errors
from core.gallery.gallery import Gallery, describes, encoder_key
from core.gallery.manifest import from_parquet, to_parquet
from core.gallery.plan import missing
from core.gallery.shards import Item, Shard, ShardWriter
from core.gallery.writing import arrays_of, gather
from core.heads.head import Head
from core.images.files import new_folder, remove_folder
from core.images.stated import stating_numbers
from core.values import Encoder, GalleryError, Progress, no_progress

_PAUSE = 0.5  # seconds between two looks at whether another process is done


def describe(
    gallery: Gallery,
    encoder: Encoder,
    *,
    config: BuildConfig = DESCRIPTION,
    progress: Progress = no_progress,
) -> None:
    """Store the features of a gallery's images under an encoder beside the gallery.

    Whole shards of a call that was stopped or killed are taken up again, and so are the features of
    images that an earlier state of the gallery held.

    Args:
        gallery: a gallery that was opened with a folder beside it.
        encoder: the encoder.
        config: sizes of batches and shards.
        progress: called with images done, or while another process is at work; may raise
            ``Cancelled``.

    Raises:
        GalleryError: when an image is no longer as it was indexed, or the disk is full.
        Cancelled: when ``progress`` asked for it; finished shards are kept.
    """
    descriptions, key = gallery.descriptions, encoder_key(encoder)
    assert descriptions is not None
    gallery.require_images()
    with disk_errors(), _alone(descriptions.parent, progress):
        if key in gallery.encoder_keys:
            return
        remove_folder(descriptions / key)  # what is there is damaged
        earlier = _earlier(descriptions, key)
        heads = {key: _patch_head(earlier, key) or shipped_heads(encoder.name).patches}
        work = descriptions / "work" / key
        writer = ShardWriter(
            gallery.store,
            work,
            {key: encoder},
            patch_heads={name: head for name, head in heads.items() if head is not None},
            config=config,
        )
        items = [Item(gallery.root / r.path, r.path, r.sha256) for r in gallery.stored]
        held = [(item.sha256, item.path) for item in items if earlier]
        anew = stating_numbers(held, progress=progress)
        done = [*(_without(anew, shard) for shard in earlier), *writer.finished()]
        for keys, lacking in missing(gallery, done, items, {key: encoder}):
            writer.write(lacking, keys, progress)
        if writer.unread:
            name = next(item.name for item in items if item.sha256 in writer.unread)
            raise GalleryError(
                f"{len(writer.unread)} images of the gallery, {name!r} first, are not as they were "
                "indexed: bring their files back, or drop them from the gallery"
            )
        shards, head = [*earlier, *writer.finished()], writer.patch_heads.get(key)
        _keep(gallery, shards, key, head, progress=progress)
        shutil.rmtree(work, ignore_errors=True)
        _drop_stale(descriptions, key)


def described_already(gallery: Gallery, name: str) -> int:
    """How many different images an unfinished description by an encoder of that name holds."""
    if gallery.descriptions is None:
        return 0
    manifests = gallery.descriptions.glob(f"work/{name}@*/shard-*/manifest.parquet")
    found: set[str] = set()
    for manifest in manifests:
        with contextlib.suppress(GalleryError):
            found |= {record.sha256 for record in from_parquet(manifest)}
    return len(found)


def _keep(
    gallery: Gallery, shards: list[Shard], key: str, head: Head | None, *, progress: Progress
) -> None:
    """Write the rows of a gallery's images, in their order, whole or not at all."""
    assert gallery.descriptions is not None
    shas = gallery.stored.texts("sha256")
    with new_folder(gallery.descriptions / key, durable=True) as partial:
        for array in ("features.npy", "patches.npy"):
            sources = arrays_of(gallery, shards, f"{key}/{array}")
            gather(sources, shas, partial / array, progress=progress)
        if head is not None:
            head.save(partial / "patch_head")
        (partial / "manifest.parquet").write_bytes(to_parquet(gallery.stored))
        write_listing(partial, progress=progress)


def _earlier(descriptions: Path, key: str) -> list[Shard]:
    """What the encoder gave for the images of an earlier state, as a shard; the first is enough."""
    for folder in descriptions.parent.glob(f"[!.]*/{key}"):
        with contextlib.suppress(GalleryError):
            records = from_parquet(folder / "manifest.parquet")
            if not describes(folder, len(records)):
                continue
            return [Shard(folder.parent, records, (key,))]
    return []


def _without(contents: Collection[str], shard: Shard) -> Shard:
    """A shard less some contents, which may have been read otherwise than now."""
    return replace(shard, records=tuple(r for r in shard.records if r.sha256 not in contents))


def _patch_head(earlier: list[Shard], key: str) -> Head | None:
    for shard in earlier:
        if (shard.folder / key / "patch_head").is_dir():
            return Head.load(shard.folder / key / "patch_head")
    return None


def _drop_stale(descriptions: Path, key: str) -> None:
    """Remove what the encoder, or an older one of its name, gave for other states and for this."""
    name = key.rpartition("@")[0]
    for folder in descriptions.parent.glob(f"[!.]*/{name}@*"):
        if folder != descriptions / key:
            remove_folder(folder)
    for state in descriptions.parent.glob("[!.]*/"):
        if state != descriptions and not any(state.glob("[!.]*/features.npy")):
            remove_folder(state)


@contextlib.contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of the one writer; wait for another process, telling so."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=_PAUSE, is_singleton=False)
    while True:
        try:
            lock.acquire()
            break
        except Timeout:
            progress(0, 1, "waiting for another process that describes this gallery")
    try:
        yield
    finally:
        lock.release()
