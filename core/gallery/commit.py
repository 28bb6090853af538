"""The next generation of a gallery, from the one before and from finished shards."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from core.gallery.checksums import write_listing
from core.gallery.gallery import Gallery, small_images
from core.gallery.manifest import Records
from core.gallery.narrow import narrow_array
from core.gallery.paths import delete_inside
from core.gallery.shards import Skipped
from core.gallery.source import Account
from core.gallery.store import Store
from core.gallery.writing import Difference, Features, write_next
from core.values import GalleryError, Progress, WellspringError

logger = logging.getLogger(__name__)

_IDS = 2**62  # ids are below that; a table's column holds twice as many


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
    difference: Difference,
    new: Features | None = None,
    *,
    narrowed: bool = False,
    progress: Progress,
) -> None:
    """Write the next generation of a gallery; the writer's lock is held.

    Parts of the one before are shared where the same encoders describe their images as before; else
    all is written anew.

    Args:
        gallery: the generation before, opened whole.
        difference: how the images of the next one differ.
        new: what was not known of the images before.
        narrowed: whether features are stored in 8 bits.
        progress: told of what is read and written; may raise ``Cancelled``, and the generation
            before stays.

    Raises:
        GalleryError: when an image lacks features, or a file that would be written anew is damaged;
            the generation before stays.
        OSError: when the disk is full or refuses; the generation before stays.
    """
    out = tuple(sorted(still_opted_out(gallery, difference)))
    store, header = gallery.store, replace(gallery.header, opted_out=out)
    store.work.mkdir(exist_ok=True)  # where this call is killed from here on, the next one tidies
    last = int(gallery.stored.numbers("id").max(initial=-1))
    next_id = max(header.next_id, last + 1, *(record.id + 1 for record in difference.added))
    if next_id > _IDS:
        raise gallery.damaged(f"gallery.json is damaged: the next image's id is {next_id:.0e}")
    before = {*gallery.encoder_keys}
    features = (new or Features()).after(before)
    read = {record.sha256 for shard in features.shards for record in shard.records}
    again = bool(read) and not read.isdisjoint(gallery.stored.texts("sha256"))
    with store.next_generation(header, next_id=next_id) as target:
        anew = narrowed or features.keys != before or again
        how = {"features": features, "anew": anew}
        known = write_next(gallery, difference, target, **how, progress=progress)
        for key in features.keys if narrowed else ():
            narrow_array(target / key / "features.npy", progress=progress)
        write_listing(target, known=known, progress=progress)


def tidy(gallery: Gallery, difference: Difference, *, everything: bool, progress: Progress) -> None:
    """Remove what a change leaves: thumbnails that are not needed, and the folder of its work.

    What is left of them is packed where there are enough. The change is made by now: where this
    fails or is stopped, it is told in the log alone, and the next change does it.

    Args:
        gallery: the generation before, opened whole.
        difference: how the images of the current one differ.
        everything: whether thumbnails of other images may have been left as well.
        progress: told of thumbnails packed; may raise what stops it.
    """
    try:
        _tidy(gallery, difference, everything=everything, progress=progress)
    except (OSError, WellspringError) as error:
        logger.warning("%s is tidied by its next change: %s", gallery.name, error)


def _tidy(
    gallery: Gallery, difference: Difference, *, everything: bool, progress: Progress
) -> None:
    rows = [gallery.row_of[number] for number in (*difference.gone, *difference.changed)]
    stored, store = gallery.stored, gallery.store
    come = [*difference.changed.values(), *difference.added]
    if everything:
        contents, records = None, Gallery.open(store.folder, whole=True).stored
    else:
        contents = {*stored.take(np.array(rows, np.int64)).texts("sha256")}
        contents |= {record.sha256 for record in come}
        here = np.array([sha in contents for sha in stored.texts("sha256")], bool)
        here[rows] = False
        records = Records.joined([stored.take(np.flatnonzero(here)), Records.of(come)])
    _drop_thumbnails(store, records, contents)
    store.pack_thumbnails(progress=progress)
    shutil.rmtree(store.work, ignore_errors=True)


def _drop_thumbnails(store: Store, records: Records, contents: Collection[str] | None) -> None:
    """Delete thumbnails that no image of a gallery needs.

    These are of contents that it does not hold, and of small images, which are their own. Only for
    the writer, when there is no unfinished build.

    Args:
        store: the gallery's.
        records: images of the current generation: all that are of these contents.
        contents: those that are looked at; without it, every thumbnail that lies there.
    """
    small = small_images(store.folder, store.header().root, records)
    needed = {*records.texts("sha256")}.difference(small)
    if contents is None:
        found, packed = store.single_thumbnails(), store.packs.shas()
    else:
        found, packed = [store.made_thumbnail(sha) for sha in contents], {*contents}
    for made in found:
        if made.stem not in needed:
            with contextlib.suppress(OSError):
                delete_inside(made, store.folder)
                made.parent.rmdir()
    store.packs.drop(packed - needed)


def still_opted_out(gallery: Gallery, difference: Difference) -> set[int]:
    """Ids of the next generation's images that stay opted out, or are what a file of such became.

    Args:
        gallery: the generation before, opened whole.
        difference: how the images of the next one differ.
    """
    gone = {*difference.gone}
    out = {number for number in gallery.header.opted_out if number in gallery.row_of}
    replaced = {gallery.records[gallery.row_of[number]].path for number in out & gone}
    came = (*difference.changed.values(), *difference.added)
    return (out - gone) | {record.id for record in came if record.path in replaced}


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
