"""Galleries of chosen images, built as the program builds them, and what they answer."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps
from rich.progress import track

from core.config import BuildConfig, ScoreConfig
from core.encoders.load import shipped_heads
from core.gallery.artefacts import Key, arrays, digest_of
from core.gallery.build import update
from core.gallery.gallery import Gallery, encoder_key
from core.gallery.source import Source
from core.images.decode import load_image
from core.search.extra_views import with_extra_views
from core.service.heads import choose_head
from core.service.workspace import Workspace
from core.values import Answer, Encoder

T = TypeVar("T")
S = TypeVar("S")

_FIT = BuildConfig().thumbnail


@dataclass(frozen=True)
class Asked:
    """Answers to many images, one row each."""

    p_values: np.ndarray
    """p-value of the strongest group, as it is answered."""
    counted: np.ndarray
    """The same by counting alone."""
    fitted: np.ndarray
    """The same by the fitted tail alone."""
    strengths: np.ndarray
    """Strength of the first group."""
    confidences: np.ndarray
    """Confidence of the first group, as it is answered."""
    null_sizes: np.ndarray
    """Queries of the null that they refer to."""
    named: np.ndarray
    """Whether the answer names its first group."""
    right: np.ndarray
    """Whether the first group holds a right image."""

    def __getitem__(self, rows: np.ndarray) -> Asked:
        """Some of the rows."""
        return Asked(*(values[rows] for values in vars(self).values()))

    def __len__(self) -> int:
        return len(self.p_values)


class Builder:
    """Builds galleries below a folder; their images lie there once, by the names they are given."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.images = folder, folder / "images"

    def gallery(self, files: Mapping[str, Path], encoder: Encoder) -> Gallery:
        """The gallery of these files under an encoder; one that was built before is only opened."""
        for name, path in files.items():
            if not (target := self.images / name).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        place = self.folder / "galleries" / digest_of([encoder.identity, sorted(files)])
        source, encoders = Source(self.images, tuple(files)), with_extra_views([encoder])
        if not place.exists() and shipped_heads(encoder.name).patches is not None:
            # Nothing that is stored of an image depends on the others, so each is encoded once.
            whole = self.folder / "whole" / encoder_key(encoder)
            update(whole, source, encoders)
            shutil.copytree(
                whole,
                place,
                copy_function=os.link,
                ignore=shutil.ignore_patterns("artefacts", "lock"),
            )
        update(place, replace(source, prune=True), encoders)
        return Gallery.open(place)

    def workspace(self, files: Mapping[str, Path], encoder: Encoder) -> Workspace:
        """The gallery of these files, ready to answer as the program does without any setting."""
        return workspace(self.gallery(files, encoder), encoder)

    def resaved(self, files: Mapping[str, Path], count: int) -> dict[str, Path]:
        """Copies of images, kept as files; see :func:`resaves`."""
        found: dict[str, Path] = {}
        for name, path in files.items():
            made = [self.images / f"resaved-{count}" / f"{name}-{i}.png" for i in range(count)]
            if not all(file.exists() for file in made):
                copies = resaves(load_image(path, fit=_FIT).image, count)
                made[0].parent.mkdir(parents=True, exist_ok=True)
                for file, copy in zip(made, copies, strict=True):
                    copy.save(file)
            found |= {file.relative_to(self.images).as_posix(): file for file in made}
        return found


def workspace(
    gallery: Gallery, encoder: Encoder, head: str = "default", *, score: ScoreConfig | None = None
) -> Workspace:
    """A gallery under a head, by its name as the program takes it."""
    return Workspace(gallery, encoder, choose_head(gallery, encoder, head), score=score)


def ask(
    asked: Workspace, files: Sequence[Path], *, what: str, right: Sequence[Sequence[str]] = ()
) -> Asked:
    """What a gallery answers to images; kept with it.

    Args:
        asked: the gallery.
        files: the images.
        what: shown while it works.
        right: right answers to every image, by their names in the gallery.
    """

    def compute() -> Asked:
        answers = [right[at] if right else () for at in range(len(files))]
        rows = threaded(
            lambda each: _row(asked, *each), zip(files, answers, strict=True), what=what
        )
        columns = np.array(rows, float).T
        return Asked(*columns[:6], *(columns[6:] > 0))

    given = {
        "files": [(str(path), path.stat().st_size) for path in files],
        "right": [list(names) for names in right],
        "null": asked.null.identity,
        "identities": [asked.encoder.identity, asked.head.identity],
        "score": asked.score,
        "config": (asked.null_config, asked.answering),
    }
    key = Key.of("asked", ask, **given)
    return asked.gallery.artefacts.get(key, compute, codec=arrays(Asked))


def _row(asked: Workspace, file: Path, right: Sequence[str]) -> tuple[float, ...]:
    """One row of what :class:`Asked` holds."""
    said = asked.attribute(asked.query(file), top=1)
    first, null = said.groups[0], asked.null.of_margins
    p_value, sure, strength = said.p_value, first.confidence, first.strength
    # no gallery here is too small to tell
    assert p_value is not None and sure is not None and strength is not None
    return (
        p_value,
        null.conformal_p_value(strength),
        null.tail_p_value(strength),
        strength,
        sure,
        said.null_size,
        said.named,
        not names_of(asked, said, 0).isdisjoint(right),
    )


def names_of(asked: Workspace, said: Answer, place: int) -> set[str]:
    """Names of the images of the group at a place of an answer."""
    records, row_of = asked.gallery.records, asked.gallery.row_of
    return {records[row_of[number]].path for number in said.groups[place].members}


def threaded(work: Callable[[S], T], items: Iterable[S], *, what: str) -> list[T]:
    """Results in the order of the items, on every core."""
    items = list(items)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(track(pool.map(work, items), description=what, total=len(items)))


def resaves(image: Image.Image, count: int) -> list[Image.Image]:
    """Copies as they go round: compressed anew, smaller, and some mirrored or cut at the edges."""
    made: list[Image.Image] = []
    for i in range(count):
        copy = image
        if i % 5 == 4:
            width, height = copy.size
            copy = copy.crop((width // 20, height // 20, width, height))
        if i % 3 == 2:
            copy = ImageOps.mirror(copy)
        scale = 1 - 0.04 * i
        copy = copy.resize((int(copy.width * scale), int(copy.height * scale)))
        file = io.BytesIO()
        copy.save(file, "JPEG", quality=90 - 5 * i)
        made.append(Image.open(file).convert("RGB"))
    return made
