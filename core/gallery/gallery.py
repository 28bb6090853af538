"""One state of a gallery: its records and its stored features, never changed once opened."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from core.config import BuildConfig
from core.encoders.baselines import BASELINES
from core.encoders.registry import NETWORKS
from core.gallery.artefacts import Artefacts, digest_of
from core.gallery.checksums import digests_of, listed
from core.gallery.header import Header
from core.gallery.manifest import Records
from core.gallery.narrow import load_array
from core.gallery.paths import is_file, is_own_root, lies_inside
from core.gallery.store import Store
from core.gallery.stored import Stored
from core.heads.head import Head
from core.images.files import ASSETS
from core.images.joined import JoinedRows, ManyDescriptors, ManyRows
from core.values import (
    Encoder,
    GalleryError,
    ImageRecord,
    UndescribedError,
)

SHIPPED = ASSETS / "gallery"
"""Folder of the gallery that comes with the program."""

ARTEFACTS = "artefacts"
"""Folder of what follows from a generation, in that of the generation."""


def is_shipped(folder: Path) -> bool:
    """Whether a folder is the gallery that comes with the program, which only its maker changes."""
    return folder.resolve() == SHIPPED.resolve()


def encoder_key(encoder: Encoder) -> str:
    """Folder name of everything that an encoder computes: its name and its identity."""
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', encoder.name)[-40:]}@{encoder.identity}"


class Gallery:
    """A generation of a gallery, as it was when it was opened."""

    def __init__(
        self,
        store: Store,
        header: Header,
        contents: Stored,
        *,
        read_only: bool,
        descriptions: Path | None = None,
        whole: bool = False,
    ) -> None:
        self.contents = contents
        """What is stored, as it is."""
        self.stored = contents.records
        """All images that are stored, those that are opted out included."""
        small = small_images(store.folder, header.root, self.stored)
        self.store = Store(store.folder, small=small)
        self.header = header
        self._out = frozenset(() if whole else header.opted_out)
        self._rows = _rows_without(self._out, self.stored)
        """Places of the images among those that are stored; ``None`` where all are there."""
        self.records = self.stored if self._rows is None else self.stored.take(self._rows)
        self.read_only = read_only
        self._descriptions = descriptions
        self.folder = store.generation(header.generation)
        self._looked_at: dict[Path, tuple[tuple[Any, ...], bool]] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        read_only: bool = False,
        descriptions: Path | None = None,
        whole: bool = False,
    ) -> Gallery:
        """Open the current generation, without the images that are opted out.

        Args:
            folder: the gallery.
            read_only: whether nothing that is computed from it is kept in its folder.
            descriptions: folder of what describes the gallery and does not belong to it: see
                :mod:`core.gallery.describe`.
            whole: whether images that are opted out are there as well, for who writes the next
                generation or checks this one.

        Raises:
            GalleryError: when there is no gallery, or a damaged one, or one of another format.
        """
        store = Store(folder)
        header = store.header()
        store.check_links()
        while True:
            try:
                found = Stored.open(store, header)
                return cls(
                    store,
                    header,
                    found,
                    read_only=read_only,
                    descriptions=descriptions,
                    whole=whole,
                )
            except GalleryError as error:
                newer = store.header()  # a writer may have moved on between the two reads
                if newer.generation == header.generation:
                    again = store.built_again(header.root)
                    raise GalleryError(str(error), command=again) from error
                header = newer

    @functools.cached_property
    def identity(self) -> str:
        """Hash of the ids and the contents of all images, 16 hexadecimal digits."""
        return _identity(self.records)

    @property
    def opted_out(self) -> tuple[ImageRecord, ...]:
        """Images that are stored and part of no answer."""
        if self._rows is None:
            return ()
        return tuple(self.stored.take(np.delete(np.arange(len(self.stored)), self._rows)))

    @functools.cached_property
    def row_of(self) -> dict[int, int]:
        """Row of every image by its id."""
        return {number: row for row, number in enumerate(self.records.ids)}

    @functools.cached_property
    def descriptions(self) -> Path | None:
        """Folder of what describes just these images and does not belong to the gallery."""
        return self._descriptions and self._descriptions / _identity(self.stored)

    @property
    def name(self) -> str:
        """The gallery's name."""
        return self.header.name

    @property
    def description(self) -> str:
        """What its images are, in a few words; empty where nobody said."""
        return self.header.description

    @functools.cached_property
    def root(self) -> Path:
        """Folder that the images' paths are relative to."""
        return self.store.folder / self.header.root

    @property
    def keeps_images(self) -> bool:
        """Whether the images lie inside the gallery's own folder, after all links are followed."""
        return is_own_root(self.header.root) and lies_inside(self.root, self.store.folder)

    def is_gone(self, record: ImageRecord) -> bool:
        """Whether the file of an image of the gallery is no longer where it was indexed."""
        return record.id in self.row_of and not is_file(os.path.join(self.root, record.path))  # noqa: PTH118 - faster

    def require_images(self) -> None:
        """Refuse a gallery without images: it was emptied, or its first build was stopped.

        Raises:
            GalleryError: when there are none; says which it is and how to go on.
        """
        if self.records:
            return
        if self.stored:
            raise GalleryError(
                f"all images of gallery {self.name!r} are opted out; opt some in again",
                command=("opt-in", "IMAGE", "--gallery", str(self.store.folder)),
            )
        if self.header.generation == 0:
            words = "was stopped before its first build was complete; index its images again"
        else:
            words = "holds no images; index some"
        raise GalleryError(
            f"gallery {self.name!r} {words}, with the encoders that it shall have",
            command=self.store.indexed(self.header.root),
        )

    def require(self, ids: Collection[int]) -> None:
        """Refuse ids that no image has.

        Raises:
            GalleryError: when there is one; says which.
        """
        if unknown := set(ids) - self.row_of.keys():
            raise GalleryError(f"no image of the gallery has the id {min(unknown)}")

    def damaged(self, what: str) -> GalleryError:
        """The error that says what is damaged, with the command that builds the gallery again."""
        again = self.store.built_again(self.header.root)
        return GalleryError(f"{what}; build the gallery again", command=again)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def encoder_keys(self) -> tuple[str, ...]:
        """Keys of the encoders whose features are stored, in the gallery or whole beside it.

        What is damaged in the gallery itself is told where it is read.
        """
        found = {path.parent.name for path in self.folder.glob("[!.]*/features.npy")}
        if self.descriptions is not None:
            beside = self.descriptions.glob("[!.]*/features.npy")
            found |= {path.parent.name for path in beside if self._is_whole(path.parent)}
        return tuple(sorted(found))

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """Names of the encoders whose features are stored, networks before baselines."""
        names = {key.rpartition("@")[0] for key in self.encoder_keys}
        return tuple(sorted(names, key=lambda name: (name in BASELINES, name)))

    def _is_whole(self, folder: Path) -> bool:
        """Whether a folder beside the gallery describes it; looked at anew when it changes."""
        files = sorted((entry.name, entry.stat()) for entry in os.scandir(folder))
        stamp = tuple((name, found.st_mtime_ns, found.st_size) for name, found in files)
        if self._looked_at.get(folder, ((), False))[0] != stamp:
            self._looked_at[folder] = (stamp, describes(folder, len(self.stored)))
        return self._looked_at[folder][1]

    def key_of(self, encoder: Encoder) -> str:
        """Key of an encoder here: that of its name, or of another name of the same weights."""
        key = encoder_key(encoder)
        if key in self.encoder_keys:
            return key
        same = (known for known in self.encoder_keys if known.endswith(f"@{encoder.identity}"))
        return next(same, key)

    def features(self, encoder: Encoder) -> Float[ManyRows, "n f"]:
        """Un-headed features of all images, float16; read from the disk where they are asked for.

        Raises:
            GalleryError: when the gallery lacks the encoder, or a file is damaged.
        """
        array = self._array(encoder, "features.npy")
        if array.shape != (len(self), encoder.dim):
            raise self.damaged(
                f"features of {encoder.name} have shape {array.shape}, "
                f"expected {(len(self), encoder.dim)}"
            )
        return array

    def patches(self, encoder: Encoder) -> ManyDescriptors | None:
        """Local descriptors of all images, as :meth:`features`; ``None`` without space.

        Raises:
            GalleryError: when a file is missing or damaged.
        """
        folder = self._encoder_folder(encoder)
        if not (folder / "patches.npy").exists() and not (folder / "patch_head").exists():
            return None
        array = self._array(encoder, "patches.npy")
        if array.shape[:1] != (len(self),):
            raise self.damaged(f"patches of {encoder.name} are damaged")
        return array

    def patch_head(self, encoder: Encoder) -> Head | None:
        """The head of the local descriptors; ``None`` for encoders without space.

        Raises:
            GalleryError: when a file is missing or damaged.
        """
        folder = self._encoder_folder(encoder)
        has = any((folder / name).exists() for name in ("patch_head", "patches.npy"))
        try:
            return Head.load(folder / "patch_head") if has else None
        except GalleryError as error:
            if folder.parent == self.descriptions:
                raise self.lacks(encoder.name) from error
            raise self.damaged(f"the patch head of {encoder.name} is damaged") from error

    def digest(self, encoder: Encoder) -> str:
        """Hash of all that is stored of an encoder here, 16 hexadecimal digits.

        Raises:
            GalleryError: when the gallery lacks the encoder.
        """
        folder = self._encoder_folder(encoder)
        own = folder.parent != self.descriptions
        files: object = self._listed_of(folder.name) if own else listed(folder)
        if not files:
            self.features(encoder)  # raises where there are none
            files = self._digests_of(folder.name) if own else digests_of(folder)
        gone = [part.gone for part in self.contents.parts] if own else []
        files = [files, gone] if any(gone) else files
        return digest_of([files, sorted(self._out)] if self._out else files)

    def _listed_of(self, key: str) -> dict[str, str]:
        """Digests of the files of an encoder, by their paths."""
        own = self.contents.prefixes(key)
        return {name: sha for name, sha in self.listing.items() if name.startswith(own)}

    def _digests_of(self, key: str) -> dict[str, str]:
        """The same where the list cannot be read, from the files themselves."""
        found: dict[str, str] = {}
        for own in self.contents.prefixes(key):
            each = digests_of(self.folder / own)
            found |= {f"{own}{name}": digest for name, digest in each.items()}
        return found

    @functools.cached_property
    def listing(self) -> dict[str, str]:
        """Digests of the generation's files, as its writer listed them."""
        return listed(self.folder)

    @functools.cached_property
    def artefacts(self) -> Artefacts:
        """What follows from this generation, kept where that is allowed."""
        fallback = self.descriptions and self.descriptions / ARTEFACTS
        folder, number = self.folder / artefacts_name(self._out), self.header.generation
        states = (self.folder, self.store.generation(number - 1)) if number else ()
        earlier = [path for state in states for path in latest_first(state.glob(f"{ARTEFACTS}*"))]
        return Artefacts(folder, writable=not self.read_only, fallback=fallback, earlier=earlier)

    def thumbnail(self, row: int) -> Image.Image:
        """An image's thumbnail; nothing to see where it is gone."""
        try:
            found = self.store.shown(self.records[row].sha256)
            return Image.open(io.BytesIO(found) if isinstance(found, bytes) else found)
        except OSError:
            return Image.new("L", (1, 1))

    def _encoder_folder(self, encoder: Encoder) -> Path:
        if self.header.generation and not self.folder.is_dir():
            raise GalleryError("the gallery was changed since it was opened; open it again")
        key = self.key_of(encoder)
        own = self.folder / key
        return own if self.descriptions is None or own.is_dir() else self.descriptions / key

    def _array(self, encoder: Encoder, name: str) -> ManyRows:
        path = self._encoder_folder(encoder) / name
        self.require_images()
        if not path.parent.is_dir():
            raise self.lacks(encoder.name)
        own = path.parent.parent == self.folder
        try:
            array = self.contents.array(f"{path.parent.name}/{name}") if own else load_array(path)
            if not own and len(array) != len(self.stored):
                raise GalleryError(f"{name} is of other images")
        except GalleryError as error:
            if not own:  # it can be described again
                raise self.lacks(encoder.name) from error
            raise self.damaged(f"{name} of {encoder.name} is missing or damaged") from error
        if self._rows is None:
            return array
        if len(array) != len(self.stored):
            raise self.damaged(f"{name} of {encoder.name} is damaged")
        if isinstance(array, JoinedRows):
            return array.take(self._rows)
        return JoinedRows([array], [self._rows])

    def lacks(self, encoder: str) -> UndescribedError:
        """The error that says which encoders there are, and how to have another one too."""
        have = ", ".join(self.encoder_keys) or "none"
        words = f"gallery {self.name!r} has no features of encoder {encoder!r} (it has: {have})"
        if is_shipped(self.store.folder):
            remedy = ("prepare", encoder) if encoder in NETWORKS else ()
            return UndescribedError(f"{words}; name one of these", command=remedy)
        if self.descriptions is not None and encoder in NETWORKS:
            return UndescribedError(
                f"{words}; prepare it for this gallery",
                command=("prepare", encoder, "--gallery", str(self.store.folder)),
            )
        known = [name for name in self.encoder_names if name in {*BASELINES, *NETWORKS}]
        named = [word for name in (*known, encoder) for word in ("--encoder", name)]
        return UndescribedError(
            f"{words}; index its images with that encoder too",
            command=(*self.store.indexed(self.header.root), *named),
        )


def describes(folder: Path, images: int) -> bool:
    """Whether a folder beside a gallery holds all that its writer listed, of so many images."""
    names = listed(folder)
    try:
        arrays = [load_array(folder / name) for name in names if name.endswith(".npy")]
        if "patch_head/head.json" in names:
            Head.load(folder / "patch_head")
    except GalleryError:
        return False
    there = all(is_file(folder / name) for name in names)
    return bool(arrays) and there and all(len(array) == images for array in arrays)


def latest_first(folders: Iterable[Path]) -> list[Path]:
    """Folders in the order in which something was last put into them."""
    found: list[tuple[int, Path]] = []
    for folder in folders:
        with contextlib.suppress(OSError):  # it goes with its generation
            found.append((folder.stat().st_mtime_ns, folder))
    return [folder for _, folder in sorted(found, reverse=True)]


def artefacts_name(opted_out: Collection[int]) -> str:
    """Name of the folder of what follows from a generation without some of its images."""
    return f"{ARTEFACTS}-{digest_of(sorted(opted_out))}" if opted_out else ARTEFACTS


def _rows_without(out: Collection[int], stored: Records) -> np.ndarray | None:
    """Rows of the images that are not opted out; ``None`` where none is."""
    left = np.flatnonzero([number not in out for number in stored.ids] if out else [])
    return left if out and len(left) < len(stored) else None


def _identity(records: Records) -> str:
    pairs = zip(records.ids, records.texts("sha256"), strict=True)
    lines = "\n".join(f"{number} {sha}" for number, sha in pairs)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def small_images(folder: Path, root: str, records: Records) -> dict[str, Path]:
    """Images that need no thumbnail, by their contents: small WebP files of the gallery's own.

    Args:
        folder: the gallery.
        root: where the images lie; only what is inside the gallery is its own.
        records: the images.
    """
    if not is_own_root(root):
        return {}
    sides = np.maximum(records.numbers("width"), records.numbers("height"))
    small = np.flatnonzero(sides <= BuildConfig().thumbnail)
    found = records if len(small) == len(records) else records.take(small)
    pairs = zip(found.texts("path"), found.texts("sha256"), strict=True)
    return {sha: folder / root / path for path, sha in pairs if path.lower().endswith(".webp")}
