"""The self-test: is an image's variation traced to it, and to nothing where it is not there?

An image is taken as if it were in the gallery, a variation of it is made on the spot, and that is
attributed twice: with the image in the gallery, and without. Nothing is kept. Where the gallery
holds the image already, that and its near-duplicates are taken out first, for the test alone.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from PIL import Image

from core.config import GroupConfig
from core.encoders.backbones import Backbone
from core.encoders.load import load_network
from core.evidence.conclusion import sources
from core.images.thumbnails import perceptual_hash
from core.measures.variations.ways import WAYS, Ingredients, vary
from core.search.query import Query
from core.service.choice import Choice
from core.service.guests import with_guest
from core.service.session import Session
from core.service.workspace import Workspace
from core.values import Answer, GalleryError, ImageError, ImageRecord, Progress, no_progress

MOVERS = ("dino", "moco")
"""Networks that move pixels: the first that is not the one that answers."""


@dataclass(frozen=True)
class Trial:
    """One variation of an image, and what is said of it."""

    way: str
    """Name of the way it was made."""
    far: float
    """How far it goes, in [0, 1]."""
    original: ImageRecord
    """What the image is called in the answers."""
    partner: ImageRecord | None
    """The gallery image that took part, which is a source too."""
    variation: Image.Image
    present: Answer
    """The answer with the image in the gallery."""
    absent: Answer
    """The answer without it."""
    taken_out: tuple[ImageRecord, ...] = ()
    """The gallery's own copies of the image and their near-duplicates, in neither answer."""

    @property
    def first(self) -> bool:
        """Whether the image comes first where it is in the gallery."""
        return bool(self.present.matches) and self.present.matches[0].image == self.original

    @property
    def found(self) -> bool:
        """Whether it is among the sources of the answer."""
        return any(group.best.image == self.original for group in sources(self.present.groups))

    @property
    def false(self) -> bool:
        """Whether an image that took no part is among the sources where the original is not."""
        return any(
            self.partner is None or self.partner.id not in group.members
            for group in sources(self.absent.groups)
        )


class SelfTest:
    """Trials of one image in one gallery."""

    def __init__(
        self,
        workspace: Workspace,
        image: Image.Image,
        *,
        name: str,
        picture: Callable[[int], Image.Image],
        network: Callable[[], Backbone],
    ) -> None:
        """Take an image as if it were in the gallery.

        Args:
            workspace: the gallery.
            image: the image.
            name: what it is called.
            picture: pixels of a gallery image by its id.
            network: the network that moves pixels, for the ways that need one.

        Raises:
            ImageError: when the image cannot be taken, or cannot be taken out of a gallery that
                holds it: a large one, or one that holds nothing else.
            GalleryError: when the gallery is empty.
        """
        if not len(workspace.gallery):
            raise GalleryError("the gallery is empty, so nothing can be told apart in it")
        asked = workspace.query(image)
        assert asked.image is not None
        self.image, phash = asked.image, perceptual_hash(asked.image)
        copies = _copies(workspace, asked, phash=phash)
        self.taken_out = tuple(workspace.gallery.records[row] for row in copies)
        if len(copies):
            workspace = _without(workspace, copies)
            asked = workspace.query(image)  # a head that was fitted on the copies is another now
        self.workspace, self.picture, self.network = workspace, picture, network
        pixels = hashlib.sha256(self.image.tobytes()).hexdigest()
        number = 1 + max(record.id for record in workspace.gallery.records)
        self.original = ImageRecord(number, name, pixels, phash, *self.image.size, title=name)
        self.fuller = with_guest(workspace, asked, record=self.original)

    def run(
        self, way: str, *, far: float, seed: int, top: int = 12, progress: Progress = no_progress
    ) -> Trial:
        """Make one variation and attribute it twice.

        Args:
            way: one of :data:`core.measures.variations.ways.WAYS`.
            far: how far it goes from the image, in [0, 1].
            seed: seed of the variation and of its partner.
            top: matches wanted.
            progress: called while the variation is made; may raise ``Cancelled``.

        Raises:
            ValueError: for an unknown way or a ``far`` outside of [0, 1].
        """
        records = self.workspace.collection.records
        other = records[int(np.random.default_rng(seed).integers(len(records)))]
        given = Ingredients(self.image, self.picture(other.id), self.network, progress)
        made = vary(way, given, far=far, seed=seed)
        query = self.workspace.query(made)
        return Trial(
            way=way,
            far=far,
            original=self.original,
            partner=other if WAYS[way].partner else None,
            variation=made,
            present=self.fuller.attribute(query, top=top),
            absent=self.workspace.attribute(query, top=top),
            taken_out=self.taken_out,
        )


def _copies(workspace: Workspace, image: Query, *, phash: str) -> Integer[np.ndarray, " m"]:
    """Rows of the images that are near-duplicates of an image by hash and embedding.

    Those of their groups are among them.
    """
    limits, records = GroupConfig(), workspace.gallery.records
    hashes = np.array([int(record.phash, 16) for record in records], np.uint64)
    near = np.bitwise_count(hashes ^ np.uint64(int(phash, 16))) <= limits.max_hash_distance
    near &= workspace.vectors @ image.embedding >= limits.min_cosine
    groups = np.asarray(workspace.collection.groups)
    return np.flatnonzero(np.isin(groups, groups[near]))


def _without(workspace: Workspace, rows: Integer[np.ndarray, " m"]) -> Workspace:
    """The workspace as if some groups had never been there; the null stays the gallery's.

    Raises:
        ImageError: where nothing is left, or where that would compare all images of a large gallery
            with one another.
    """
    if len(workspace.gallery) > workspace.score.exact:
        known = workspace.gallery.records[rows[0]]
        raise ImageError(
            f"the gallery holds this image already, as {known.title or known.path}, and is too "
            "large to take it out for a test; take one that is not in it"
        )
    left = np.setdiff1d(np.arange(len(workspace.collection)), rows)
    if not len(left):
        raise ImageError("the gallery holds nothing but this image; take one that is not in it")
    found = workspace.collection.of(left)
    groups = np.searchsorted(left, found.groups)  # whole ones went: each still has its first row
    return workspace.over(replace(found, groups=groups))


def selftest(
    session: Session,
    image: Image.Image | bytes | str | Path,
    choice: Choice,
    *,
    name: str,
    visitor: str = "",
    progress: Progress = no_progress,
) -> SelfTest:
    """Take an image as if it were in a gallery, for trials.

    Args:
        session: what opens galleries and encoders.
        image: the image.
        choice: what answers.
        name: what the image is called.
        visitor: whose galleries are meant.
        progress: called while what is missing is computed.

    Raises:
        ImageError, EncoderError, GalleryError: as :meth:`Session.attribute`.
    """
    workspace = session.workspace(choice, visitor=visitor, progress=progress)
    mover = next(name for name in MOVERS if name != choice.encoder)
    return SelfTest(
        workspace,
        session.image(image),
        name=name,
        picture=lambda number: session.source_image(workspace.gallery, number),
        network=lambda: _mover(mover),
    )


@functools.cache
def _mover(name: str) -> Backbone:
    return load_network(name)
