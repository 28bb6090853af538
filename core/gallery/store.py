"""A folder that changes in whole generations: writers commit or leave nothing, readers see one.

Layout::

    gallery.json            format, name, current generation; the only file that is ever replaced
    generations/<number>/   everything of one state, in parts that are shared with the one before:
                            see :mod:`core.gallery.parts`; never changed, only added to. The one
                            before the current stays for its readers until the next change
    thumbnails/<aa>/<sha>.webp   of every image but the small WebP files of the gallery's own
    thumbnails/packs/<number>/   many of these together: see :mod:`core.gallery.packs`
    work/                   what an unfinished build has done so far
    lance/                  vectors and columns in LanceDB, where it serves and lies here
    lock, lance.lock        held by the one writer, of the folder and of what LanceDB keeps
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from core.gallery.header import FORMAT, WHOLE, Header
from core.gallery.packs import PACKED, Packs
from core.gallery.paths import check_links, lies_inside
from core.images.files import read_json, remove_abandoned, sync, sync_file, write_json
from core.values import GalleryError, Progress

logger = logging.getLogger(__name__)

_OWN = (
    "gallery.json",
    "generations",
    "thumbnails",
    "work",
    "lance",
    "lance.lock",
    "lock",
    "blocklist.json",
)
# What the store itself writes at the top of its folder.
_OLD = ("tombstones.json",)  # what earlier versions wrote there
_IMAGES = "IMAGES"  # stands for a folder of images in a command
_NAME = 120  # characters of a gallery's name


class Store:
    """One gallery's folder: its header, its generations, its lock."""

    def __init__(self, folder: Path, *, small: Mapping[str, Path] | None = None) -> None:
        """Take a folder, there or not; ``small`` are images that are their own thumbnails."""
        self.folder = folder.absolute()
        self.packs = Packs(self.folder / "thumbnails" / "packs", gallery=self.folder)
        self._small = small or {}

    def require_free(self, root: str) -> None:
        """Refuse a folder that holds something else than this store, or than what began as one.

        Args:
            root: where the images lie; they may already be in the store's own folder.

        Raises:
            GalleryError: when the folder is a file, or holds something else.
        """
        if self.exists or not os.path.lexists(self.folder):
            return
        own = {*_OWN, *_OLD, *Path(root).parts[:1]}
        if not self.folder.is_dir() or any(  # hidden is what a killed call left half-written
            path.name not in own and not path.name.startswith(".") for path in self.folder.iterdir()
        ):
            raise GalleryError(
                f"{self.folder.name} is not empty and not a gallery; name another folder"
            )

    def create(self, name: str, *, root: str) -> None:
        """Make an empty store, in the place of one that never had a generation; under the lock."""
        (self.folder / "generations" / "0").mkdir(parents=True, exist_ok=True)
        self._write_header(Header(name, root))

    def describe(self, description: str) -> None:
        """Keep what the gallery's images are, in a few words that follow their number.

        Raises:
            GalleryError: when there is no gallery, or somebody else writes to it.
        """
        with self.writing():
            self._write_header(replace(self.header(), description=" ".join(description.split())))

    def rename(self, name: str) -> None:
        """Give the gallery another name to be shown by; its folder stays where it is.

        Raises:
            GalleryError: when nothing is left of the name, there is no gallery, or somebody else
                writes to it.
        """
        plain = " ".join(name.split())[:_NAME]
        if not plain:
            raise GalleryError("a gallery needs a name; write one")
        with self.writing():
            self._write_header(replace(self.header(), name=plain))

    def opt_out(self, ids: Collection[int]) -> None:
        """Keep which images are part of no answer; under the lock."""
        self._write_header(replace(self.header(), opted_out=tuple(sorted(ids))))

    def search_in(self, table: str) -> None:
        """Keep which table of LanceDB is searched, the empty text for none; under the lock."""
        inside = Path(table).is_relative_to(self.folder)
        kept = Path(table).relative_to(self.folder).as_posix() if inside else table
        self._write_header(replace(self.header(), lance=kept))

    def table(self, header: Header) -> str:
        """Where the table of LanceDB lies that is searched; empty for none."""
        own = header.lance and "://" not in header.lance
        return str(self.folder / header.lance) if own else header.lance

    def writing_table(self) -> FileLock:
        """The lock of the one who writes to that table."""
        return FileLock(self.folder / "lance.lock", is_singleton=False)

    @property
    def exists(self) -> bool:
        """Whether the folder holds a store."""
        return (self.folder / "gallery.json").is_file()

    def header(self) -> Header:
        """The current header.

        Raises:
            GalleryError: when there is no gallery, or a damaged one, or one of another format.
        """
        try:
            raw = read_json(self.folder / "gallery.json")
            found = raw["format"]
            if found in (WHOLE, FORMAT):
                return Header.from_json(raw)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise GalleryError(
                f"{self.folder.name} is not a gallery: it has no gallery.json",
                command=self._begun(),
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GalleryError(
                f"gallery.json of {self.folder.name} is damaged; build the gallery again from its "
                "images",
                command=self.built_again(_IMAGES),
            ) from error
        raise GalleryError(
            f"{self.folder.name} has gallery format {found}, this version reads {FORMAT}; "
            "build the gallery again from its images",
            command=self.built_again(raw.get("root")),
        )

    def indexed(self, root: str) -> tuple[str, ...]:
        """The command that goes on with this gallery, whose images lie in a root."""
        return ("index", self._images(root), "--out", str(self.folder))

    def built_again(self, root: object) -> tuple[str, ...]:
        """The command that builds this gallery again, in a folder where no damage is in the way."""
        return ("index", self._images(root), "--out", f"{self.folder}-again")

    def _images(self, root: object) -> str:
        """The folder of a root, or a word in its place where there is no such folder."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(root, str) and (self.folder / root).is_dir():
                return str(self.folder / root)
        return _IMAGES

    def _begun(self) -> tuple[str, ...]:
        """The command that makes a gallery where there is none: here, or of what lies here."""
        if not os.path.lexists(self.folder):
            return self.indexed(_IMAGES)
        if any(path.name not in _OWN for path in _entries(self.folder)):
            return ("index", str(self.folder), "--out", f"{self.folder}-gallery")
        return self.indexed(_IMAGES) if self.folder.is_dir() else ()

    def generation(self, number: int) -> Path:
        """Folder of a generation."""
        return self.folder / "generations" / str(number)

    @property
    def work(self) -> Path:
        """Folder of an unfinished build."""
        return self.folder / "work"

    def shown(self, sha256: str) -> Path | bytes:
        """What shows an image: a file, there or not, or the thumbnail itself where it is packed.

        Raises:
            GalleryError: when it lies behind a link that leads out of the gallery.
        """
        file = self.thumbnail(sha256)
        packed = None if file.is_file() else self.packs.get(sha256)
        return file if packed is None else packed

    def thumbnail(self, sha256: str) -> Path:
        """The file of a thumbnail that is not packed, or the image itself where it is small.

        Raises:
            GalleryError: when it is a link that leads out of the gallery.
        """
        small = self._small.get(sha256)
        if small is not None and lies_inside(small, self.folder):
            return small
        made = self.made_thumbnail(sha256)
        check_links([made], self.folder)
        return made

    def made_thumbnail(self, sha256: str) -> Path:
        """Where the thumbnail made of an image lies; no file of the user's is ever there."""
        return self.folder / "thumbnails" / sha256[:2] / f"{sha256}.webp"

    def single_thumbnails(self) -> list[Path]:
        """Files of the thumbnails that are not packed."""
        return [*self.folder.glob("thumbnails/[0-9a-f][0-9a-f]/[!.]*.webp")]

    def pack_thumbnails(self, *, progress: Progress) -> None:
        """Pack thumbnails that lie alone, as many as fill packs; under the lock."""
        alone = sorted(self.single_thumbnails())
        for start in range(0, len(alone) - PACKED + 1, PACKED):
            progress(start, len(alone), "packing thumbnails")
            self.packs.add(alone[start : start + PACKED])

    def check_links(self) -> None:
        """Refuse a folder where writing or deleting would reach out of it through a link.

        Raises:
            GalleryError: when a file or folder of the store's own is a link that leads out.
        """
        own = [self.folder / name for name in (*_OWN, *_OLD)]
        own += _entries(self.folder / "thumbnails")
        for name in ("generations", "work", "lance", "thumbnails/packs"):
            for parent, folders, files in os.walk(self.folder / name):
                own += (Path(parent, each) for each in (*folders, *files))
        check_links(own, self.folder)

    @contextlib.contextmanager
    def writing(self) -> Iterator[bool]:
        """Hold the lock of the one writer, in a folder made if need be; it falls with the process.

        What killed calls left half-written is removed.

        Yields:
            Whether a call before was stopped before its end.

        Raises:
            GalleryError: when another process or thread is writing, or a link leads out.
        """
        self.check_links()
        lock = FileLock(self.folder / "lock", timeout=0, is_singleton=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise GalleryError(
                f"{self.folder.name} is being changed by another process; try again when that is "
                "done"
            ) from error
        except OSError as error:
            raise GalleryError(f"{self.folder.name} cannot be written: {error.strerror}") from error
        try:
            self._sweep()
            yield self.work.exists()
        finally:
            lock.release()

    def _sweep(self) -> None:
        """Remove what killed calls left half-written, and generations that nobody reads.

        Readers write what follows from a generation without the lock, and so do unpacked images
        come: what is at work there stays.
        """
        places = (".*.json.*", "work/*/.*", "work/*/patch_heads/.*")
        left = [path for place in places for path in self.folder.glob(f"{place}.part")]
        for parent, *names in os.walk(self.folder / "thumbnails"):  # of a million: no patterns
            found = (name for kind in names for name in kind)
            left += (Path(parent, n) for n in found if n[0] == "." and n.endswith(".part"))
        for path in left:
            with contextlib.suppress(OSError):
                _remove(path)
        for place in (".images.*", "..images.*", "generations/*/.*", "generations/*/artefacts*/.*"):
            remove_abandoned(self.folder.glob(f"{place}.part"))
        with contextlib.suppress(GalleryError):
            self._drop_generations(self.header().generation)

    def _drop_generations(self, current: int) -> None:
        """Keep the current generation, and the one before for its readers."""
        if not self.generation(current).is_dir():  # a header that says what is not so
            return
        for path in _entries(self.folder / "generations"):
            if path.name not in (str(current), str(current - 1)):
                shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def next_generation(self, header: Header, *, next_id: int) -> Iterator[Path]:
        """A folder to fill; when the block ends well it becomes the current generation.

        Whatever goes wrong inside, a full disk included, leaves the current one as it is. Readers
        that opened it can go on reading it until the change after this one.
        """
        number = header.generation + 1
        target = self.generation(number)
        shutil.rmtree(
            target, ignore_errors=True
        )  # of a writer that was stopped before it committed
        target.mkdir(parents=True)
        try:
            yield target
            sync(target)
            changed = {"generation": number, "next_id": next_id, "format": FORMAT}
            self._write_header(replace(header, **changed))
        except Exception:  # no other: an interrupt may come after the header was written
            shutil.rmtree(target, ignore_errors=True)
            raise
        self._drop_generations(number)

    def _write_header(self, header: Header) -> None:
        write_json(self.folder / "gallery.json", header.as_json())
        try:
            sync_file(self.folder)
        except OSError as error:  # readers see the new one: it must not be taken back
            words = "the change of %s may not outlive a loss of power: %s"
            logger.warning(words, self.folder.name, error)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it is not there, or no folder can have such a name
        return []


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_of_store(place: Path, *, below: Path) -> bool:
    """Whether a folder is that of a store, or lies in one, looking no higher than ``below``."""
    inside = place.relative_to(below)
    return any((below / each / "gallery.json").is_file() for each in (inside, *inside.parents))


def is_thumbnail(path: Path) -> bool:
    """Whether a file is a thumbnail of a store."""
    return path.parts[-3:-2] == ("thumbnails",) and (path.parents[2] / "gallery.json").is_file()
