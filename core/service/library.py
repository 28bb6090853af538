"""Building and changing galleries on request: from a folder, a zip or a dataset, within quotas."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.config import BuildConfig, ServerConfig, SourceLimits
from core.gallery.artefacts import digest_of
from core.gallery.commit import Change
from core.gallery.datasets import source_identity
from core.gallery.examples import read_examples
from core.gallery.gallery import SHIPPED, Gallery, is_shipped
from core.gallery.opting import Opted, opt_in, opt_out
from core.gallery.paths import delete_inside
from core.gallery.remove import remove
from core.gallery.shards import Skipped
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import Damage, changed_images, verify
from core.images.files import folder_size
from core.search.table_check import changed_table
from core.service.adding import copied_in, refusals, require_room
from core.service.building import bring_up, build, finish
from core.service.visitors import Visitors
from core.values import (
    Encoder,
    GalleryError,
    Progress,
    no_progress,
)

BUILTIN = "builtin"
"""Name of the gallery that comes with the program; it is never changed."""


def default_home() -> Path:
    """Where galleries built from uploads are kept: ``WELLSPRING_GALLERIES``, or the user's data."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("WELLSPRING_GALLERIES") or Path(data, "wellspring", "galleries"))


@dataclass(frozen=True)
class Facts:
    """A gallery's folder."""

    storage: int
    """Bytes that it takes."""
    examples: int
    """Example queries beside the images."""
    keeps_images: bool
    """Whether the images lie inside, so that uploads can be added."""


class Library:
    """The galleries that can be changed: a visitor's own on a hosted server, else any folder."""

    def __init__(
        self,
        server: ServerConfig,
        visitors: Visitors,
        *,
        encoder: Callable[[str], Encoder],
        home: Path | None = None,
    ) -> None:
        self.server, self.visitors, self.encoder = server, visitors, encoder
        self.home = home or default_home()
        self._linked: dict[str, str] = {}

    def build(
        self,
        source: str | Path,
        encoders: Sequence[str],
        *,
        visitor: str = "",
        progress: Progress = no_progress,
    ) -> tuple[str, Change]:
        """Build a gallery, or go on with one that was cancelled.

        Args:
            source: a zip of images; or ``hf:user/name``; or, when not hosted, a folder of images.
            encoders: names of the encoders to apply.
            visitor: whose gallery it is on a hosted server.
            progress: called with images done; may raise ``Cancelled``.

        Returns:
            The name by which the gallery is opened, and what was built.

        Raises:
            GalleryError: when the source is refused or over quota, or the disk is full.
            Cancelled: when ``progress`` asked for it; the same source goes on with what was done.
        """
        if not encoders:
            raise GalleryError("a gallery needs an encoder; choose at least one")
        loaded = [self.encoder(name) for name in encoders]
        with _told_when_full():
            if self.server.hosted:
                return self._build_for(visitor, source, loaded, progress=progress)
            folder = self.home / _slug(source, progress)
            config = BuildConfig(limits=SourceLimits(self.server.max_unpacked_bytes))
            change = build(str(source), folder, loaded, config=config, progress=progress)
            self._call(folder, _called(source))
            return str(folder), change

    def _call(self, folder: Path, title: str) -> None:
        """Title a gallery that has none of its own, unless another one is called so."""
        own = self.title(str(folder)) == folder.name
        if own and title.strip() and title not in map(self.title, map(str, self.kept())):
            Store(folder).rename(title)

    def add(
        self, name: str, files: Sequence[Path], *, visitor: str = "", progress: Progress
    ) -> Change:
        """Add uploaded images to a gallery that keeps its images itself.

        Raises:
            Cancelled: when ``progress`` asked for it; the gallery holds all of them or none, and
                adding the same files again goes on with what was encoded.
            GalleryError: when it keeps none, is over quota, or cannot be written.
            ImageError: when none of the files is an image that is accepted.
        """
        folder = self.folder(name, visitor=visitor)
        gallery = Gallery.open(folder)
        if not gallery.keeps_images:
            raise GalleryError(
                "this gallery reads its images from a folder of the server: put new ones there and "
                "look for them"
            )
        require_room(gallery, files, server=self.server)
        with self._working(visitor, progress) as checked:
            refused = refusals(files, progress=checked)
        taken = [file for file in files if file not in refused]
        if not taken:
            raise next(iter(refused.values()))
        size = sum(file.stat().st_size for file in taken)
        with (
            _told_when_full(),
            self._working(visitor, progress, reserve=size) as checked,
            copied_in(taken, gallery, progress=checked) as names,
        ):
            source = Source(gallery.root, only=names)
            change = bring_up(folder, source, self._encoders(gallery), progress=checked)
        left_out = [Skipped(file.name, str(why)) for file, why in refused.items()]
        return replace(change, skipped=(*change.skipped, *left_out))

    def refresh(
        self, name: str, *, prune: bool = False, visitor: str = "", progress: Progress
    ) -> Change:
        """Add what is new or has changed in the folder that a gallery's images lie in.

        Args:
            name: the gallery.
            prune: whether images go whose files are no longer there.
            visitor: whose gallery it is on a hosted server.
            progress: called with images done; may raise ``Cancelled``.

        Raises:
            GalleryError: when the folder is gone, or the gallery cannot be written.
        """
        folder = self.folder(name, visitor=visitor)
        gallery = Gallery.open(folder)
        source = Source(gallery.root, prune=prune)
        with _told_when_full(), self._working(visitor, progress) as checked:
            return bring_up(folder, source, self._encoders(gallery), progress=checked)

    def remove(
        self, name: str, ids: Sequence[int], *, visitor: str = "", progress: Progress
    ) -> Change:
        """Take images out of a gallery; files go only where they lie in its own folder.

        Args:
            name: the gallery.
            ids: ids of the images.
            visitor: whose gallery it is on a hosted server.
            progress: called before anything goes; may raise ``Cancelled``.

        Raises:
            GalleryError: when an id is not there, or the gallery cannot be written.
        """
        folder = self.folder(name, visitor=visitor)
        gallery = Gallery.open(folder, whole=True)
        with self._working(visitor, progress) as checked:
            change = remove(folder, ids, progress=checked)
        if gallery.keeps_images:
            for image_id in set(ids):
                record = gallery.records[gallery.row_of[image_id]]
                delete_inside(gallery.root / record.path, gallery.store.folder)
        return change

    def opt_out(self, name: str, ids: Sequence[int], *, visitor: str = "") -> Opted:
        """Take images out of every answer; :meth:`opt_in` undoes it, errors as :meth:`remove`."""
        return opt_out(self.folder(name, visitor=visitor), ids)

    def opt_in(self, name: str, ids: Sequence[int], *, visitor: str = "") -> Opted:
        """Let images that were opted out be part of answers again, errors as :meth:`remove`."""
        return opt_in(self.folder(name, visitor=visitor), ids)

    def finish(self, name: str, *, visitor: str = "", progress: Progress) -> None:
        """Compute and keep what answers need of a gallery after a change, so that none waits.

        Raises:
            GalleryError: when the gallery cannot be used.
        """
        folder = self.folder(name, visitor=visitor)
        with _told_when_full(), self._working(visitor, progress) as checked:
            finish(folder, self._encoders(Gallery.open(folder)), progress=checked)

    @staticmethod
    def title(name: str) -> str:
        """What a gallery is called, without opening it; its folder's name where that is unknown."""
        folder = SHIPPED if name == BUILTIN else Path(name)
        try:
            return Store(folder).header().name
        except (GalleryError, OSError, ValueError):
            return folder.name

    def rename(self, name: str, title: str, *, visitor: str = "") -> None:
        """Give a gallery another title.

        Raises:
            GalleryError: when nothing is left of the title, or the gallery cannot be written.
        """
        Store(self.folder(name, visitor=visitor)).rename(title)

    def facts(self, gallery: Gallery) -> Facts:
        """What only a look at the gallery's folder tells."""
        examples = len(read_examples(gallery.store.folder))
        return Facts(folder_size(gallery.store.folder), examples, gallery.keeps_images)

    def verify(self, gallery: Gallery, *, progress: Progress = no_progress) -> list[Damage]:
        """Every damaged or missing file of a gallery; if none, what else has changed.

        That is the table that it is searched by, and the files of its images.
        """
        folder = gallery.store.folder
        return verify(folder, progress=progress) or [
            *changed_table(folder, progress=progress),
            *changed_images(folder, progress=progress),
        ]

    def folder(self, name: str, *, visitor: str = "") -> Path:
        """Folder of a gallery that may be changed.

        Raises:
            GalleryError: when it is the built-in one, or not this visitor's.
        """
        folder = Path(name).absolute()
        refuse_shipped(SHIPPED if name == BUILTIN else folder)
        return self.visitors.gallery(visitor, name) if self.server.hosted else folder

    def kept(self) -> list[Path]:
        """Folders of the galleries built from uploads before; none on a hosted server."""
        if self.server.hosted or not self.home.is_dir():
            return []
        return sorted(path.parent for path in self.home.glob("*/gallery.json"))

    def link_of(self, name: str) -> str:
        """What a link calls a gallery: never a path of this machine.

        A gallery that lies elsewhere than those built from uploads is found again by its link
        while the program runs.
        """
        folder = Path(name).absolute()
        if self.server.hosted or name == BUILTIN:
            return name
        if folder.parent == self.home.absolute() and folder.name != BUILTIN:
            return folder.name
        link = f"{folder.name}-{digest_of(str(folder))[:8]}"
        self._linked[link] = name
        return link

    def linked(self, link: str) -> str:
        """Name of the gallery that a link means; the link itself where none is known by it."""
        if self.server.hosted or link == BUILTIN:
            return link
        kept = {folder.name: str(folder) for folder in self.kept()}
        return self._linked.get(link) or kept.get(link, link)

    def _build_for(
        self, visitor: str, source: str | Path, encoders: Sequence[Encoder], *, progress: Progress
    ) -> tuple[str, Change]:
        """A visitor's gallery from a zip or, within the same limits, a public dataset."""
        server = self.server
        uploaded = isinstance(source, Path) and source.is_file()
        if uploaded and Path(source).stat().st_size > server.max_upload_bytes:
            raise GalleryError(
                f"the zip is too large; at most {server.max_upload_bytes:,} bytes are accepted"
            )
        limits = SourceLimits(server.max_unpacked_bytes, server.max_images, public=True)
        config = BuildConfig(limits=limits)
        with self._working(visitor, progress) as checked:  # the visit must not end meanwhile
            identity = source_identity(source, progress=checked)
        with self.visitors.building(visitor, identity, progress=progress) as site:
            change = build(source, site.folder, encoders, config=config, progress=site.progress)
        return site.name, change

    @contextlib.contextmanager
    def _working(self, visitor: str, progress: Progress, *, reserve: int = 0) -> Iterator[Progress]:
        """Keep a visitor's gallery within the server's limits while it is changed."""
        if not self.server.hosted:
            yield progress
            return
        with self.visitors.working(visitor, reserve=reserve, progress=progress) as checked:
            yield checked

    def _encoders(self, gallery: Gallery) -> list[Encoder]:
        gallery.require_images()
        return [self.encoder(name) for name in gallery.encoder_names]


def refuse_shipped(folder: Path) -> None:
    """Refuse to change the gallery that comes with the program.

    Raises:
        GalleryError: when the folder is that gallery.
    """
    if is_shipped(folder):
        raise GalleryError(
            "the gallery that comes with the program is not changed; build one of your own",
            command=("index", "IMAGES", "--out", "galleries/mine"),
        )


def _slug(source: str | Path, progress: Progress) -> str:
    """A folder's name for a source: its last part in plain letters, and what tells it apart."""
    identity = source_identity(source, progress=progress)
    if not Path(source).is_file():
        identity = hashlib.sha256(identity.encode()).hexdigest()
    plain = re.sub(r"[^\w.-]+", "-", _called(source)).strip("-.")[:80] or "gallery"
    return f"{plain}-{identity[:8]}"


def _called(source: str | Path) -> str:
    """What people call a source: its last part, without the ending of a zip."""
    last = Path(source).name.partition(":")[0]
    return last[:-4] if last.lower().endswith(".zip") else last


@contextlib.contextmanager
def _told_when_full() -> Iterator[None]:
    """Say what to do when the disk is full."""
    try:
        yield
    except (OSError, GalleryError) as error:
        cause = error.__cause__ if isinstance(error, GalleryError) else error
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            raise GalleryError(
                "the disk is full; free some space and try again: the gallery is as it was before"
            ) from error
        raise
