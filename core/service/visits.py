"""Where visitors' galleries lie on the disk, and what a restart finds there again."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.images.files import read_json, temporary_folder, write_json

VISITOR = re.compile(r"[A-Za-z0-9_-]{8,64}")
"""What a visitor's name looks like: such names alone are folders here."""

logger = logging.getLogger(__name__)
_NOTE = "unfinished.json"


@dataclass(frozen=True)
class EarlierVisit:
    """A visit of before a restart."""

    visitor: str
    age: float
    """Seconds since it was last used."""
    unfinished: tuple[str, str]
    """Source and name of a gallery whose build did not end; empty texts for none."""


class VisitFolders:
    """A folder for every visitor, below one that stays or one that goes with the process."""

    def __init__(self, kept: Path | None) -> None:
        """Open the folder; another process that has it keeps it for itself.

        Args:
            kept: the folder that stays; ``None`` for one that goes with this object.
        """
        if kept is not None and self._take(kept):
            self.root = kept
        else:
            opened = contextlib.ExitStack()
            self.root = opened.enter_context(temporary_folder("visitors"))
            weakref.finalize(self, opened.close)

    def of(self, visitor: str) -> Path:
        """A visitor's folder, which is now in use."""
        folder = self.root / visitor
        (folder / "galleries").mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        return folder

    def earlier(self) -> Iterator[EarlierVisit]:
        """The visits of before a restart."""
        for folder in self.root.iterdir():
            if folder.is_dir() and VISITOR.fullmatch(folder.name):
                age = max(time.time() - folder.stat().st_mtime, 0.0)
                yield EarlierVisit(folder.name, age, self._noted(folder))

    def note(self, visitor: str, source: str, name: str) -> None:
        """Note a build that has begun, so that the same source goes on with it."""
        write_json(self.root / visitor / _NOTE, {"source": source, "name": name})

    def forget(self, visitor: str) -> None:
        """Forget the build that was noted."""
        (self.root / visitor / _NOTE).unlink(missing_ok=True)

    def _take(self, kept: Path) -> bool:
        kept.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(kept / "lock")
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            logger.warning(
                "another server keeps its visitors' galleries in the same folder; those of this "
                "one go with it"
            )
            return False
        return True

    @staticmethod
    def _noted(folder: Path) -> tuple[str, str]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            noted = read_json(folder / _NOTE)
            source, name = str(noted["source"]), str(noted["name"])
            if re.fullmatch("[0-9a-f]{32}", name):
                return source, name
        return "", ""
