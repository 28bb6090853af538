"""Attribution by Customization (Wang, Efros, Zhu & Zhang, ICCV 2023), its protocol and its files.

For every generated image the gallery is one million LAION images and the exemplars of the model
that made it, of no other one; Recall@K is the number of exemplars among the first K over their
number, and average precision is taken over the full ranking. Both are averaged over queries, for
each type of prompt by itself.

The data are the authors' (github.com/PeterWang512/GenDataAttribution); in a clone of theirs::

    bash dataset/download_dataset.sh exemplar    # dataset/exemplar
    bash dataset/download_dataset.sh testset     # dataset/synth; dataset/json comes with the clone
    bash feats/download_laion_feats.sh           # feats/MODEL/laion_subset.pth, for their encoders
    bash dataset/download_dataset.sh laion       # dataset/laion_subset, to encode with ours

Features of theirs, which ``extract_feat.py`` completes, and encoders of ours::

    python -m benchmarks.quality.abc CLONE --case test_bamfg --features CLONE/feats/dino
    python -m benchmarks.quality.abc CLONE --case test_bamfg --encoder moco --kind whiten
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from jaxtyping import Float, Integer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from core.config import HEAD_KINDS, BuildConfig, HeadConfig
from core.encoders.load import load_encoder
from core.gallery.gallery import encoder_key
from core.heads.fit import fit_head
from core.heads.head import Head
from core.images.decode import load_image
from core.images.files import new_file
from core.images.listing import list_images
from core.values import Encoder, GalleryError

RECALLS = (5, 10, 100)

_BATCH = 32  # images encoded, and queries searched, at once
_MARGIN = 1e-4  # of a cosine: below the lowest exemplar, so that rounding hides nothing


@dataclass(frozen=True)
class Case:
    """The models of one ``dataset/json/test_*.json``, in its order."""

    exemplars: tuple[str, ...]
    """Files of all models' exemplars, relative to the clone."""
    chunks: tuple[tuple[int, int], ...]
    """First exemplar of every model, and one past its last."""
    generated: Mapping[str, tuple[str, ...]]
    """Generated files by type of prompt."""
    models: Mapping[str, tuple[int, ...]]
    """The model of every generated file."""


@dataclass(frozen=True)
class Features:
    """Un-headed features of a test and of the gallery that is shared by all its models."""

    gallery: Float[np.ndarray, "n f"]
    exemplars: Float[np.ndarray, "m f"]
    generated: Mapping[str, Float[np.ndarray, "q f"]]


@dataclass(frozen=True)
class Scores:
    """Means over the queries of one type of prompt."""

    queries: int
    recalls: Mapping[int, float]
    """Recall by K."""
    precision: float
    """Mean average precision over the full ranking."""


def read_case(path: Path) -> Case:
    """Read a list of ``{"exemplar": [...], "synth": {type: [...]}}``, one entry a model.

    Raises:
        GalleryError: when the file is not such a list.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        kinds = list(entries[0]["synth"])
        counts = np.cumsum([0, *(len(entry["exemplar"]) for entry in entries)]).tolist()
        return Case(
            exemplars=tuple(name for entry in entries for name in entry["exemplar"]),
            chunks=tuple(pairwise(counts)),
            generated={k: tuple(n for e in entries for n in e["synth"][k]) for k in kinds},
            models={k: tuple(i for i, e in enumerate(entries) for _ in e["synth"][k])
                    for k in kinds},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise GalleryError(f"{path.name} is not a list of models ({error!r})") from error


def read_features(folder: Path, name: str) -> Features:
    """Features that the authors' scripts wrote: ``laion_subset.pth`` and ``<case>.pth``.

    Raises:
        GalleryError: when a file is missing, or holds more than tensors, or not these.
    """
    try:
        gallery = _tensors(folder / "laion_subset.pth")["feats"]
        found = _tensors(folder / f"{name}.pth")
        return Features(
            gallery.numpy(),
            found["exemplar_tensors"].numpy(),
            {kind: rows.numpy() for kind, rows in found["synth_tensors"].items()},
        )
    except (KeyError, AttributeError) as error:
        raise GalleryError(f"{folder} holds no features of {name} ({error!r})") from error


def encode_features(clone: Path, case: Case, encoder: Encoder, *, cache: Path) -> Features:
    """Features of the clone's images by an encoder of ours; kept, since they take hours."""
    laion = [path.relative_to(clone).as_posix() for path in list_images(clone / LAION)]

    def encoded(what: str, names: Sequence[str]) -> np.ndarray:
        path = cache / encoder_key(encoder) / f"{what}.npy"
        if not path.exists():
            shape = (len(names), encoder.dim)
            with new_file(path) as partial:
                rows = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
                for start in track(range(0, len(names), _BATCH), description=what):
                    files = [clone / name for name in names[start : start + _BATCH]]
                    images = [load_image(file, fit=BuildConfig().thumbnail).image for file in files]
                    rows[start : start + _BATCH] = encoder.encode(images).features
                rows.flush()
        return np.load(path, mmap_mode="r", allow_pickle=False)

    return Features(
        encoded(LAION.name, laion),
        encoded(f"exemplars-{len(case.exemplars)}", case.exemplars),
        {kind: encoded(f"{kind}-{len(n)}-{n[0].replace('/', '_')}", n)
         for kind, n in case.generated.items()},
    )  # fmt: skip


LAION = Path("dataset/laion_subset")
"""Folder of the gallery's images in the authors' clone."""


def evaluate(case: Case, features: Features, head: Head) -> dict[str, Scores]:
    """Scores by type of prompt; the gallery is indexed once and searched by batches.

    Raises:
        GalleryError: when the features are not as many as the test's images.
    """
    _check(case, features)
    index = distractor_index(head(features.gallery, role="gallery"))
    exemplars = head(features.exemplars, role="gallery")
    return {
        kind: retrieval_scores(
            index,
            exemplars,
            head(rows, role="query"),
            chunks=np.array([case.chunks[model] for model in case.models[kind]]),
        )
        for kind, rows in features.generated.items()
    }


def retrieval_scores(
    index: faiss.Index,
    exemplars: Float[np.ndarray, "m d"],
    queries: Float[np.ndarray, "q d"],
    *,
    chunks: Integer[np.ndarray, "q 2"],
) -> Scores:
    """Mean scores of queries, among the gallery and each one's own exemplars (rows ``chunks``)."""
    values = np.empty((len(queries), len(RECALLS) + 1))
    for start in range(0, len(queries), _BATCH):
        batch = queries[start : start + _BATCH]
        spans = chunks[start : start + _BATCH]
        own = [np.sort(exemplars[a:b] @ q)[::-1] for q, (a, b) in zip(batch, spans, strict=True)]
        floors = np.array([scores[-1] for scores in own]) - np.float32(_MARGIN)
        limits, products, _ = index.range_search(_with_column(batch, -floors), 0.0)
        for i, scores in enumerate(own):
            before = np.sort(products[limits[i] : limits[i + 1]] + floors[i])
            beaten_by = len(before) - np.searchsorted(before, scores)
            values[start + i] = _measures(beaten_by + np.arange(1, len(scores) + 1))
    means = values.mean(0)
    return Scores(len(queries), dict(zip(RECALLS, means[:-1], strict=True)), float(means[-1]))


def _measures(ranks: Integer[np.ndarray, " m"]) -> list[float]:
    """Recall at each K and average precision, from the exemplars' sorted ranks."""
    recalls = [float((ranks <= k).mean()) for k in RECALLS]
    return [*recalls, float((np.arange(1, len(ranks) + 1) / ranks).mean())]


def distractor_index(gallery: Float[np.ndarray, "n d"]) -> faiss.Index:
    """All rows with one more column of ones, which takes a query's own floor off its products.

    What a search then finds above 0 are the rows above that floor: all that stand before some
    exemplar of the query, with their cosines, and nothing else.
    """
    index = faiss.IndexFlatIP(gallery.shape[1] + 1)
    for start in range(0, len(gallery), 65_536):
        rows = gallery[start : start + 65_536]
        index.add(_with_column(rows, np.ones(len(rows))))
    return index


def _with_column(rows: np.ndarray, column: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.column_stack([rows, column]), dtype=np.float32)


def _check(case: Case, features: Features) -> None:
    wanted = {"exemplars": len(case.exemplars), **{k: len(n) for k, n in case.generated.items()}}
    have = {"exemplars": len(features.exemplars)}
    have |= {kind: len(rows) for kind, rows in features.generated.items()}
    if wanted != have:
        raise GalleryError(f"the features are of other images: {have}, but the test has {wanted}")


def _tensors(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged pickle can raise anything; none of its code runs
        raise GalleryError(f"{path.name} is missing, damaged, or more than tensors") from error


def main() -> None:
    """Print a table of one test case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clone", type=Path, help="the authors' repository with its data")
    parser.add_argument("--case", required=True, help="such as test_bamfg")
    parser.add_argument("--features", type=Path, help="folder of features that are there already")
    parser.add_argument("--encoder", default="moco", help="encoder of ours, without --features")
    parser.add_argument("--kind", choices=HEAD_KINDS, default=HeadConfig().kind)
    options = parser.parse_args()
    case = read_case(options.clone / "dataset" / "json" / f"{options.case}.json")
    if options.features:
        features = read_features(options.features, options.case)
    else:
        cache = Path(os.environ.get("WELLSPRING_CACHE") or options.clone / "feats")
        features = encode_features(options.clone, case, load_encoder(options.encoder), cache=cache)
    head = fit_head(features.gallery, config=HeadConfig(kind=options.kind))
    table = Table("prompts", "queries", *(f"R@{k}" for k in RECALLS), "mAP", title=options.case)
    for kind, found in evaluate(case, features, head).items():
        numbers = [*found.recalls.values(), found.precision]
        table.add_row(kind, str(found.queries), *(f"{value:.4f}" for value in numbers))
    Console().print(table)


if __name__ == "__main__":
    main()
