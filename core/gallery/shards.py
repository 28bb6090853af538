"""Reading and encoding images in shards: each is written whole, so that a killed build resumes."""

from __future__ import annotations

import itertools
import logging
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from core.config import BuildConfig, ImageLimits
from core.encoders.descriptors import PATCH_HEAD, describe_patches
from core.gallery.manifest import from_parquet, to_parquet
from core.gallery.narrow import load_array
from core.gallery.paths import is_relative_path
from core.gallery.store import Store
from core.heads.fit import fit_head
from core.heads.head import Head
from core.images.arrays import save_array
from core.images.decode import LoadedImage, decode_ahead
from core.images.files import file_digest, new_folder, write_bytes
from core.images.seals import sealed
from core.images.thumbnails import perceptual_hash, thumbnail
from core.values import (
    Encoded,
    Encoder,
    GalleryError,
    ImageError,
    ImageRecord,
    Progress,
    no_progress,
)

logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_PATCHES_PER_IMAGE = 50  # of the sample that fits a patch head


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Item:
    """An image to read: its file, its path in the gallery, the hash of its bytes."""

    path: Path
    name: str
    sha256: str
    copies: tuple[Item, ...] = ()
    """Other files of the same bytes, which are read where this one cannot be."""


@dataclass(frozen=True)
class Shard:
    """Records and features of some images, aligned; ``keys`` are the encoders applied."""

    folder: Path
    records: Sequence[ImageRecord]
    keys: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path) -> Shard:
        """Read a finished shard's records; its arrays stay on disk.

        Raises:
            GalleryError: when a file is missing or damaged.
        """
        records = from_parquet(folder / "manifest.parquet")
        keys = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
        for key in keys:
            for path in {folder / key / "features.npy", *(folder / key).glob("*.npy")}:
                if load_array(path).shape[:1] != (len(records),):
                    raise GalleryError(f"{path.name} of {folder.name} is damaged")
        return cls(folder, records, keys)


class ShardWriter:
    """Encodes items under encoders into the shards of one folder."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        encoders: Mapping[str, Encoder],
        *,
        patch_heads: Mapping[str, Head],
        config: BuildConfig,
    ) -> None:
        self.store, self.folder, self.encoders, self.config = store, folder, encoders, config
        self.patch_heads = dict(patch_heads)
        self.renew = False
        """Whether thumbnails are made again: images are read otherwise than they were."""
        self.unread: dict[str, dict[str, str]] = {}
        """Why contents could not be read, by their hash, then by the file that was tried."""
        self.notes: dict[str, tuple[str, ...]] = {}
        """What was unusual about contents that were read, by their hash."""
        try:
            for saved in folder.glob("patch_heads/[!.]*"):
                self.patch_heads[saved.name] = Head.load(saved)
        except GalleryError as error:  # without its head, what was done says nothing
            logger.warning("unfinished work is done again: %s", error)
            shutil.rmtree(folder)

    def finished(self) -> list[Shard]:
        """Shards that are already there, an earlier call's included; damaged ones are dropped."""
        found: list[Shard] = []
        for path in sorted(self.folder.glob("shard-*")):
            try:
                found.append(self._whole(path))
            except (GalleryError, OSError) as error:
                logger.warning("%s is encoded again: %s", path.name, error)
                shutil.rmtree(path)
        return found

    def _whole(self, folder: Path) -> Shard:
        """A shard with all arrays that its encoders give.

        Raises:
            GalleryError: when one is missing or damaged.
        """
        shard = Shard.open(folder)
        for key in self.patch_heads.keys() & {*shard.keys}:
            if not (folder / key / "patches.npy").is_file():
                raise GalleryError("its local descriptors are missing")
        return shard

    def write(self, items: Sequence[Item], keys: Sequence[str], progress: Progress) -> None:
        """Read every item once and encode it under the encoders of the given keys.

        Raises:
            Cancelled: when ``progress`` asked for it; whole shards are kept.
            GalleryError: when an encoder gives values that are not finite.
        """
        for key in keys:
            self._settle_patch_head(key, items, progress)
        numbers = [int(shard.folder.name.partition("-")[2]) for shard in self.finished()]
        first = max(numbers, default=-1) + 1
        size = self.config.shard
        for number, start in enumerate(range(0, len(items), size), first):
            with new_folder(self.folder / f"shard-{number:06d}", durable=True) as partial:
                for done in self.fill(partial, items[start : start + size], keys):
                    progress(start + done, len(items), "reading and encoding images")
            self.store.pack_thumbnails(progress=progress)

    def fill(self, folder: Path, items: Sequence[Item], keys: Sequence[str]) -> Iterator[int]:
        """Write one shard, yielding the number of images done so far."""
        records: list[ImageRecord] = []
        outputs: dict[str, list[tuple[np.ndarray, np.ndarray | None]]] = {key: [] for key in keys}
        pending: list[Future[None]] = []
        with ThreadPoolExecutor(1) as pool:
            for batch in _batches(self._decoded(items), self.config.batch):
                pending += [pool.submit(self._keep_thumbnail, *pair) for pair in batch]
                records += [_record(item, loaded) for item, loaded in batch]
                images = [loaded.image for _, loaded in batch]
                for key in keys:
                    outputs[key].append(self._encode(key, images))
                yield len(records)
            for done in pending:
                done.result()
        for key, parts in outputs.items():
            _save_arrays(folder / key, parts)
        (folder / "manifest.parquet").write_bytes(to_parquet(records))

    def _decoded(self, items: Sequence[Item]) -> Iterator[tuple[Item, LoadedImage]]:
        for item, loaded in zip(items, self._loads(items), strict=True):
            loads = itertools.chain([loaded], self._loads(item.copies))
            if read := self._first_read(item, loads):
                if read.notes:
                    self.notes[item.sha256] = read.notes
                yield item, read

    def _loads(self, items: Sequence[Item]) -> Iterator[LoadedImage | ImageError]:
        config, paths = self.config, [item.path for item in items]
        loads = decode_ahead(
            paths, limits=ImageLimits(), workers=config.workers, fit=config.thumbnail
        )
        return (loaded for _, loaded in loads)

    def _first_read(
        self, item: Item, loads: Iterable[LoadedImage | ImageError]
    ) -> LoadedImage | None:
        """What the first file of an item gave that could be read; notes why none could be."""
        refused: dict[str, str] = {}
        for each, loaded in zip((item, *item.copies), loads, strict=False):
            if isinstance(loaded, LoadedImage) and loaded.sha256 == item.sha256:
                self.unread.pop(item.sha256, None)
                return loaded
            changed = isinstance(loaded, LoadedImage)
            reason = "it changed while it was being read" if changed else str(loaded)
            refused[each.name] = reason
            logger.warning("left out %r: %s", each.name, reason)
        self.unread[item.sha256] = refused
        return None

    def _encode(
        self, key: str, images: Sequence[Image.Image]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        encoded = self._finite(key, self.encoders[key].encode(images))
        with np.errstate(over="ignore"):  # found below
            features = encoded.features.astype(np.float16)
        if not np.isfinite(features).all():
            raise GalleryError(f"encoder {key} gave values that are too large for float16")
        if encoded.patches is None:
            return features, None
        return features, describe_patches(encoded.patches, self.patch_heads[key])

    @staticmethod
    def _finite(key: str, encoded: Encoded) -> Encoded:
        for values in (encoded.features, encoded.patches):
            if values is not None and not np.isfinite(values).all():
                raise GalleryError(f"encoder {key} gave values that are not finite")
        return encoded

    def _settle_patch_head(self, key: str, items: Sequence[Item], progress: Progress) -> None:
        """Have the encoder's patch head beside the shards before the first of them is written."""
        if key not in self.patch_heads:
            head = self._fit_patch_head(key, items, progress)
            if head is None:
                return
            self.patch_heads[key] = head
        with new_folder(self.folder / "patch_heads" / key, durable=True) as partial:
            self.patch_heads[key].save(partial)

    def _fit_patch_head(self, key: str, items: Sequence[Item], progress: Progress) -> Head | None:
        """Fit on patches of a sample of the items; ``None`` for an encoder without space."""
        count = min(self.config.patch_sample, len(items))
        rng = np.random.default_rng(0)
        chosen = [items[i] for i in sorted(rng.choice(len(items), count, replace=False))]
        rows: list[np.ndarray] = []
        done = 0
        for batch in _batches(self._decoded(chosen), self.config.batch):
            images = [loaded.image for _, loaded in batch]
            patches = self._finite(key, self.encoders[key].encode(images)).patches
            if patches is None:
                return None
            kept = rng.permutation(patches.shape[1])[:_PATCHES_PER_IMAGE]
            rows.append(patches[:, kept].reshape(-1, patches.shape[-1]))
            done += len(batch)
            progress(done, count, "sampling local descriptors")
        if not rows:
            return None
        return fit_head(np.concatenate(rows), config=PATCH_HEAD, progress=progress)

    def _keep_thumbnail(self, item: Item, loaded: LoadedImage) -> None:
        path = self.store.thumbnail(item.sha256)
        if self.renew or not (path.exists() or self.store.packs.holds(item.sha256)):
            small = thumbnail(loaded.image, side=self.config.thumbnail)
            write_bytes(path, sealed(small, of=item.sha256))


@dataclass(frozen=True)
class Stamp:
    """What tells a file from what it was before."""

    sha256: str
    size: int
    """Bytes."""
    modified: int
    """When it was last changed, nanoseconds since 1970."""


def hash_files(
    paths: Mapping[str, Path], *, progress: Progress = no_progress
) -> tuple[dict[str, Stamp], list[Skipped]]:
    """Stamps of files by name, and the files that cannot be read or named in a table."""
    stamps: dict[str, Stamp] = {}
    skipped: list[Skipped] = []
    for done, (name, path) in enumerate(paths.items()):
        progress(done, len(paths), "comparing files")
        try:
            name.encode()
            if not is_relative_path(name):
                skipped.append(
                    Skipped(name, "its path would lead out of the folder, here or on other systems")
                )
                continue
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):  # a pipe would wait for its writer
                skipped.append(Skipped(name, "it is not a regular file"))
                continue
            stamps[name] = Stamp(file_digest(path), found.st_size, found.st_mtime_ns)
        except UnicodeEncodeError:
            skipped.append(Skipped(name, "its name is not valid Unicode"))
        except OSError as error:
            skipped.append(Skipped(name, error.strerror or "cannot be read"))
    return stamps, skipped


def _record(item: Item, loaded: LoadedImage) -> ImageRecord:
    """The image's record, without an id or metadata yet."""
    return ImageRecord(
        id=-1,
        path=item.name,
        sha256=item.sha256,
        phash=perceptual_hash(loaded.image),
        width=loaded.width,
        height=loaded.height,
    )


def _save_arrays(folder: Path, parts: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> None:
    if not parts:
        return
    folder.mkdir()
    save_array(folder / "features.npy", np.concatenate([features for features, _ in parts]))
    patches = [part for _, part in parts if part is not None]
    if patches:
        save_array(folder / "patches.npy", np.concatenate(patches))


def _batches(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(values)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
