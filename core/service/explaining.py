"""Why a gallery image matches a query: everything that is told of the two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from core.encoders.network import Reading
from core.encoders.read_image import ReadImage
from core.explain.alignment import aligned, telling
from core.explain.contributions import cell_parts, contributions, cosine_weights
from core.gallery.gallery import Gallery
from core.heads.head import Head
from core.search.patches import region_match
from core.search.query import Query
from core.service.workspace import Workspace
from core.values import Explanation, GalleryError, LevelParts, Role


def explain(
    workspace: Workspace,
    query: Query,
    *,
    image_id: int,
    source: ReadImage,
    top: int = 24,
    where: str | None = None,
) -> Explanation:
    """Why a gallery image matches a query; the gallery image passes the encoder at most once.

    Args:
        workspace: the gallery under an encoder and a head.
        query: the query.
        image_id: the gallery image.
        source: its pixels, and what encoders gave of them.
        top: contributions wanted.
        where: the filter of the answer, see :meth:`Workspace.attribute`.

    Raises:
        GalleryError: when no image has that id.
    """
    row = _row(workspace.gallery, image_id)
    own = np.asarray(workspace.vectors[row])
    seen = query.reading
    parts: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
    by_level: tuple[LevelParts, ...] = ()
    if seen is not None and seen.maps:
        # The parts sum to the cosine of what is stored, not of what the pixels would give now.
        stored = np.asarray(workspace.collection.views[0].features[row], np.float32)
        there = replace(source.read(workspace.encoder), features=stored)
        sides = (
            _parts(seen, workspace.head, other=own, role=query.role),
            _parts(there, workspace.head, other=query.embedding, role="gallery"),
        )
        parts = sides[0].sum(0), sides[1].sum(0)
        names = workspace.collection.views[0].level_names
        if len(names) > 1:
            by_level = tuple(map(LevelParts, names, *sides))
    grid = None if seen is None else seen.grid
    patches, regions, alignment = workspace.gallery.patches(workspace.encoder), None, None
    if query.patches is not None and patches is not None and grid is not None:
        local = np.asarray(patches[row])
        regions = region_match(query.patches, local, query_grid=grid, source_grid=grid)
        if query.image is not None:
            images = (query.image, source.image)
            regions = telling(regions, images)
            alignment = aligned(query.patches, local, grid=grid, images=images)
    collection = workspace.collection
    others = zip(collection.views[1:], query.vectors[1:], strict=True)
    in_cells = [cell_parts(view, vector, row) for view, vector in others]
    return Explanation(
        match=workspace.gallery.records[row],
        cosine=float(query.embedding @ own),
        contributions=contributions(query.embedding, own, top=top),
        grid=grid,
        query_parts=parts[0],
        source_parts=parts[1],
        regions=regions,
        cell_parts=tuple(filter(None, in_cells)),
        score_parts=workspace.score_parts(query, image_id, where=where),
        alignment=alignment,
        level_parts=by_level,
    )


def _parts(
    seen: Reading, head: Head, *, other: Float[np.ndarray, " d"], role: Role
) -> Float[np.ndarray, "l p"]:
    """Each level's part of the cosine, split over the regions of the image that was read."""
    weights, constants = cosine_weights(seen.features, other, head, role=role)
    found: list[np.ndarray] = []
    for constant, (columns, _) in zip(constants, head.spans, strict=True):
        own = np.zeros_like(weights)
        own[columns] = weights[columns]
        parts = seen.region_parts(own)
        assert parts is not None
        found.append(parts + constant / len(parts))
    return np.stack(found)


def _row(gallery: Gallery, image_id: int) -> int:
    if image_id not in gallery.row_of:
        raise GalleryError(f"no image of the gallery has the id {image_id}")
    return gallery.row_of[image_id]
