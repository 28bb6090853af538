"""An image that is not in a gallery, as if it were: for reverse look-up and for the self-test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.search.index import csls_means_of_others
from core.search.query import Query
from core.search.ranking import Collection
from core.search.views import View
from core.service.workspace import Workspace
from core.values import ImageRecord


def guest(workspace: Workspace, query: Query, *, record: ImageRecord | None = None) -> Collection:
    """The collection of one image, in its role in the gallery and with its own CSLS means there.

    Args:
        workspace: the gallery.
        query: the image.
        record: what it is called, where it is to be answered with.
    """
    assert query.image is not None and query.reading is not None
    collection, k = workspace.collection, workspace.score.neighbours
    once = np.unique(collection.groups, return_index=True)[1]  # copies count once

    def of(view: View, features: np.ndarray) -> View:
        vectors, means = view.head(features, role="gallery"), None
        if view.csls_means is not None:
            means = csls_means_of_others(vectors, view.vectors[once], k=k)
        return view.alone(vectors, features=features, csls_means=means)

    described = workspace.features_of(query.image, query.reading)
    views = map(of, collection.views, described)
    return collection.alone(
        views, patches=query.patches, records=() if record is None else (record,)
    )


def with_guest(workspace: Workspace, image: Query, *, record: ImageRecord) -> Workspace:
    """The workspace with one image more, which answers can name; the null stays the gallery's.

    Args:
        workspace: the gallery.
        image: the image that is added.
        record: what it is called.
    """
    here, more = workspace.collection, guest(workspace, image, record=record)
    patches = None
    if here.patches is not None and more.patches is not None:
        patches = np.concatenate([here.patches, more.patches])
    joined = replace(
        here,
        views=tuple(_joined(*pair) for pair in zip(here.views, more.views, strict=True)),
        groups=np.append(here.groups, len(here)),
        patches=patches,
        records=[*here.records, record],
    )
    return workspace.over(joined)


def _joined(view: View, other: View) -> View:
    """A view with the images of another one behind its own; its head was fitted on none of them."""
    joined: dict[str, np.ndarray | None] = {
        "features": np.concatenate([view.features, other.features]),
        "vectors": np.concatenate([view.vectors, other.vectors]),
    }
    if view.csls_means is not None and other.csls_means is not None:
        joined["csls_means"] = np.concatenate([view.csls_means, other.csls_means])
    if view.fitted is not None:
        joined["fitted"] = np.concatenate([view.fitted, np.zeros(len(other.vectors), bool)])
    return replace(view, **joined, graph=None, walk=None, engine=None)
