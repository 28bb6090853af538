"""One process that answers for a long time, over many galleries and encoders."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.campaign import corpus
from benchmarks.campaign.children import Budget, Child, ended, resident, scratch
from benchmarks.campaign.table import Row
from core.encoders.load import load_encoder
from core.gallery.build import update
from core.gallery.source import Source
from core.service.choice import Choice
from core.service.opening import REMEMBERED
from core.service.session import Session
from core.service.workspace import Workspace

GROWTH = 0.1
"""Gigabytes by which memory may grow once a quarter of the answers is given."""
MOST = 1.2
"""Gigabytes that the process may have in all, once a quarter of the answers is given."""
_ENCODERS = ("lite0", "moco", "dino", "histogram", "edges")
_IMAGES = 16
_LOOKS = 20  # answers between two looks at what is open
_WHAT = f"long life: answers over {{}} galleries and {len(_ENCODERS)} encoders"

Held = dict[str, float]


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Ask one process and see what it holds in the end; each picture must find itself."""
    galleries, answers = (2, 40) if quick else (30, 2_000)
    galleries, answers = budget.count(galleries), budget.count(answers)
    with scratch("long") as folder:
        for number in range(galleries):
            if budget.left < 0:
                late = f"its time was up when {number} of {galleries} galleries were made"
                return (Row(_WHAT.format(galleries), 1, (late,), ""),)
            made = ended(partial(_make, folder / str(number), 1_000 * number), seconds=300)
            assert made.value, f"gallery {number} was not made"
        child = Child(partial(_answer, folder, seed, galleries, answers, budget))
        answers, wrong, held = child.value(seconds=3_600)
        child.wait()
    return (row_of(_WHAT.format(galleries), answers, wrong, held),)


def row_of(what: str, answers: int, wrong: list[str], held: dict[str, Held]) -> Row:
    """What was answered, and what was held at the start, once warm, at most and in the end."""
    start, before, most, left = (held[when] for when in ("start", "before", "most", "left"))
    grown, faults = most["memory"] - before["memory"], [*wrong]
    if grown > GROWTH:
        faults.append(f"memory grew by {grown:.2f} GB")
    if most["memory"] > MOST:
        faults.append(f"{most['memory']:.2f} GB are more than {MOST:g}")
    if most["workspaces"] > REMEMBERED["workspace"]:
        faults.append(f"{most['workspaces']:.0f} workspaces were open at once")
    faults += [
        f"{left[name] - start[name]} {name} are left when the session is gone"
        for name in ("workspaces", "threads", "open files")
        if left[name] > start[name]
    ]
    worst = f"{most['memory']:.2f} GB, {1000 * grown:+,.0f} MB after warm-up; "
    worst += f"{most['workspaces']:.0f} workspaces, {most['open files']:.0f} open files"
    return Row(what, max(answers, len(faults)), tuple(faults), worst)


def _make(folder: Path, seed: int) -> bool:
    (folder / "photos").mkdir(parents=True)
    for number in range(_IMAGES):
        corpus.picture(seed + number).save(folder / "photos" / f"{number:02}.png")
    encoders = [load_encoder(name) for name in _ENCODERS]
    update(folder / "g", Source(folder / "photos"), encoders)
    return True


def _answer(
    folder: Path,
    seed: int,
    galleries: int,
    answers: int,
    budget: Budget,
    give: Callable[[Any], None],
) -> None:
    start = before = most = _held()
    rng, session = np.random.default_rng(seed), Session()
    wrong: list[str] = []
    whole, number = budget.left, 0
    while number < answers and budget.left > 0:
        if before is start and (number >= answers // 4 or budget.left < whole * 3 / 4):
            before = most = _held()
        if number % _LOOKS == 0:
            most = {name: max(most[name], value) for name, value in _held().items()}
        number += 1
        place = folder / str(rng.integers(galleries))
        encoder, image = rng.choice(_ENCODERS), f"{rng.integers(_IMAGES):02}.png"
        choice = Choice(str(encoder), "center", str(place / "g"))
        first = session.attribute(place / "photos" / image, choice).matches[0].image.path
        if first != image:
            wrong.append(f"{encoder}: {first} in the place of {image}")
    del session
    give((number, wrong, {"start": start, "before": before, "most": most, "left": _held()}))


def _held() -> Held:
    """Memory in GB, open workspaces, threads and open files of this process."""
    gc.collect()
    return {
        "workspaces": sum(type(one) is Workspace for one in gc.get_objects()),
        "memory": resident(os.getpid()) / 1e9,
        "threads": threading.active_count(),
        "open files": len(list(Path("/proc/self/fd").iterdir())),
    }
