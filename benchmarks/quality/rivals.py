"""The program beside rivals that learn nothing, with one threshold for all queries.

Generated images without a known source are asked too, and lower the micro average precision of
whoever scores them high.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.quality import patches, roles, sift, tables
from benchmarks.quality.study import (
    HALVES,
    Group,
    Study,
    by_source,
    cell_object,
    cells,
    of_scores,
    store,
)
from core.config import ScoreConfig
from core.gallery.source import Source
from core.images.listing import list_images
from core.measures.pooled import MICRO, Pool, interval_of, pooled_values
from core.measures.retrieval import Cell, Pair
from core.service.heads import choose_head

WITHOUT = 150
"""Images without a source, drawn with the seed 0 from those of Stable Diffusion."""

FIRST = "lite0"
"""The encoder that is shown by generator."""

_WAYS = {
    "default": ScoreConfig(),
    "embedding": ScoreConfig(views=()),
}

Column = tuple[Float[np.ndarray, "q 4"], Pool]


def without_source(data: Path) -> Source:
    """Generated images that no image of the gallery is known to be a source of."""
    folder = data / "synthetic" / "stable_diffusion"
    names = [path.relative_to(folder).as_posix() for path in list_images(folder)]
    chosen = np.sort(np.random.default_rng(0).permutation(len(names))[:WITHOUT])
    return Source(folder, tuple(names[i] for i in chosen), prune=True)


def measure(study: Study) -> None:
    """Rank every pair by every rival, each role by itself; store means by kind and role."""
    study.bench.ask_without(without_source(study.data), progress=study.progress)
    columns = dict(_encoders(study)) | dict(_pixels(study))
    by_role = any(pair.others for pair in study.pairs)
    groups = roles.groups(study.pairs) if by_role else by_source(study.pairs)
    found = _measured(study, columns, {**groups, "all": lambda _: True})
    first = {name: made for name, made in columns.items() if name == f"{FIRST}/default"}
    generators = _measured(study, first, by_generator(study.pairs))
    alone = len(study.bench.alone)
    part = "rivals_roles" if by_role else "rivals"
    store(part, study, without=alone, cells=found, generators=generators)


def by_generator(pairs: Sequence[Pair]) -> dict[str, Group]:
    """A group for every generator, role by role where there are roles."""
    return {name: _made(name) for name in sorted({*map(_maker, pairs)})}


def _maker(pair: Pair) -> str:
    role = pair.source.partition(": ")[2]
    return f"{pair.generator}: {role}" if role else pair.generator


def _made(name: str) -> Group:
    return lambda pair: _maker(pair) == name


def _measured(
    study: Study, columns: Mapping[str, Column], groups: Mapping[str, Group]
) -> list[dict[str, Any]]:
    """Cells of every measure."""
    values = {name: made for name, (made, _) in columns.items()}
    pools = {name: pool for name, (_, pool) in columns.items()}
    measured = cells(study.pairs, values, groups=groups, parts=(*HALVES, "both"))
    return measured + _micro(study, pools, groups)


def section(found: Mapping[str, Any], _plots: Path) -> list[str]:
    """The section of the page."""
    across = tables.ordered(cell["source"] for cell in found["cells"])
    by_role = any(": " in source for source in across)
    parts = [
        "## Rivals that learn nothing, and one threshold for all queries"
        + (", role by role" if by_role else ""),
        "All pairs, among 2,500 photographs drawn with the seed 0 and the exemplars. `patches at "
        "several scales` are nearest-neighbour patches of pixels at 8, 16 and 32 pixels, in "
        "the manner of NDA (2510.14269) as its abstract describes it; `random` "
        "has random weights, and the same levels and scoring. uAP is the micro average precision "
        "of copy detection (DISC21): the scores of all queries in one list, those of "
        f"{found['without']} Stable Diffusion images without a known source included. It asks what "
        "a fixed threshold on the score would give; answers go by p-values instead.",
    ]
    for measure in ("R@1", "R@10", "mAP", MICRO):
        grid = tables.grid(found["cells"], across=across, half="both", measure=measure)
        parts += [f"{measure}:", grid]
    wanted = [("both", "R@1"), ("untouched", "R@1")]
    wanted += [("both", measure) for measure in ("R@5", "R@10", "mAP", MICRO)]
    return [
        *parts,
        f"`{FIRST}` as it ships, by generator; both halves unless said:",
        tables.by_source(found["generators"], wanted, column=f"{FIRST}/default"),
    ]


def _encoders(study: Study) -> Mapping[str, Column]:
    found: dict[str, Column] = {}
    for encoder in study.encoders:
        head = choose_head(study.bench.gallery, encoder, "default")
        for way, score in _WAYS.items() if encoder in study.networks else [*_WAYS.items()][:1]:
            how = {"pairs": study.pairs, "score": score, "progress": study.progress}
            found[f"{encoder.name}/{way}"] = study.bench.run(encoder, head, **how)
    return found


def _pixels(study: Study) -> Mapping[str, Column]:
    """SIFT and patches: scores of all candidates for the generated images and those without."""
    alone = study.bench.without
    assert alone is not None
    made = [study.bench.folder / pair.generated for pair in study.pairs]
    asked = [*dict.fromkeys(made), *(alone.root / alone.records[i].path for i in study.bench.alone)]
    place = {path: row for row, path in enumerate(asked)}
    rows = [place[path] for path in made] + [*range(len({*made}), len(asked))]
    found = {"patches at several scales": patches.scores(study, asked)}
    if sift.available():
        gallery, queries = sift.vectors(study, asked)
        found["sift"] = queries @ gallery.T
    return {name: scored(study, scores[rows]) for name, scores in found.items()}


def scored(study: Study, scores: Float[np.ndarray, "q n"]) -> Column:
    """Measures and pool of queries by the scores of all candidates; a tie counts against."""
    count, most = len(study.pairs), ScoreConfig().candidates
    right = [*study.right, *[np.empty(0, np.int64)] * (len(scores) - count)]
    values, tops, hits = np.empty((count, 4)), [], []
    for row, found in enumerate(scores):
        if row < count:
            found[study.left_out[row]] = -np.inf
            values[row] = of_scores(found, right[row])
        best = np.argsort(-found, kind="stable")[:most]
        tops.append(found[best])
        hits.append(np.isin(best, right[row]))
    return values, Pool(np.stack(tops), np.stack(hits), np.array([*map(len, right)]))


def _micro(
    study: Study, pools: Mapping[str, Pool], groups: Mapping[str, Group]
) -> list[dict[str, Any]]:
    """Cells of the micro average precision, images without a source in every group's list."""
    found: list[dict[str, Any]] = []
    for group, member in groups.items():
        rows = np.array([i for i, pair in enumerate(study.pairs) if member(pair)])
        clusters = [study.pairs[i].cluster for i in rows.tolist()]
        for column, pool in pools.items():
            interval = interval_of(pooled_values(pool, rows, clusters), clusters)
            cell = cell_object(Cell(group, column, MICRO, interval))
            found.append({"half": "both", **cell})
    return found
