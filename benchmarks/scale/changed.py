"""What a change costs, from nothing and brought up to date: ``python -m benchmarks.scale.changed``.

100 images come to a made gallery and 10 go. Neighbours are those under a head that was fitted
elsewhere, as of the encoders that come with the program. Where all are compared with all, both ways
must give the same ones; where a graph is walked, the recall of each is stored.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.scale.stages import Clock, look_for_crops
from benchmarks.scale.table import keep, write_page
from benchmarks.scale.world import World, alone, real, resampled
from core.config import GroupConfig, ScoreConfig
from core.search.crops import crop_links, each_pair_once
from core.search.graph import WIDTH, Graph, measured, neighbour_graph
from core.search.survivors import Compared, names_of, rows_now
from core.search.updating import updated
from core.search.walk import Walk
from core.search.walked import walked_again

COME, GONE = 100, 10
FROM_NOTHING, UP_TO_DATE = "neighbours, from nothing", "neighbours, brought up to date"


def main() -> None:
    """Time one size after another, each in a process of its own, and store what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        source = real(options.gallery, options.encoder)
        with tempfile.TemporaryDirectory(prefix="wellspring-scale-") as folder:
            world = resampled(source, options.one + COME, folder=Path(folder), seed=0)
            sys.stdout.write(json.dumps(run(world)))
        return
    sizes, given = dict[str, Any](), ["--gallery", options.gallery, "--encoder", options.encoder]
    for size in options.sizes:
        sizes[str(size)] = alone("benchmarks.scale.changed", size, *given)
        print(sizes[str(size)], flush=True)  # noqa: T201 - what it is for
        keep(changed={"command": "python -m benchmarks.scale.changed", "sizes": sizes})
    write_page()


def run(world: World) -> dict[str, object]:
    """Change a gallery, and find what follows from it both ways."""
    clock, limits, n = Clock(), GroupConfig(), len(world)
    vectors = world.head(world.features, role="gallery")
    before = np.arange(n - COME)
    gone = np.random.default_rng(1).choice(before, GONE, replace=False)
    after = np.setdiff1d(np.arange(n), gone)
    patches = np.asarray(world.patches)[after]
    compare = _walked if n > ScoreConfig().exact else _compared
    old, meant, found = compare(vectors, before, after, clock)
    near = meant.rows[:, : limits.crop_neighbours]

    def load(row: int) -> Image.Image:
        return world.load(int(after[row]))

    look_for_crops(near, patches, load=load, clock=clock, stage="crop links, from nothing")
    pairs = each_pair_once(old.rows[:, : limits.crop_neighbours])
    earlier = Compared(pairs, np.zeros(len(pairs), bool))
    contents = [str(row) for row in range(n)]
    kept = names_of([contents[row] for row in before], np.asarray(world.patches)[before])
    with clock.stage("crop links, brought up to date"):
        own = names_of([contents[row] for row in after], patches)
        crop_links(near, patches, load=load, known=earlier.moved(rows_now(kept, own)))
    return {"stages": clock.found(), "recall": [float(g.recall[0]) for g in (meant, found)]}


def _compared(
    vectors: np.ndarray, before: np.ndarray, after: np.ndarray, clock: Clock
) -> tuple[Graph, Graph, Graph]:
    """The neighbours before, and those after, found both ways, where all are compared with all."""
    old, now = neighbour_graph(vectors[before], walk=None), vectors[after]
    names = names_of([""] * len(before), vectors[before])
    with clock.stage(FROM_NOTHING):
        meant = neighbour_graph(now, walk=None)
    with clock.stage(UP_TO_DATE):
        rows = rows_now(names, names_of([""] * len(after), now))
        found = updated(now, (old.rows, old.cosines), rows, width=WIDTH)
    assert found is not None and np.array_equal(found[0], meant.rows)
    return old, meant, Graph(*found, np.ones(1))


def _walked(
    vectors: np.ndarray, before: np.ndarray, after: np.ndarray, clock: Clock
) -> tuple[Graph, Graph, Graph]:
    """The same where a graph is walked, which is made or changed with them."""
    vectors = vectors.astype(np.float16)
    walk, now = Walk.build(vectors[before]), vectors[after]
    old = neighbour_graph(vectors[before], walk=walk)
    with tempfile.TemporaryDirectory(prefix="wellspring-scale-") as folder:
        path = Path(folder, "walk.npz")
        walk.save(path)
        with clock.stage(FROM_NOTHING):
            meant = neighbour_graph(now, walk=Walk.build(now))
        with clock.stage(UP_TO_DATE):
            rows = np.full(len(vectors), -1)
            rows[after] = np.arange(len(after))
            rows = rows[before]
            changed = Walk.changed(path, now, now=rows, rows=np.arange(len(now)))
            tables = (old.rows, old.cosines)
            found = measured(now, *walked_again(now, tables, rows, walk=changed, moved=False))
    return old, meant, found


if __name__ == "__main__":
    main()
