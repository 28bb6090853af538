"""The facade that app, API and command line call: names in, answers out, everything cached."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from PIL import Image

from core.evidence.conclusion import told_groups
from core.evidence.shares import COLUMNS, columns_of, shares_by
from core.explain.clusters import ClusterKind
from core.explain.projection import Map, place
from core.measures.dimensions import Dimensions
from core.measures.disentangle import (
    DimensionView,
    Disentanglement,
    Stage,
    dimension_view,
)
from core.measures.factors import Likeness
from core.search.query import Query
from core.service.choice import Choice
from core.service.disentanglement import (
    dimensions,
    factor_likenesses,
    measured_images,
    sample,
)
from core.service.examples import Examples, read_queries
from core.service.explaining import explain
from core.service.opening import Opening
from core.service.workspace import Workspace
from core.values import (
    Answer,
    Explanation,
    GalleryError,
    Match,
    Progress,
    ScorePart,
    no_progress,
)

_EXAMPLE_MATCHES = 24
_JUDGED = 5_000  # images at most of a gallery whose dimensions are judged while somebody waits
_CLOSED_FORM = ("whiten", "center", "identity")  # heads whose refit takes a second


QueryLike = Query | Image.Image | bytes | str | Path
"""An image that is asked about: as a query of the same choice, opened, encoded, or a file."""


@dataclass(frozen=True)
class Placed:
    """Where an image lies on a gallery's map, and what lies nearest to it in the embedding."""

    x: float
    y: float
    answer: Answer
    """What is said of it; its matches are what lies nearest."""

    @property
    def nearest(self) -> tuple[Match, ...]:
        """What lies nearest to it, best first."""
        return self.answer.matches


class Session(Opening):
    """What is asked of galleries, with what :class:`Opening` has opened."""

    def attribute(
        self,
        image: QueryLike,
        choice: Choice | None = None,
        *,
        top: int = 24,
        prior: float | None = None,
        visitor: str = "",
        progress: Progress = no_progress,
    ) -> Answer:
        """The candidate sources of an image.

        Args:
            image: the query.
            choice: what to answer with.
            top: matches wanted.
            prior: probability of a source before the image was seen, in (0, 1).
            visitor: whose galleries are meant.
            progress: called while what is missing is computed.

        Raises:
            ImageError: when the image cannot be taken.
            EncoderError: when the encoder cannot be had.
            GalleryError: when the gallery cannot be used.
            FilterError: when the filter cannot be read, or no image passes it.
        """
        choice = choice or Choice()
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        query = self.query(workspace, image)
        return workspace.attribute(query, top=top, prior=prior, where=choice.where)

    def shares(
        self, answer: Answer, choice: Choice, *, columns: Sequence[str] = (), visitor: str = ""
    ) -> dict[str, dict[str, float]]:
        """Influence summed by the values of columns; by creator, licence and source by default.

        Raises:
            GalleryError: when the gallery lacks a column.
        """
        gallery = self.gallery(choice.gallery, visitor=visitor)
        members = {member for group in answer.groups for member in group.members}
        records = {number: gallery.records[gallery.row_of[number]] for number in members}
        known = columns_of(gallery.records)
        chosen = columns or [column for column in known if column in COLUMNS]
        return {each: shares_by(answer, each, records=records, known=known) for each in chosen}

    def score_parts(
        self, image: QueryLike, answer: Answer, choice: Choice, *, visitor: str = ""
    ) -> dict[int, tuple[ScorePart, ...]]:
        """What makes the score of every group that an answer tells of.

        The parts sum to the score of the group's best image.

        Raises:
            GalleryError: when the gallery no longer has one of these images; others as the answer.
        """
        workspace = self.workspace(choice, visitor=visitor)
        query = self.query(workspace, image)
        return {
            group.id: workspace.score_parts(query, group.best.image.id, where=choice.where)
            for group in told_groups(answer)
        }

    def columns(self, choice: Choice, *, visitor: str = "") -> tuple[str, ...]:
        """Columns that a gallery's shares can be summed by: those that say anything there."""
        return columns_of(self.gallery(choice.gallery, visitor=visitor).records)

    def explain(
        self,
        image: QueryLike,
        image_id: int,
        choice: Choice | None = None,
        *,
        visitor: str = "",
        top: int = 24,
        progress: Progress = no_progress,
    ) -> Explanation:
        """Why a gallery image matches an image; errors as in :meth:`attribute`."""
        choice = choice or Choice()
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        source, query = self.source(workspace.gallery, image_id), self.query(workspace, image)
        return explain(
            workspace, query, image_id=image_id, source=source, top=top, where=choice.where
        )

    def likenesses(
        self,
        image: QueryLike,
        image_id: int,
        choice: Choice | None = None,
        *,
        visitor: str = "",
        progress: Progress = no_progress,
    ) -> list[Likeness]:
        """By which factors an image looks like a gallery image; errors as in :meth:`attribute`."""
        workspace = self.workspace(choice or Choice(), visitor=visitor, progress=progress)
        return factor_likenesses(workspace, self.query(workspace, image), image_id)

    def project(
        self,
        image: QueryLike,
        choice: Choice | None = None,
        *,
        top: int = 8,
        level: str = "",
        visitor: str = "",
        progress: Progress = no_progress,
    ) -> Placed:
        """Where an image lies on the gallery's map; errors as in :meth:`attribute`.

        Args:
            image: the image.
            choice: what to answer with.
            top: matches wanted; by all levels, whichever the map is of.
            level: the level that the map is of; of all levels where none is named.
            visitor: whose galleries are meant.
            progress: called while what is missing is computed.
        """
        workspace = self.workspace(choice or Choice(), visitor=visitor, progress=progress)
        query = self.query(workspace, image)
        layout = self.layout(choice or Choice(), level=level, visitor=visitor, progress=progress)
        own = query.embedding[None, workspace.dims_of(level)]
        x, y = place(layout, own)[0].tolist()
        return Placed(x, y, workspace.attribute(query, top=top))

    def layout(
        self,
        choice: Choice,
        *,
        level: str = "",
        visitor: str = "",
        progress: Progress = no_progress,
    ) -> Map:
        """The gallery's map, of all levels or of one; fitted once.

        Raises:
            EncoderError: when the encoder has no such level.
        """
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        key = ("layout", *workspace.inputs, level)
        return self._cache.get(key, lambda: workspace.layout(level=level, progress=progress))

    def clusters(
        self,
        choice: Choice,
        *,
        kind: ClusterKind,
        level: str = "",
        visitor: str = "",
        progress: Progress = no_progress,
    ) -> Integer[np.ndarray, " n"]:
        """Clusters of the gallery's images, found once: see :meth:`Workspace.clusters`."""
        layout = self.layout(choice, level=level, visitor=visitor, progress=progress)
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        key = ("clusters", kind, *workspace.inputs, level)
        return self._cache.get(
            key,
            lambda: workspace.clusters(layout, kind=kind, level=level, progress=progress),
        )

    def examples(
        self, choice: Choice, *, visitor: str = "", progress: Progress = no_progress
    ) -> Examples:
        """The gallery's example queries under an encoder and head; encoded once.

        Raises:
            GalleryError: when the list of examples is damaged.
        """
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        return self._cache.get(
            ("examples", *workspace.inputs),
            lambda: read_queries(
                workspace, read=functools.partial(self.query, workspace), progress=progress
            ),
        )

    def example_answers(
        self, choice: Choice, *, visitor: str = "", progress: Progress = no_progress
    ) -> tuple[Answer, ...]:
        """The answer to each of the gallery's examples; found once, errors as :meth:`examples`."""
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        queries = self.examples(choice, visitor=visitor, progress=progress).queries

        def make() -> tuple[Answer, ...]:
            found: list[Answer] = []
            for query in queries:
                progress(len(found), len(queries), f"answering the examples with {choice.encoder}")
                found.append(workspace.attribute(query, top=_EXAMPLE_MATCHES))
            return tuple(found)

        return self._cache.get(("example answers", *workspace.inputs), make)

    def disentanglement(
        self, choice: Choice, *, visitor: str = "", progress: Progress = no_progress
    ) -> Disentanglement:
        """An embedding before and after its head, each measured once; errors as :meth:`examples`.

        Raises:
            GalleryError: when the gallery is too small, or its features do not vary.
        """
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        examples = self.examples(choice, visitor=visitor, progress=progress)

        def stage_of(*key: str) -> Stage:
            return self._cache.get(
                _stage_key(workspace, *key),
                lambda: found.stage(after=bool(key), progress=progress),
            )

        try:
            found = sample(workspace, examples.examples, examples.queries)
            before, after = stage_of(), stage_of(workspace.head.identity)
        except ValueError as error:
            raise GalleryError(
                f"this gallery cannot be measured ({error}); add images that differ"
            ) from error
        counts = (len(found.after.real), len(examples.examples), len(found.after.pairs.real))
        return Disentanglement(before, after, *counts)

    def is_measured(self, choice: Choice, *, visitor: str = "") -> bool:
        """Whether :meth:`disentanglement` has what it gives, so that it is given at once.

        Raises:
            GalleryError, EncoderError: as :meth:`workspace`.
        """
        workspace = self.workspace(choice, visitor=visitor)
        stages = (_stage_key(workspace), _stage_key(workspace, workspace.head.identity))
        return all(map(self._cache.has, stages))

    def dimension(
        self,
        choice: Choice,
        dimension: int,
        *,
        visitor: str = "",
        progress: Progress = no_progress,
    ) -> DimensionView:
        """What one dimension of an embedding does; errors as :meth:`examples`.

        Raises:
            GalleryError: when there is no such dimension.
        """
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        synthetic = self.examples(choice, visitor=visitor, progress=progress).embeddings
        chosen, factors = measured_images(workspace)
        real = workspace.vectors[chosen]
        try:
            return dimension_view(real, synthetic, dimension=dimension, factors=factors)
        except ValueError as error:
            raise GalleryError(str(error)) from error

    def dimensions(
        self, choice: Choice, *, visitor: str = "", progress: Progress = no_progress
    ) -> Dimensions | None:
        """Which dimensions come back in refits of the head, and what they follow; found once.

        Nothing for heads that are fitted step by step and for galleries above a few thousand
        images: five refits take minutes there, and nobody who looks at an answer waits for that.
        Nothing either for so few or so equal images that a resample of them cannot be fitted.
        """
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        if workspace.head.config.kind not in _CLOSED_FORM or len(workspace.gallery) > _JUDGED:
            return None
        key = ("dimensions", *workspace.inputs)
        with contextlib.suppress(GalleryError):
            return self._cache.get(key, lambda: dimensions(workspace, progress=progress))
        return None


def _stage_key(workspace: Workspace, *head: str) -> tuple[object, ...]:
    """What a measured stage is kept under: before the head, or after the one that is named."""
    return ("stage", workspace.gallery, workspace.encoder.identity, *head)
