"""A gallery's example queries, read under an encoder and a head."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from core.gallery.examples import Example, read_examples
from core.gallery.gallery import Gallery
from core.search.query import Query
from core.service.workspace import Workspace
from core.values import ImageError, Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examples:
    """A gallery's example queries and their embeddings, row by row."""

    examples: tuple[Example, ...]
    embeddings: Float[np.ndarray, "q d"]
    queries: tuple[Query, ...]
    """The same as the workspace takes them."""


def read_queries(
    workspace: Workspace, *, read: Callable[[Path], Query], progress: Progress
) -> Examples:
    """Every example that can be read.

    Args:
        workspace: the gallery under an encoder and a head.
        read: an image file as a query of that workspace.
        progress: called before each.

    Raises:
        GalleryError: when the list of examples is damaged.
    """
    listed = _known_examples(workspace.gallery)
    found: dict[Example, Query] = {}
    for done, example in enumerate(listed):
        progress(done, len(listed), "reading the examples")
        try:
            found[example] = read(example.file)
        except ImageError as error:
            logger.warning("left out %r: %s", example.file.name, error)
    rows = [query.embedding for query in found.values()]
    embeddings = np.array(rows, np.float32).reshape(len(found), workspace.head.dim)
    return Examples(tuple(found), embeddings, tuple(found.values()))


def _known_examples(gallery: Gallery) -> list[Example]:
    """A gallery's examples, with those of their sources that are part of answers."""
    paths = {record.path for record in gallery.records}
    listed = read_examples(gallery.store.folder)
    return [replace(e, sources=tuple(s for s in e.sources if s in paths)) for e in listed]
