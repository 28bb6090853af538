"""A gallery under one encoder and one head, ready to answer queries and to explain them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Float, Int8, Integer
from PIL import Image

from core.config import NullConfig, ProjectionConfig, ScoreConfig
from core.encoders.descriptors import describe_patches
from core.encoders.network import NetworkEncoder
from core.evidence.answer import (
    Candidates,
    Described,
    Identities,
    answer,
)
from core.evidence.null import Null, fit_null
from core.explain.clusters import ClusterKind, cluster
from core.explain.contributions import contributions, cosine_weights, excitement
from core.explain.projection import Map, fit_map
from core.gallery.gallery import Embedded, Gallery
from core.heads.head import Head
from core.search.edges import edge_parts, edges_beside
from core.search.index import Index
from core.search.patches import region_match
from core.search.ranking import (
    Ranking,
    Scorer,
    background,
    first_of_groups,
    led_by,
    search_index,
)
from core.values import (
    Answer,
    Encoded,
    Encoder,
    EncoderError,
    Explanation,
    GalleryError,
    ImageRecord,
    Progress,
    Role,
    no_progress,
)


@dataclass(frozen=True)
class Query:
    """A query under one encoder and head."""

    features: Float[np.ndarray, " f"]
    embedding: Float[np.ndarray, " d"]
    patches: Int8[np.ndarray, "p l"] | None
    edges: Float[np.ndarray, " e"] | None = None
    """Unit vector of the edges, where the gallery's are known."""
    role: Role = "query"
    """The side of the head that made the embedding."""
    own: int | None = None
    """Row of the gallery image that has the same bytes."""


@dataclass(frozen=True)
class _Clusters:
    """Clusters as they are kept."""

    labels: Integer[np.ndarray, " n"]


class Workspace:
    """Everything loaded; its methods may be called from several threads."""

    def __init__(
        self,
        gallery: Gallery,
        encoder: Encoder,
        head: Head,
        *,
        score: ScoreConfig | None = None,
        null: NullConfig | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self.gallery, self.encoder, self.head = gallery, encoder, head
        self.score, self.null_config = score or ScoreConfig(), null or NullConfig()
        self.embedded = gallery.embedded(encoder, head)
        self.patches = gallery.patches(encoder)
        self.patch_head = gallery.patch_head(encoder)
        self.edges = None
        if self.score.edges:
            self.edges = edges_beside(gallery, encoder, groups=self.embedded.groups)
        lines = self.edges.embedded if self.edges else None
        indexes = (
            self._search_index(self.embedded, "graph"),
            self._search_index(lines, "graph-edges") if lines else None,
        )
        self.scorer = Scorer(
            self.embedded, self.patches, config=self.score, edges=lines, indexes=indexes
        )
        self.null = self._null(progress)
        self._row_of = {r.sha256: row for row, r in reversed(list(enumerate(gallery.records)))}

    def query(self, image: Image.Image, *, sha256: str | None = None) -> Query:
        """Encode an RGB image as a query.

        An image whose bytes are in the gallery (by their hash) is no synthetic one: it takes the
        gallery's role in the head, so that it finds itself however the domains are centred.
        """
        own = None if sha256 is None else self._row_of.get(sha256)
        encoded = self.encoder.encode([image])
        if not np.isfinite(encoded.features).all():
            raise EncoderError(f"encoder {self.encoder.name} gave values that are not finite")
        role: Role = "query" if own is None else "gallery"
        query = self._query(encoded, role=role)
        return replace(query, own=own, edges=self.edges.of(image) if self.edges else None)

    def rank(self, query: Query, *, k: int) -> Ranking:
        """The k best rows of the gallery for a query; an image of the gallery comes first."""
        ranking = self.scorer.rank(query.embedding, query.patches, query.edges, k=k)
        if query.own is None or not len(ranking.rows):
            return ranking
        cosine = float(query.embedding @ self.embedded.embeddings[query.own])
        return led_by(ranking, query.own, cosine=cosine)

    def attribute(self, query: Query, *, top: int, prior: float | None = None) -> Answer:
        """The answer to a query, with at most ``top`` matches.

        Args:
            query: the encoded query.
            top: matches wanted; no number depends on it.
            prior: probability of a source before the image was seen; the configured one by default.

        Raises:
            ValueError: when the prior is not in (0, 1).
        """
        config = self.null_config if prior is None else replace(self.null_config, prior=prior)
        ranking = self.rank(query, k=max(top, self.score.candidates))
        return answer(
            Described(
                query.embedding,
                self.embedded,
                query.patches,
                self.scorer.patches,
                query.edges,
                self.scorer.edges,
                score=self.score,
            ),
            Candidates(ranking, self.gallery.records, self.embedded.groups, top),
            null=self.null,
            config=config,
            identities=Identities(
                encoder=f"{self.encoder.name}@{self.encoder.identity}",
                head=f"{self.head.name}@{self.head.identity}",
                gallery=f"{self.gallery.name}@{self.gallery.identity}",
            ),
        )

    def p_value(self, ranking: Ranking, score: float) -> float:
        """p-value of an image that is not in the gallery and would score this high for a query.

        Args:
            ranking: the candidates for the query.
            score: the image's score against the same backgrounds.
        """
        scores = ranking.scores[first_of_groups(ranking, self.embedded.groups)]
        rivals = np.sort(np.append(scores, score))[::-1]
        return self.null.p_value(score - background(rivals))

    def explain(
        self, query: Query, image_id: int, *, images: tuple[Image.Image, Image.Image], top: int = 24
    ) -> Explanation:
        """Why a gallery image matches a query.

        Args:
            query: the encoded query.
            image_id: the gallery image.
            images: the query's and the gallery image's pixels.
            top: contributions wanted.

        Raises:
            GalleryError: when no image has that id.
        """
        row = self._row(image_id)
        source = np.asarray(self.embedded.embeddings[row])
        parts: tuple[np.ndarray | None, ...] = (None, None)
        grid = None
        encoder = self.encoder
        if isinstance(encoder, NetworkEncoder):
            grid = encoder.grid
            features = self.gallery.features(encoder)[row].astype(np.float32)
            parts = (
                self._parts(encoder, images[0], query.features, other=source, role=query.role),
                self._parts(encoder, images[1], features, other=query.embedding, role="gallery"),
            )
        regions = None
        if query.patches is not None and self.patches is not None and grid is not None:
            local = np.asarray(self.patches[row])
            regions = region_match(query.patches, local, query_grid=grid, source_grid=grid)
        edges = None
        if query.edges is not None and self.edges is not None:
            edges = edge_parts(query.edges, np.asarray(self.edges.embedded.embeddings[row]))
        return Explanation(
            match=self.gallery.records[row],
            cosine=float(query.embedding @ source),
            contributions=contributions(query.embedding, source, top=top),
            grid=grid,
            query_parts=parts[0],
            source_parts=parts[1],
            regions=regions,
            edge_parts=edges,
        )

    def exciting(self, dimension: int, *, count: int = 6) -> tuple[list[ImageRecord], ...]:
        """The gallery images at the upper and at the lower end of a dimension."""
        found = excitement(self.embedded.embeddings, dimension, count=count)
        return tuple(
            [self.gallery.records[row] for row in rows] for rows in (found.most, found.least)
        )

    def layout(
        self, *, config: ProjectionConfig | None = None, progress: Progress = no_progress
    ) -> Map:
        """The gallery's 2-D map; fitted once and kept with the gallery."""
        config = config or ProjectionConfig()
        digest = hashlib.sha256(repr(config).encode()).hexdigest()[:16]
        records = self.gallery.records
        strata = [record.source or record.path.rpartition("/")[0] for record in records]
        return self.gallery.kept(
            self.gallery.head_folder(self.encoder, self.head) / f"map-{digest}",
            load=lambda folder: Map.load(folder / "map.npz", self.embedded.embeddings),
            compute=lambda: fit_map(
                self.embedded.embeddings, config=config, strata=strata, progress=progress
            ),
            save=lambda found, folder: found.save(folder / "map.npz"),
        )

    def clusters(
        self, layout: Map, *, kind: ClusterKind, progress: Progress = no_progress
    ) -> Integer[np.ndarray, " n"]:
        """Cluster of every image, the largest first, -1 for none; kept with the gallery."""

        def compute() -> _Clusters:
            progress(0, 1, "finding clusters")
            rows = layout.points if kind == "density" else np.asarray(self.embedded.embeddings)
            return _Clusters(cluster(rows, kind=kind))

        def whole(kept: Mapping[str, np.ndarray]) -> bool:
            labels, n = kept["labels"], len(self.gallery)
            integers = labels.dtype.kind in "iu" and labels.shape == (n,)
            return integers and bool(((labels >= -1) & (labels < n)).all())

        found = self.gallery.derived(
            self.encoder, self.head, f"clusters-{kind}", _Clusters, compute=compute, whole=whole
        )
        return np.asarray(found.labels)

    def duplicates(self) -> list[list[ImageRecord]]:
        """Groups of near-duplicates with more than one image, the largest first."""
        groups = np.asarray(self.embedded.groups)
        order = np.argsort(groups, kind="stable")
        found = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
        several = sorted((rows for rows in found if len(rows) > 1), key=len, reverse=True)
        return [[self.gallery.records[row] for row in rows] for rows in several]

    def _search_index(self, embedded: Embedded, name: str) -> Index:
        """An index; a graph, which takes long to build, is kept with the gallery."""
        search = functools.partial(search_index, embedded, self.score)
        if self.score.search == "exact":
            return search()
        name += "-scaled" if self.score.local_scaling else ""
        return self.gallery.kept(
            self.gallery.head_folder(self.encoder, self.head) / name,
            load=lambda folder: search(graph=folder / "graph.faiss"),
            compute=search,
            save=lambda index, folder: index.save(folder / "graph.faiss"),
        )

    def _parts(
        self,
        encoder: NetworkEncoder,
        image: Image.Image,
        features: Float[np.ndarray, " f"],
        *,
        other: Float[np.ndarray, " d"],
        role: Role,
    ) -> Float[np.ndarray, " p"]:
        """The cosine with the other image, split over this image's regions."""
        weights, constant = cosine_weights(features, other, self.head, role=role)
        parts = encoder.region_parts(image, weights)
        return parts + np.float32(constant / len(parts))

    def _query(self, encoded: Encoded, *, role: Role) -> Query:
        patches = None
        if encoded.patches is not None and self.patch_head is not None:
            patches = describe_patches(encoded.patches, self.patch_head)[0]
        embedding = self.head(encoded.features, role=role)[0]
        return Query(encoded.features[0], embedding, patches, role=role)

    def _row(self, image_id: int) -> int:
        if image_id not in self.gallery.row_of:
            raise GalleryError(f"no image of the gallery has the id {image_id}")
        return self.gallery.row_of[image_id]

    def _null(self, progress: Progress) -> Null:
        """The null of this scoring; kept with the gallery."""
        asked = (self.null_config.queries, self.null_config.seed, self.edges is not None)
        settings = repr((asdict(self.score), *asked))
        name = f"null-2-{hashlib.sha256(settings.encode()).hexdigest()[:16]}"

        def compute() -> Null:
            queries = self.head(self.gallery.features(self.encoder), role="query")
            return fit_null(
                self.scorer,
                queries,
                self.embedded,
                self.patches,
                config=self.null_config,
                progress=progress,
            )

        def whole(kept: Mapping[str, np.ndarray]) -> bool:
            values = list(kept.values())
            lines = {array.ndim for array in values} == {1} and len({*map(len, values)}) == 1
            return lines and all(a.dtype.kind == "f" and (np.diff(a) >= 0).all() for a in values)

        return self.gallery.derived(
            self.encoder, self.head, name, Null, compute=compute, whole=whole
        )
