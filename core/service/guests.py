"""An image that is not in a gallery, as if it were: for reverse look-up and for the self-test."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.evidence.confidence import stated
from core.evidence.null import aspects_of, margins_of
from core.search.index import csls_means_of_others
from core.search.query import Query
from core.search.ranking import Collection, Ranking
from core.search.views import View
from core.service.workspace import Workspace
from core.values import Aspect, ImageRecord


@dataclass(frozen=True)
class GuestEvidence:
    """Evidence for an image that is not in the gallery, as that for a group of it."""

    p_value: float
    confidence: float
    aspects: tuple[Aspect, ...]


def guest(workspace: Workspace, query: Query, *, record: ImageRecord | None = None) -> Collection:
    """The collection of one image, in its role in the gallery and with its own CSLS means there.

    Args:
        workspace: the gallery.
        query: the image.
        record: what it is called, where it is to be answered with.
    """
    collection, k = workspace.collection, workspace.score.neighbours
    once = np.unique(collection.groups, return_index=True)[1]  # copies count once

    def of(view: View, features: np.ndarray) -> View:
        vectors, means = view.head(features, role="gallery"), None
        if view.csls_means is not None:
            means = csls_means_of_others(vectors, view.vectors[once], k=k)
        return view.alone(vectors, features=features, csls_means=means)

    views = map(of, collection.views, query.features)
    return collection.alone(
        views, patches=query.patches, records=() if record is None else (record,)
    )


def guest_evidence(workspace: Workspace, ranking: Ranking, *, guest: Ranking) -> GuestEvidence:
    """The evidence for an image that is not in the gallery, if it were.

    Args:
        workspace: the gallery.
        ranking: the candidates for the query.
        guest: the image's own ranking, by the same rivals.
    """
    rivals = aspects_of(ranking, workspace.collection.groups)
    margins = margins_of(np.concatenate([guest.aspects[:1], rivals])).margins[:1]
    null = workspace.null.of_margins
    strength = float(null.strength(margins)[0])
    p_value = null.p_value(strength)
    sure = stated(strength, workspace.answering, p_value=p_value, null_size=len(workspace.null))
    aspect_p_values = null.aspect_p_values(margins)[0].tolist()
    aspects = tuple(map(Aspect, workspace.collection.aspect_names, aspect_p_values))
    return GuestEvidence(p_value, sure, aspects)


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
