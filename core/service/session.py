"""The facade that app, API and command line call: names in, answers out, everything cached."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from PIL import Image
from threadpoolctl import threadpool_limits

from core.config import (
    BuildConfig,
    ImageLimits,
    ServerConfig,
)
from core.encoders.load import load_encoder
from core.encoders.registry import NETWORKS, encoder_infos, is_here
from core.evidence.shares import COLUMNS, columns_of, shares_by
from core.explain.clusters import ClusterKind
from core.explain.projection import Map, place
from core.gallery.gallery import SHIPPED, Gallery, is_shipped
from core.images.decode import open_image
from core.measures.dimensions import Dimensions
from core.measures.disentangle import (
    DimensionView,
    Disentanglement,
    Stage,
    dimension_view,
)
from core.measures.factors import Likeness
from core.search.query import Query
from core.service.cache import Cache
from core.service.choice import Choice
from core.service.disentanglement import (
    dimensions,
    factor_likenesses,
    measured_images,
    sample,
)
from core.service.examples import Examples, read_queries
from core.service.heads import HEADS, choose_head
from core.service.images import at_most, original_of, source_image
from core.service.library import Library
from core.service.machine import limit_heaps, share_cores
from core.service.preparing import Preparations
from core.service.visitors import Visitors
from core.service.workspace import Workspace
from core.values import (
    Answer,
    Encoder,
    EncoderError,
    Explanation,
    GalleryError,
    ImageRecord,
    Match,
    Progress,
    no_progress,
)

_FIT = BuildConfig().thumbnail
_REMEMBERED = 64  # galleries and encoders
REMEMBERED = {
    "workspace": 6,
    "query": 12,
    "layout": 6,
    "clusters": 6,
    "examples": 8,
    "example answers": 8,
    "stage": 6,
    "source": 12,
    "shown": 8,
}
"""What follows from galleries and encoders, by kind: it is read again or computed when needed."""
_EXAMPLE_MATCHES = 24
_JUDGED = 5_000  # images at most of a gallery whose dimensions are judged while somebody waits
_CLOSED_FORM = ("whiten", "center", "identity")  # heads whose refit takes a second


@dataclass(frozen=True)
class Placed:
    """Where an image lies on a gallery's map, and what lies nearest to it in the embedding."""

    x: float
    y: float
    nearest: tuple[Match, ...]
    """Best first."""


class Session:
    """Opens each encoder, gallery and workspace once and hands it to every thread."""

    lends = False
    """Whether encoders run where a GPU is lent for the time of a call."""

    def __init__(self, *, server: ServerConfig | None = None, device: str = "cpu") -> None:
        # Torch, FAISS and numpy's BLAS each keep threads that spin after their work and so slow
        # each other's next step (docs/decisions/006-threads.md).
        threadpool_limits(1, user_api="blas")
        limit_heaps()
        self.server = server or ServerConfig()
        if self.server.hosted:
            share_cores(self.server.at_once)
        self.device = device
        self.visitors = Visitors(self.server)
        self.library = Library(self.server, self.visitors, encoder=self.encoder)
        self.preparations = Preparations(
            self.server, self.visitors, gallery=self.gallery, encoder=self.encoder, device=device
        )
        self._cache = Cache(REMEMBERED, others=_REMEMBERED)

    def encoder(self, name: str) -> Encoder:
        """An encoder by name; folders, and weights that are fetched, only when not hosted.

        Raises:
            EncoderError: when it cannot be had.
        """
        if self.server.hosted and name not in {info.name for info in encoder_infos()}:
            raise EncoderError(f"no encoder is called {name!r}")
        if self.server.hosted and not _at_hand(name):
            raise EncoderError(f"the weights of {name} are not on this server")
        stamps = [_stamp(Path(name) / file) for file in ("cfg.json", "backbone.safetensors")]
        make = functools.partial(load_encoder, name, device=self.device)
        return self._cache.get(("encoder", name, *stamps), make)

    def gallery(self, name: str = "builtin", *, visitor: str = "") -> Gallery:
        """A gallery by name, in its current generation.

        Raises:
            GalleryError: when there is none of that name for this visitor.
        """
        if name == "builtin":
            beside = self.preparations.beside(SHIPPED)
            make = functools.partial(Gallery.open, SHIPPED, read_only=True, beside=beside)
            return self._cache.get("builtin", make)
        hosted = self.server.hosted
        folder = self.visitors.gallery(visitor, name) if hosted else Path(name).absolute()
        try:
            shipped = is_shipped(folder)
        except (OSError, ValueError) as error:  # no path has such a name
            raise GalleryError(f"{name[:80]!r} is no gallery") from error
        own = folder.parent / f"{name}-beside"
        beside = own if hosted else self.preparations.beside(folder)
        make = functools.partial(Gallery.open, folder, read_only=shipped, beside=beside)
        return self._cache.get((folder, _stamp(folder / "gallery.json")), make)

    def workspace(
        self, choice: Choice, *, visitor: str = "", progress: Progress = no_progress
    ) -> Workspace:
        """A gallery under an encoder and a head, whatever the filter; kept until it changes."""
        choice = replace(choice, where=None)
        gallery = self.gallery(choice.gallery, visitor=visitor)
        if self.server.hosted and choice.head not in HEADS:
            raise GalleryError(f"no head is called {choice.head!r}")
        if choice.encoder not in gallery.encoder_names and not _at_hand(choice.encoder):
            raise gallery.lacks(choice.encoder)  # nothing is fetched only to say this
        encoder = self.encoder(choice.encoder)
        self._require(gallery, encoder)

        def make() -> Workspace:
            head = choose_head(gallery, encoder, choice.head, progress=progress)
            return Workspace(gallery, encoder, head, score=choice.score, progress=progress)

        stamps = [_stamp(Path(choice.head) / file) for file in ("head.json", "head.safetensors")]
        return self._cache.get(("workspace", choice, gallery, encoder.identity, *stamps), make)

    def attribute(
        self,
        image: Image.Image | bytes | str | Path,
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
        records = {r.id: r for r in self.gallery(choice.gallery, visitor=visitor).records}
        chosen = columns or [c for c in columns_of(list(records.values())) if c in COLUMNS]
        return {column: shares_by(answer, column, records=records) for column in chosen}

    def columns(self, choice: Choice, *, visitor: str = "") -> tuple[str, ...]:
        """Columns that a gallery's shares can be summed by: those that say anything there."""
        return columns_of(self.gallery(choice.gallery, visitor=visitor).records)

    def explain(
        self,
        image: Image.Image | bytes | str | Path,
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
        source, query = self.source_image(workspace.gallery, image_id), self.query(workspace, image)
        return workspace.explain(query, image_id, source=source, top=top, where=choice.where)

    def likenesses(
        self,
        image: Image.Image | bytes | str | Path,
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
        image: Image.Image | bytes | str | Path,
        choice: Choice | None = None,
        *,
        top: int = 8,
        visitor: str = "",
        progress: Progress = no_progress,
    ) -> Placed:
        """Where an image lies on the gallery's map; errors as in :meth:`attribute`."""
        workspace = self.workspace(choice or Choice(), visitor=visitor, progress=progress)
        query = self.query(workspace, image)
        layout = self.layout(choice or Choice(), visitor=visitor, progress=progress)
        x, y = place(layout, query.embedding[None])[0].tolist()
        return Placed(x, y, workspace.attribute(query, top=top).matches)

    def layout(self, choice: Choice, *, visitor: str = "", progress: Progress = no_progress) -> Map:
        """The gallery's map; fitted once."""
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        key = ("layout", *workspace.inputs)
        return self._cache.get(key, lambda: workspace.layout(progress=progress))

    def clusters(
        self,
        choice: Choice,
        *,
        kind: ClusterKind,
        visitor: str = "",
        progress: Progress = no_progress,
    ) -> Integer[np.ndarray, " n"]:
        """Clusters of the gallery's images, found once: see :meth:`Workspace.clusters`."""
        layout = self.layout(choice, visitor=visitor, progress=progress)
        workspace = self.workspace(choice, visitor=visitor, progress=progress)
        key = ("clusters", kind, *workspace.inputs)
        return self._cache.get(
            key, lambda: workspace.clusters(layout, kind=kind, progress=progress)
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
                ("stage", workspace.gallery, workspace.encoder.identity, *key),
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

    def source_image(
        self, gallery: Gallery, image_id: int, *, fit: int | None = _FIT
    ) -> Image.Image:
        """Pixels of a gallery image; its thumbnail where the original is gone or has changed.

        What was read just before is not read again, and is not to be changed.

        Raises:
            GalleryError: when there is no such image, or nothing of it can be read.
        """
        original = original_of(gallery, image_id)
        return self._cache.get(
            ("source", gallery, image_id, fit, _stamp(original)),
            lambda: source_image(gallery, image_id, fit=fit),
            small=True,
        )

    def pair(
        self, image: str | Path, gallery: Gallery, image_id: int, *, side: int
    ) -> tuple[Image.Image, Image.Image]:
        """Pixels of a query's file and of a gallery image, as they are shown beside each other.

        What was read just before is not read again, and is not to be changed.

        Args:
            image: the query's file.
            gallery: the gallery.
            image_id: the gallery image.
            side: pixels of the longer side at most.

        Raises:
            ImageError: when the query cannot be taken.
            GalleryError: as :meth:`source_image`.
        """
        query = self._cache.get(
            ("shown", str(image), _stamp(Path(image)), side),
            lambda: at_most(self.image(image, fit=side), side),
            small=True,
        )
        source = self._cache.get(
            ("shown", gallery, image_id, _stamp(original_of(gallery, image_id)), side),
            lambda: at_most(source_image(gallery, image_id, fit=side), side),
            small=True,
        )
        return query, source

    def thumbnails(self, gallery: Gallery, records: Sequence[ImageRecord]) -> list[Path]:
        """Thumbnail files of gallery images."""
        return [gallery.store.thumbnail(record.sha256) for record in records]

    def query(self, workspace: Workspace, source: Image.Image | bytes | str | Path) -> Query:
        """An image as a query of a workspace; a file that was asked just before is not read again.

        Raises:
            ImageError: when the image cannot be taken.
        """
        if isinstance(source, Image.Image | bytes):
            return workspace.query(source)
        return self._cache.get(
            ("query", *workspace.inputs, str(source), _stamp(Path(source))),
            lambda: workspace.query(source),
            small=True,
        )

    @staticmethod
    def image(source: Image.Image | bytes | str | Path, *, fit: int | None = _FIT) -> Image.Image:
        """A query's pixels alone, large enough to fit a side; errors as in :meth:`query`."""
        return open_image(source, limits=ImageLimits(), fit=fit)

    @staticmethod
    def _require(gallery: Gallery, encoder: Encoder) -> None:
        if gallery.key_of(encoder) not in gallery.encoder_keys:
            gallery.features(encoder)  # raises, saying which encoders there are


def _at_hand(name: str) -> bool:
    """Whether an encoder can be loaded, or refused, without fetching anything."""
    return name not in NETWORKS or is_here(NETWORKS[name])


def _stamp(path: Path) -> tuple[int, ...]:
    """What differs between any two states of a file; nothing where there is none."""
    with contextlib.suppress(OSError, ValueError):
        found = path.stat()
        return (found.st_ino, found.st_mtime_ns, found.st_size)
    return ()
