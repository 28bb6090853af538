"""Rank known pairs under encoders and heads: gallery and all exemplars against generated images."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from core.config import BuildConfig, ImageLimits, MeasureConfig, ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Gallery, is_shipped
from core.gallery.source import Source
from core.heads.head import Head
from core.heads.rows import unit_rows
from core.images.decode import load_image
from core.measures.disentangle import agreement_and_gap, measured_by_factor
from core.measures.factors import factors_of
from core.measures.pairs import read_pairs
from core.measures.pooled import Pool, pooled_differences, pooled_table
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
    table,
)
from core.measures.rows import Rows, pair_up, sampled
from core.search.extra_views import with_extra_views
from core.search.index import csls_means
from core.search.prepare import prepare
from core.search.query import Query
from core.search.ranking import Collection, Ranking
from core.search.views import View
from core.values import (
    Encoder,
    GalleryError,
    ImageError,
    Progress,
    no_progress,
)

logger = logging.getLogger(__name__)

_DEFAULT = MeasureConfig()

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
    pools: Mapping[str, Pool]
    """Scored images of all queries by column: of the pairs, then of images without a source."""

    def table(self) -> list[Cell]:
        """Means and micro average precision with clustered intervals, by source and overall."""
        return table(self.pairs, self.results) + pooled_table(self.pairs, self.pools)

    def differences(self) -> list[Cell]:
        """Paired differences of every two columns."""
        gaps = differences(self.pairs, self.results)
        return gaps + pooled_differences(self.pairs, self.pools)


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
        encoders = with_extra_views(encoders)
        target = gallery
        if not (gallery / "gallery.json").is_file():
            target = cache / f"gallery-{_digest(str(gallery.resolve()))}"
            update(target, Source(gallery, prune=True), encoders, progress=progress)
        self.gallery = Gallery.open(target, read_only=is_shipped(target))
        names = {name for pair in self.all_pairs for name in pair.names}
        # The pairs' images get the gallery's patch heads, so the cache is keyed by the gallery too.
        images = cache / f"pairs-{_digest(f'{pairs.resolve()} {target.resolve()}')}"
        stored = {encoder.identity: self.gallery.patch_head(encoder) for encoder in encoders}
        heads = {identity: head for identity, head in stored.items() if head}
        source = Source(self.folder, tuple(names), prune=True)
        update(images, source, encoders, patch_heads=heads, progress=progress)
        self.images = Gallery.open(images)
        self.without: Gallery | None = None
        """Images beside the pairs, of which those that :meth:`ask_without` gives have no source."""
        self.alone: tuple[int, ...] = ()
        """Rows of images without a source, which are asked beside the pairs."""
        self._encode = {"encoders": encoders, "patch_heads": heads}
        self._cache = cache
        self.row = {record.path: row for row, record in enumerate(self.images.records)}
        self.unread = {name: self._refusal(name) for name in sorted(names - self.row.keys())}
        """Images of pairs that cannot be taken, and why; their pairs are left out."""
        read = [pair for pair in self.all_pairs if not self.unread.keys() & pair.names]
        if not read:
            name, why = next(iter(self.unread.items()))
            raise GalleryError(f"{pairs.name}: no pair can be read; of {name!r}: {why}")
        self.all_pairs = read
        known = {name for pair in self.all_pairs for name in (*pair.exemplars, *pair.others)}
        self.exemplars = sorted(known)
        # A copy of an exemplar in the gallery would compete with the right answer: it is that one.
        right = {self.images.records[self.row[name]].sha256 for name in self.exemplars}
        self.others = np.flatnonzero([r.sha256 not in right for r in self.gallery.records])

    def ask_without(self, source: Source, *, progress: Progress = no_progress) -> dict[str, str]:
        """Take in images that have no source in the gallery, to be asked beside the pairs.

        Returns:
            The images that are not asked, and why: they have a source, since the very same file is
            an image of the gallery or of the pairs.

        Raises:
            GalleryError: when no image is left.
        """
        asked = f"{source.folder.resolve()} {source.only} {self.gallery.store.folder.resolve()}"
        folder = self._cache / f"without-{_digest(asked)}"
        update(folder, source, **self._encode, progress=progress)
        self.without = Gallery.open(folder)
        known = {record.sha256: "in the gallery" for record in self.gallery.records}
        known |= {record.sha256: "in the file of pairs" for record in self.images.records}
        there = {r.path: known[r.sha256] for r in self.without.records if r.sha256 in known}
        rows = enumerate(self.without.records)
        self.alone = tuple(row for row, record in rows if record.path not in there)
        if not self.alone:
            raise GalleryError(
                f"{source.folder.name!r} holds no image without a source: each is "
                f"{' or '.join(sorted({*there.values()}))}"
            )
        return {path: f"it has a source: the same file is {where}" for path, where in there.items()}

    def run(
        self,
        encoder: Encoder,
        head: Head,
        *,
        pairs: Sequence[Pair],
        score: ScoreConfig,
        progress: Progress = no_progress,
    ) -> tuple[Float[np.ndarray, "q 4"], Pool]:
        """Measures of every pair under one encoder and one head, and what was scored for it.

        The images without a source come behind the pairs in the pool.
        """
        collection = self.collection(encoder, head, score=score)
        values, right = np.empty((len(pairs), 4)), [self.rows_of(pair.exemplars) for pair in pairs]
        nothing, rankings = np.empty(0, np.int64), list[Ranking]()
        for done, pair in enumerate(pairs):
            query, others = self.query(collection, pair), self.rows_of(pair.others)
            rankings.append(collection.rank(query, k=self.size, without=others))
            values[done] = measures(rankings[-1].rows, right[done])
            progress(done + 1, len(pairs), f"ranking with {encoder.name} and {head.name}")
        if self.without is not None:
            for row in self.alone:
                query = self._query(collection, self.without, row)
                rankings.append(collection.rank(query, k=score.candidates))
                right.append(nothing)
        return values, pooled(rankings, right, most=score.candidates)

    def query(self, collection: Collection, pair: Pair) -> Query:
        """The generated image of a pair, as it was encoded."""
        return self._query(collection, self.images, self.row[pair.generated])

    def _query(self, collection: Collection, images: Gallery, row: int) -> Query:
        vectors = [
            view.head(images.features(view.encoder)[row : row + 1], role="query")[0]
            for view in collection.views
        ]
        local = images.patches(collection.views[0].encoder)
        return Query(tuple(vectors), None if local is None else np.asarray(local[row]))

    def collection(self, encoder: Encoder, head: Head, *, score: ScoreConfig) -> Collection:
        """The gallery without copies of exemplars, then the exemplars, in their order; no groups.

        Edges are centred by the gallery's own mean, as they are when it is asked.
        """
        known = prepare(self.gallery, encoder, head, config=score, grouped=False)
        rows = [self.row[name] for name in self.exemplars]
        views: list[View] = []
        for view in known.views:
            own = self.images.features(view.encoder)[rows]
            vectors = np.concatenate([view.vectors[self.others], view.head(own, role="gallery")])
            means = csls_means(vectors, k=score.neighbours) if score.local_scaling else None
            features = np.concatenate([view.features[self.others], own])
            made = {"features": features, "vectors": vectors, "csls_means": means}
            views.append(replace(view, **made, fitted=None, graph=None, walk=None))
        local = self.images.patches(encoder)
        patches = None
        if known.patches is not None and local is not None:
            patches = np.concatenate([known.patches[self.others], local[rows]])
        groups = np.arange(self.size)
        return replace(known, views=tuple(views), groups=groups, patches=patches, records=())

    def measured(self, collection: Collection, pair: Pair, query: Query) -> Float[np.ndarray, " 4"]:
        """Measures of one query, whose pixels need not be the generated image as it is stored."""
        right, others = self.rows_of(pair.exemplars), self.rows_of(pair.others)
        ranking = collection.rank(query, k=self.size, without=others)
        return measures(ranking.rows, right)

    def rows_of(self, exemplars: Sequence[str]) -> Integer[np.ndarray, " m"]:
        """Rows of exemplars in :meth:`collection`."""
        first = len(self.others)
        return np.array([first + self.exemplars.index(name) for name in exemplars], np.int64)

    def measures(
        self,
        encoder: Encoder,
        head: Head,
        *,
        pairs: Sequence[Pair],
        config: MeasureConfig = _DEFAULT,
    ) -> tuple[Report, ...]:
        """Disentanglement of the gallery, alone and by factors; agreement and gap of the pairs.

        The numbers are those of ``core.measures.disentangle.stage`` on the same images. What
        compares pairs is left out for a handful of them, what looks at the gallery for a single
        image, and the measures by factors where the metadata has no two factors.
        """
        from core.measures.label_free import between_views, label_free  # noqa: PLC0415 - sklearn

        rows, factors = self.measured_rows(encoder, head, pairs=pairs, config=config)
        reports: list[Report | None] = []
        if len(rows.real) > 1:
            by_factor = measured_by_factor(rows, factors, config=config)
            reports += [label_free(rows.real), by_factor]
        agreement, gap = agreement_and_gap(rows, config=config)
        if agreement is not None:
            views = between_views(rows.pairs.real, rows.pairs.synthetic)
            reports += [agreement, views, gap]
        return tuple(report for report in reports if report is not None)

    def measured_rows(
        self, encoder: Encoder, head: Head, *, pairs: Sequence[Pair], config: MeasureConfig
    ) -> tuple[Rows, dict[str, list[str]]]:
        """A sample of the gallery, all generated images, and both sides of the pairs.

        Returns:
            The embeddings, and the value of each factor for every sampled image.
        """
        chosen = sampled(len(self.gallery), config=config)
        real = head(self.gallery.features(encoder)[chosen], role="gallery")
        features = self.images.features(encoder)
        place = {name: row for row, name in enumerate(self.exemplars)}
        exemplars = features[[self.row[name] for name in self.exemplars]]
        generated = features[[self.row[pair.generated] for pair in pairs]]
        synthetic = head(generated, role="query")
        sources = [[place[name] for name in pair.exemplars] for pair in pairs]
        rows = Rows(
            real=unit_rows(real, dtype=np.float32),
            synthetic=synthetic,
            pairs=pair_up(sources, head(exemplars, role="gallery"), synthetic),
            order=head.order,
        )
        return rows, factors_of([self.gallery.records[row] for row in chosen])

    def _refusal(self, name: str) -> str:
        """Why an image of a pair is not there."""
        try:
            load_image(self.folder / name, limits=ImageLimits(), fit=BuildConfig().thumbnail)
        except ImageError as error:
            return str(error)
        return "it cannot be read"

    @property
    def size(self) -> int:
        """Images ranked for every query."""
        return len(self.others) + len(self.exemplars)


def pooled(
    rankings: Sequence[Ranking], right: Sequence[Integer[np.ndarray, " _m"]], *, most: int
) -> Pool:
    """What was scored for every query, best first and no more than some.

    Args:
        rankings: a ranking for each query.
        right: rows of its right answers.
        most: images of a ranking that count: beyond the candidates, scores are of another kind.
    """
    scores = np.full((len(rankings), most), -np.inf, np.float32)
    hits = np.zeros((len(rankings), most), bool)
    for place, (ranking, rows) in enumerate(zip(rankings, right, strict=True)):
        count = min(most, len(ranking.rows))
        scores[place, :count] = ranking.scores[:count]
        hits[place, :count] = np.isin(ranking.rows[:count], rows)
    return Pool(scores, hits, np.array([len(rows) for rows in right]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
