"""What codes keep of a search by their bytes an image: ``python -m benchmarks.scale.codes``.

A gallery of photographs and of the exemplars of known pairs is asked for the sources of the pairs'
generated images. Coded are the unit rows of the embedding, all levels side by side under the
program's own head, since their inner product is what a search compares; CSLS means stay exact
beside them, since they change with every image that comes or goes, and the rows do not.

No pair is used to choose or learn anything. Learned codes and OPQ start from one rotation.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from rich.console import Console

from benchmarks.quality.photos import some_photos
from benchmarks.scale import codecs
from benchmarks.scale.code_table import RESULTS, write_page
from benchmarks.scale.consistent import LEARNED, learned
from core.config import ScoreConfig
from core.encoders.load import load_encoder
from core.images.files import cache_home, new_file
from core.measures.evaluate import Bench
from core.measures.retrieval import clustered_interval
from core.search.index import csls_means
from core.service.heads import choose_head
from core.values import Encoder, no_progress

BEST, RESCORED = 10, 200
"""Rows of which the recall is told, and rows that are scored again from the vectors."""
PAIRS = ("pairs.json", "pairs2/pairs.json")
RABITQ = {128: ((432, 2), (288, 3)), 64: ((448, 1), (176, 2), (112, 3))}
"""Numbers and bits of each that RaBitQ makes codes of a size of."""
GROUPS = (None, *RABITQ)
Name = tuple[str, int]
"""Of a code, and its bytes."""
console = Console(width=110)


@dataclass(frozen=True)
class Asked:
    """A gallery, and queries whose sources are in it."""

    vectors: np.ndarray
    """Unit rows (n, d), float32."""
    csls_means: np.ndarray
    """(n,)."""
    queries: np.ndarray
    """Unit rows (q, d), float32."""
    right: Sequence[np.ndarray]
    """Rows of the sources of every query."""
    left_out: Sequence[np.ndarray]
    """Rows that are not ranked for it: its exemplars in other roles."""
    clusters: Sequence[str]
    """Queries of the same sources."""


@dataclass(frozen=True)
class Kept:
    """What a code keeps of the search of every query."""

    raw: np.ndarray
    """Share of the ten best rows of exact search among its own ten best."""
    rescored: np.ndarray
    """The same once its 200 best are scored from the vectors."""
    first: np.ndarray
    """R@1 after that."""


def main() -> None:
    """Measure all codes, store what was found and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=6_000, help="photographs, drawn at random")
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--limits", action="store_true", help="only what no code can exceed")
    options = parser.parse_args()
    asked = among_photos(options.photos, options.encoder)
    if options.limits:
        stored = json.loads(RESULTS.read_text(encoding="utf-8"))
        RESULTS.write_text(json.dumps({**stored, "limits": limits(asked)}, indent=1) + "\n")
        write_page()
        return
    place = cache_home() / "codes" / f"{Path(options.encoder).name}-{options.photos}"
    with ProcessPoolExecutor(len(GROUPS), get_context("spawn")) as pool:
        parts = [pool.submit(measured, asked, group, place) for group in GROUPS]
        found = {name: each for part in parts for name, each in part.result().items()}
    told = {"images": len(asked.vectors), "numbers": asked.vectors.shape[1]}
    told |= {"limits": limits(asked)}
    RESULTS.write_text(json.dumps({**told, **summary(found, asked.clusters)}, indent=1) + "\n")
    write_page()


def measured(asked: Asked, group: int | None, place: Path) -> dict[Name, Kept]:
    """What the codes of a group keep, on one core; a stopped run goes on from a folder."""
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    found: dict[Name, Kept] = {}
    for number, make in enumerate(all_codes(asked.vectors, group)):
        path = place / f"{group}-{number}.npz"
        if path.is_file():
            arrays = dict(np.load(path))
            name = str(arrays.pop("name")), int(arrays.pop("bytes"))
            found[name] = Kept(**arrays)
            continue
        start = time.process_time()
        codes = make()
        each = found[codes.name, codes.bytes] = kept(asked, codes)
        took = time.process_time() - start
        console.print(f"{codes.name:28}{codes.bytes:6} bytes{each.raw.mean():8.4f}{took:6.0f} s")
        with new_file(path) as partial, partial.open("wb") as file:
            np.savez(file, name=codes.name, bytes=codes.bytes, **vars(each))
    return found


def all_codes(vectors: np.ndarray, group: int | None) -> list[Callable[[], codecs.Codes]]:
    """The codes of a group, made when they are called: those of so many bytes, or all others."""
    if group is None:
        return [
            lambda: codecs.exact(vectors),
            lambda: codecs.half(vectors),
            lambda: codecs.scalar(vectors, bits=8),
            lambda: codecs.scalar(vectors, bits=4),
            lambda: codecs.rabitq(vectors, dim=vectors.shape[1], bits=1),
        ]
    begin = functools.cache(lambda: codecs.optimised(vectors, size=group))
    return [
        *(lambda d=d, b=b: codecs.rabitq(vectors, dim=d, bits=b) for d, b in RABITQ[group]),
        lambda: begin().codes("OPQ + PQ", vectors),
        lambda: learned(vectors, begin()),
        lambda: codecs.product(vectors, size=group),
    ]


def limits(asked: Asked) -> list[dict[str, Any]]:
    """Raw recall that the best code of each size would have, were the rows Gaussian."""
    found = ((size, kept(asked, codecs.limit(asked.vectors, size=size))) for size in RABITQ)
    told = ((size, clustered_interval(each.raw, asked.clusters)) for size, each in found)
    return [{"bytes": size, "raw": asdict(raw)} for size, raw in told]


def among_photos(count: int, name: str) -> Asked:
    """All known pairs among as many photographs, drawn at random, under an encoder."""
    data, cache, encoder = Path(os.environ["WELLSPRING_DATA"]), cache_home(), load_encoder(name)
    real = data / "real"
    gallery = some_photos(real, count, [encoder], cache=cache, progress=no_progress)
    return known([Bench(data / each, gallery, [encoder], cache=cache) for each in PAIRS], encoder)


def known(benches: Sequence[Bench], encoder: Encoder) -> Asked:
    """The photographs of a gallery that are no exemplars, all exemplars, and all queries."""
    gallery = benches[0].gallery
    head = choose_head(gallery, encoder, "default")
    photos = np.array(sorted(set.intersection(*({*b.others.tolist()} for b in benches))))
    features, queries = [gallery.features(encoder)[photos]], list[np.ndarray]()
    right, left_out, clusters = list[np.ndarray](), list[np.ndarray](), list[str]()
    first = len(photos)
    for number, bench in enumerate(benches):
        rows, stored = bench.row, bench.images.features(encoder)
        place = {name: first + at for at, name in enumerate(bench.exemplars)}
        first += len(bench.exemplars)
        features.append(stored[[rows[name] for name in bench.exemplars]])
        queries.append(stored[[rows[pair.generated] for pair in bench.all_pairs]])
        for pair in bench.all_pairs:
            right.append(np.array([place[name] for name in pair.exemplars]))
            left_out.append(np.array([place[name] for name in pair.others], np.int64))
            clusters.append(f"{number} {pair.cluster}")
    vectors = head(np.concatenate(features), role="gallery").astype(np.float32)
    means = csls_means(vectors, k=ScoreConfig().neighbours)
    asked = head(np.concatenate(queries), role="query").astype(np.float32)
    return Asked(vectors, means, asked, right, left_out, clusters)


def kept(asked: Asked, codes: codecs.Codes) -> Kept:
    """Search by a code, and by the vectors."""
    exact = _scores(asked, asked.queries @ asked.vectors.T)
    wanted = best(exact, BEST)
    found = best(_scores(asked, codes.cosines(asked.queries)), min(RESCORED, exact.shape[1]))
    again = np.take_along_axis(exact, found, axis=1)
    order = np.argsort(-again, axis=1, kind="stable")[:, :BEST]
    final = np.take_along_axis(found, order, axis=1)
    first = [(row[0] == right).mean() for row, right in zip(final, asked.right, strict=True)]
    return Kept(share(wanted, found[:, :BEST]), share(wanted, final), np.array(first))


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """The k rows of the highest scores of every query, best first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def share(wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Share of the rows wanted that are among those found, by query."""
    return np.array([np.isin(w, f).mean() for w, f in zip(wanted, found, strict=True)])


def _scores(asked: Asked, cosines: np.ndarray) -> np.ndarray:
    """Locally scaled scores of all rows that are ranked."""
    scores = 2 * cosines - asked.csls_means
    for row, gone in zip(scores, asked.left_out, strict=True):
        row[gone] = -np.inf
    return scores


def summary(found: Mapping[Name, Kept], clusters: Sequence[str]) -> dict[str, Any]:
    """Means with intervals by code, and what learned codes have more than others of their size."""
    exact = next(each.first for (name, _), each in found.items() if name == "float32")

    def told(values: np.ndarray) -> dict[str, Any]:
        return asdict(clustered_interval(values, clusters))

    rows = [
        {"name": name, "bytes": size}
        | {part: told(values) for part, values in vars(each).items()}
        | {"first_less": told(each.first - exact)}
        for (name, size), each in found.items()
    ]
    pairs = [
        {"size": size, "other": f"{other}, {own} bytes"}
        | {"raw": told(each.raw - kind.raw), "first": told(each.first - kind.first)}
        for (name, size), each in found.items()
        if name == LEARNED
        for (other, own), kind in found.items()
        if other != LEARNED and size - 4 <= own <= size + 4
    ]
    return {"rows": rows, "learned_less_others": pairs}


if __name__ == "__main__":
    main()
