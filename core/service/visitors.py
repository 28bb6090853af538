"""Visitors of a hosted server: galleries of their own, within limits, removed after a while."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.config import ServerConfig
from core.images.files import folder_size
from core.service.visits import VISITOR, VisitFolders
from core.values import Cancelled, GalleryError, Progress, no_progress

_PAUSE = 1.0  # seconds between two looks at the size of a gallery that is being built
_FULL = (
    "the server has no room for another gallery at the moment; try again in some minutes, with "
    "fewer images, or run the program on a machine of your own"
)

_ENOUGH = "your gallery is being built or changed; wait until that is done, or stop it"


@dataclass(frozen=True)
class Site:
    """Where a visitor's gallery is being built."""

    name: str
    """Name of the gallery, which nobody can guess."""
    folder: Path
    progress: Progress
    """To be called while building: it also keeps the gallery within the server's limits."""


@dataclass
class _Visit:
    """What is known of one visitor."""

    used: float
    """When the visitor was last here, seconds of the clock."""
    works: int = 0
    """Galleries that are being built or changed; a visit with any never ends."""
    size: int = 0
    """Bytes that the visitor's galleries take, or may come to take while one is being built."""
    unfinished: tuple[str, str] = ("", "")
    """Source and name of a gallery whose build was cancelled."""
    building: bool = False
    """Whether a new gallery is being built."""


class Visitors:
    """Folders of visitors below one folder, removed a while after their last use."""

    def __init__(
        self, config: ServerConfig, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.config, self.clock = config, clock
        self._folders: VisitFolders | None = None
        self._visits: dict[str, _Visit] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        if config.visitors is not None:
            self.root()  # what a restart finds there expires although nobody comes

    def gallery(self, visitor: str, name: str) -> Path:
        """Folder of a visitor's gallery; a visit that keeps none does not begin by asking.

        Raises:
            GalleryError: when this visitor has none of that name.
        """
        self._require(visitor)
        with self._lock:
            begun = visitor in self._visits
            folder = self._folder(visitor) / "galleries" / name if begun else None
        if folder is None or not re.fullmatch(r"[0-9a-f]{32}", name) or not folder.is_dir():
            raise GalleryError("this gallery is not here, or has expired; upload it again")
        return folder

    @contextlib.contextmanager
    def building(
        self, visitor: str, source: str, *, progress: Progress = no_progress
    ) -> Iterator[Site]:
        """A folder to build a visitor's gallery in.

        When the block ends well the gallery takes the place of the visitor's earlier one. What was
        cancelled stays until another source is begun, and the same source goes on with it; whatever
        else goes wrong removes the folder.

        Args:
            visitor: whose gallery it is.
            source: what it is built from, as a text that is the same for the same images.
            progress: called by the site's own progress; may raise ``Cancelled``.

        Raises:
            GalleryError: when the visitor has no session, or the server is full or busy.
        """
        most = self.config.max_unpacked_bytes
        with (
            self.working(visitor, reserve=most, progress=progress) as checked,
            self._alone(visitor),
        ):
            galleries = self.root() / visitor / "galleries"
            name = self._begin(visitor, source)
            try:
                yield Site(name, galleries / name, checked)
            except Cancelled:
                self._visits[visitor].unfinished = (source, name)
                raise
            except BaseException:
                shutil.rmtree(galleries / name, ignore_errors=True)
                self.folders().forget(visitor)
                raise
            self.folders().forget(visitor)
            for other in galleries.iterdir():
                if other.name != name:
                    shutil.rmtree(other, ignore_errors=True)

    @contextlib.contextmanager
    def working(
        self, visitor: str, *, reserve: int = 0, progress: Progress = no_progress
    ) -> Iterator[Progress]:
        """Keep a visit while a gallery of it is built or changed, within the server's limits.

        Args:
            visitor: whose gallery it is.
            reserve: bytes that the work may take at first, before it calls its progress.
            progress: called by the progress that the block gets; may raise ``Cancelled``.

        Raises:
            GalleryError: when the visitor has no session, or the server is full or busy. The
                progress raises it too, once the server is full.
        """
        with self._lock:
            folder = self._folder(visitor)
            try:
                self._admit(visitor)
            except GalleryError:
                self._end_empty(visitor)
                raise
            visit = self._visits[visitor]
            before = folder_size(folder)
            visit.works += 1
        try:
            self._take(visitor, before + reserve)
            yield self._checked(visitor, least=before + reserve, progress=progress)
        finally:
            with self._lock:
                visit.works -= 1
                visit.used, visit.size = self.clock(), folder_size(folder)
                self._end_empty(visitor)

    def usage(self) -> tuple[int, int, int]:
        """Visitors, galleries that are built or changed, and bytes that all galleries take."""
        with self._lock:
            works = sum(visit.works for visit in self._visits.values())
            return len(self._visits), works, self._taken()

    def stop(self) -> None:
        """Stop what is built when it next reports, and begin nothing: the server ends."""
        self._stopping.set()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is built any more; whether that came in time."""
        until = time.monotonic() + seconds
        while self.usage()[1]:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def expire(self) -> int:
        """Remove what has not been used for ``session_seconds``; returns how many visitors left."""
        with self._lock:
            late = self.clock() - self.config.session_seconds
            gone = [name for name, visit in self._idle() if visit.used < late]
            for visitor in gone:
                self._remove(visitor)
        return len(gone)

    def _admit(self, visitor: str) -> None:
        """Refuse work that would be too much at once.

        Raises:
            GalleryError: when the server ends, or it or the visitor has enough to do.
        """
        if self._stopping.is_set():
            raise GalleryError("the server is about to start anew; try again in a minute")
        if sum(visit.works for visit in self._visits.values()) >= self.config.max_builds:
            raise GalleryError(
                "the server is building as many galleries as it can at once; try again in some "
                "minutes"
            )
        if self._visits[visitor].works >= self.config.max_visitor_builds:
            raise GalleryError(_ENOUGH)

    @contextlib.contextmanager
    def _alone(self, visitor: str) -> Iterator[None]:
        """Build one new gallery of a visitor at a time: it takes the place of all others."""
        with self._lock:
            visit = self._visits[visitor]
            if visit.building:
                raise GalleryError(_ENOUGH)
            visit.building = True
        try:
            yield
        finally:
            visit.building = False

    def _begin(self, visitor: str, source: str) -> str:
        """The name of a gallery to build: that of cancelled work on the source, or a new one."""
        with self._lock:
            visit = self._visits[visitor]
            (before, name), visit.unfinished = visit.unfinished, ("", "")
        if before != source:
            if name:
                shutil.rmtree(self.root() / visitor / "galleries" / name, ignore_errors=True)
            name = uuid.uuid4().hex
        self.folders().note(visitor, source, name)
        return name

    def _checked(self, visitor: str, *, least: int, progress: Progress) -> Progress:
        """Progress that measures the visitor's folder now and then and sees that there is room."""
        folder, looked = self.root() / visitor, self.clock()

        def report(done: int, total: int, what: str) -> None:
            nonlocal looked
            if self._stopping.is_set():
                raise Cancelled("the server ends")
            progress(done, total, what)
            if self.clock() - looked >= _PAUSE:
                self._take(visitor, max(least, folder_size(folder)))
                looked = self.clock()

        return report

    def _take(self, visitor: str, size: int) -> None:
        """Let a visitor's galleries have a size; for room, the visits idle for longest end.

        Raises:
            GalleryError: when that is not enough.
        """
        with self._lock:
            self._visits[visitor].size = size
            idle = sorted(self._idle(), key=lambda each: each[1].used, reverse=True)
            others = [name for name, _ in idle if name != visitor]
            while self._taken() > self.config.max_total_bytes:
                if not others:
                    raise GalleryError(_FULL)
                self._remove(others.pop())

    def _taken(self) -> int:
        return sum(visit.size for visit in self._visits.values())

    def _idle(self) -> list[tuple[str, _Visit]]:
        return [(name, visit) for name, visit in self._visits.items() if not visit.works]

    def _end_empty(self, visitor: str) -> None:
        """End a visit in which nothing is kept or made."""
        visit = self._visits[visitor]
        if visit.works or any((self.root() / visitor / "galleries").iterdir()):
            return
        self._remove(visitor)

    def _remove(self, visitor: str) -> None:
        del self._visits[visitor]
        shutil.rmtree(self.root() / visitor, ignore_errors=True)

    def _folder(self, visitor: str) -> Path:
        """The visitor's folder; the visit begins or goes on.

        Raises:
            GalleryError: when the visitor has no session.
        """
        self._require(visitor)
        with self._lock:
            self._visits.setdefault(visitor, _Visit(0.0)).used = self.clock()
            return self.folders().of(visitor)

    def _require(self, visitor: str) -> None:
        """Let the visits end that are late.

        Raises:
            GalleryError: when the visitor has no session.
        """
        if not VISITOR.fullmatch(visitor):
            raise GalleryError("galleries of your own need a session; reload the page")
        self.folders()
        self.expire()

    def root(self) -> Path:
        """The folder of all visitors' galleries, which is made when it is first asked for."""
        return self.folders().root

    def folders(self) -> VisitFolders:
        """The folders, opened when they are first asked for, with the visits found there."""
        with self._lock:
            if self._folders is None:
                self._folders = VisitFolders(self.config.visitors)
                for visit in self._folders.earlier():
                    size = folder_size(self._folders.root / visit.visitor)
                    used = self.clock() - visit.age
                    self._visits[visit.visitor] = _Visit(used, 0, size, visit.unfinished)
                pause = self.config.session_seconds / 4
                sweep = threading.Thread(
                    target=_sweep, args=(weakref.ref(self), pause), daemon=True
                )
                sweep.start()
            return self._folders


def _sweep(visitors: weakref.ref[Visitors], pause: float) -> None:
    """Let what is late expire although nobody comes, for as long as there are visitors' folders."""
    while True:
        time.sleep(pause)
        found = visitors()
        if found is None:
            return
        found.expire()
        del found  # while this sleeps, it does not keep them
