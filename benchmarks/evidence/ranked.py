"""Rankings of known queries by groups, with and without their sources, kept in a cache."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from rich.progress import track

from core.config import GroupConfig, ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Embedded, Gallery
from core.gallery.source import Source
from core.heads.fit import fit_head
from core.heads.head import Head
from core.images.decode import load_image
from core.images.files import new_file
from core.measures.evaluate import Bench
from core.search.crops import crop_links
from core.search.edges import (
    EDGES,
    Edges,
    embed,
    with_edges,
)
from core.search.edges import HEAD as EDGES_HEAD
from core.search.index import hubness, neighbours
from core.search.near_duplicates import near_duplicate_groups
from core.search.ranking import Scorer, first_of_groups
from core.service.session import choose_head
from core.values import Encoder

KEPT = 6
"""Groups of a ranking that are kept."""


@dataclass(frozen=True)
class Ranked:
    """The first groups of many rankings; NaN and -1 where there are fewer."""

    scores: np.ndarray
    """Score of every group's best image, best first; (q, KEPT)."""
    groups: np.ndarray
    """Labels of the groups; (q, KEPT)."""


@dataclass(frozen=True)
class Subset:
    """Some rows of a world as a gallery of their own."""

    rows: np.ndarray
    embedded: Embedded
    scorer: Scorer
    edges: Edges

    @property
    def groups(self) -> np.ndarray:
        """Near-duplicate group of every row."""
        return self.embedded.groups

    @property
    def identity(self) -> str:
        """Hash of what the rankings in it depend on."""
        known = (self.embedded, self.edges.embedded)
        arrays = [a for one in known for a in (one.embeddings, one.hubness, one.groups)]
        digest = hashlib.sha256(repr(self.scorer.config).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


class World:
    """A gallery with the exemplars of all pairs in it, and everything that is asked of it."""

    def __init__(self, bench: Bench, encoder: Encoder, *, data: Path, cache: Path) -> None:
        self.bench, self.encoder, self.cache = bench, encoder, cache
        self.head: Head = choose_head(bench.gallery, encoder, "default")
        self.exemplars = np.array([bench.row[name] for name in bench.exemplars])
        own, images = bench.gallery, bench.images
        self.features = np.concatenate(
            [own.features(encoder)[bench.others], images.features(encoder)[self.exemplars]]
        )
        self.edges = np.concatenate(
            [own.features(EDGES)[bench.others], images.features(EDGES)[self.exemplars]]
        )
        self.patches = np.concatenate(
            [own.patches(encoder)[bench.others], images.patches(encoder)[self.exemplars]]  # pyright: ignore[reportOptionalSubscript]
        )
        self.records = [own.records[i] for i in bench.others]
        self.records += [images.records[i] for i in self.exemplars]
        self.paths = [own.root / own.records[i].path for i in bench.others]
        self.paths += [data / images.records[i].path for i in self.exemplars]
        self.real = len(bench.others)

    def subset(self, rows: np.ndarray) -> Subset:
        """Some rows with the groups and the scoring that they have as a gallery of their own."""
        embeddings = self.head(self.features[rows], role="gallery")
        near = neighbours(embeddings, k=ScoreConfig().neighbours)
        limits = GroupConfig()
        links = crop_links(
            near.rows[:, : limits.crop_neighbours],
            self.patches[rows],
            load=lambda i: load_image(self.paths[rows[i]], fit=256).image,
        )
        groups = near_duplicate_groups(
            embeddings,
            [self.records[i].phash for i in rows],
            neighbours=near.rows,
            max_hash_distance=limits.max_hash_distance,
            min_cosine=limits.min_cosine,
            links=links,
        )
        embedded = Embedded(
            embeddings, hubness(embeddings, groups, k=ScoreConfig().neighbours), groups
        )
        drawn = self.edges[rows]
        edges_head = fit_head(drawn, config=EDGES_HEAD)
        edges = embed(drawn, edges_head, groups=groups)
        patches = np.ascontiguousarray(self.patches[rows])
        scorer = Scorer(embedded, patches, config=ScoreConfig(), edges=edges)
        return Subset(rows, embedded, scorer, Edges(edges_head, edges))

    def add(self, name: str, images: Mapping[str, Image.Image]) -> dict[str, int]:
        """Put more images behind those of the world, encoded once; the row of each by its name."""
        folder = self.cache / name / "images"
        folder.mkdir(parents=True, exist_ok=True)
        for stem, image in images.items():
            if not (folder / f"{stem}.png").exists():
                image.save(folder / f"{stem}.png")
        found = self._encoded(self.cache / name / "gallery", folder)
        start = len(self.features)
        self.features = np.concatenate([self.features, found.features(self.encoder)])
        self.edges = np.concatenate([self.edges, found.features(EDGES)])
        local = found.patches(self.encoder)
        self.patches = np.concatenate([self.patches, local])  # pyright: ignore[reportCallIssue, reportArgumentType]
        self.records += found.records
        self.paths += [folder / record.path for record in found.records]
        return {Path(r.path).stem: start + i for i, r in enumerate(found.records)}

    def synthetic(self, folder: Path) -> Gallery:
        """Generated images without a source, encoded once."""
        return self._encoded(self.cache / "synthetic", folder)

    def _encoded(self, place: Path, folder: Path) -> Gallery:
        heads = {self.encoder.identity: self.bench.gallery.patch_head(self.encoder)}
        known = {key: head for key, head in heads.items() if head}
        update(place, Source(folder), with_edges([self.encoder]), patch_heads=known)
        return Gallery.open(place)


def ranked(
    gallery: Subset,
    queries: np.ndarray,
    patches: np.ndarray,
    edges: np.ndarray,
    *,
    without: Callable[[int], np.ndarray],
    what: str,
) -> Ranked:
    """Rank every query by groups, some rows left out of the gallery for each."""
    scorer, groups, k = gallery.scorer, gallery.groups, gallery.scorer.config.candidates
    lines = gallery.edges.head(edges, role="query")

    def one(i: int) -> tuple[np.ndarray, np.ndarray]:
        found = scorer.rank(queries[i], patches[i], lines[i], k=k, without=without(i))
        first = first_of_groups(found, groups)[:KEPT]
        scores, labels = np.full(KEPT, np.nan), np.full(KEPT, -1)
        scores[: len(first)] = found.scores[first]
        labels[: len(first)] = groups[found.rows[first]]
        return scores, labels

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(track(pool.map(one, range(len(queries))), description=what, total=len(queries)))
    return Ranked(np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))


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


def kept(folder: Path, name: str, parts: Sequence[object], compute: Callable[[], Ranked]) -> Ranked:
    """What an earlier call found in the same gallery with the same parts, or what this one does."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    path = folder / f"{name}-{digest.hexdigest()[:16]}.npz"
    if not path.exists():
        found = compute()
        with new_file(path) as partial, partial.open("wb") as file:
            np.savez(file, **vars(found))
    with np.load(path, allow_pickle=False) as arrays:
        return Ranked(**arrays)
