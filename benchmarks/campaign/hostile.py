"""Damaged files and files that lie, given to everything that reads files."""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import timm  # noqa: F401 - with it torch makes a folder of its own, which no file does

from benchmarks.campaign import corpus
from benchmarks.campaign.children import Budget, Child, outcome, scratch
from benchmarks.campaign.mutate import Rng, mutated, pick
from benchmarks.campaign.table import Row
from core.config import ImageLimits
from core.encoders.backbones import BackboneConfig, load_backbone
from core.encoders.backbones.storage import CONFIG_FILE, WEIGHTS_FILE
from core.encoders.backbones.upstream import PLAIN, Layout, load_checkpoint
from core.encoders.load import load_encoder
from core.gallery.browse import column_names
from core.gallery.build import update
from core.gallery.checksums import write_listing
from core.gallery.gallery import Gallery
from core.gallery.opting import opt_in
from core.gallery.remove import narrow, remove
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import changed_images, verify
from core.heads.head import Head
from core.images.archives import unpack_images
from core.images.decode import load_image
from core.report.objects import answer_object
from core.search.walk import Walk
from core.service.choice import Choice
from core.service.session import Session
from core.training.checkpoint import read_checkpoint
from core.values import Answer, WellspringError

SECONDS, GIGABYTES = 20.0, 1.5
"""What one file may take."""
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname")
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn")
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink")
_READABLE = (
    *(sys.prefix, sys.base_prefix, Path(__file__).parents[2], tempfile.gettempdir()),
    *("/proc/self", "/dev/null", "/dev/urandom", "/sys/devices/system/cpu", "/usr/lib"),
)
"""Beside its own world: Python with its packages, the program, the temporary folder, the system's
libraries and what it says of this process and its processors."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


_LISTING, _SEALED = "files.json", 0.5
"""Where a gallery lists its digests, and how often they are those of the changed file: a lie that
all checksums agree with."""


class Guard:
    """Sees what this process does beyond a folder, by an audit hook that cannot be taken back."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._secret = str(folder / "work"), str(folder / "outside")
        self._readable = tuple(os.path.realpath(place) for place in (folder, *_READABLE))
        self.seen: list[str] = []
        sys.addaudithook(self._met)

    def _met(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _NETWORK or event.startswith(_PROGRAMS):
            self.seen.append(f"{event} {str(arguments)[:80]}")
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            wrote = arguments[2] & _WRITES and not self._is_own(path)
            if wrote or path.startswith(self._secret) or not path.startswith(self._readable):
                self.seen.append(f"{'wrote' if wrote else 'opened'} {path}")
        elif event in _CHANGES and arguments[-1] == -1:
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not self._is_own(path):
                self.seen.append(f"{event} {path}")

    def _is_own(self, path: str) -> bool:
        return path.startswith((self._folder, "/dev/null", "/proc/self/"))


@dataclass
class Readers:
    """Everything that reads files, and what to read."""

    folder: Path
    """Holds ``gallery``, ``head`` and ``outside``, which are whole, and ``work``."""
    files: Mapping[str, list[bytes]]
    rng: Rng = field(default_factory=lambda: np.random.default_rng(0))
    session: Session = field(default_factory=Session)
    root: str = ""
    """Where the gallery that is read says that its images lie: they are looked for there."""

    def image(self, work: Path) -> None:
        """An upload."""
        path = self._file(work, "image", "x.image")
        for fit in (None, 16):
            found = load_image(path, fit=fit)
            assert found.image.mode == "RGB", found.image.mode
            assert max(found.image.size) <= ImageLimits().max_side, found.image.size

    def zip(self, work: Path) -> None:
        """An upload of many."""
        path, most = self._file(work, "zip", "x.zip"), 50_000_000
        limits = ImageLimits()
        unpack_images(path, work / "into", max_bytes=most, max_images=50, limits=limits)

    def table(self, work: Path) -> None:
        """A table beside pictures."""
        kind = pick(("csv", "tsv", "jsonl", "json", "parquet"), self.rng)
        for number in range(3):
            (work / f"{number}.png").write_bytes(b"")
        self._file(work, kind, f"metadata.{kind}")
        found = Source(work).look()
        for fields in found.metadata.fields.values():
            assert all(isinstance(v, str) for pair in fields.items() for v in pair), fields
        json.dumps([vars(table) for table in found.metadata.tables], default=str)

    def head(self, work: Path) -> None:
        """A head that somebody shares."""
        folder = self._with_one_changed(self.folder / "head", work / "head")
        found = Head.load(folder)(corpus.features(), role="query")
        assert np.isfinite(found).all() and len(found) == corpus.ROWS, found

    def weights(self, work: Path) -> None:
        """Weights that somebody shares: an encoder of ours, or a checkpoint."""
        kind = pick(("safetensors", "checkpoint"), self.rng)
        suffix = ".safetensors" if kind == "safetensors" else ".pt"
        path = self._file(work, kind, f"weights{suffix}")
        layout = pick((PLAIN, Layout(key="state_dict"), Layout(prefix="fc.")), self.rng)
        results = [
            outcome(lambda: load_checkpoint(path, config=BackboneConfig(), layout=layout)),
            outcome(lambda: read_checkpoint(path, settings={"method": "moco"}, device=_CPU)),
        ]
        if kind == "safetensors":
            path.rename(work / WEIGHTS_FILE)
            config = json.dumps(_CONFIG).encode()
            (work / CONFIG_FILE).write_bytes(mutated(config, ".json", self.rng))
            results.append(outcome(lambda: load_backbone(work)))
        _raise_first(results)

    def index(self, work: Path) -> None:
        """A search index in a gallery that somebody shares."""
        folder = self._with_one_changed(self.folder / "walk", work / "walk")
        found = Walk.load(folder / "walk.npz", corpus.features())
        rows = found.search(corpus.features()[:9], k=5, beam=20)
        assert ((rows >= -1) & (rows < corpus.ROWS)).all(), rows

    def gallery(self, work: Path) -> None:
        """A gallery that somebody shares: opened, verified, asked, and changed."""
        shutil.copytree(self.folder / "gallery" / "photos", work / "photos")
        self.use(self._with_one_changed(self.folder / "gallery" / "g", work / "g"), work)

    def use(self, folder: Path, work: Path) -> None:
        """Open a gallery, verify it, ask it, and change it, with its pictures beside it.

        Raises:
            BrokenError: when one of that fails in any other way than in words of ours.
            WellspringError: when one of it is refused.
        """
        with contextlib.suppress(WellspringError):
            self.root = os.path.realpath(Gallery.open(folder, read_only=True).root)
        choice = Choice("random", "center", str(folder))
        asked = work / "photos" / "03.png"
        uses: list[Callable[[], object]] = [
            lambda: [str(damage) for damage in verify(folder)],
            lambda: [str(damage) for damage in changed_images(folder)],
            lambda: column_names(Gallery.open(folder).records),
            lambda: self._asked(choice, asked),
            lambda: self.session.project(asked, choice),
            lambda: self.session.clusters(choice, kind="means"),
            lambda: self.session.example_answers(choice),
        ]
        changes: list[Callable[[], object]] = [
            lambda: opt_in(folder, [corpus.IMAGES - 1]),
            lambda: remove(folder, [1], block=True),
            lambda: narrow(folder),
            lambda: Store(folder).rename("other"),
            lambda: update(folder, Source(work / "photos"), [load_encoder("random")]),
        ]
        _raise_first([outcome(use) for use in (*uses, pick(changes, self.rng))])

    def _asked(self, choice: Choice, picture: Path) -> None:
        answer = self.session.attribute(picture, choice)
        _check(answer)
        self.session.explain(picture, answer.matches[0].image.id, choice)
        for column in self.session.columns(choice):
            self.session.shares(answer, choice, columns=[column])

    def _file(self, work: Path, kind: str, name: str) -> Path:
        path = work / name
        path.write_bytes(mutated(pick(self.files[kind], self.rng), path.suffix, self.rng))
        return path

    def _with_one_changed(self, whole: Path, copy: Path) -> Path:
        """A copy of a folder in which one file is changed; files of one name are one kind."""
        shutil.copytree(whole, copy)
        by_name: dict[str, list[Path]] = {}
        for path in sorted(copy.rglob("*.*")):
            if path.is_file():
                by_name.setdefault(path.name if path.suffix != ".webp" else "", []).append(path)
        path = pick(by_name[pick(list(by_name), self.rng)], self.rng)
        path.write_bytes(mutated(path.read_bytes(), path.suffix, self.rng))
        if path.name != _LISTING and self.rng.random() < _SEALED:
            for folder in (one for one in path.parents if one.is_relative_to(copy)):
                if (folder / _LISTING).exists():
                    write_listing(folder)
        return copy


_CPU: Any = "cpu"
_CONFIG = {
    "architecture": "resnet18",
    "input_size": 32,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "stages": [2, 3, 4],
    "patch_stage": 0,
}


class BrokenError(Exception):
    """What one of several readers broke by."""


def _raise_first(results: list[tuple[str, str]]) -> None:
    """Raise for what broke, else for what was refused."""
    for how, why in sorted(results):
        if how != "done":
            raise BrokenError(why) if how == "broken" else WellspringError(why)


def _check(answer: Answer) -> None:
    """See that an answer can be told and that its shares are shares."""
    json.dumps(answer_object("x", answer), allow_nan=False)
    shares = [group.influence for group in answer.groups]
    if answer.none is not None and None not in shares:
        whole = answer.none + sum(share for share in shares if share is not None)
        assert math.isclose(whole, 1, abs_tol=1e-3), f"shares sum to {whole}"


WEIGHTS = {
    "image": 10,
    "zip": 4,
    "table": 6,
    "head": 3,
    "weights": 3,
    "index": 2,
    "gallery": 6,
}
"""How often each reader has its turn."""
_NAMES = {
    "image": "images of Pillow's formats",
    "zip": "zips",
    "table": "tables of metadata",
    "head": "heads",
    "weights": "checkpoints and safetensors",
    "index": "search indexes",
    "gallery": "galleries with one changed file",
}
_TURNS = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


@dataclass(frozen=True)
class Tried:
    """What one file did."""

    number: int
    kind: str
    how: str
    why: str
    seconds: float = 0.0
    gigabytes: float = 0.0


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Make files by a seed and give each to what reads its kind."""
    count = budget.count(340 if quick else 5_000)
    with scratch("hostile") as folder:
        readers = _prepared(folder)
        tried: list[Tried] = []
        while len(tried) < count and budget.left > 0:
            tried += _some(readers, seed, len(tried), count, budget)
    return tuple(_row(kind, [t for t in tried if t.kind == kind]) for kind in WEIGHTS)


def _prepared(folder: Path) -> Readers:
    for name in ("work", "outside", "walk"):
        (folder / name).mkdir()
    corpus.picture(7).save(folder / "outside" / "secret.png")
    child = Child(lambda give: give(_made(folder)))  # this process must not begin to compute
    files = child.value(seconds=300)
    child.wait()
    return Readers(folder, files)


def _made(folder: Path) -> corpus.Corpus:
    corpus.gallery(folder / "gallery")
    corpus.heads(folder / "head")
    corpus.index_file(folder / "walk" / "walk.npz")
    single = {kind: make() for kind, make in corpus.SINGLE.items()}
    return {**single, **corpus.tables(), **corpus.weights()}


def _some(readers: Readers, seed: int, first: int, count: int, budget: Budget) -> list[Tried]:
    """Try files in one child, until all are tried or one ends it."""
    child = Child(lambda give: _try_all(readers, seed, first, count, give))
    tried: list[Tried] = []
    while first + len(tried) < count and (budget.left > 0 or not tried):
        number = first + len(tried)
        kind = _TURNS[number % len(_TURNS)]
        try:
            tried.append(child.soon(seconds=SECONDS))
        except TimeoutError:
            child.kill()
            tried.append(Tried(number, kind, "broken", f"more than {SECONDS:g} s", SECONDS))
            break
        except EOFError:
            tried.append(Tried(number, kind, "broken", "the process was ended"))
            break
    child.kill()
    ended, _ = child.wait()
    if tried[-1].why == "the process was ended":
        last = tried[-1]
        tried[-1] = Tried(last.number, last.kind, "broken", f"ended by signal {ended}")
    return tried


def _try_all(
    readers: Readers, seed: int, first: int, count: int, give: Callable[[Any], None]
) -> None:
    sys.dont_write_bytecode = True
    guard = Guard(readers.folder)
    base = _memory("VmSize")
    most = int((base + GIGABYTES + 0.5) * 1e9)  # threads and mapped files take addresses too
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for number in range(first, count):
        readers.rng = np.random.default_rng([seed, number])
        give(_tried(readers, guard, number))


def _tried(readers: Readers, guard: Guard, number: int) -> Tried:
    kind, work = _TURNS[number % len(_TURNS)], readers.folder / "work" / str(number)
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    work.mkdir()
    guard.seen.clear()
    readers.root = ""
    before, began = _memory("VmRSS"), time.process_time()
    how, why = outcome(lambda: getattr(readers, kind)(work))
    seconds, used = time.process_time() - began, _memory("VmHWM") - before
    shutil.rmtree(work)
    own = f"opened {readers.root}{os.sep}" if readers.root else None
    seen = [each for each in guard.seen if own is None or not each.startswith(own)]
    if seen:
        how, why = "broken", f"beyond its folder: {seen[0]}"
    elif used > GIGABYTES:
        how, why = "broken", f"{used:.1f} GB"
    return Tried(number, kind, how, why, seconds, used)


def _memory(what: str) -> float:
    """A line of this process's status in GB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1e6
    return 0.0


def _row(kind: str, tried: list[Tried]) -> Row:
    faults = tuple(f"{kind} {t.number}: {t.why}" for t in tried if t.how == "broken")
    slowest = max((t.seconds for t in tried), default=0.0)
    largest = max((t.gigabytes for t in tried), default=0.0)
    refused = sum(t.how == "refused" for t in tried)
    worst = f"{slowest:.1f} s, {1000 * largest:,.0f} MB; {refused:,} refused"
    return Row(f"hostile: {_NAMES[kind]}", len(tried), faults, worst)
