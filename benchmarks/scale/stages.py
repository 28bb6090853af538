"""The stages of finishing a gallery, each timed by the product's own functions."""

from __future__ import annotations

import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.scale.world import World
from core.config import GroupConfig, NullConfig, ProjectionConfig, ScoreConfig
from core.evidence.null import fit_null
from core.explain.projection import fit_map
from core.search.crops import crop_links, each_pair_once
from core.search.extra_views import EXTRA_VIEWS
from core.search.graph import Graph, csls_means_of, neighbour_graph, worth_linking
from core.search.near_duplicates import near_duplicate_groups, parsed_hashes
from core.search.query import Query
from core.search.ranking import Collection
from core.search.registration import grey
from core.search.views import View
from core.search.walk import Walk

CROP_PAIRS = 3_000
"""Pairs of neighbours that are looked at as crops, and their images opened; the time is that of all
pairs and of all images in them, in proportion."""
FOLDS = 1
"""Folds of the null that are asked; the time is that of all, in proportion."""
_QUERIES = 50
_POLL = 0.02  # seconds between two looks at the memory


@dataclass(frozen=True)
class Stage:
    """What one stage took."""

    name: str
    seconds: float
    """Of the processor, children included; of all images."""
    memory: float
    """Peak of what is not mapped from files, GB."""


class Clock:
    """Times stages one after another."""

    def __init__(self) -> None:
        self._found: dict[str, Stage] = {}

    @contextmanager
    def stage(self, name: str, *, times: float = 1.0) -> Iterator[None]:
        """Time what is done inside, to be added to what the stage has already.

        Args:
            name: of the stage.
            times: makes up for a part that stands for the whole.
        """
        stop, peak = threading.Event(), [resident()]

        def watch() -> None:
            while not stop.wait(_POLL):
                peak[0] = max(peak[0], resident())

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = _processor_seconds()
        try:
            yield
        finally:
            took = _processor_seconds() - began
            stop.set()
            watcher.join()
        before = self._found.get(name, Stage(name, 0.0, 0.0))
        memory = max(peak[0], resident(), before.memory)
        self._found[name] = Stage(name, before.seconds + took * times, memory)

    def found(self) -> list[dict[str, object]]:
        """The stages as plain values."""
        return [asdict(stage) for stage in self._found.values()]


def run(world: World, *, with_map: bool, with_crops: bool = True) -> dict[str, object]:
    """Finish a gallery, stage by stage, and answer some queries."""
    clock = Clock()
    collection = _finish(world, clock, with_crops=with_crops)
    _reopen(collection, clock)
    if with_map:
        with clock.stage("map"):
            fit_map(collection.views[0].vectors, config=ProjectionConfig())
    _answer(collection, clock)
    graphs = [view.graph() for view in collection.views if view.graph is not None]
    return {
        "stages": clock.found(),
        "recall": [float(graph.recall[0]) for graph in graphs],
        "groups": len(np.unique(collection.groups)),
    }


def run_map(world: World) -> list[dict[str, object]]:
    """Lay out the map alone."""
    clock = Clock()
    vectors = world.head(world.features, role="gallery").astype(np.float16)
    with clock.stage("map"):
        fit_map(vectors, config=ProjectionConfig())
    return clock.found()


def _finish(world: World, clock: Clock, *, with_crops: bool) -> Collection:
    """What an answer needs, as :func:`core.search.prepare.prepare` computes it."""
    score, limits, n = ScoreConfig(), GroupConfig(), len(world)
    with clock.stage("vectors"):
        kind = np.float16 if n > score.exact else np.float32
        vectors = world.head(world.features, role="gallery").astype(kind)
        extra = {
            name: head(features, role="gallery").astype(kind)
            for name, (head, features) in world.extra_views.items()
        }
    hashes, walk = parsed_hashes(world.hashes, n=n), None
    with clock.stage("neighbours"):
        if n > score.exact:
            walk = Walk.build(vectors, rows=worth_linking(vectors, hashes))
        graph = neighbour_graph(vectors, walk=walk)
    linked: dict[str, tuple[Walk | None, Graph]] = {}
    with clock.stage(f"neighbours of {' and '.join(extra)}"):
        for name, rows in extra.items():
            other = None
            if n > score.exact:
                other = Walk.build(rows, rows=worth_linking(rows, hashes))
            linked[name] = other, neighbour_graph(rows, walk=other)
    if with_crops:
        near, cosines = (t[:, : limits.crop_neighbours] for t in (graph.rows, graph.cosines))
        near = np.where(cosines >= limits.crop_cosine, near, -1)
        look_for_crops(near, world.patches, load=world.load, clock=clock, stage="crop links")
    with clock.stage("near-duplicate groups"):
        groups = near_duplicate_groups(
            vectors,
            world.hashes,
            neighbours=graph.rows[:, : limits.neighbours],
            limits=limits,
        )
    with clock.stage("CSLS means"):
        means = csls_means_of(graph, vectors, groups, k=score.neighbours, walk=walk)
    embedding = View("embedding", world.encoder, world.head, world.features, vectors, means)
    views = [replace(embedding, graph=lambda: graph, walk=walk)]
    with clock.stage(f"CSLS means of {' and '.join(extra)}"):
        for name, rows in extra.items():
            views.append(_extra_view(world, name, rows, linked[name], groups, score=score))
    return Collection(tuple(views), groups, world.patches, config=score)


def look_for_crops(
    near: np.ndarray,
    patches: np.ndarray,
    *,
    load: Callable[[int], Image.Image],
    clock: Clock,
    stage: str,
) -> None:
    """Time crops among neighbours: pairs are listed, images opened once, pairs compared."""
    with clock.stage(stage):
        pairs = each_pair_once(near)
        opened = len(np.unique(pairs))
    chosen = np.random.default_rng(0).permutation(len(pairs))[:CROP_PAIRS]
    rows, places = np.unique(pairs[np.sort(chosen)], return_inverse=True)
    first, second = places.reshape(-1, 2).T
    table = np.full((len(rows), near.shape[1]), -1)
    table[first, np.arange(len(first)) - np.searchsorted(first, first)] = second
    with clock.stage(stage, times=opened / max(len(rows), 1)):
        images = [Image.fromarray(grey(load(row))) for row in rows.tolist()]
    with clock.stage(stage, times=len(pairs) / max(len(chosen), 1)):
        crop_links(table, patches[rows], load=images.__getitem__)


def _reopen(collection: Collection, clock: Clock) -> None:
    """What the first answer waits for when all is kept: the links that are walked."""
    with tempfile.TemporaryDirectory(prefix="wellspring-walks-") as folder:
        for view in collection.views:
            if view.walk is not None:
                view.walk.save(Path(folder, f"{view.name}.npz"))
        with clock.stage("walks opened again"):
            for view in collection.views:
                if view.walk is not None:
                    Walk.load(Path(folder, f"{view.name}.npz"), view.vectors)


def _extra_view(
    world: World,
    name: str,
    rows: np.ndarray,
    linked: tuple[Walk | None, Graph],
    groups: np.ndarray,
    *,
    score: ScoreConfig,
) -> View:
    """A view beside the encoder's, with its neighbours."""
    head, features = world.extra_views[name]
    walk, graph = linked
    how = score.view(name)
    assert how is not None
    means = csls_means_of(graph, rows, groups, k=score.neighbours, walk=walk)
    view = View(name, EXTRA_VIEWS[name], head, features, rows, means, how.weight, how.trust)
    return replace(view, fitted=np.ones(len(rows), bool), graph=lambda: graph, walk=walk)


def _answer(collection: Collection, clock: Clock) -> None:
    """The null, and some queries."""
    views, n, k = collection.views, len(collection), collection.config.candidates
    null = NullConfig()
    with clock.stage("null", times=null.folds / FOLDS):
        _some_folds(collection, null)
    with clock.stage("index"):
        for view in views:
            len(view.index)
    patches = collection.patches
    assert patches is not None, "a world has local descriptors"
    asked = np.random.default_rng(0).choice(n, min(_QUERIES, n), replace=False)
    queries = [
        Query(tuple(np.asarray(view.vectors[row]) for view in views), np.asarray(patches[row]))
        for row in asked
    ]
    collection.rank(queries[0], k=k)
    with clock.stage("answer", times=1 / len(queries)):
        for query in queries:
            collection.rank(query, k=k)


def _some_folds(collection: Collection, config: NullConfig) -> None:
    """Ask some folds of the null as a whole one is asked."""
    left = FOLDS * min(config.queries, len(collection)) // config.folds

    class Enough(Exception):
        pass

    def progress(done: int, total: int, what: str) -> None:
        if done >= left:
            raise Enough

    try:
        fit_null(collection, config=config, progress=progress)
    except Enough:
        return


def _processor_seconds() -> float:
    """Seconds of the processor that this process and its finished children have used."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def resident() -> float:
    """Memory that is not mapped from files, GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
