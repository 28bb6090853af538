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
from core.service.session import Session

GROWTH = 0.1
"""Gigabytes by which memory may grow once a quarter of the answers is given."""
_ENCODERS = ("random", "thumbnail", "histogram", "phash", "edges")
_IMAGES = 16


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Ask one process and see what it holds in the end; each picture must find itself."""
    galleries, answers = (4, 100) if quick else (30, 2_000)
    with scratch("long") as folder:
        for number in range(galleries):
            if budget.left < 0:
                return ()
            made = ended(partial(_make, folder / str(number), 1_000 * number), seconds=300)
            assert made.value, f"gallery {number} was not made"
        child = Child(partial(_answer, folder, seed, galleries, answers, budget))
        answers, wrong, start, before, after, left = child.value(seconds=3_600)
        child.wait()
    memory = after["memory"] - before["memory"]
    faults = [*wrong]
    if memory > GROWTH:
        faults.append(f"memory grew by {memory:.2f} GB")
    faults += [
        f"{left[name] - start[name]} {name} are left when the session is gone"
        for name in ("threads", "open files")
        if left[name] > start[name]
    ]
    what = f"long life: answers over {galleries} galleries and {len(_ENCODERS)} encoders"
    worst = f"{after['memory']:.2f} GB, {1000 * memory:+,.0f} MB after warm-up; "
    worst += f"{after['open files']} open files"
    return (Row(what, answers, tuple(faults), worst),)


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
    start = before = _held()
    rng, session = np.random.default_rng(seed), Session()
    wrong: list[str] = []
    whole, number = budget.left, 0
    while number < answers and budget.left > 0:
        if before is start and (number >= answers // 4 or budget.left < whole * 3 / 4):
            before = _held()
        number += 1
        place = folder / str(rng.integers(galleries))
        encoder, image = rng.choice(_ENCODERS), f"{rng.integers(_IMAGES):02}.png"
        choice = Choice(str(encoder), "center", str(place / "g"))
        first = session.attribute(place / "photos" / image, choice).matches[0].image.path
        if first != image:
            wrong.append(f"{encoder}: {first} in the place of {image}")
    after = _held()
    del session
    give((number, wrong, start, before, after, _held()))


def _held() -> dict[str, float]:
    """Memory in GB, threads and open files of this process."""
    gc.collect()
    return {
        "memory": resident(os.getpid()) / 1e9,
        "threads": threading.active_count(),
        "open files": len(list(Path("/proc/self/fd").iterdir())),
    }
