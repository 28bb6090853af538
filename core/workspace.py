"""A gallery under one encoder and one head, ready to answer queries and to explain them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace

import numpy as np
from jaxtyping import Float, Int8
from PIL import Image

from core.attribution import Candidates, Identities, answer
from core.config import NullConfig, ScoreConfig
from core.correspond import region_match
from core.encoder import NetworkEncoder
from core.explain import contributions, cosine_weights, excitement
from core.gallery import Gallery
from core.head import Head
from core.nulls import Null, fit_null
from core.scoring import Ranking, Scorer
from core.shards import describe_patches
from core.values import (
    Answer,
    Encoded,
    Encoder,
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
        self.scorer = Scorer(self.embedded, self.patches, config=self.score)
        self.null = self._null(progress)

    def query(self, image: Image.Image) -> Query:
        """Encode an RGB image as a query."""
        return self._query(self.encoder.encode([image]))

    def rank(self, query: Query, *, k: int) -> Ranking:
        """The k best rows of the gallery for a query."""
        return self.scorer.rank(query.embedding, query.patches, k=k)

    def attribute(self, query: Query, *, top: int) -> Answer:
        """The answer to a query, with at most ``top`` matches."""
        return answer(
            query.embedding,
            self.embedded.embeddings,
            Candidates(self.rank(query, k=top), self.gallery.records, self.embedded.groups),
            null=self.null,
            prior=self.null_config.prior,
            identities=Identities(
                encoder=f"{self.encoder.name}@{self.encoder.identity}",
                head=f"{self.head.name}@{self.head.identity}",
                gallery=f"{self.gallery.name}@{self.gallery.identity}",
            ),
        )

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
                self._parts(encoder, images[0], query.features, other=source, role="query"),
                self._parts(encoder, images[1], features, other=query.embedding, role="gallery"),
            )
        regions = None
        if query.patches is not None and self.patches is not None and grid is not None:
            local = np.asarray(self.patches[row])
            regions = region_match(query.patches, local, query_grid=grid, source_grid=grid)
        return Explanation(
            match=self.gallery.records[row],
            cosine=float(query.embedding @ source),
            contributions=contributions(query.embedding, source, top=top),
            grid=grid,
            query_parts=parts[0],
            source_parts=parts[1],
            regions=regions,
        )

    def exciting(self, dimension: int, *, count: int = 6) -> tuple[list[ImageRecord], ...]:
        """The gallery images at the upper and at the lower end of a dimension."""
        found = excitement(self.embedded.embeddings, dimension, count=count)
        return tuple(
            [self.gallery.records[row] for row in rows] for rows in (found.most, found.least)
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

    def _query(self, encoded: Encoded) -> Query:
        patches = None
        if encoded.patches is not None and self.patch_head is not None:
            patches = describe_patches(encoded.patches, self.patch_head)[0]
        return Query(encoded.features[0], self.head(encoded.features, role="query")[0], patches)

    def _row(self, image_id: int) -> int:
        if image_id not in self.gallery.row_of:
            raise GalleryError(f"no image of the gallery has the id {image_id}")
        return self.gallery.row_of[image_id]

    def _null(self, progress: Progress) -> Null:
        """The null of this scoring; kept with the gallery."""
        settings = repr((asdict(self.score), asdict(replace(self.null_config, prior=0.5))))
        name = f"null-{hashlib.sha256(settings.encode()).hexdigest()[:16]}"

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

        return self.gallery.derived(self.encoder, self.head, name, Null, compute=compute)
