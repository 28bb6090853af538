"""Changes of small galleries, and folders of made pictures that they begin with."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import core.gallery.parts
from benchmarks.campaign.children import Budget, ended
from benchmarks.campaign.corpus import picture
from benchmarks.campaign.faults import Fault, Points, install
from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.blocklist import Blocklist
from core.gallery.build import update
from core.gallery.gallery import ARTEFACTS, Gallery
from core.gallery.opting import opt_out
from core.gallery.remove import remove
from core.gallery.source import Source
from core.images.files import file_digest
from core.service.building import bring_up, build
from core.service.choice import Choice
from core.service.session import Session

importlib.import_module("pandas")  # PyArrow's first table imports it: once, not in every child
importlib.import_module("timm")  # with it torch makes a temporary folder of its own

_IMAGES, _NEW = 12, 4
MOVED = "moved.png"
"""A picture that keeps its title when it moves, unless it could not be read just then: no row of
the metadata names it."""
_LARGER = 20  # as many are laid out by UMAP, fewer by principal components
_SHARDS = BuildConfig(batch=2, shard=4)

State = Mapping[str, Any]


@dataclass(frozen=True)
class Operation:
    """A change of the gallery ``g`` beside the pictures ``photos`` in a folder."""

    name: str
    begin: str
    """Name of the folder that it begins with."""
    run: Callable[[Path], object]
    """May be called again when it is done, and changes nothing then."""
    before: Callable[[Path], object] = lambda _: None
    """What people do before it: pictures that come, change and go."""
    finishes: bool = True
    """Whether all that can be computed ahead is there when it is done: a reader keeps what it
    needs, and needs no neighbours where what follows from them is there."""
    slow: bool = False
    """Whether it takes a quarter of a minute: it is tried less, and in no quick run."""


def _draw(path: Path, seed: int) -> None:
    picture(seed, 64).save(path)


def _photos(folder: Path, images: int = _IMAGES) -> None:
    folder.mkdir()
    for number in range(images):
        _draw(folder / f"{number:02}.png", number)
    rows = "".join(f"{number:02}.png,picture {number}\n" for number in range(images))
    (folder / "metadata.csv").write_text(f"file_name,title\n{rows}", encoding="utf-8")
    shutil.make_archive(str(folder), "zip", folder)


def _pictures_come_change_and_go(world: Path) -> None:
    for number in range(_NEW):
        _draw(world / "photos" / f"new-{number}.png", 100 + number)
    _draw(world / "photos" / "00.png", 200)
    (world / "photos" / "01.png").rename(world / "photos" / MOVED)
    (world / "photos" / "02.png").unlink()


def _index(world: Path) -> None:
    update(world / "g", Source(world / "photos"), [load_encoder("histogram")], config=_SHARDS)


def _add(world: Path) -> None:
    source = Source(world / "photos", prune=True)
    update(world / "g", source, [load_encoder("histogram")], config=_SHARDS)


def _index_zip(world: Path) -> None:
    build(world / "photos.zip", world / "g", [load_encoder("histogram")])


def _another_encoder(world: Path) -> None:
    encoders = [load_encoder(name) for name in ("histogram", "thumbnail")]
    bring_up(world / "g", Source(world / "photos"), encoders)


def _remove(world: Path, *, block: bool) -> None:
    there = Gallery.open(world / "g", whole=True).row_of.keys()
    remove(world / "g", there & {1, 2, 7}, block=block)


def _in_parts(work: Callable[[Path], object], world: Path) -> None:
    """Change a small gallery as a large one is changed, whose parts stay; in a child only."""
    core.gallery.parts.SMALL = 0
    work(world)


def _add_in_parts(world: Path) -> None:
    _index(world)
    _pictures_come_change_and_go(world)
    _in_parts(_add, world)


def _remove_from_parts(world: Path) -> None:
    """Take images from a part that stays, and most of one that is written anew then."""
    there = Gallery.open(world / "g", whole=True).row_of.keys()
    _in_parts(lambda place: remove(place / "g", there & {1, 7, 12, 13, 14}), world)


def _opt_out(world: Path) -> None:
    opt_out(world / "g", [3, 4])


def _refit(world: Path) -> None:
    session = Session()
    choice = Choice("random", "center", str(world / "g"))
    session.workspace(choice)
    session.layout(choice)


OPERATIONS = (
    Operation("index a folder", "photos", _index),
    Operation("index a zip", "photos", _index_zip),
    Operation("add, change, move and prune", "indexed", _add, _pictures_come_change_and_go),
    Operation("describe by another encoder", "indexed", _another_encoder),
    Operation("add as a part", "indexed", partial(_in_parts, _add), _pictures_come_change_and_go),
    Operation("remove from parts", "parts", _remove_from_parts),
    Operation("describe parts by another encoder", "parts", _another_encoder),
    Operation("remove", "mapped", partial(_remove, block=False)),
    Operation("remove for good", "indexed", partial(_remove, block=True)),
    Operation("opt out", "mapped", _opt_out),
    Operation("refit head, null and map", "fitted", _refit, finishes=False),
    Operation("refit head, null and map by UMAP", "larger", _refit, finishes=False, slow=True),
)


def some_of(operations: Sequence[Operation], *, quick: bool, budget: Budget) -> list[Operation]:
    """All that are tried, or some of them at even steps."""
    tried = [one for one in operations if not (quick and one.slow)]
    return tried[:: len(tried) // budget.count(len(tried))]


@dataclass
class Undisturbed:
    """What a change does when nothing goes wrong."""

    before: State
    after: State
    points: Points
    """Moments at which something can go wrong."""
    sizes: tuple[int, ...]
    """Bytes of the files that it has written."""
    seconds: float = 0.0
    """What it takes in a process of its own."""


class Worlds:
    """Folders that operations begin with, made once; each attempt gets a copy at one place."""

    def __init__(self, folder: Path, operations: Sequence[Operation]) -> None:
        self._folder, self.world = folder, folder / "world"
        self.operations = tuple(operations)
        made = {
            "photos": None,
            "indexed": _index,
            "parts": _add_in_parts,
            "fitted": self._fit,
            "mapped": self._map,
            "larger": self._fit,
        }
        for name in dict.fromkeys(one.begin for one in self.operations):
            make = made[name]
            self.world.mkdir()
            _photos(self.world / "photos", _LARGER if name == "larger" else _IMAGES)
            if make:
                assert ended(partial(_true, make, self.world)).value, f"{name} cannot be made"
            self.world.rename(folder / name)
        self.ends: dict[str, Undisturbed] = {}
        for operation in self.operations:
            self.fresh(operation)
            began = time.monotonic()
            done = ended(partial(_change, operation, self.world)).value
            took = time.monotonic() - began
            assert done, f"{operation.name} fails by itself"
            self.fresh(operation)
            found = ended(partial(_whole_run, operation, self.world)).value
            assert found is not None, f"{operation.name} fails when it is watched"
            found.seconds = took
            self.ends[operation.name] = found

    @staticmethod
    def _fit(world: Path) -> None:
        bring_up(world / "g", Source(world / "photos"), [load_encoder("random")])

    @staticmethod
    def _map(world: Path) -> None:
        Worlds._fit(world)
        _refit(world)

    def fresh(self, operation: Operation) -> Path:
        """The folder as it is before an operation, with a place for its temporary files."""
        shutil.rmtree(self.world, ignore_errors=True)
        shutil.copytree(self._folder / operation.begin, self.world)
        operation.before(self.world)
        temporary_in(self.world).mkdir()
        return self.world


def temporary_in(world: Path) -> Path:
    """Where what is done in a world keeps its temporary files: nothing may stay there."""
    return world / "temporary"


def run_in(operation: Operation, world: Path) -> None:
    """Change a gallery in this process and those that it starts; in a child only."""
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary_in(world))
    operation.run(world)


def _true(work: Callable[[Path], object], world: Path) -> bool:
    work(world)
    return True


def _change(operation: Operation, world: Path) -> bool:
    run_in(operation, world)
    return True


def _whole_run(operation: Operation, world: Path) -> Undisturbed:
    """The states before and after, and the moments at which something can go wrong."""
    before, there = state(world / "g"), _files(world)
    points = install(Fault("none"), world)
    run_in(operation, world)
    counted = Points(points.writes, points.needs_space, points.opens, points.reads, points.read)
    new = _files(world) - there
    return Undisturbed(before, state(world / "g"), counted, tuple(size for _, size, _ in new))


def _files(world: Path) -> set[tuple[Path, int, int]]:
    """Files with their sizes and the times of their last change."""
    found = ((path, path.stat()) for path in world.rglob("*") if path.is_file())
    return {(path, stat.st_size, stat.st_mtime_ns) for path, stat in found}


def state(folder: Path) -> State:
    """All that a gallery says of its images, and what follows from them, such as a head and a map.

    Nothing where its first build is not done.
    """
    if not (folder / "gallery.json").exists():
        return {}
    gallery = Gallery.open(folder, whole=True)
    if gallery.header.generation == 0:
        return {}
    arrays = {key: gallery.contents.array(f"{key}/features.npy") for key in gallery.encoder_keys}
    features = {key: np.asarray(array).tobytes() for key, array in arrays.items()}
    images = [(r.id, r.path, r.sha256, r.phash, r.title) for r in gallery.records]
    blocked = [image.phash for image in Blocklist(folder).images]
    return {
        "images": images,
        "features": features,
        "opted out": gallery.header.opted_out,
        "blocked": blocked,
        KEPT: dict(_kept(gallery.folder)),
    }


KEPT = "kept"
"""What follows from the images of a generation, by where it lies."""


_MEMORIES = ("crops-", "near-")
"""What only spares a second look at the same pairs, and differs by what was asked before."""


def _kept(generation: Path) -> Iterator[tuple[str, str]]:
    for folder in sorted(generation.glob(f"{ARTEFACTS}*/[!.]*")):
        if folder.name.startswith(_MEMORIES):
            continue
        digests = [f"{path.name} {file_digest(path)}" for path in sorted(folder.iterdir())]
        yield folder.relative_to(generation).as_posix(), "\n".join(digests)
