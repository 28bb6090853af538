"""Views: each describes all images of a gallery in one way, whatever that way is.

A view is an encoder's features under a head, as unit vectors, with what ranking needs of them. An
embedding is one, a stage of a network could be one, the edges of the images are one. Ranking takes
any number of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Integer

from core.encoders.network import levels_of
from core.heads.fit import refit_head
from core.heads.head import Head
from core.images.joined import ManyRows
from core.search.engine import Engine, Walked
from core.search.graph import Graph, csls_means_of, rescored
from core.search.index import Index, csls_means
from core.search.walk import Walk
from core.values import Encoder, ScorePart

COMMON = "how common it is"
"""Name of the part of a score that local scaling takes."""


@dataclass(frozen=True)
class View:
    """One description of all images of a gallery."""

    name: str
    """What it sees, for people: ``embedding``, ``edges``."""
    encoder: Encoder
    head: Head
    """The head that made the vectors; its levels are those of the encoder."""
    features: Float[ManyRows, "n f"]
    """What the encoder gave, before the head."""
    vectors: Float[np.ndarray, "n d"]
    """Unit rows, float32, or float16 where there are many."""
    csls_means: Float[np.ndarray, " n"] | None = None
    """Mean cosine of every image to the nearest other groups; ``None`` without local scaling."""
    weight: float = 1.0
    """Weight of its scores in the sum over views."""
    trust: float | None = None
    """``None`` for a view that every score holds. Else a source may stand out with this view or
    without it, and this is what standing out with it counts."""
    fitted: Bool[np.ndarray, " n"] | None = None
    """Images that the head was fitted on, so that they fit it better than others do; ``None``
    where it was fitted elsewhere."""
    graph: Callable[[], Graph] | None = field(default=None, repr=False)
    """Gives the neighbours of every image, where they are kept."""
    walk: Walk | None = field(default=None, repr=False)
    """What is walked to find images; without it all are compared."""
    engine: Engine | None = field(default=None, repr=False)
    """What finds images in place of a walk or a comparison of all."""

    @functools.cached_property
    def index(self) -> Index:
        """What finds the rows of the highest scores."""
        walked = None if self.walk is None else Walked(self.walk, len(self.vectors))
        return Index(self.vectors, csls_means=self.csls_means, engine=self.engine or walked)

    def scores(
        self, vector: Float[np.ndarray, " d"], rows: Integer[np.ndarray, " m"]
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Scores of rows for a unit vector, 2 cos - CSLS mean or the cosine, and their cosines."""
        cosines = self.vectors[rows] @ vector.astype(np.float32)
        if self.csls_means is None:
            return cosines, cosines
        return 2 * cosines - self.csls_means[rows], cosines

    @functools.cached_property
    def level_names(self) -> tuple[str, ...]:
        """What the levels of the vectors see, for people."""
        levels = levels_of(self.encoder)
        one = len(levels) != len(self.head.parts)  # a head from before there were levels
        return (self.name,) if one else tuple(level.name for level in levels)

    def level_scores(
        self, vector: Float[np.ndarray, " d"], rows: Integer[np.ndarray, " m"]
    ) -> Float[np.ndarray, "m l"]:
        """What every level adds to the scores of rows, local scaling apart."""
        factor = self.weight * (1 if self.csls_means is None else 2)
        return factor * self.head.level_cosines(vector.astype(np.float32), self.vectors[rows])

    def parts(self, vector: Float[np.ndarray, " d"], row: int) -> tuple[ScorePart, ...]:
        """What makes the score of a row for a unit vector: its levels, and how common it is."""
        values = self.level_scores(vector, np.array([row]))[0].tolist()
        found = [ScorePart(*part) for part in zip(self.level_names, values, strict=True)]
        if self.csls_means is not None:
            found.append(ScorePart(COMMON, -self.weight * float(self.csls_means[row])))
        return tuple(found)

    def of(
        self, rows: Integer[np.ndarray, " m"], groups: Integer[np.ndarray, " n"], *, k: int
    ) -> View:
        """The view of some images, as if the others had never been there.

        Args:
            rows: the images that stay.
            groups: near-duplicate group of every image.
            k: neighbours in local scaling.
        """
        features, head, vectors = self.features[rows], self.head, self.vectors[rows]
        if self.fitted is not None:
            head = refit_head(self.head, features[self.fitted[rows]])
            vectors = head(features, role="gallery")
        means = None
        if self.csls_means is not None and self.fitted is None and self.graph is not None:
            left_out = np.ones(len(groups), bool)
            left_out[rows] = False
            means = csls_means_of(
                self.graph(), self.vectors, groups, k=k, walk=self.walk, left_out=left_out
            )[rows]
        elif self.csls_means is not None:
            means = csls_means(vectors, np.asarray(groups[rows]), k=k)
        fitted = None if self.fitted is None else self.fitted[rows]
        changed = {
            "fitted": fitted,
            "head": head,
            "features": features,
            "vectors": vectors,
            "csls_means": means,
        }
        return replace(self, **changed, graph=None, walk=None, engine=None)

    def alone(
        self,
        vectors: Float[np.ndarray, "1 d"],
        *,
        features: Float[np.ndarray, "1 f"],
        csls_means: Float[np.ndarray, " 1"] | None,
    ) -> View:
        """The view of one image that is not among these.

        Args:
            vectors: its unit row.
            features: what the encoder gave of it.
            csls_means: its mean cosine to the nearest of these; ``None`` without local scaling.
        """
        changed = {"vectors": vectors, "features": features, "csls_means": csls_means}
        return replace(self, **changed, fitted=None, graph=None, walk=None, engine=None)

    def without(
        self, left_out: Bool[np.ndarray, " n"], groups: Integer[np.ndarray, " n"], *, k: int
    ) -> View:
        """The view as if some images had never been there; their rows stay, and are not to be used.

        What :meth:`of` makes, for a large view: nothing is copied, and where the head is fitted
        again, neighbours are those of the head before, compared anew.

        Args:
            left_out: the images that go.
            groups: near-duplicate group of every image.
            k: neighbours in local scaling.
        """
        assert self.graph is not None, "a large view has a neighbour graph"
        graph, head, vectors = self.graph(), self.head, self.vectors
        if self.fitted is not None:
            head = refit_head(self.head, self.features[self.fitted & ~left_out])
            vectors = head(self.features, role="gallery")
            graph = rescored(graph, vectors)
        means = None
        if self.csls_means is not None:
            means = csls_means_of(graph, vectors, groups, k=k, walk=self.walk, left_out=left_out)
        changed = {"head": head, "vectors": vectors, "csls_means": means}
        return replace(self, **changed, graph=lambda: graph, engine=None)
