"""What an image costs an engine, by the gallery's size: ``python -m benchmarks.scale.capacity``.

Rows of the manifest and a table of LanceDB, with its index and queries, at several sizes. Vectors
are those of a real gallery, resampled as in :mod:`benchmarks.scale.world`; the last rows ask and
are in no table. Seconds are the processor's, of all threads, so that a busy machine changes little.
``benchmarks.scale.plan`` extrapolates from what is stored.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scale.stages import resident
from benchmarks.scale.table import keep
from benchmarks.scale.world import World, alone, real, resampled
from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.build import update
from core.gallery.manifest import from_parquet, to_parquet
from core.gallery.source import Source
from core.images.files import folder_size
from core.images.listing import list_images
from core.search import lance
from core.search.extra_views import with_extra_views
from core.search.index import Index
from core.search.lance import LanceEngine, bring_up
from core.search.lance_table import create, new_table
from core.values import ImageRecord

ASKING = 100
"""Queries of each size."""
PROBED = 80_000
"""Size at which partitions are left out."""
_SAMPLE = 48  # images that are encoded
_TEN = 10


def main() -> None:
    """Measure one size after another, each in a process of its own, and store what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 20_000, 40_000, 80_000, 320_000]
    )
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        found = _image(options) if options.one == 0 else _size(options)
        sys.stdout.write(json.dumps(found))
        return
    given = ["--gallery", options.gallery, "--encoder", options.encoder]
    found: dict[str, Any] = {"command": "python -m benchmarks.scale.capacity", "sizes": {}}
    found["image"] = alone("benchmarks.scale.capacity", 0, *given)
    for size in options.sizes:
        found["sizes"][str(size)] = measured = alone("benchmarks.scale.capacity", size, *given)
        print(f"{size:9,} {measured}", flush=True)  # noqa: T201 - what it is for
        keep(capacity=found)


def _image(options: argparse.Namespace) -> dict[str, Any]:
    """Bytes of one image by what they are for, and processor seconds until it is encoded."""
    world = real(options.gallery, options.encoder)
    n, beside = len(world), {name: features for name, (_, features) in world.extra_views.items()}
    arrays = {"features": world.features, **beside}
    sizes = {name: array.nbytes / n for name, array in arrays.items()}
    sizes["local descriptors"] = np.asarray(world.patches).nbytes / n
    sizes["thumbnails"] = folder_size(options.gallery / "thumbnails") / n
    with tempfile.TemporaryDirectory(prefix="wellspring-scale-") as folder:
        root = Path(json.loads((options.gallery / "gallery.json").read_text())["root"])
        chosen = [p.relative_to(root).as_posix() for p in list_images(root)[:: n // _SAMPLE]]
        source, seconds = Source(root, tuple(chosen[:_SAMPLE])), dict[str, float]()
        for name in ("histogram", options.encoder):
            encoders = with_extra_views([load_encoder(name)])
            config = BuildConfig(patch_sample=1, workers=1)
            update(Path(folder, "warm"), source, encoders, config=config)
            out, start = Path(folder, name), time.process_time()
            update(out, source, encoders, config=config)
            seconds[name] = (time.process_time() - start) / _SAMPLE
    read = seconds["histogram"]
    return {"bytes": sizes, "read": read, "encode": max(seconds[options.encoder] - read, 0)}


def _size(options: argparse.Namespace) -> dict[str, Any]:
    """What a gallery of one size costs."""
    with tempfile.TemporaryDirectory(prefix="wellspring-scale-") as folder:
        source = real(options.gallery, options.encoder)
        world = resampled(source, options.one + ASKING, folder=Path(folder), seed=0)
        vectors = world.head(world.features, role="gallery").astype(np.float32)
        vectors, queries = vectors[:-ASKING], vectors[-ASKING:]
        found, records = _manifest(world, Path(folder))
        return found | _table(records, vectors, queries, Path(folder, "lance"))


def _manifest(world: World, folder: Path) -> tuple[dict[str, Any], list[ImageRecord]]:
    """Seconds and bytes of the manifest; bytes of memory of its records."""
    n = len(world) - ASKING
    records = [
        ImageRecord(
            id=row, path=f"photographs/{row % 997:03d}/image_{row:09d}.jpg", sha256=_sha(row),
            phash=world.hashes[row], width=640, height=480, size=90_000 + row, modified=row,
        )
        for row in range(n)
    ]  # fmt: skip
    seconds, data = timed(lambda: to_parquet(records))
    (folder / "manifest.parquet").write_bytes(data)
    before = resident()
    opening, read = timed(lambda: from_parquet(folder / "manifest.parquet"))
    kept = (resident() - before) * 1e9 / n
    found = {"manifest written": seconds, "manifest opened": opening}
    return {**found, "manifest bytes": len(data), "record bytes": kept if read else 0}, records


def _sha(row: int) -> str:
    return np.random.default_rng(row).bytes(32).hex()


def _table(
    records: list[ImageRecord], vectors: np.ndarray, queries: np.ndarray, folder: Path
) -> dict[str, Any]:
    """What a table costs: written, indexed and asked; how much of the nearest it finds."""
    n, address = len(vectors), new_table(str(folder))
    create(address, owner="benchmark")
    lance.EXACT = n  # the index is made below
    writing, held = timed(lambda: bring_up(address, records, "vector", vectors))
    ids, written = np.arange(n), folder_size(folder)
    engine = LanceEngine.open(address, "vector", ids=ids, version=held.version)
    engine.table.checkout_latest()
    nearest = Index(vectors).search(queries, k=_TEN).rows
    flat = Index(vectors)
    exact = [timed(lambda q=q: flat.search(q[None], k=256))[0] for q in queries[:20]]
    found = {"table written": writing, "table bytes": written}
    found["indexed"], found["index bytes"] = _indexed(engine, folder, partitions=1)
    asked = _asked(engine, queries, nearest)
    found |= {"exact answer": float(np.mean(exact)), **asked}
    if n == PROBED:
        found["probes"] = _probed(engine, folder, queries, nearest)
    return found


def _indexed(engine: LanceEngine, folder: Path, *, partitions: int) -> tuple[float, int]:
    """Processor seconds and bytes of an index of a bit a number."""
    kind: Any = importlib.import_module("lancedb.index").IvfRq
    config, before = kind(distance_type="dot", num_partitions=partitions), folder_size(folder)
    seconds, _ = timed(lambda: engine.table.create_index("vector", config=config))
    return seconds, folder_size(folder) - before


def _asked(engine: LanceEngine, queries: np.ndarray, nearest: np.ndarray) -> dict[str, float]:
    """Processor seconds of a query, mean and the 95th of a hundred, and its recall of ten."""
    engine.found(queries[:1], 256, None, exact=False)
    answers = [timed(lambda q=q: engine.found(q[None], 256, None, exact=False)) for q in queries]
    seconds = [each for each, _ in answers]
    hits = [np.isin(w, rows[0]).mean() for w, (_, rows) in zip(nearest, answers, strict=True)]
    p95 = float(np.quantile(seconds, 0.95))
    return {"answer": float(np.mean(seconds)), "answer p95": p95, "recall": float(np.mean(hits))}


def _probed(
    engine: LanceEngine, folder: Path, queries: np.ndarray, nearest: np.ndarray
) -> list[dict[str, float]]:
    """The same with partitions, of which a share is looked into."""
    parts = round(len(engine.ids) ** 0.5)
    _indexed(engine, folder, partitions=parts)
    found: list[dict[str, float]] = []
    for share in (0.05, 0.1, 0.25, 0.5, 1.0):
        asking = replace(engine.asking, probes=max(round(parts * share), 1))
        found.append({"share": share} | _asked(replace(engine, asking=asking), queries, nearest))
    return found


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of all threads of this process, and what came of it."""
    start = time.process_time()
    value = work()
    return time.process_time() - start, value


if __name__ == "__main__":
    main()
