"""What is measured of a gallery under an encoder and head: its dimensions, and its two stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from core.explain.contributions import factor_codes, factor_shares, factors_of
from core.gallery.artefacts import Key, arrays
from core.gallery.examples import Example
from core.heads.rows import unit_rows
from core.measures.dimensions import Dimensions, stability
from core.measures.disentangle import MEASURED, Pairs, Rows
from core.search.query import Query
from core.service.workspace import Workspace
from core.values import Progress, no_progress


@dataclass(frozen=True)
class Sample:
    """What is measured of a workspace."""

    before: Rows
    """The encoder's features, as unit rows."""
    after: Rows
    """Their embeddings under the head."""
    factors: Mapping[str, Sequence[str]]
    """Value of each known factor for every real image."""


def sample(workspace: Workspace, examples: Sequence[Example], queries: Sequence[Query]) -> Sample:
    """At most ``MEASURED`` images of a workspace's gallery, and its examples with their sources."""
    gallery, head = workspace.gallery, workspace.head
    chosen = np.sort(np.random.default_rng(0).permutation(len(gallery))[:MEASURED])
    row_of = {record.path: row for row, record in enumerate(gallery.records)}
    sources = [[row_of[path] for path in one.sources if path in row_of] for one in examples]
    features = gallery.features(workspace.encoder)
    embeddings = workspace.vectors
    asked = np.array([query.reading.features for query in queries if query.reading]).reshape(
        -1, features.shape[1]
    )
    answered = np.array([query.embedding for query in queries]).reshape(-1, head.dim)

    def rows(everything: np.ndarray, synthetic: np.ndarray, *, ordered: bool) -> Rows:
        real = [unit_rows(everything[own], dtype=np.float32).mean(0) for own in sources if own]
        known = np.flatnonzero([len(own) > 0 for own in sources])
        paired = Pairs(np.array(real).reshape(-1, everything.shape[1]), synthetic[known])
        return Rows(unit_rows(everything[chosen], dtype=np.float32), synthetic, paired, ordered)

    return Sample(
        before=rows(features, unit_rows(asked, dtype=np.float32), ordered=False),
        after=rows(embeddings, answered, ordered=head.matrix is not None),
        factors=factors_of([gallery.records[row] for row in chosen]),
    )


@dataclass(frozen=True)
class _Arrays:
    """What is kept of them."""

    similarity: Float[np.ndarray, " d"]
    shares: Float[np.ndarray, "d m"]


def dimensions(
    workspace: Workspace, *, refits: int = 5, progress: Progress = no_progress
) -> Dimensions:
    """Stability and factors of a gallery's dimensions; found once and kept with the gallery.

    Args:
        workspace: the gallery under an encoder and head.
        refits: heads fitted on bootstrap resamples of the gallery.
        progress: called after every refit.
    """
    factors = factor_codes(workspace.gallery.records)

    def compute() -> _Arrays:
        features = np.asarray(workspace.gallery.features(workspace.encoder))
        return _Arrays(
            similarity=stability(features, workspace.head, refits=refits, progress=progress),
            shares=factor_shares(np.asarray(workspace.vectors), factors),
        )

    gallery = workspace.gallery
    given = {"features": gallery.digest(workspace.encoder), "head": workspace.head.identity}
    key = Key.of("dimensions", stability, **given, refits=refits, factors=factors)
    kept = gallery.artefacts.get(key, compute, codec=arrays(_Arrays))
    return Dimensions(np.asarray(kept.similarity), tuple(factors), np.asarray(kept.shares))
