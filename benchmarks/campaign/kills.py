"""Changes of a gallery that are killed, run out of space or cannot read, and what is left then."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.campaign.changes import (
    KEPT,
    MOVED,
    OPERATIONS,
    Operation,
    State,
    Undisturbed,
    Worlds,
    run_in,
    some_of,
    state,
    temporary_in,
)
from benchmarks.campaign.children import Budget, Ended, ended, outcome, scratch
from benchmarks.campaign.faults import Fault, Kind, install
from benchmarks.campaign.table import Row
from core.gallery.gallery import Gallery
from core.gallery.verify import verify

_DRAWS = 20
"""Times that a moment is drawn until the fault comes before the change is done."""
_KILLED = {"writes": signal.SIGKILL, "moments": signal.SIGKILL, "torn": signal.SIGXFSZ}
"""By what a process is ended where it is to be killed: another end is no attempt."""
_MOMENTS: Mapping[str, tuple[Kind, str]] = {
    "writes": ("kill", "writes"),
    "full": ("full", "needs_space"),
    "filled": ("filled", "opens"),
    "unreadable": ("unreadable", "reads"),
    "unread": ("unread", "read"),
}
"""Kind of the fault, and which moments of a change it may come at."""


@dataclass(frozen=True)
class Attempt:
    """A change and what is to go wrong with it."""

    operation: Operation
    fault: Fault
    after: float | None = None
    """Seconds after which it is killed from outside."""

    def __str__(self) -> str:
        fault = f"{self.fault.kind} {self.fault.at}" + f", {self.fault.size} B" * bool(
            self.fault.size
        )
        return f"{self.operation.name}, {fault if self.after is None else f'{self.after:.3f} s'}"


def _attempt(attempt: Attempt, world: Path) -> tuple[str, str, bool]:
    """What a change comes to, why, and whether the fault has come."""
    points = install(attempt.fault, world)
    how, why = outcome(lambda: run_in(attempt.operation, world))
    return how, why, points.came


def _afterwards(
    operation: Operation, world: Path, ends: tuple[State, State], *, some: bool
) -> list[str]:
    """What is not as promised after a fault, and after the same command was given again."""
    found: list[str] = []
    folder = world / "g"
    if not operation.finishes:
        ends = (_without_neighbours(ends[0]), _without_neighbours(ends[1]))
    how, why = outcome(lambda: found.extend(_damage(folder, ends, some=some)))
    if how != "done":
        found.append(f"cannot be opened: {why}")
    how, why = outcome(lambda: run_in(operation, world))
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
    images, known = _of_images(now), [*map(_of_images, (*allowed, *_blocked_first(allowed)))]
    if images in known:
        yield from _lost(now, allowed)
    elif not (some and _is_between(now, allowed)):
        differ = sorted(name for name in images if now[name] != allowed[-1].get(name))
        yield f"its state is neither that before nor that after ({', '.join(differ)})"
    if (folder / "gallery.json").exists():
        for damage in verify(folder):
            yield f"{damage.file} is {damage.what}"


def _without_neighbours(one: State) -> State:
    kept = {name: value for name, value in one.get(KEPT, {}).items() if NEIGHBOURS not in name}
    return {**one, KEPT: kept}


def _of_images(one: State) -> State:
    return {name: value for name, value in one.items() if name != KEPT}


def _lost(now: State, allowed: Sequence[State]) -> Iterator[str]:
    """What follows from the images and is gone, or is neither that before nor that after."""
    kept, sets = set(now.get(KEPT, {}).items()), [set(one.get(KEPT, {}).items()) for one in allowed]
    yield from (f"{name} is lost" for name, _ in sorted(set.intersection(*sets) - kept))
    others = (name for name, _ in sorted(kept - set.union(*sets)))
    known = any(NEIGHBOURS in name for one in sets for name, _ in one)
    yield from (f"{name} is another" for name in others if known or NEIGHBOURS not in name)


def _blocked_first(allowed: Sequence[State]) -> Iterator[State]:
    """Images are blocked before they are taken out, so that none comes back meanwhile."""
    if len(allowed) > 1 and allowed[0]:
        yield {**allowed[0], "blocked": allowed[-1]["blocked"]}


def _is_between(now: State, allowed: Sequence[State]) -> bool:
    """Whether all images are there that stay, and none that never was; numbers do not count."""
    sets = [{image[1:] for image in one.get("images", ())} for one in (now, *allowed)]
    untitled = {(*image[:-1], "") for one in sets[1:] for image in one if image[0] == MOVED}
    there = sets[0] | {image for image in sets[-1] if (*image[:-1], "") in untitled & sets[0]}
    return set.intersection(*sets[1:]) <= there and sets[0] <= set.union(*sets[1:], untitled)


def _left_behind(world: Path) -> Iterator[str]:
    """Files that nobody needs any more."""
    hidden = (p for p in world.rglob(".*") if p.name != ".source")
    temporary = temporary_in(world).iterdir()
    yield from (path.relative_to(world).as_posix() for path in (*hidden, *temporary))
    yield from (f"process {number}" for number in _processes(world))
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
    for path in gallery.store.single_thumbnails():
        if path.stem not in needed:
            yield path.relative_to(world).as_posix()
    yield from (f"a packed thumbnail of {sha}" for sha in gallery.store.packs.shas() - needed)


def _processes(world: Path) -> Iterator[str]:
    """Processes that were started for a world and have not ended with those that started them."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it may just end
            if f"{world}{os.sep}".encode() in path.read_bytes():
                yield path.parent.name


NEIGHBOURS = "/neighbours-"
"""What is in the names of neighbours that are kept."""
_WORDS = {
    "writes": "killed at a write",
    "moments": "killed at a random moment",
    "torn": "killed in the middle of a write",
    "full": "a full disk",
    "filled": "a disk that is full in the middle of a write",
    "unreadable": "a file that cannot be opened",
    "unread": "a file that cannot be read",
}
_COUNTS = {
    "writes": 10_000, "moments": 200, "torn": 100, "full": 100, "filled": 100, "unreadable": 100,
    "unread": 100,
}  # fmt: skip
_QUICK = {
    "writes": 40, "moments": 6, "torn": 4, "full": 6, "filled": 6, "unreadable": 4, "unread": 4,
}  # fmt: skip
# Kills at writes are at most as many as there are writes.
_SLOW = 8
"""Of each kind of a slow change."""


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Try every kind of fault on every operation, in turn."""
    rng, usual = np.random.default_rng(seed), _QUICK if quick else _COUNTS
    counts = {what: budget.count(count) for what, count in usual.items()}
    with scratch("kills") as folder:
        worlds = Worlds(folder, some_of(OPERATIONS, quick=quick, budget=budget))
        rows: list[Row] = []
        shares = {what: min(count, _COUNTS["moments"] * 2) for what, count in counts.items()}
        for what, count in counts.items():
            share = budget.share(sum(shares.values()) / shares.pop(what))
            rows.append(_row(worlds, what, _plan(worlds, what, count, rng), rng, share))
        return tuple(rows)


def _row(
    worlds: Worlds,
    what: str,
    plan: Sequence[tuple[Operation, int]],
    rng: np.random.Generator,
    budget: Budget,
) -> Row:
    faults: list[str] = []
    slowest, tried, missed = 0.0, 0, 0
    for operation, at in plan:
        if budget.left < 0:
            break
        known = worlds.ends[operation.name]
        attempt, begun = _come(worlds, what, operation, at, rng)
        if begun is None:
            missed += 1
            continue
        ends, some = (known.before, known.after), what in ("unreadable", "unread")
        then = ended(partial(_afterwards, operation, worlds.world, ends, some=some))
        slowest, tried = max(slowest, then.seconds), tried + 1
        found = _judged(begun)
        found += then.value if then.value is not None else [f"the check ended by {then.signal}"]
        if found:
            faults.append(f"{attempt}: {'; '.join(found[:4])}")
    if missed and not tried:
        faults.append(f"{_WORDS[what]}: each change had ended before its fault came")
    worst = f"whole again after {slowest:.1f} s" + f"; {missed} had ended before" * bool(missed)
    return Row(f"gallery: {_WORDS[what]}", max(tried, len(faults)), tuple(faults), worst)


def _come(
    worlds: Worlds, what: str, operation: Operation, at: int, rng: np.random.Generator
) -> tuple[Attempt, Ended | None]:
    """An attempt whose fault came before the change was done; none where all draws came late."""
    known = worlds.ends[operation.name]
    attempt = _drawn(operation, what, at, known, rng)
    for _ in range(_DRAWS):
        world = worlds.fresh(operation)
        begun = ended(partial(_attempt, attempt, world), kill_after=attempt.after, seconds=120)
        if begun.late or _has_come(what, begun):
            return attempt, begun
        if attempt.after is not None:
            known.seconds = begun.seconds  # as fast as the machine is now
        elif what == "writes":
            break  # a moment of its own, which is not drawn
        attempt = _drawn(operation, what, at, known, rng)
    return attempt, None


def _has_come(what: str, begun: Ended) -> bool:
    """Whether a process was really killed, or has met what it was to meet."""
    if what in _KILLED:
        return begun.signal == _KILLED[what]
    return begun.value is None or begun.value[2]


def _drawn(
    operation: Operation, what: str, at: int, known: Undisturbed, rng: np.random.Generator
) -> Attempt:
    """An attempt at a moment of a change, drawn where the way does not say it."""
    if what == "moments":
        return Attempt(operation, Fault("none"), float(rng.uniform(0, known.seconds)))
    size = int(rng.integers(max(int(rng.choice(known.sizes)), 1)))  # within one of its files
    if what == "torn":
        return Attempt(operation, Fault("torn", size=size))
    return Attempt(operation, Fault(_MOMENTS[what][0], at, size if what == "filled" else 0))


def _judged(begun: Ended) -> list[str]:
    """What was wrong with the end of a command: a hang, or an error that is not ours."""
    if begun.late:
        return ["it hangs"]
    if begun.value and begun.value[0] == "broken":
        return [begun.value[1]]
    return []


def _plan(
    worlds: Worlds, what: str, count: int, rng: np.random.Generator
) -> list[tuple[Operation, int]]:
    """Some of all moments of all operations, drawn without order; each operation as often.

    A slow one has but a few moments.
    """
    planned: list[tuple[Operation, int]] = []
    for operation in worlds.operations:
        known = worlds.ends[operation.name]
        each = -(-count // len(worlds.operations))
        moments = getattr(known.points, _MOMENTS[what][1]) if what in _MOMENTS else each
        some = rng.permutation(moments)[: _SLOW if operation.slow else None]
        planned += [(operation, int(at)) for at in some]
    return [planned[number] for number in rng.permutation(len(planned))[:count]]
