"""Visitors of a hosted server: galleries of their own, with quota and expiry."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from core.config import ImageLimits, ServerConfig
from core.gallery.build import update
from core.gallery.commit import Change
from core.gallery.source import Source
from core.heads.head import Head
from core.images.archives import unpack_images
from core.images.files import file_digest
from core.values import (
    Cancelled,
    Encoder,
    GalleryError,
    Progress,
    no_progress,
)

_VISITOR = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Visitors:
    """Folders of visitors below one temporary folder, removed a while after their last use."""

    def __init__(
        self, config: ServerConfig, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.config, self.clock = config, clock
        self._root: tempfile.TemporaryDirectory[str] | None = None
        self._used: dict[str, float] = {}
        self._unfinished: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def gallery(self, visitor: str, name: str) -> Path:
        """Folder of a visitor's gallery.

        Raises:
            GalleryError: when this visitor has none of that name.
        """
        folder = self._folder(visitor) / "galleries" / name
        if not re.fullmatch(r"[0-9a-f]{32}", name) or not folder.is_dir():
            raise GalleryError("this gallery is not here, or has expired; upload it again")
        return folder

    def create(
        self,
        visitor: str,
        archive: Path,
        encoders: Sequence[Encoder],
        *,
        patch_heads: Mapping[str, Head] | None = None,
        progress: Progress = no_progress,
    ) -> tuple[str, Change]:
        """Build a gallery from a visitor's zip; it takes the place of the visitor's earlier one.

        Returns:
            The gallery's name, which nobody can guess, and what was built.

        Raises:
            GalleryError: when the archive is refused or over quota.
        """
        self._folder(visitor)
        if archive.is_file() and archive.stat().st_size > self.config.max_upload_bytes:
            raise GalleryError(
                f"the zip is too large; at most {self.config.max_upload_bytes:,} bytes are accepted"
            )
        identity = file_digest(archive) if archive.is_file() else ""
        with self.building(visitor, identity) as (name, target):
            if not (target / "images").is_dir():
                unpack_images(
                    archive,
                    target / "images",
                    max_bytes=self.config.max_unpacked_bytes,
                    max_images=self.config.max_images,
                    limits=ImageLimits(),
                )
            change = update(
                target,
                Source(target / "images"),
                encoders,
                patch_heads=patch_heads,
                progress=progress,
            )
        return name, change

    @contextlib.contextmanager
    def building(self, visitor: str, source: str) -> Iterator[tuple[str, Path]]:
        """A folder to build a visitor's gallery in: its name, which nobody can guess, and its path.

        When the block ends well the gallery takes the place of the visitor's earlier one. What was
        cancelled stays until another ``source`` is begun, and the same one goes on with it;
        whatever else goes wrong removes the folder.

        Raises:
            GalleryError: when the visitor has no session.
        """
        galleries = self._folder(visitor) / "galleries"
        before, name = self._unfinished.pop(visitor, ("", ""))
        if before != source:
            if name:
                shutil.rmtree(galleries / name, ignore_errors=True)
            name = uuid.uuid4().hex
        try:
            yield name, galleries / name
        except Cancelled:
            self._unfinished[visitor] = (source, name)
            raise
        except BaseException:
            shutil.rmtree(galleries / name, ignore_errors=True)
            raise
        for other in galleries.iterdir():
            if other.name != name:
                shutil.rmtree(other, ignore_errors=True)

    def expire(self) -> int:
        """Remove what has not been used for ``session_seconds``; returns how many visitors left."""
        with self._lock:
            late = self.clock() - self.config.session_seconds
            gone = [visitor for visitor, used in self._used.items() if used < late]
            for visitor in gone:
                del self._used[visitor]
                self._unfinished.pop(visitor, None)
                shutil.rmtree(self.root() / visitor, ignore_errors=True)
        return len(gone)

    def _folder(self, visitor: str) -> Path:
        if not _VISITOR.fullmatch(visitor):
            raise GalleryError("galleries of your own need a session; reload the page")
        self.expire()
        with self._lock:
            self._used[visitor] = self.clock()
            folder = self.root() / visitor
            (folder / "galleries").mkdir(parents=True, exist_ok=True)
        return folder

    def root(self) -> Path:
        """The folder of all visitors' galleries, which is made when it is first asked for."""
        if self._root is None:
            self._root = tempfile.TemporaryDirectory(prefix="wellspring-visitors-")
            pause = self.config.session_seconds / 4
            threading.Thread(target=_sweep, args=(weakref.ref(self), pause), daemon=True).start()
        return Path(self._root.name)


def _sweep(visitors: weakref.ref[Visitors], pause: float) -> None:
    """Let what is late expire although nobody comes, for as long as there are visitors' folders."""
    while True:
        time.sleep(pause)
        found = visitors()
        if found is None:
            return
        found.expire()
        del found  # while this sleeps, it does not keep them
