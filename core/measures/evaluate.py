"""Rank known pairs under encoders and heads: gallery and all exemplars against generated images."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from core.config import ScoreConfig
from core.explain.contributions import factor_codes
from core.gallery.build import mirror
from core.gallery.gallery import Gallery, is_shipped
from core.gallery.source import Source
from core.heads.head import Head
from core.measures.reports import (
    DomainGapReport,
    FactorReport,
    LabelFreeReport,
    PairedReport,
    ViewsReport,
)
from core.measures.retrieval import (
    Cell,
    Pair,
    differences,
    measures,
    read_pairs,
    table,
)
from core.search.edges import with_edges
from core.search.index import csls_means
from core.search.prepare import prepare
from core.search.query import Query
from core.search.ranking import Collection
from core.search.views import View
from core.values import (
    Encoder,
    GalleryError,
    ImageRecord,
    Progress,
    no_progress,
)

logger = logging.getLogger(__name__)

_MEASURED = 5_000  # gallery images that the measures without labels look at
_BY_FACTOR = 2_000  # of them, those that the measures by factors look at
_FACTOR_DIMENSIONS = 64  # leading dimensions on which they do; they fail in more
_PAIRED_DIMENSIONS = 32  # leading dimensions on which pairs are compared
_FEWEST_EXEMPLARS = 8  # below this, agreement and domain gap mean nothing and are left out

Report = LabelFreeReport | FactorReport | PairedReport | ViewsReport | DomainGapReport


@dataclass(frozen=True)
class Evaluation:
    """Results of known pairs."""

    pairs: tuple[Pair, ...]
    gallery_images: int
    """Images ranked for every query: the gallery and all exemplars."""
    results: Mapping[str, Float[np.ndarray, "q 4"]]
    """R@1, R@5, R@10 and average precision of every query by column."""
    measures: Mapping[str, tuple[Report, ...]]
    """Measures of the embeddings by column."""

    def table(self) -> list[Cell]:
        """Means with clustered intervals, by source and overall."""
        return table(self.pairs, self.results)

    def differences(self) -> list[Cell]:
        """Paired differences of every two columns."""
        return differences(self.pairs, self.results)


class Bench:
    """A gallery and the images of a pairs file, encoded once and kept in a cache folder."""

    def __init__(
        self,
        pairs: Path,
        gallery: Path,
        encoders: Sequence[Encoder],
        *,
        cache: Path,
        progress: Progress = no_progress,
    ) -> None:
        self.folder = pairs.parent
        self.all_pairs = read_pairs(pairs)
        if not self.all_pairs:
            raise GalleryError(f"{pairs.name} lists no pairs")
        encoders = with_edges(encoders)
        target = gallery
        if not (gallery / "gallery.json").is_file():
            target = cache / f"gallery-{_digest(str(gallery.resolve()))}"
            mirror(target, Source(gallery), encoders, progress=progress)
        self.gallery = Gallery.open(target, read_only=is_shipped(target))
        names = {name for p in self.all_pairs for name in (*p.exemplars, p.generated)}
        # The pairs' images get the gallery's patch heads, so the cache is keyed by the gallery too.
        images = cache / f"pairs-{_digest(f'{pairs.resolve()} {target.resolve()}')}"
        stored = {encoder.identity: self.gallery.patch_head(encoder) for encoder in encoders}
        heads = {identity: head for identity, head in stored.items() if head}
        source = Source(self.folder, tuple(names))
        mirror(images, source, encoders, patch_heads=heads, progress=progress)
        self.images = Gallery.open(images)
        self.row = {record.path: row for row, record in enumerate(self.images.records)}
        if unread := sorted(names - self.row.keys()):
            raise GalleryError(f"{pairs.name}: {unread[0]} cannot be read as an image")
        self.exemplars = sorted({name for pair in self.all_pairs for name in pair.exemplars})
        # A copy of an exemplar in the gallery would compete with the right answer: it is that one.
        right = {self.images.records[self.row[name]].sha256 for name in self.exemplars}
        self.others = np.flatnonzero([r.sha256 not in right for r in self.gallery.records])

    def run(
        self,
        encoder: Encoder,
        head: Head,
        *,
        pairs: Sequence[Pair],
        score: ScoreConfig,
        progress: Progress = no_progress,
    ) -> Float[np.ndarray, "q 4"]:
        """Measures of every pair under one encoder and one head."""
        collection = self.collection(encoder, head, score=score)
        values = np.empty((len(pairs), 4))
        for done, pair in enumerate(pairs):
            values[done] = self.measured(collection, pair, self.query(collection, pair))
            progress(done + 1, len(pairs), f"ranking with {encoder.name} and {head.name}")
        return values

    def query(self, collection: Collection, pair: Pair) -> Query:
        """The generated image of a pair, as it was encoded."""
        row = self.row[pair.generated]
        vectors = [
            view.head(self.images.features(view.encoder)[row : row + 1], role="query")[0]
            for view in collection.views
        ]
        local = self.images.patches(collection.views[0].encoder)
        return Query(tuple(vectors), None if local is None else np.asarray(local[row]))

    def collection(self, encoder: Encoder, head: Head, *, score: ScoreConfig) -> Collection:
        """The gallery without copies of exemplars, then the exemplars, in their order; no groups.

        Edges are centred by the gallery's own mean, as they are when it is asked.
        """
        known = prepare(self.gallery, encoder, head, config=score)
        rows = [self.row[name] for name in self.exemplars]
        views: list[View] = []
        for view in known.views:
            own = self.images.features(view.encoder)[rows]
            vectors = np.concatenate([view.vectors[self.others], view.head(own, role="gallery")])
            means = csls_means(vectors, k=score.neighbours) if score.local_scaling else None
            features = np.concatenate([view.features[self.others], own])
            made = {"features": features, "vectors": vectors, "csls_means": means}
            views.append(replace(view, **made, graph=None))
        local = self.images.patches(encoder)
        patches = None
        if known.patches is not None and local is not None:
            patches = np.concatenate([known.patches[self.others], local[rows]])
        groups = np.arange(self.size)
        return replace(known, views=tuple(views), groups=groups, patches=patches, records=())

    def measured(self, collection: Collection, pair: Pair, query: Query) -> Float[np.ndarray, 4]:
        """Measures of one query, whose pixels need not be the generated image as it is stored."""
        ranking = collection.rank(query, k=self.size)
        right = [len(self.others) + self.exemplars.index(name) for name in pair.exemplars]
        return measures(ranking.rows, np.array(right))

    def measures(
        self, encoder: Encoder, head: Head, *, pairs: Sequence[Pair]
    ) -> tuple[Report, ...]:
        """Disentanglement of the gallery, alone and by factors; agreement and gap of the pairs.

        What compares pairs is left out for a handful of exemplars, what looks at the gallery for a
        single image, and the measures by factors where the metadata has no two factors.
        Pairs are compared by their first exemplar and the mean of the images made from it, on the
        leading dimensions only: there are far fewer exemplars than dimensions.
        """
        from core.measures.label_free import (  # noqa: PLC0415 - sklearn: seconds
            between_views,
            domain_gap,
            paired,
        )

        own = head(self.gallery.features(encoder)[:_MEASURED], role="gallery")
        features = self.images.features(encoder)
        real: dict[str, np.ndarray] = {}
        made: dict[str, list[np.ndarray]] = {}
        for pair in pairs:
            first, row = self.row[pair.exemplars[0]], self.row[pair.generated]
            real[pair.cluster] = head(features[first : first + 1], role="gallery")[0]
            query = head(features[row : row + 1], role="query")[0]
            made.setdefault(pair.cluster, []).append(query)
        one = np.stack([real[name] for name in made])
        two = np.stack([np.mean(queries, axis=0) for queries in made.values()])
        generated = np.concatenate([np.stack(queries) for queries in made.values()])
        alone = _alone(np.asarray(own), self.gallery.records)
        if len(one) < _FEWEST_EXEMPLARS:
            return alone
        k = min(_PAIRED_DIMENSIONS, one.shape[1], len(one) // 4)
        agreement = paired(one[:, :k], two[:, :k], ridge=0.1)
        views = between_views(one, two)
        return (*alone, agreement, views, domain_gap(one, generated, seed=0))

    @property
    def size(self) -> int:
        """Images ranked for every query."""
        return len(self.others) + len(self.exemplars)


def _alone(own: Float[np.ndarray, "n d"], records: Sequence[ImageRecord]) -> tuple[Report, ...]:
    """Measures of a gallery's embedding: without labels, and by factors where it has them."""
    from core.measures.label_free import label_free  # noqa: PLC0415 - sklearn: seconds
    from core.measures.supervised import with_factors  # noqa: PLC0415 - sklearn: seconds

    if len(own) < 2:
        return ()
    reports: list[Report] = [label_free(own)]
    rows = own[:_BY_FACTOR, :_FACTOR_DIMENSIONS]
    factors = factor_codes(records[: len(rows)])
    try:
        reports += [with_factors(rows, factors, seed=0)] if len(factors) > 1 else []
    except ValueError as error:
        logger.info("no measures by factors: %s", error)
    return tuple(reports)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
