"""A gallery under one encoder and one head, ready to answer queries."""

from __future__ import annotations

import copy
import functools
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer
from PIL import Image

from core.config import (
    AnswerConfig,
    BuildConfig,
    NullConfig,
    ProjectionConfig,
    ScoreConfig,
)
from core.encoders.descriptors import describe_patches
from core.encoders.network import Reading
from core.encoders.read_image import ReadImage, read_image
from core.evidence.answer import answer, stands_out_elsewhere
from core.evidence.surroundings import own_nearest, score_scale, surroundings
from core.explain.clusters import ClusterKind
from core.explain.contributions import excitement
from core.explain.projection import Map
from core.gallery.gallery import Gallery
from core.gallery.manifest import hash_of
from core.heads.head import Head
from core.heads.rows import unit_rows
from core.search.prepare import prepare
from core.search.query import Query
from core.search.ranking import Collection, Ranking
from core.service.filtering import Passing, identical_among, passing_of
from core.service.kept import clusters_of, map_of, null_of
from core.values import (
    Answer,
    Encoder,
    EncoderError,
    GalleryError,
    ImageRecord,
    Match,
    Progress,
    Role,
    Scope,
    ScorePart,
    no_progress,
)

_FIT = BuildConfig().thumbnail
_FILTERS = 8  # whose images are remembered


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
        self.answering = AnswerConfig()
        self.collection = prepare(gallery, encoder, head, config=self.score, progress=progress)
        self.patch_head = gallery.patch_head(encoder)
        self.null = null_of(
            gallery, self.collection, score=self.score, config=self.null_config, progress=progress
        )
        self._filtered = functools.lru_cache(_FILTERS)(self._filter)

    def over(self, collection: Collection) -> Workspace:
        """The same workspace over other images; the null stays the gallery's."""
        other = copy.copy(self)
        other.collection = collection
        other._filtered = functools.lru_cache(_FILTERS)(other._filter)
        return other

    @property
    def inputs(self) -> tuple[Hashable, ...]:
        """What tells this workspace from any other that gives other answers."""
        return (self.gallery, self.encoder.identity, self.head.identity, self.score)

    @property
    def vectors(self) -> Float[np.ndarray, "n d"]:
        """Unit vectors of the gallery's images in the first view."""
        return self.collection.views[0].vectors

    def query(self, source: ReadImage | Image.Image | bytes | str | Path) -> Query:
        """An image as a query: read once, and passed through the encoder once.

        An image whose bytes are in the gallery (by their hash) is no synthetic one: it takes the
        gallery's role in the head, so that it finds itself however the domains are centred.

        Args:
            source: encoded bytes, a file, an image that Pillow has opened, or one that was read
                already: encoders that it has passed through are not asked again.

        Raises:
            ImageError: when the image cannot be taken.
            EncoderError: when the encoder gives values that are not finite.
        """
        found = source if isinstance(source, ReadImage) else read_image(source, fit=_FIT)
        reading = found.read(self.encoder)
        if not np.isfinite(reading.features).all():
            raise EncoderError(f"encoder {self.encoder.name} gave values that are not finite")
        features = tuple(found.read(v.encoder).features[None] for v in self.collection.views)
        identical = self._row_with(found.sha256)
        role: Role = "query" if identical is None else "gallery"
        return Query(
            vectors=tuple(
                view.head(each, role=role)[0]
                for view, each in zip(self.collection.views, features, strict=True)
            ),
            features=features,
            patches=self._descriptors(reading),
            role=role,
            image=found.image,
            sha256=found.sha256,
            reading=reading,
            identical=identical,
            notes=found.notes,
        )

    def _row_with(self, sha256: str) -> int | None:
        """The first image with these bytes."""
        records = self.gallery.records
        rows = np.flatnonzero(records.hashes == hash_of(sha256)) if sha256 else ()
        return next((int(row) for row in rows if records[row].sha256 == sha256), None)

    def attribute(
        self, query: Query, *, top: int, prior: float | None = None, where: str | None = None
    ) -> Answer:
        """The answer to a query, with at most ``top`` matches.

        Args:
            query: the query.
            top: matches wanted; no number depends on it.
            prior: probability of a source before the image was seen; the configured one by default.
            where: a filter of the images that may be sources, as :mod:`core.gallery.filters` says;
                all where there is none.

        Raises:
            ValueError: when the prior is not in (0, 1).
            FilterError: when the filter cannot be read, or no image passes.
        """
        config = self.answering if prior is None else replace(self.answering, prior=prior)
        depth, collection = max(top, self.score.candidates), self.collection
        passing = self.passing(where)
        if passing is None:
            ranking = collection.rank(query, k=depth)
        else:
            same = identical_among(query, passing, collection.records)
            query = replace(query, identical=same)
            ranking = collection.rank_among(query, passing.among, k=depth)
        found = answer(query, ranking, collection, null=self.null, config=config, top=top)
        around = ranking.unfiltered or ranking
        all_shown = (*found.matches, *(each.best for each in found.groups))
        images = {match.image.id: match.image for match in all_shown}
        gone = {number for number, image in images.items() if self.gallery.is_gone(image)}
        current = functools.partial(_current, gone=gone)
        return replace(
            found,
            matches=tuple(map(current, found.matches)),
            groups=tuple(replace(each, best=current(each.best)) for each in found.groups),
            encoder=f"{self.encoder.name}@{self.encoder.identity}",
            head=f"{self.head.name}@{self.head.identity}",
            gallery=f"{self.gallery.name}@{self.gallery.identity}",
            scale=score_scale(query, collection, around),
            surroundings=surroundings(
                around,
                self._own_nearest,
                images=len(collection),
                holds=self.gallery.description,
            ),
            scope=passing and self._scope(passing, ranking, config),
        )

    def score_parts(
        self, query: Query, image_id: int, *, where: str | None = None
    ) -> tuple[ScorePart, ...]:
        """What makes the score of an image as :meth:`attribute` ranks it; they sum to the score.

        Raises:
            GalleryError: when no image has that id.
            FilterError: when the filter cannot be read, or no image passes.
        """
        if image_id not in self.gallery.row_of:
            raise GalleryError(f"no image of the gallery has the id {image_id}")
        row, passing = self.gallery.row_of[image_id], self.passing(where)
        if passing is None:
            return self.collection.parts(query, row)
        same = identical_among(query, passing, self.collection.records)
        query = replace(query, identical=same)
        return self.collection.parts(query, row, among=passing.among)

    def passing(self, where: str | None) -> Passing | None:
        """The images that pass a filter; ``None`` where all may be sources.

        Raises:
            FilterError: when the filter cannot be read, or no image passes.
        """
        self.gallery.require_images()
        return None if where is None else self._filtered(where.strip())

    def _filter(self, where: str) -> Passing:
        return passing_of(where, self.collection.records)

    def _scope(self, passing: Passing, ranking: Ranking, config: AnswerConfig) -> Scope:
        """What an answer is about that is about some images only."""
        elsewhere = stands_out_elsewhere(ranking, self.collection, null=self.null, config=config)
        return replace(passing.scope, outside=elsewhere)

    @functools.cached_property
    def _own_nearest(self) -> Float[np.ndarray, " m"]:
        """How near the gallery's images lie to one another."""
        return own_nearest(self.collection)

    def exciting(self, dimension: int, *, count: int = 6) -> tuple[list[ImageRecord], ...]:
        """The gallery images at the upper and at the lower end of a dimension."""
        found = excitement(self.vectors, dimension, count=count)
        return tuple(
            [self.gallery.records[row] for row in rows] for rows in (found.most, found.least)
        )

    def vectors_of(self, level: str) -> Float[np.ndarray, "n _d"]:
        """Unit vectors of the gallery's images on a level; on all for the empty text.

        Raises:
            EncoderError: when the encoder has no such level.
        """
        if not level:
            return np.asarray(self.vectors)
        return unit_rows(np.asarray(self.vectors[:, self.dims_of(level)], np.float32))

    def dims_of(self, level: str) -> slice:
        """Where the dimensions of a level lie; all of them for the empty text.

        Raises:
            EncoderError: when the encoder has no such level.
        """
        if not level:
            return slice(None)
        names = self.collection.views[0].level_names
        if len(names) < 2 or level not in names:
            raise EncoderError(f"encoder {self.encoder.name} has no level {level!r}")
        return self.head.spans[names.index(level)][1]

    def layout(
        self,
        *,
        level: str = "",
        config: ProjectionConfig | None = None,
        progress: Progress = no_progress,
    ) -> Map:
        """The gallery's 2-D map, of all levels or of one; fitted once and kept with the gallery."""
        rows, inputs = self.vectors_of(level), self._inputs(level)
        return map_of(self.gallery, rows, inputs, config=config, progress=progress)

    def clusters(
        self, layout: Map, *, kind: ClusterKind, level: str = "", progress: Progress = no_progress
    ) -> Integer[np.ndarray, " n"]:
        """Cluster of every image, the largest first, -1 for none; kept with the gallery."""
        if kind == "density":
            rows, inputs = layout.points, {"points": layout.points}
        else:
            rows, inputs = self.vectors_of(level), self._inputs(level)
        return clusters_of(self.gallery, rows, inputs, kind=kind, progress=progress)

    def duplicates(self) -> list[list[ImageRecord]]:
        """Groups of near-duplicates with more than one image, the largest first."""
        groups = np.asarray(self.collection.groups)
        order = np.argsort(groups, kind="stable")
        found = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
        several = sorted((rows for rows in found if len(rows) > 1), key=len, reverse=True)
        return [[self.gallery.records[row] for row in rows] for rows in several]

    def _inputs(self, level: str) -> Mapping[str, object]:
        """What everything that follows from the vectors of all levels, or of one, depends on."""
        inputs = {"features": self.gallery.digest(self.encoder), "head": self.head.identity}
        return {**inputs, "level": level} if level else inputs

    def _descriptors(self, reading: Reading) -> np.ndarray | None:
        if reading.patches is None or self.patch_head is None:
            return None
        return describe_patches(reading.patches[None], self.patch_head)[0]


def _current(match: Match, *, gone: set[int]) -> Match:
    """A match that says whether its image is one of those whose files are gone, by their ids."""
    if match.image.id not in gone:
        return match
    return replace(match, image=replace(match.image, gone=True))
