"""One state of a gallery, read-only: its records, its stored features, what heads make of them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Integer, Shaped
from PIL import Image

from core.config import (
    BuildConfig,
    GroupConfig,
    HeadConfig,
    ScoreConfig,
)
from core.encoders.baselines import BASELINES
from core.gallery.manifest import from_parquet
from core.gallery.paths import is_own_root, lies_inside
from core.gallery.store import Header, Store, write_listing
from core.heads.fit import fit_head
from core.heads.head import Head
from core.images.files import ASSETS, new_folder
from core.search.crops import crop_links
from core.search.index import hubness, neighbours
from core.search.near_duplicates import near_duplicate_groups
from core.values import (
    Descriptors,
    Encoder,
    GalleryError,
    ImageRecord,
    Progress,
    no_progress,
)

logger = logging.getLogger(__name__)

SHIPPED = ASSETS / "gallery"
"""Folder of the gallery that comes with the program."""

_LOOKED_AT = 64_000_000  # bytes of an array whose values are looked at when it is opened
_ROUNDING = 1e-3  # by which the norm of a unit row may exceed 1

_Arrays = TypeVar("_Arrays")
_Kept = TypeVar("_Kept")


def is_shipped(folder: Path) -> bool:
    """Whether a folder is the gallery that comes with the program, which only its maker changes."""
    return folder.resolve() == SHIPPED.resolve()


def encoder_key(encoder: Encoder) -> str:
    """Folder name of everything that an encoder computes: its name and its identity."""
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', encoder.name)[-40:]}@{encoder.identity}"


@dataclass(frozen=True)
class Embedded:
    """A gallery under one encoder and one head: everything that ranking needs."""

    embeddings: Float[np.ndarray, "n d"]
    """Unit rows, float32, memory-mapped."""
    hubness: Float[np.ndarray, " n"]
    """Mean cosine of every image to the nearest other groups, for local scaling."""
    groups: Integer[np.ndarray, " n"]
    """Near-duplicate group of every image: the row of its first member."""


class Gallery:
    """A generation of a gallery, as it was when it was opened."""

    def __init__(
        self, store: Store, header: Header, records: tuple[ImageRecord, ...], *, read_only: bool
    ) -> None:
        self.store = Store(store.folder, small=small_images(store.folder, header.root, records))
        self.header = header
        self.records = records
        self.read_only = read_only
        self.folder = store.generation(header.generation)
        self.row_of = {record.id: row for row, record in enumerate(records)}

    @classmethod
    def open(cls, folder: Path, *, read_only: bool = False) -> Gallery:
        """Open the current generation; ``read_only`` keeps nothing that is computed from it.

        Raises:
            GalleryError: when there is no gallery, or a damaged one, or one of another format.
        """
        store = Store(folder)
        store.check_links()
        header = store.header()
        while True:
            try:
                return cls(store, header, _records(store, header), read_only=read_only)
            except GalleryError:
                newer = store.header()  # a writer may have moved on between the two reads
                if newer.generation == header.generation:
                    raise
                header = newer

    @functools.cached_property
    def identity(self) -> str:
        """Hash of the ids and the contents of all images, 16 hexadecimal digits."""
        lines = "\n".join(f"{record.id} {record.sha256}" for record in self.records)
        return hashlib.sha256(lines.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The gallery's name."""
        return self.header.name

    @property
    def root(self) -> Path:
        """Folder that the images' paths are relative to."""
        return self.store.folder / self.header.root

    @property
    def keeps_images(self) -> bool:
        """Whether the images lie inside the gallery's own folder, after all links are followed."""
        return is_own_root(self.header.root) and lies_inside(self.root, self.store.folder)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def encoder_keys(self) -> tuple[str, ...]:
        """Keys of the encoders whose features are stored."""
        return tuple(sorted(path.parent.name for path in self.folder.glob("*/features.npy")))

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """Names of the encoders whose features are stored, networks before baselines."""
        names = (key.rpartition("@")[0] for key in self.encoder_keys)
        return tuple(sorted(names, key=lambda name: (name in BASELINES, name)))

    def key_of(self, encoder: Encoder) -> str:
        """Key of an encoder here: that of its name, or of another name of the same weights."""
        key = encoder_key(encoder)
        if key in self.encoder_keys:
            return key
        same = (known for known in self.encoder_keys if known.endswith(f"@{encoder.identity}"))
        return next(same, key)

    def features(self, encoder: Encoder) -> Float[np.ndarray, "n f"]:
        """Un-headed features of all images, float16, memory-mapped.

        Raises:
            GalleryError: when the gallery lacks the encoder, or a file is damaged.
        """
        array = self._array(encoder, "features.npy")
        if array.shape != (len(self), encoder.dim):
            raise GalleryError(
                f"features of {encoder.name} have shape {array.shape}, "
                f"expected {(len(self), encoder.dim)}; build the gallery again"
            )
        return array

    def patches(self, encoder: Encoder) -> Descriptors | None:
        """Local descriptors of all images, memory-mapped; ``None`` for encoders without space.

        Raises:
            GalleryError: when a file is missing or damaged.
        """
        folder = self._encoder_folder(encoder)
        if not (folder / "patches.npy").exists() and not (folder / "patch_head").exists():
            return None
        array = self._array(encoder, "patches.npy")
        if array.shape[:1] != (len(self),):
            raise GalleryError(f"patches of {encoder.name} are damaged; build the gallery again")
        return array

    def patch_head(self, encoder: Encoder) -> Head | None:
        """The head of the local descriptors; ``None`` for encoders without space.

        Raises:
            GalleryError: when a file is missing or damaged.
        """
        folder = self._encoder_folder(encoder)
        has = any((folder / name).exists() for name in ("patch_head", "patches.npy"))
        return Head.load(folder / "patch_head") if has else None

    def fit(
        self,
        encoder: Encoder,
        *,
        config: HeadConfig,
        synthetic: Float[np.ndarray, "m f"] | None = None,
        progress: Progress = no_progress,
    ) -> Head:
        """A head fitted on this gallery's features; kept, so that the next call only reads it.

        Raises:
            GalleryError: when the gallery lacks the encoder, is damaged, or too small for the kind.
        """
        settings = json.dumps(asdict(config), sort_keys=True).encode()
        extra = b"" if synthetic is None else np.ascontiguousarray(synthetic).tobytes()
        name = hashlib.sha256(settings + extra).hexdigest()[:16]
        folder = self._encoder_folder(encoder) / "fitted" / f"{config.kind}-{name}"

        def compute() -> Head:
            features = self.features(encoder)
            with _finite(encoder):
                return fit_head(features, config=config, synthetic=synthetic, progress=progress)

        return self.kept(folder, load=Head.load, compute=compute, save=Head.save)

    def embedded(self, encoder: Encoder, head: Head) -> Embedded:
        """Embeddings under a head, with hubness and groups; computed once, then read."""

        def compute() -> Embedded:
            features = self.features(encoder)
            with _finite(encoder):
                embeddings = head(features, role="gallery")
            k = ScoreConfig().neighbours
            near = neighbours(embeddings, k=k)
            limits = GroupConfig()
            local = self.patches(encoder)
            nearest = near.rows[:, : limits.crop_neighbours]
            groups = near_duplicate_groups(
                embeddings,
                [record.phash for record in self.records],
                neighbours=near.rows,
                max_hash_distance=limits.max_hash_distance,
                min_cosine=limits.min_cosine,
                links=None if local is None else crop_links(nearest, local, load=self._small),
            )
            return Embedded(embeddings, hubness(embeddings, groups, k=k), groups)

        def whole(found: Mapping[str, np.ndarray]) -> bool:
            return _are_embedded(found, n=len(self), d=head.dim)

        name = "embedded-3"
        return self.derived(encoder, head, name, Embedded, compute=compute, whole=whole)

    def _small(self, row: int) -> Image.Image:
        """An image's thumbnail; nothing to see where it is gone."""
        try:
            return Image.open(self.store.thumbnail(self.records[row].sha256))
        except OSError:
            return Image.new("L", (1, 1))

    def derived(
        self,
        encoder: Encoder,
        head: Head,
        name: str,
        kind: type[_Arrays],
        *,
        compute: Callable[[], _Arrays],
        whole: Callable[[Mapping[str, np.ndarray]], bool] = lambda _: True,
    ) -> _Arrays:
        """Arrays that follow from this generation, encoder and head; kept where that is allowed.

        Args:
            encoder: the encoder.
            head: the head.
            name: names the result and, where it depends on more, what it depends on.
            kind: a dataclass whose fields are all arrays; each is kept as one file.
            compute: makes the result when it is not there yet.
            whole: whether kept arrays, by field, are such a result; else it is computed again.
        """
        names = list(kind.__annotations__)

        def load(folder: Path) -> _Arrays:
            arrays = {field: load_array(folder / f"{field}.npy") for field in names}
            if not (all(map(_is_finite, arrays.values())) and whole(arrays)):
                raise GalleryError("its values are damaged")
            return kind(**arrays)

        def save(value: _Arrays, folder: Path) -> None:
            for field in names:
                np.save(folder / f"{field}.npy", getattr(value, field))

        folder = self.head_folder(encoder, head) / name
        return self.kept(folder, load=load, compute=compute, save=save)

    def kept(
        self,
        folder: Path,
        *,
        load: Callable[[Path], _Kept],
        compute: Callable[[], _Kept],
        save: Callable[[_Kept, Path], None],
    ) -> _Kept:
        """What a folder of this generation holds; computed where it holds nothing or damage."""
        if folder.is_dir():
            try:
                return load(folder)
            except GalleryError as error:
                logger.warning("%s is computed again: %s", folder.name, error)
        value = compute()
        if not self.read_only and self.folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                with new_folder(folder) as partial:
                    save(value, partial)
                    write_listing(partial)
            except (OSError, GalleryError) as error:  # a full disk; it is only slower next time
                logger.warning("%s could not be kept: %s", folder.name, error)
        return value

    def head_folder(self, encoder: Encoder, head: Head) -> Path:
        """Folder of what follows from this generation, encoder and head."""
        return self._encoder_folder(encoder) / "heads" / f"{head.name}@{head.identity}"

    def _encoder_folder(self, encoder: Encoder) -> Path:
        return self.folder / self.key_of(encoder)

    def _array(self, encoder: Encoder, name: str) -> np.ndarray:
        path = self._encoder_folder(encoder) / name
        if not len(self):
            raise GalleryError(
                f"gallery {self.name!r} holds no images; `python -m core add` adds some"
            )
        if not path.parent.is_dir():
            have = ", ".join(self.encoder_keys) or "none"
            raise GalleryError(
                f"gallery {self.name!r} has no features of encoder {encoder.name!r} (it has: "
                f"{have}); `python -m core index` with --encoder {encoder.name} adds them"
            )
        return load_array(path)


@contextlib.contextmanager
def _finite(encoder: Encoder) -> Iterator[None]:
    """Turn a head's refusal of stored features into a ``GalleryError``."""
    try:
        yield
    except ValueError as error:
        raise GalleryError(
            f"features of {encoder.name} are damaged ({error}); build the gallery again"
        ) from error


def _records(store: Store, header: Header) -> tuple[ImageRecord, ...]:
    if header.generation == 0:
        return ()
    return from_parquet(store.generation(header.generation) / "manifest.parquet")


def small_images(folder: Path, root: str, records: Sequence[ImageRecord]) -> dict[str, Path]:
    """Images that need no thumbnail, by their contents: small WebP files of the gallery's own.

    Args:
        folder: the gallery.
        root: where the images lie; only what is inside the gallery is its own.
        records: the images.
    """
    if not is_own_root(root):
        return {}
    return {
        record.sha256: folder / root / record.path
        for record in records
        if record.path.lower().endswith(".webp")
        and max(record.width, record.height) <= BuildConfig().thumbnail
    }


def load_array(path: Path) -> Shaped[np.ndarray, "*_"]:
    """A stored array, memory-mapped; one narrowed to 8 bits is widened to float16.

    Raises:
        GalleryError: when the file is missing or damaged.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype != np.uint8:
            return array
        low, step = np.load(_range_file(path), allow_pickle=False)
        return (low + step * array).astype(np.float16)
    except (OSError, ValueError, EOFError) as error:
        raise GalleryError(f"{path.name} is missing or damaged; build the gallery again") from error


def _are_embedded(found: Mapping[str, np.ndarray], *, n: int, d: int) -> bool:
    """Whether arrays are those of :class:`Embedded`; of large embeddings the shape is looked at."""
    rows, hubs, groups = (found[name] for name in ("embeddings", "hubness", "groups"))
    if (rows.shape, hubs.shape, groups.shape) != ((n, d), (n,), (n,)):
        return False
    if (rows.dtype, hubs.dtype.kind) != (np.float32, "f") or groups.dtype.kind not in "iu":
        return False
    norms = np.linalg.norm(rows, axis=1) if rows.nbytes <= _LOOKED_AT else np.zeros(0)
    return bool((norms < 1 + _ROUNDING).all() and ((groups >= 0) & (groups < n)).all())


def _is_finite(array: np.ndarray) -> bool:
    """Whether all values are finite; large arrays are taken as they are."""
    if array.dtype.kind != "f" or array.nbytes > _LOOKED_AT:
        return True
    return bool(np.isfinite(array).all())


def narrow_array(path: Path) -> None:
    """Replace a stored array (n, f) by 8 bits per value: 255 steps over each column's own range."""
    array = np.asarray(load_array(path), np.float32)
    low = array.min(axis=0)
    step = (array.max(axis=0) - low) / 255
    codes = np.rint((array - low) / np.where(step > 0, step, 1)).astype(np.uint8)
    np.save(_range_file(path), np.stack([low, step]))
    np.save(path, codes)


def _range_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}-range.npy")
