"""Changes of a gallery that are killed, run out of space or cannot read, and what is left then."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import core.gallery.parts
from benchmarks.campaign.children import Budget, Ended, ended, outcome, scratch
from benchmarks.campaign.corpus import picture
from benchmarks.campaign.faults import Fault, Kind, Points, install
from benchmarks.campaign.table import Row
from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.blocklist import Blocklist
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.opting import opt_out
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.verify import verify
from core.service.building import bring_up, build
from core.service.choice import Choice
from core.service.session import Session

importlib.import_module("pandas")  # PyArrow's first table imports it: once, not in every child

_IMAGES, _NEW = 12, 4
_SHARDS = BuildConfig(batch=2, shard=4)
_TORN = (64, 300, 700, 1_500, 3_000)  # bytes of a file before it is torn, about

_MOMENTS: Mapping[str, tuple[Kind, str]] = {
    "writes": ("kill", "writes"),
    "full": ("full", "needs_space"),
    "unreadable": ("unreadable", "reads"),
}

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
    each: bool = False
    """Whether a quick run too kills it at each of its writes."""


def _draw(path: Path, seed: int) -> None:
    picture(seed, 64).save(path)


def _photos(folder: Path) -> None:
    folder.mkdir()
    for number in range(_IMAGES):
        _draw(folder / f"{number:02}.png", number)
    rows = "".join(f"{number:02}.png,picture {number}\n" for number in range(_IMAGES))
    (folder / "metadata.csv").write_text(f"file_name,title\n{rows}", encoding="utf-8")
    shutil.make_archive(str(folder), "zip", folder)


def _pictures_come_change_and_go(world: Path) -> None:
    for number in range(_NEW):
        _draw(world / "photos" / f"new-{number}.png", 100 + number)
    _draw(world / "photos" / "00.png", 200)
    (world / "photos" / "01.png").rename(world / "photos" / "moved.png")
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
    Operation(
        "add as a part",
        "indexed",
        partial(_in_parts, _add),
        _pictures_come_change_and_go,
        each=True,
    ),
    Operation("remove from parts", "parts", _remove_from_parts, each=True),
    Operation("describe parts by another encoder", "parts", _another_encoder),
    Operation("remove", "indexed", partial(_remove, block=False)),
    Operation("remove for good", "indexed", partial(_remove, block=True)),
    Operation("opt out", "indexed", _opt_out),
    Operation("refit head, null and map", "fitted", _refit),
)


class Worlds:
    """Folders that operations begin with, made once; each attempt gets a copy at one place."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.world = folder, folder / "world"
        made = {"photos": None, "indexed": _index, "parts": _add_in_parts, "fitted": self._fit}
        for name, make in made.items():
            self.world.mkdir()
            _photos(self.world / "photos")
            if make:
                assert ended(partial(_true, make, self.world)).value, f"{name} cannot be made"
            self.world.rename(folder / name)
        self.ends: dict[str, tuple[State, State, Points]] = {}
        for operation in OPERATIONS:
            self.fresh(operation)
            found = ended(partial(_whole_run, operation, self.world)).value
            assert found is not None, f"{operation.name} fails by itself"
            self.ends[operation.name] = found

    @staticmethod
    def _fit(world: Path) -> None:
        bring_up(world / "g", Source(world / "photos"), [load_encoder("random")])

    def fresh(self, operation: Operation) -> Path:
        """The folder as it is before an operation."""
        shutil.rmtree(self.world, ignore_errors=True)
        shutil.copytree(self._folder / operation.begin, self.world)
        operation.before(self.world)
        return self.world


def _true(work: Callable[[Path], object], world: Path) -> bool:
    work(world)
    return True


def _whole_run(operation: Operation, world: Path) -> tuple[State, State, Points]:
    """The states before and after, and the moments at which something can go wrong."""
    before = state(world / "g")
    points = install(Fault("none"), world)
    operation.run(world)
    counted = Points(points.writes, points.needs_space, points.reads)
    return before, state(world / "g"), counted


def state(folder: Path) -> State:
    """All that a gallery says of its images; nothing where its first build is not done."""
    if not (folder / "gallery.json").exists():
        return {}
    gallery = Gallery.open(folder, whole=True)
    if gallery.header.generation == 0:
        return {}
    features = {
        key: gallery.contents.array(f"{key}/features.npy").tobytes() for key in gallery.encoder_keys
    }
    images = [(r.id, r.path, r.sha256, r.phash, r.title) for r in gallery.records]
    blocked = [image.phash for image in Blocklist(folder).images]
    return {
        "images": images,
        "features": features,
        "opted out": gallery.header.opted_out,
        "blocked": blocked,
    }


def _attempt(operation: Operation, world: Path, fault: Fault) -> tuple[str, str]:
    install(fault, world)
    return outcome(lambda: operation.run(world))


def _afterwards(
    operation: Operation, world: Path, ends: tuple[State, State], *, some: bool
) -> list[str]:
    """What is not as promised after a fault, and after the same command was given again."""
    found: list[str] = []
    folder = world / "g"
    how, why = outcome(lambda: found.extend(_damage(folder, ends, some=some)))
    if how != "done":
        found.append(f"cannot be opened: {why}")
    how, why = outcome(lambda: operation.run(world))
    if how != "done":
        return [*found, f"the same command does not complete: {why}"]
    found += [f"afterwards {what}" for what in _damage(folder, ends[1:], some=some)]
    return found + [f"left behind: {path}" for path in _left_behind(world)]


def _damage(folder: Path, allowed: Sequence[State], *, some: bool) -> Iterator[str]:
    """What is wrong with a gallery that must be in an allowed state.

    Args:
        folder: the gallery.
        allowed: its states.
        some: whether new images may be missing, which could not be read and were left out.
    """
    now = state(folder)
    if not (some and _is_between(now, allowed)) and now not in (*allowed, *_blocked_first(allowed)):
        differ = sorted(name for name in now if now[name] != allowed[-1].get(name))
        yield f"its state is neither that before nor that after ({', '.join(differ)})"
    if (folder / "gallery.json").exists():
        for damage in verify(folder):
            yield f"{damage.file} is {damage.what}"


def _blocked_first(allowed: Sequence[State]) -> Iterator[State]:
    """Images are blocked before they are taken out, so that none comes back meanwhile."""
    if len(allowed) > 1 and allowed[0]:
        yield {**allowed[0], "blocked": allowed[-1]["blocked"]}


def _is_between(now: State, allowed: Sequence[State]) -> bool:
    """Whether all images are there that stay, and none that never was; numbers do not count."""
    sets = [{image[1:] for image in one.get("images", ())} for one in (now, *allowed)]
    return set.intersection(*sets[1:]) <= sets[0] <= set.union(*sets[1:])


def _left_behind(world: Path) -> Iterator[str]:
    """Files that nobody needs any more."""
    hidden = (p for p in world.rglob(".*") if p.name != ".source")
    yield from (path.relative_to(world).as_posix() for path in hidden)
    if (world / "g" / "work").exists():
        yield "g/work"
    gallery = Gallery.open(world / "g", whole=True)
    current = gallery.header.generation
    for path in (world / "g" / "generations").iterdir():
        if path.name not in (str(current), str(current - 1)):
            yield path.relative_to(world).as_posix()
    named = {gallery.folder / part.name for part in gallery.contents.parts}
    yield from (p.as_posix() for p in gallery.folder.glob("parts/*") if p not in named)
    needed = {record.sha256 for record in gallery.stored}
    for path in (world / "g" / "thumbnails").glob("*/*"):
        if path.stem not in needed:
            yield path.relative_to(world).as_posix()


_WORDS = {
    "writes": "killed at a write",
    "moments": "killed at a random moment",
    "torn": "killed in the middle of a write",
    "full": "a full disk",
    "unreadable": "a file that cannot be read",
}
_COUNTS = {"writes": 10_000, "moments": 200, "torn": 100, "full": 100, "unreadable": 100}
_QUICK = {"writes": 24, "moments": 4, "torn": 4, "full": 8, "unreadable": 4}
# Kills at writes are at most as many as there are writes.


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Try every kind of fault on every operation, in turn."""
    rng, counts = np.random.default_rng(seed), _QUICK if quick else _COUNTS
    with scratch("kills") as folder:
        worlds = Worlds(folder)
        rows: list[Row] = []
        shares = {what: min(count, _COUNTS["moments"] * 2) for what, count in counts.items()}
        for what, count in counts.items():
            share = budget.share(sum(shares.values()) / shares.pop(what))
            rows.append(_row(worlds, what, _plan(worlds, what, count, rng), share))
        return tuple(rows)


def _row(
    worlds: Worlds, what: str, plan: Iterable[tuple[Operation, Fault, float | None]], budget: Budget
) -> Row:
    faults: list[str] = []
    slowest, tried = 0.0, 0
    for operation, fault, after in plan:
        if budget.left < 0:
            break
        world = worlds.fresh(operation)
        begun = ended(partial(_attempt, operation, world, fault), kill_after=after, seconds=120)
        found = _judged(begun)
        ends, some = worlds.ends[operation.name][:2], what == "unreadable"
        then = ended(partial(_afterwards, operation, world, ends, some=some))
        slowest, tried = max(slowest, then.seconds), tried + 1
        found += then.value if then.value is not None else [f"the check ended by {then.signal}"]
        if found:
            when = f"{after:.3f} s" if after is not None else f"{fault.kind} {fault.at}"
            faults.append(f"{operation.name}, {when}: {'; '.join(found[:4])}")
    worst = f"whole again after {slowest:.1f} s"
    return Row(f"gallery: {_WORDS[what]}", tried, tuple(faults), worst)


def _judged(begun: Ended) -> list[str]:
    """What was wrong with the end of a command: a hang, or an error that is not ours."""
    if begun.late:
        return ["it hangs"]
    if begun.value and begun.value[0] == "broken":
        return [begun.value[1]]
    return []


def _plan(
    worlds: Worlds, what: str, count: int, rng: np.random.Generator
) -> Iterator[tuple[Operation, Fault, float | None]]:
    """Some of all moments of all operations, drawn without order."""
    planned: list[tuple[Operation, Fault, float | None]] = []
    for operation in OPERATIONS:
        points = worlds.ends[operation.name][2]
        if what == "moments":
            after = rng.uniform(0, 1, -(-count // len(OPERATIONS))) ** 2
            planned += [(operation, Fault("none"), float(each)) for each in after]
        elif what == "torn":
            sizes = rng.choice(_TORN, -(-count // len(OPERATIONS))) * rng.uniform(0.5, 2)
            planned += [(operation, Fault("torn", int(size)), None) for size in sizes]
        else:
            kind, of = _MOMENTS[what]
            planned += [(operation, Fault(kind, at), None) for at in range(getattr(points, of))]
    always = [what == "writes" and operation.each for operation, _, _ in planned]
    others = rng.permutation(np.flatnonzero(~np.array(always)))[:count]
    yield from (planned[number] for number in [*np.flatnonzero(always), *others])
