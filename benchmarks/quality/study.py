"""What every measurement starts from: encoders, a gallery, known pairs, and what is already known.

Everything that takes long is kept below the cache folder by the encoder's identity, so that a
stopped measurement goes on where it was and a new encoder is measured anew.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from core.config import ScoreConfig
from core.encoders.files import features_of
from core.gallery.gallery import encoder_key
from core.heads.head import Head
from core.images.files import new_file, write_bytes
from core.measures.evaluate import Bench
from core.measures.retrieval import (
    MEASURES,
    Cell,
    Pair,
    clustered_interval,
)
from core.search.index import csls_means
from core.values import Encoder, ImageError, Progress

RESULTS = Path(__file__).parents[1] / "results"
"""Where measurements are stored, one JSON file each."""

HALVES = ("tune", "untouched")

Group = Callable[[Pair], bool]
"""Whether a pair belongs to a row of a table."""

TAGS = Path(__file__).parent / "nano_banana_tags.csv"

_QUERIES = 256  # queries compared with the gallery at once


@dataclass(frozen=True)
class Study:
    """Encoders on a gallery and known pairs."""

    data: Path
    """Folder with ``pairs.json`` and the image sets."""
    bench: Bench
    encoders: tuple[Encoder, ...]
    cache: Path
    progress: Progress

    @classmethod
    def open(
        cls,
        data: Path,
        gallery: Path,
        encoders: Sequence[Encoder],
        *,
        cache: Path,
        progress: Progress,
        pairs: str = "pairs.json",
    ) -> Study:
        """See that the gallery and the pairs are encoded with the encoders."""
        bench = Bench(data / pairs, gallery, encoders, cache=cache, progress=progress)
        return cls(data, bench, tuple(encoders), cache / "measured", progress)

    @property
    def pairs(self) -> list[Pair]:
        """All known pairs."""
        return self.bench.all_pairs

    @property
    def images(self) -> tuple[str, str]:
        """Identities of the gallery's images and of the pairs'."""
        return self.bench.gallery.identity, self.bench.images.identity

    @property
    def networks(self) -> tuple[Encoder, ...]:
        """The encoders with space, which are networks."""
        return tuple(e for e in self.encoders if self.bench.gallery.patch_head(e) is not None)

    @property
    def right(self) -> list[np.ndarray]:
        """Rows of every query's right answers: the exemplars stand behind the gallery."""
        return [self.bench.rows_of(pair.exemplars) for pair in self.pairs]

    @property
    def left_out(self) -> list[np.ndarray]:
        """Rows that are left out of every query's ranking: its exemplars in other roles."""
        return [self.bench.rows_of(pair.others) for pair in self.pairs]

    @property
    def gallery_paths(self) -> list[Path]:
        """Files of the gallery without copies of exemplars, then of the exemplars."""
        bench = self.bench
        own = [bench.gallery.root / bench.gallery.records[row].path for row in bench.others]
        return own + [bench.folder / name for name in bench.exemplars]

    def gallery_features(self, encoder: Encoder) -> Float[np.ndarray, "n f"]:
        """Un-headed features of the gallery without copies of exemplars, then of the exemplars."""
        rows = [self.bench.row[name] for name in self.bench.exemplars]
        own = self.bench.gallery.features(encoder)[self.bench.others]
        return np.concatenate([own, self.bench.images.features(encoder)[rows]]).astype(np.float32)

    def query_features(self, encoder: Encoder) -> Float[np.ndarray, "q f"]:
        """Un-headed features of the generated images."""
        rows = [self.bench.row[pair.generated] for pair in self.pairs]
        return self.bench.images.features(encoder)[rows].astype(np.float32)

    def kept(self, encoder: Encoder, name: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """An array computed with an encoder once; the name says what else it depends on."""
        path = self.cache / encoder_key(encoder) / f"{name}.npy"
        if not path.exists():
            array = compute()
            with new_file(path) as partial, partial.open("wb") as file:
                np.save(file, array)
        return np.load(path, allow_pickle=False)

    def under_heads(
        self, encoder: Encoder, part: str, fits: Mapping[str, Callable[[], Head]]
    ) -> dict[str, Float[np.ndarray, "q 4"]]:
        """Measures of every pair by the embedding alone, by encoder and head; each ranked once.

        Args:
            encoder: the encoder.
            part: the measurement that they are kept for.
            fits: how each head is fitted.
        """

        def measures(fit: Callable[[], Head]) -> np.ndarray:
            head = fit()
            return ranked(
                head(self.gallery_features(encoder), role="gallery"),
                head(self.query_features(encoder), role="query"),
                self.right,
                scaling=ScoreConfig().neighbours,
                without=self.left_out,
            )

        return {
            f"{encoder.name}/{name}": self.kept(
                encoder, f"{part}-{digest(name, *self.images)}", lambda fit=fit: measures(fit)
            )
            for name, fit in fits.items()
        }

    def encoded(
        self,
        encoder: Encoder,
        name: str,
        paths: Sequence[Path],
        *,
        seen: Callable[[Image.Image], Image.Image] = lambda image: image,
    ) -> Float[np.ndarray, "n f"]:
        """Un-headed features of image files, or of another view of them, computed once."""

        def compute() -> np.ndarray:
            found = features_of(encoder, paths, seen=seen, progress=self.progress)
            for reason in found.refused.values():
                raise ImageError(reason)
            return found.features.astype(np.float16)

        return self.kept(encoder, name, compute).astype(np.float32)


def ranked(
    gallery: Float[np.ndarray, "n d"],
    queries: Float[np.ndarray, "q d"],
    right: Sequence[np.ndarray],
    *,
    scaling: int | None,
    without: Sequence[np.ndarray] = (),
) -> Float[np.ndarray, "q 4"]:
    """R@1, R@5, R@10 and average precision of every query by its global score.

    Equal to ``core.measures.retrieval.measures`` on the full ranking, without sorting it. A tie
    counts against the right answer.

    Args:
        gallery: embeddings of all candidates, unit rows.
        queries: embeddings of the queries, unit rows.
        right: rows of the right answers of every query.
        scaling: neighbours in local scaling; ``None`` ranks by the cosine.
        without: rows that are left out for every query.
    """
    means = np.zeros(len(gallery), np.float32)
    if scaling is not None:
        means = csls_means(gallery, k=scaling)
    values = np.empty((len(queries), 4))
    for start in range(0, len(queries), _QUERIES):
        scores = 2 * queries[start : start + _QUERIES] @ gallery.T - means
        for i, row in enumerate(scores, start):
            if without:
                row[without[i]] = -np.inf
            values[i] = of_scores(row, right[i])
    return values


def of_scores(scores: Float[np.ndarray, " n"], right: np.ndarray) -> Float[np.ndarray, 4]:
    """R@1, R@5, R@10 and average precision of a query by the scores of all candidates.

    A tie counts against the right answer.
    """
    return from_ranks(np.sort([(scores >= scores[answer]).sum() for answer in right]))


def from_ranks(ranks: np.ndarray) -> Float[np.ndarray, 4]:
    """R@1, R@5, R@10 and average precision of the sorted ranks, from 1, of the right answers."""
    recalls = [(ranks <= k).mean() for k in (1, 5, 10)]
    return np.array([*recalls, (np.arange(1, len(ranks) + 1) / ranks).mean()])


def by_source(pairs: Sequence[Pair]) -> dict[str, Group]:
    """A group for every source, and one for all pairs."""
    named = {source: _of(source) for source in sorted({pair.source for pair in pairs})}
    return {**named, "all": lambda _: True}


def by_tag() -> dict[str, Group]:
    """Groups of the image edits by what was kept of the exemplar, tagged blind to any result."""
    with TAGS.open(encoding="utf-8", newline="") as file:
        tags = {row["generated"]: row["tag"] for row in csv.DictReader(file)}

    def among(*wanted: str) -> Group:
        return lambda pair: tags.get(pair.generated) in wanted

    return {
        "nano_banana: layout": among("layout"),
        "nano_banana: restaged": among("restaged"),
        "nano_banana: layout or restaged": among("layout", "restaged"),
        "nano_banana: meaning": among("meaning"),
    }


def cells(
    pairs: Sequence[Pair],
    results: Mapping[str, Float[np.ndarray, "q 4"]],
    *,
    groups: Mapping[str, Group],
    measures: Sequence[str] = MEASURES,
    parts: Sequence[str] = HALVES,
) -> list[dict[str, Any]]:
    """Means with exemplar-clustered intervals by part, group, column and measure."""
    found: list[dict[str, Any]] = []
    for part, (group, member) in product(parts, groups.items()):
        rows = [i for i, p in enumerate(pairs) if part in (p.half, "both") and member(p)]
        clusters = [pairs[i].cluster for i in rows]
        for (column, values), measure in product(results.items() if rows else (), measures):
            chosen = values[rows, MEASURES.index(measure)]
            interval = clustered_interval(chosen, clusters)
            found.append({"half": part, **cell_object(Cell(group, column, measure, interval))})
    return found


def compared(
    pairs: Sequence[Pair], results: Mapping[str, Float[np.ndarray, "q 4"]], base: str, **how: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Cells of all columns, and of their paired differences from one of them; see :func:`cells`."""
    gaps = {name: values - results[base] for name, values in results.items() if name != base}
    return cells(pairs, results, **how), cells(pairs, gaps, **how)


def cell_object(cell: Cell) -> dict[str, Any]:
    """A cell as a plain object, its numbers at four digits."""
    interval = {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in asdict(cell.interval).items()
    }
    return {"source": cell.source, "column": cell.column, "measure": cell.measure, **interval}


def store(part: str, study: Study, **found: Any) -> None:
    """Write a measurement, with what it was measured on."""
    encoders = {encoder.name: encoder.identity for encoder in study.encoders}
    write(part, {"encoders": encoders, "gallery_images": study.bench.size, **found})


def write(part: str, value: Mapping[str, Any]) -> None:
    """Write an object, one line for each item of its lists."""
    lines = ",\n".join(f"{json.dumps(key)}: {_lines(item)}" for key, item in value.items())
    write_bytes(RESULTS / f"{part}.json", f"{{\n{lines}\n}}\n".encode())


def stored(part: str) -> dict[str, Any] | None:
    """A measurement, where it was made; ``older`` says of one that outlived its scoring which."""
    path = RESULTS / f"{part}.json"
    return json.loads(path.read_bytes()) if path.is_file() else None


def digest(*parts: str) -> str:
    """Names what a kept array depends on."""
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _of(source: str) -> Group:
    return lambda pair: pair.source == source


def _lines(value: Any) -> str:
    """JSON with one line for each item of a list."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]"
