"""A gallery's long life, with kills: ``python -m benchmarks.scale.life``.

A made gallery is changed many times at random: pictures come, images go, files are renamed, images
are opted out and back in. Many changes are killed at one of their writes, and then given again or
not. After each the gallery must be whole, in the state before or after, and no image's features may
ever change. See :mod:`benchmarks.campaign.kills` for every moment of single changes. A life that is
interrupted goes on where it was, in the folder ``--place``.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import core.gallery.parts
from benchmarks.campaign.children import ended, outcome
from benchmarks.campaign.corpus import picture
from benchmarks.campaign.faults import Fault, install
from benchmarks.scale.store import made
from benchmarks.scale.table import keep, write_page
from core.encoders.load import load_encoder
from core.gallery.build import update
from core.gallery.gallery import SHIPPED, Gallery
from core.gallery.opting import opt_in, opt_out
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.verify import verify
from core.images.files import file_digest, read_json, write_json

_KILLED = 0.5
"""Share of the changes that are killed, where they come so far."""
_MOMENTS = 160  # writes of a change, about: packs of thumbnails are many
_AT_ONCE = 40  # pictures that come or images that go, at most
_SECONDS = 3_600.0  # that a change or a look at the gallery may take

Images = Mapping[int, str]
"""Hash of what is stored of every image, by its id."""


@dataclass(frozen=True)
class Change:
    """A change, and what it may do: all of it or nothing."""

    work: Callable[[], object]
    gone: frozenset[int] = frozenset()
    """Images that go."""
    come: int = 0
    """How many come."""


@dataclass(frozen=True)
class Look:
    """What a gallery is found to be."""

    images: Images
    here: int
    """Files there whose contents it holds, whatever they are called."""
    out: tuple[int, ...]
    parts: int
    damages: tuple[str, ...]


class Life:
    """One gallery, what it should hold, and what happened to it."""

    def __init__(self, folder: Path, images: int, *, seed: int) -> None:
        self.folder, self.photos, self.state = folder / "g", folder / "photos", folder / "life.json"
        self.encoders = [load_encoder("thumbnail"), load_encoder("edges")]
        self.rng, self.drawn, self.counts = np.random.default_rng(seed), 0, Counter[str]()
        self.most, self.changes = 0, 0
        if self.state.is_file():
            found = read_json(self.state)
            self.rng.bit_generator.state = found["rng"]
            self.drawn, self.counts = found["drawn"], Counter(found["counts"])
            self.most, self.changes = found["most"], found["changes"]
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.photos.mkdir(exist_ok=True)
            source = Gallery.open(SHIPPED, read_only=True)
            begin = partial(made, self.folder, images, source=source, photos=self.photos)
            _done(partial(begin, encoders=self.encoders))
        self.now = self.look()
        self.most = max(self.most, self.now.parts)
        self._keep()

    def _keep(self) -> None:
        """Write down how far it is, to go on from there."""
        names = ("drawn", "counts", "most", "changes")
        found = {name: getattr(self, name) for name in names}
        write_json(self.state, found | {"rng": self.rng.bit_generator.state})

    def look(self) -> Look:
        """What the gallery is; a child looks, so that no thread is at work where others fork."""
        found = ended(partial(_look, self.folder), seconds=_SECONDS).value
        assert isinstance(found, Look), "it cannot be opened"
        return found

    def change(self) -> None:
        """Change it once, in a child that may be killed, and see that it is whole."""
        kinds = {"add": self._add, "remove": self._remove, "rename": self._rename, "opt": self._opt}
        name = str(self.rng.choice(list(kinds), p=[0.4, 0.35, 0.15, 0.1]))
        change = kinds[name]()
        killed = self.rng.random() < _KILLED
        fault = Fault("kill", int(self.rng.integers(_MOMENTS))) if killed else Fault("none")
        before = self.now
        end = ended(partial(_attempt, change.work, self.folder, fault), seconds=_SECONDS)
        self.counts[f"{name}, killed" if end.signal else name] += 1
        assert end.signal or end.value[0] == "done", (name, end)
        self._judge(name, change, before)
        if end.signal and self.rng.random() < 0.5:
            again = ended(partial(outcome, change.work), seconds=_SECONDS).value
            assert again[0] == "done", (name, again)
            self._judge(f"{name} again", change, before)
        self.changes += 1
        self._keep()

    def _judge(self, name: str, change: Change, before: Look) -> None:
        """See that the gallery is whole, and as it was before the change or shall be after it."""
        found = self.look()
        changed = [i for i, v in found.images.items() if before.images.get(i, v) != v]
        gone, come = before.images.keys() - found.images, found.images.keys() - before.images
        assert not found.damages, (name, found.damages[:3])
        assert not changed, (name, f"what is stored of {changed[:9]} is something else now")
        assert gone in (set(), change.gone), (name, f"{len(gone)} images went")
        assert len(come) in (0, change.come), (name, f"{len(come)} images came")
        self.now, self.most = found, max(self.most, found.parts)

    def _add(self) -> Change:
        count = int(self.rng.integers(1, _AT_ONCE + 1))
        for number in range(self.drawn, self.drawn + count):
            picture(number, 64).save(self.photos / f"{number:06}.png")
        self.drawn += count
        return self._index()

    def _rename(self) -> Change:
        change, files = self._index(), sorted(self.photos.iterdir())
        for place in self.rng.permutation(len(files))[:3].tolist():
            files[place].rename(files[place].with_name(f"r{files[place].name}"))
        return change

    def _index(self) -> Change:
        """Bring it up to date; pictures of a call that was killed and not given again come too."""
        work = partial(update, self.folder, Source(self.photos), self.encoders)
        return Change(work, come=len([*self.photos.iterdir()]) - self.now.here)

    def _remove(self) -> Change:
        ids = self._some(int(self.rng.integers(1, _AT_ONCE + 1)))
        for path in ended(partial(_paths, self.folder, ids), seconds=_SECONDS).value:
            (self.photos / path).unlink(missing_ok=True)
        return Change(partial(_remove_there, self.folder, ids), gone=frozenset(ids))

    def _opt(self) -> Change:
        back = set(self.now.out).intersection(self.now.images)
        return Change(partial(opt_in if back else opt_out, self.folder, back or self._some(5)))

    def _some(self, count: int) -> set[int]:
        return {*self.rng.permutation(list(self.now.images))[:count].tolist()}


def _look(folder: Path) -> Look:
    gallery = Gallery.open(folder, whole=True)
    names = [f"{key}/features.npy" for key in gallery.encoder_keys]
    arrays = [np.asarray(gallery.contents.array(name)) for name in names]
    found: dict[int, str] = {}
    for row, (number, sha) in enumerate(
        zip(gallery.records.ids, gallery.records.texts("sha256"), strict=True)
    ):
        digest = hashlib.blake2b(sha.encode(), digest_size=8)
        for array in arrays:
            digest.update(array[row])
        found[number] = digest.hexdigest()
    held = {*gallery.records.texts("sha256")}
    here = sum(file_digest(path) in held for path in gallery.root.iterdir())
    damages = tuple(f"{damage.file} {damage.what}" for damage in verify(folder))
    return Look(found, here, gallery.header.opted_out, len(gallery.contents.parts), damages)


def _paths(folder: Path, ids: set[int]) -> list[str]:
    gallery = Gallery.open(folder, whole=True)
    return [gallery.records[gallery.row_of[number]].path for number in sorted(ids)]


def _remove_there(folder: Path, ids: set[int]) -> None:
    """Remove images that are still there: the call may be one that is given again."""
    remove(folder, ids & Gallery.open(folder, whole=True).row_of.keys())


def _attempt(work: Callable[[], object], folder: Path, fault: Fault) -> tuple[str, str]:
    install(fault, folder)
    return outcome(work)


def _done(work: Callable[[], object]) -> None:
    how = ended(partial(outcome, work), seconds=_SECONDS).value
    assert how == ("done", ""), how


def main() -> None:
    """Live, and store how it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=320_000)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--small", type=int, default=core.gallery.parts.SMALL)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--place", type=Path, help="a folder, to go on there later")
    options = parser.parse_args()
    core.gallery.parts.SMALL = options.small
    with tempfile.TemporaryDirectory(prefix="wellspring-life-") as folder:
        life = Life(options.place or Path(folder), options.images, seed=options.seed)
        while life.changes < options.changes:
            life.change()
            words = f"{life.changes:4}: {len(life.now.images):,} images in {life.now.parts} parts"
            print(words, flush=True)  # noqa: T201 - what it is for
    found = {
        "command": f"python -m benchmarks.scale.life --images {options.images} "
        f"--changes {options.changes} --small {options.small} --seed {options.seed}",
        "changes": dict(life.counts),
        "images": len(life.now.images),
        "parts": life.most,
    }
    keep(life=found)
    write_page()


if __name__ == "__main__":
    main()
