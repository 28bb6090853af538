"""Speed as ratios measured in one run: queries, builds, search; ``python -m benchmarks.speed``.

Exit status 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import faiss
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.speed.bars import Bars
from core.config import BuildConfig, HeadConfig, ScoreConfig
from core.encoders.baselines import BASELINES
from core.encoders.load import load_encoder
from core.encoders.network import NetworkEncoder
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.heads.fit import fit_head
from core.images.decode import load_image
from core.images.listing import list_images
from core.images.thumbnails import thumbnail
from core.search.engine import Walked
from core.search.index import Index, measured_recall
from core.search.prepare import prepare
from core.search.walk import Walk
from core.service.choice import Choice
from core.service.heads import choose_head
from core.service.session import Session

console = Console()
_FORWARDS = 20

LOADED = 200
"""Milliseconds in which a bundled encoder is to be loaded."""
QUERY, BEYOND = 1.10, 10
"""A query takes at most so many times decoding and a bare forward pass, and milliseconds more."""
BUILT = 0.95
"""Throughput of a build over that of its parts, at least."""

_SECTIONS = ("load", "fold", "query", "build", "look", "search", "graph", "heads")


def main() -> None:
    """Run the sections that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--only", choices=_SECTIONS)
    parser.add_argument("--images", type=int, default=40, help="queries")
    parser.add_argument("--build-images", type=int, default=512)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    options = parser.parse_args()
    data = Path(os.environ.get("WELLSPRING_DATA", ""))
    if options.only in (None, "query", "graph") and not options.gallery.is_dir():
        command = f"python -m core index $WELLSPRING_DATA/real --out {options.gallery}"
        raise SystemExit(f"{options.gallery} is not there; make it with: {command}")
    real, made = data / "real", data / "synthetic"
    gallery, encoder, few = options.gallery, options.encoder, options.build_images
    bars = Bars()
    sections: dict[str, Callable[[], None]] = {
        "load": lambda: loading(bars),
        "fold": lambda: fold(encoder),
        "search": lambda: search(options.vectors, bars),
        "build": lambda: build(_sample(real, few), encoder, bars),
        "look": lambda: look(real, _sample(real, few), bars),
        "query": lambda: query(_sample(made, options.images), gallery, encoder, bars),
        "graph": lambda: graph(gallery, encoder),
        "heads": lambda: heads(bars),
    }
    for name, section in sections.items():
        if options.only in (None, name):
            section()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    console.print(f"peak resident memory {peak:.2f} GB")
    bars.end()


def fold(encoder: str) -> None:
    """Time of the processor for a forward pass, as a network is given and as it reads."""
    network = load_encoder(encoder)
    assert isinstance(network, NetworkEncoder)
    side = network.backbone.config.input_size
    for images in (1, 16):
        pixels = torch.rand(images, 3, side, side).to(memory_format=torch.channels_last)
        times: dict[str, list[float]] = {"as given": [], "folded": []}
        with torch.inference_mode():
            for _ in range(_FORWARDS):
                for name, read in (("as given", network.backbone), ("folded", network.folded)):
                    start = time.process_time()
                    read(pixels)
                    times[name].append(1e3 * (time.process_time() - start))
        given, folded = (statistics.median(each) for each in times.values())
        console.print(
            f"{images} images: {folded:.1f} ms of the processor folded, {given:.1f} as given, "
            f"ratio {folded / given:.2f}"
        )


def query(paths: Sequence[Path], gallery: Path, encoder: str, bars: Bars) -> None:
    """Time beyond decoding and the bare forward pass."""
    session = Session()
    table = Table("what", "median ms", "quartiles", title=f"One query, {gallery}")
    plain = Choice(encoder, gallery=str(gallery), score=ScoreConfig().without("patches"))
    full = Choice(encoder, gallery=str(gallery))
    for choice in (plain, full):
        session.attribute(paths[0], choice)  # everything loaded, every page touched once
    network = session.encoder(encoder)
    assert isinstance(network, NetworkEncoder)
    bare = _times(
        paths, lambda path: network.stages([load_image(path, fit=BuildConfig().thumbnail).image])
    )
    rows = {"decode + bare forward": bare}
    for name, choice in (("global only", plain), ("with local re-ranking", full)):
        rows[name] = _times(paths, lambda path, c=choice: session.attribute(path, c))
        rows[f"overhead, {name}"] = [t - b for t, b in zip(rows[name], bare, strict=True)]
    for name, times in rows.items():
        table.add_row(name, *_spread(times))
    console.print(table)
    middle = statistics.median(bare)
    for name in ("global only", "with local re-ranking"):
        ratio = statistics.median(rows[name]) / middle
        over = statistics.median(rows[f"overhead, {name}"])
        console.print(f"{name} / decode + bare forward: {ratio:.2f}; {over:.1f} ms beyond it")
    beyond = statistics.median(rows["with local re-ranking"]) - QUERY * middle
    bars.hold(f"a query beyond {QUERY:.2f} x (decode + bare forward)", beyond, BEYOND, "ms")


def loading(bars: Bars) -> None:
    """Time to load each bundled encoder from its files, once the libraries are imported."""
    for name in ("lite0", "moco", "dino"):
        times = _times([name] * 10, load_encoder)
        console.print(f"{name} loads in {_spread(times)[1]} ms")
        bars.hold(f"{name} loads in", statistics.median(times), LOADED, "ms")


def build(paths: Sequence[Path], encoder: str, bars: Bars) -> None:
    """Throughput of a build against its parts, each measured alone."""
    network = load_encoder(encoder)
    assert isinstance(network, NetworkEncoder)
    size, batch = network.backbone.config.input_size, BuildConfig().batch
    loaded: list[Image.Image] = []
    parts = {
        "decode": _total(
            lambda: loaded.extend(load_image(p, fit=BuildConfig().thumbnail).image for p in paths)
        ),
        "resize": _total(
            lambda: [image.resize((size, size), Image.Resampling.BICUBIC) for image in loaded]
        ),
        "thumbnail": _total(
            lambda: [thumbnail(image, side=BuildConfig().thumbnail) for image in loaded]
        ),
    }
    pixels = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        network.folded(pixels)
        parts["forward"] = _total(
            lambda: [network.folded(pixels) for _ in range(len(paths) // batch)]
        )
    root = Path(os.path.commonpath(paths))
    names = tuple(path.relative_to(root).as_posix() for path in paths)
    with tempfile.TemporaryDirectory() as folder:
        took = _total(
            lambda: update(
                Path(folder) / "gallery",
                Source(root, names),
                [network],
            )
        )
    table = Table("part", "images/s", title=f"Build of {len(paths)} images, {encoder}")
    for name, seconds in parts.items():
        table.add_row(name, f"{len(paths) / seconds:.0f}")
    table.add_row("parts, one after another", f"{len(paths) / sum(parts.values()):.0f}")
    table.add_row("build", f"{len(paths) / took:.0f}")
    console.print(table)
    bars.reach("build / parts", sum(parts.values()) / took, BUILT)


def look(folder: Path, sample: Sequence[Path], bars: Bars) -> None:
    """What finding the images of a folder and the rows beside them adds to the quickest build."""
    found: list[int] = []
    looked = _total(lambda: found.append(len(Source(folder).look().files)))
    names = tuple(path.relative_to(folder).as_posix() for path in sample)
    with tempfile.TemporaryDirectory() as made:
        quickest = [BASELINES["thumbnail"]()]
        built = _total(lambda: update(Path(made) / "gallery", Source(folder, names), quickest))
    share = looked / (built * found[0] / len(sample))
    console.print(f"looking through {found[0]:,} images: {looked:.1f} s")
    bars.hold("looking / building with the thumbnail encoder", share, 0.05)


def search(vectors: int, bars: Bars, *, dim: int = 512, queries: int = 20, k: int = 200) -> None:
    """One query at a time: our index, bare FAISS, and a matrix product with a full sort."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((vectors, dim), dtype=np.float32)
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    asked = base[rng.choice(vectors, queries)] + 0.05 * rng.standard_normal((queries, dim))
    asked = np.ascontiguousarray(asked, dtype=np.float32)
    flat = faiss.IndexFlatIP(dim)
    flat.add(base)
    ours = Index(base)
    matrix = torch.from_numpy(base)
    ways: dict[str, Callable[[np.ndarray], object]] = {
        "bare FAISS": lambda q: flat.search(q, k),
        "this index": lambda q: ours.search(q, k=k),
        "torch product + full sort": lambda q: torch.argsort(
            matrix @ torch.from_numpy(q[0]), descending=True
        ),
    }
    rows = [asked[i : i + 1] for i in range(queries)]
    times = {name: _times(rows, way) for name, way in ways.items()}
    table = Table("way", "median ms", "quartiles", title=f"Search, {vectors:,} x {dim}, k = {k}")
    for name, found in times.items():
        table.add_row(name, *_spread(found))
    console.print(table)
    ratio = statistics.median(times["this index"]) / statistics.median(times["bare FAISS"])
    bars.hold("this index / bare FAISS", ratio, 1.10)


def graph(gallery: Path, encoder: str, *, queries: int = 200) -> None:
    """Recall and speed of HNSW against the exact search, on a gallery's own embeddings."""
    opened = Gallery.open(gallery)
    network = load_encoder(encoder)
    head = choose_head(opened, network, "default")
    view = prepare(opened, network, head, config=ScoreConfig(search="exact")).views[0]
    began = time.perf_counter()
    walk = Walk.build(view.vectors)
    hnsw = Index(view.vectors, csls_means=view.csls_means, engine=Walked(walk, len(walk)))
    console.print(f"HNSW over {len(opened)} images built in {time.perf_counter() - began:.1f} s")
    rng = np.random.default_rng(0)
    asked = view.vectors[rng.choice(len(opened), queries)]
    asked = asked + 0.03 * rng.standard_normal(asked.shape, dtype=np.float32)
    one = [asked[i : i + 1] for i in range(queries)]
    table = Table("k", "recall", "HNSW / exact, time", title="HNSW against exact search")
    for k in (1, 10, 200):
        recall = measured_recall(hnsw, view.index, queries=asked, k=k)
        fast = statistics.median(_times(one, lambda q, k=k: hnsw.search(q, k=k)))
        slow = statistics.median(_times(one, lambda q, k=k: view.index.search(q, k=k)))
        table.add_row(str(k), f"{recall:.3f}", f"{fast / slow:.2f}")
    console.print(table)


def heads(bars: Bars, *, images: int = 15_000, features: int = 2_048) -> None:
    """Time to fit heads on synthetic float16 features: skewed sources, mixed."""
    rng = np.random.default_rng(0)
    sources = rng.laplace(size=(images, features)).astype(np.float32)
    mixing = rng.standard_normal((features, features), dtype=np.float32) / features**0.5
    mixed = (sources @ mixing).astype(np.float16)
    limits = {"whiten": 15, "logdet": 15, "infomax": 120}
    for kind, limit in limits.items():
        config = HeadConfig(kind=kind)  # pyright: ignore[reportArgumentType]
        took = _total(lambda config=config: fit_head(mixed, config=config))
        bars.hold(f"{kind} of {images} x {features}", took, limit, "s")


def _sample(folder: Path, count: int) -> list[Path]:
    if not folder.is_dir():
        raise SystemExit("name the images in WELLSPRING_DATA; docs/data.md says which")
    paths = list_images(folder)
    chosen = np.random.default_rng(0).choice(len(paths), min(count, len(paths)), replace=False)
    return [paths[i] for i in sorted(chosen)]


def _times(values: Sequence[object], way: Callable[..., object]) -> list[float]:
    """Milliseconds of each call, after one that is not counted."""
    way(values[0])
    times: list[float] = []
    for value in values:
        began = time.perf_counter()
        way(value)
        times.append((time.perf_counter() - began) * 1e3)
    return times


def _total(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _spread(times: Sequence[float]) -> tuple[str, str]:
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:.1f}", f"{low:.1f} to {high:.1f}"


if __name__ == "__main__":
    main()
