"""What is measured of a gallery under an encoder and head: its dimensions, and its two stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Integer

from core.config import MeasureConfig
from core.gallery.artefacts import Key, arrays, code_version
from core.gallery.examples import Example
from core.heads.rows import unit_rows
from core.images.joined import ManyRows
from core.measures.dimensions import Dimensions, stability
from core.measures.disentangle import Stage, stage
from core.measures.factors import (
    Likeness,
    explained_variance,
    factor_codes,
    factors_of,
    likenesses,
)
from core.measures.rows import Rows, pair_up, sampled
from core.search.query import Query
from core.service.workspace import Workspace
from core.values import GalleryError, Progress, no_progress

_DEFAULT = MeasureConfig()


@dataclass(frozen=True)
class Sample:
    """What is measured of a workspace."""

    before: Rows
    """The encoder's features, as unit rows."""
    after: Rows
    """Their embeddings under the head."""
    factors: Mapping[str, Sequence[str]]
    """Value of each known factor for every real image."""
    levels: Mapping[str, tuple[slice, slice]]
    """Where the features and the dimensions of each level lie; none where there is one only."""

    def stage(
        self, *, after: bool, config: MeasureConfig = _DEFAULT, progress: Progress = no_progress
    ) -> Stage:
        """The embedding measured before or after its head, as a whole and level by level.

        Raises:
            Cancelled: when ``progress`` raises it.
            ValueError: as :func:`core.measures.disentangle.stage`.
        """
        rows, what = (self.after, "the embedding") if after else (self.before, "the features")
        whole = stage(rows, factors=self.factors, what=what, config=config, progress=progress)
        levels = {
            name: stage(
                rows.part(spans[after]),
                factors={},
                what=f"{what}, {name}",
                config=config,
                progress=progress,
            )
            for name, spans in self.levels.items()
        }
        return replace(whole, levels=levels)


def measured_images(
    workspace: Workspace, *, config: MeasureConfig = _DEFAULT
) -> tuple[Integer[np.ndarray, " m"], dict[str, list[str]]]:
    """The sample of a gallery's images that is measured.

    Returns:
        Their rows, ascending, and the value of each known factor for every one of them.
    """
    gallery = workspace.gallery
    chosen = sampled(len(gallery), config=config)
    return chosen, factors_of([gallery.records[row] for row in chosen])


def sample(
    workspace: Workspace,
    examples: Sequence[Example],
    queries: Sequence[Query],
    *,
    config: MeasureConfig = _DEFAULT,
) -> Sample:
    """A sample of a workspace's gallery, and its examples with their sources."""
    gallery, head = workspace.gallery, workspace.head
    chosen, factors = measured_images(workspace, config=config)
    row_of = {record.path: row for row, record in enumerate(gallery.records)}
    sources = [[row_of[path] for path in one.sources if path in row_of] for one in examples]
    features = gallery.features(workspace.encoder)
    embeddings = workspace.vectors
    asked = np.array([query.reading.features for query in queries if query.reading]).reshape(
        -1, features.shape[1]
    )
    answered = np.array([query.embedding for query in queries]).reshape(-1, head.dim)

    def rows(everything: ManyRows, synthetic: np.ndarray, *, order: np.ndarray | None) -> Rows:
        paired = pair_up(sources, everything, synthetic)
        return Rows(unit_rows(everything[chosen], dtype=np.float32), synthetic, paired, order)

    view = workspace.collection.views[0]
    names = view.level_names if len(view.level_names) == len(head.spans) > 1 else ()
    return Sample(
        before=rows(features, unit_rows(asked, dtype=np.float32), order=None),
        after=rows(embeddings, answered, order=head.order),
        factors=factors,
        levels=dict(zip(names, head.spans, strict=False)),
    )


def factor_likenesses(workspace: Workspace, query: Query, image_id: int) -> list[Likeness]:
    """By which factors an image looks like a gallery image, as far as the others tell.

    Args:
        workspace: the gallery under an encoder and head.
        query: the image that is asked about.
        image_id: the gallery image; its near-duplicates count as little as itself.

    Raises:
        GalleryError: when no image has that id.
    """
    gallery, groups = workspace.gallery, np.asarray(workspace.collection.groups)
    if image_id not in gallery.row_of:
        raise GalleryError(f"no image of the gallery has the id {image_id}")
    row = gallery.row_of[image_id]
    chosen, factors = measured_images(workspace)
    others = groups[chosen] != groups[row]
    if query.identical is not None:
        others &= groups[chosen] != groups[query.identical]
    return likenesses(
        np.asarray(workspace.vectors[chosen] @ query.embedding, np.float64),
        factors,
        values=gallery.records[row].extra,
        others=others,
    )


@dataclass(frozen=True)
class _Arrays:
    """What is kept of them."""

    similarity: Float[np.ndarray, " d"]
    shares: Float[np.ndarray, "d m"]


def dimensions(
    workspace: Workspace, *, config: MeasureConfig = _DEFAULT, progress: Progress = no_progress
) -> Dimensions:
    """Stability and factors of a gallery's dimensions; found once and kept with the gallery.

    Args:
        workspace: the gallery under an encoder and head.
        config: which images are looked at, and how many heads are fitted on resamples of them.
        progress: called after every refit.
    """
    chosen, factors = measured_images(workspace, config=config)

    def compute() -> _Arrays:
        features = np.asarray(workspace.gallery.features(workspace.encoder))
        embeddings = np.asarray(workspace.vectors[chosen])
        return _Arrays(
            similarity=stability(features, workspace.head, config=config, progress=progress),
            shares=explained_variance(embeddings, factor_codes(factors)),
        )

    gallery = workspace.gallery
    given = {"features": gallery.digest(workspace.encoder), "head": workspace.head.identity}
    formula = code_version(explained_variance.__module__)
    key = Key.of("dimensions", stability, **given, config=config, factors=factors, formula=formula)
    kept = gallery.artefacts.get(key, compute, codec=arrays(_Arrays))
    shares = np.asarray(kept.shares)
    return Dimensions(np.asarray(kept.similarity), tuple(factors), shares, config)
