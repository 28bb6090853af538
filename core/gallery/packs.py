"""Thumbnails by the thousand in one folder of three files, found by the hashes of their images.

A large gallery would have a million small files. Where thousands lie alone they are packed, whole
or not at all, before they go; a pack that loses some is written anew under another number. Of a
thumbnail that lies in two packs, since a call was killed between, the newer one counts.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Integer, UInt8, UInt64

from core.gallery.paths import check_links, delete_inside
from core.images.arrays import read_array, save_array
from core.images.files import new_folder, remove_folder
from core.values import GalleryError

logger = logging.getLogger(__name__)
PACKED = 2_048
"""Thumbnails of one pack."""
_NAME = re.compile(r"[0-9]{6,20}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Pack:
    """Some thumbnails, one behind the other; never changed once it is written."""

    folder: Path
    shas: UInt8[np.ndarray, "n 32"]
    """Hashes of their images, ascending."""
    ends: Int64[np.ndarray, " n"]
    """Bytes up to the end of each."""
    content: UInt8[np.ndarray, " b"]

    @classmethod
    def open(cls, folder: Path) -> Pack:
        """Map the files of a pack, which may be a stranger's.

        Raises:
            GalleryError: when one is missing, damaged, or a link.
        """
        files = [folder / f"{name}.npy" for name in ("shas", "ends", "content")]
        try:
            if any(path.is_symlink() for path in (folder, *files)):
                raise ValueError("it is a link")
            shas, ends, content = map(read_array, files)
            kinds = [(array.dtype.str, array.ndim) for array in (shas, ends, content)]
            if kinds != [("|u1", 2), ("<i8", 1), ("|u1", 1)] or shas.shape != (len(ends), 32):
                raise ValueError("its arrays are of other kinds")
            if (np.diff(ends, prepend=0) < 0).any() or not len(ends) or ends[-1] != len(content):
                raise ValueError("its thumbnails do not follow each other")
        except ValueError as error:
            words = f"the pack of thumbnails {folder.name} is missing or damaged ({error})"
            raise GalleryError(words) from error
        return cls(folder, shas, ends, content)

    def sha(self, place: int) -> str:
        """The hash of an image."""
        return self.shas[place].tobytes().hex()

    def thumbnail(self, place: int) -> bytes:
        """The thumbnail of an image."""
        return self.content[self.ends[place - 1] if place else 0 : self.ends[place]].tobytes()


@dataclass(frozen=True)
class _Index:
    """Where every image's thumbnail lies."""

    packs: tuple[Pack, ...]
    keys: UInt64[np.ndarray, " m"]
    """The first bytes of all hashes, ascending; equal ones of newer packs first."""
    of: Integer[np.ndarray, " m"]
    """The pack of each."""
    places: Integer[np.ndarray, " m"]

    @classmethod
    def over(cls, packs: Sequence[Pack]) -> _Index:
        """The index of packs, the newest first."""
        none, sizes = np.empty((0, 32), np.uint8), [len(pack.ends) for pack in packs]
        keys = _keys(np.concatenate([none, *(pack.shas for pack in packs)]))
        of = np.repeat(np.arange(len(packs)), sizes)
        places = np.concatenate([np.arange(0), *map(np.arange, sizes)])
        order = np.argsort(keys, kind="stable")
        return cls(tuple(packs), keys[order], of[order], places[order])

    def found(self, sha256: str) -> Iterator[tuple[Pack, int]]:
        """The packs that have an image's thumbnail, the newest first, and its places there."""
        key = np.uint64(int(sha256[:16], 16))
        first, end = (np.searchsorted(self.keys, key, side=side) for side in ("left", "right"))
        for at in range(int(first), int(end)):
            pack, place = self.packs[self.of[at]], int(self.places[at])
            if pack.sha(place) == sha256:
                yield pack, place


class Packs:
    """The packs of one gallery; changed by its one writer alone, read by anybody."""

    def __init__(self, folder: Path, *, gallery: Path) -> None:
        """Take the folder of the packs, there or not, and the gallery's, which holds it."""
        self.folder, self._gallery = folder, gallery
        self._index = _Index.over([])

    def get(self, sha256: str) -> bytes | None:
        """The thumbnail of an image, if it is packed.

        Raises:
            GalleryError: when the packs lie behind a link that leads out of the gallery.
        """
        for index in (lambda: self._index, self._listed):
            for pack, place in index().found(sha256):
                return pack.thumbnail(place)
        return None

    def holds(self, sha256: str) -> bool:
        """Whether an image's thumbnail is packed, for the writer, who knows what lies there."""
        index = self._index if self._index.packs else self._listed()
        return any(index.found(sha256))

    def shas(self) -> set[str]:
        """Hashes of all images whose thumbnails are packed."""
        return {pack.sha(place) for pack in self._listed().packs for place in range(len(pack.ends))}

    def damaged(self) -> Iterator[tuple[Path, str]]:
        """Packs that cannot be read, and why."""
        for folder in self._folders():
            try:
                Pack.open(folder)
            except GalleryError as error:
                yield folder, str(error)

    def add(self, files: Sequence[Path]) -> None:
        """Pack thumbnails that lie alone, each named by the hash of its image; they go then."""
        found = {path.stem: path for path in files if _SHA256.fullmatch(path.stem)}
        read = ((sha, path.read_bytes()) for sha, path in sorted(found.items()))
        self._write({sha: content for sha, content in read if content})
        index = self._listed()
        older = [pack for sha in found for pack, _ in [*index.found(sha)][1:]]
        self._write_anew(older)
        for path in found.values():
            delete_inside(path, self._gallery)

    def drop(self, shas: Collection[str]) -> None:
        """Remove the thumbnails of some images."""
        index = self._listed()
        self._write_anew([pack for sha in shas for pack, _ in index.found(sha)], without=shas)

    def _write_anew(self, packs: Sequence[Pack], *, without: Collection[str] = ()) -> None:
        """Write packs again without some thumbnails, and without those that newer packs have."""
        for pack in {pack.folder: pack for pack in packs}.values():
            left: dict[str, bytes] = {}
            for place in range(len(pack.ends)):
                sha = pack.sha(place)
                if sha not in without and next(self._index.found(sha))[0] is pack:
                    left[sha] = pack.thumbnail(place)
            self._write(left)
            remove_folder(pack.folder)
        self._listed()

    def _write(self, thumbnails: dict[str, bytes]) -> None:
        """One more pack, of thumbnails in the order of their images' hashes."""
        if not thumbnails:
            return
        shas = np.frombuffer(bytes.fromhex("".join(thumbnails)), np.uint8).reshape(-1, 32)
        sizes = [len(content) for content in thumbnails.values()]
        newest = max((int(folder.name) for folder in self._folders()), default=0)
        number = max(newest + 1, time.time_ns())  # never one that a reader has open
        with new_folder(self.folder / f"{number:020d}", durable=True) as partial:
            save_array(partial / "shas.npy", shas)
            save_array(partial / "ends.npy", np.cumsum(sizes, dtype=np.int64))
            content = b"".join(thumbnails.values())
            save_array(partial / "content.npy", np.frombuffer(content, np.uint8))

    def _folders(self) -> list[Path]:
        """Folders of the packs, the newest first.

        Raises:
            GalleryError: when they lie behind a link that leads out of the gallery.
        """
        check_links([self.folder.parent, self.folder], self._gallery)
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        named = (path for path in found if _NAME.fullmatch(path.name))
        return sorted(named, key=lambda path: int(path.name), reverse=True)

    def _listed(self) -> _Index:
        """The index of the packs that are there now; those that are open stay so."""
        opened = {pack.folder: pack for pack in self._index.packs}
        packs: list[Pack] = []
        for folder in self._folders():
            try:
                packs.append(opened.get(folder) or Pack.open(folder))
            except GalleryError as error:  # `verify` names it
                logger.warning("%s", error)
        if [pack.folder for pack in packs] != [*opened]:
            self._index = _Index.over(packs)
        return self._index


def _keys(shas: UInt8[np.ndarray, "n 32"]) -> UInt64[np.ndarray, " n"]:
    """The first eight bytes of hashes, as numbers in the order of the hashes."""
    return np.ascontiguousarray(shas[:, :8]).view(">u8")[:, 0].astype(np.uint64)
