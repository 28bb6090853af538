"""What is opened once and handed to every thread: encoders, galleries, workspaces and pixels."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image
from threadpoolctl import threadpool_limits

from core.config import ImageLimits, ServerConfig
from core.encoders.load import load_encoder
from core.encoders.read_image import ReadImage, read_image
from core.encoders.registry import at_hand, encoder_infos
from core.gallery.gallery import SHIPPED, Gallery, is_shipped
from core.images.decode import open_image
from core.search.query import Query
from core.service.cache import Cache
from core.service.choice import Choice
from core.service.heads import HEADS, choose_head
from core.service.images import FIT, SHOWN_SIDE, original_of, source_image
from core.service.library import Library
from core.service.machine import limit_heaps, share_cores
from core.service.preparing import Preparations
from core.service.visitors import Visitors
from core.service.workspace import Workspace
from core.values import Encoder, EncoderError, GalleryError, ImageRecord, Progress, no_progress

_REMEMBERED = 64  # galleries and encoders
REMEMBERED = {
    "workspace": 6,
    "query": 12,
    "layout": 6,
    "clusters": 6,
    "examples": 8,
    "example answers": 8,
    "stage": 6,
    "read": 12,
}
"""What follows from galleries and encoders, by kind: it is read again or computed when needed."""


class Opening:
    """Opens each encoder, gallery and workspace once and hands it to every thread."""

    on_zerogpu = False
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
        if self.server.hosted and not at_hand(name):
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
            descriptions = self.preparations.descriptions(SHIPPED)
            make = functools.partial(
                Gallery.open, SHIPPED, read_only=True, descriptions=descriptions
            )
            return self._cache.get("builtin", make)
        hosted = self.server.hosted
        folder = self.visitors.gallery(visitor, name) if hosted else Path(name).absolute()
        try:
            shipped = is_shipped(folder)
        except (OSError, ValueError) as error:  # no path has such a name
            raise GalleryError(f"{name[:80]!r} is no gallery") from error
        own = folder.parent / f"{name}-beside"
        descriptions = own if hosted else self.preparations.descriptions(folder)
        make = functools.partial(Gallery.open, folder, read_only=shipped, descriptions=descriptions)
        return self._cache.get((folder, _stamp(folder / "gallery.json")), make)

    def workspace(
        self, choice: Choice, *, visitor: str = "", progress: Progress = no_progress
    ) -> Workspace:
        """A gallery under an encoder and a head, whatever the filter; kept until it changes."""
        choice = replace(choice, where=None)
        gallery = self.gallery(choice.gallery, visitor=visitor)
        if self.server.hosted and choice.head not in HEADS:
            raise GalleryError(f"no head is called {choice.head!r}")
        if choice.encoder not in gallery.encoder_names and not at_hand(choice.encoder):
            raise gallery.lacks(choice.encoder)  # nothing is fetched only to say this
        encoder = self.encoder(choice.encoder)
        self._require(gallery, encoder)

        def make() -> Workspace:
            head = choose_head(gallery, encoder, choice.head, progress=progress)
            return Workspace(gallery, encoder, head, score=choice.score, progress=progress)

        stamps = [_stamp(Path(choice.head) / file) for file in ("head.json", "head.safetensors")]
        return self._cache.get(("workspace", choice, gallery, encoder.identity, *stamps), make)

    def source_image(self, gallery: Gallery, image_id: int) -> Image.Image:
        """Pixels of a gallery image; its thumbnail where the original is gone or has changed.

        What was read just before is not read again, and is not to be changed.

        Raises:
            GalleryError: when there is no such image, or nothing of it can be read.
        """
        return self.source(gallery, image_id).image

    def source(self, gallery: Gallery, image_id: int) -> ReadImage:
        """A gallery image with what encoders gave of it, as :meth:`source_image`.

        Raises:
            GalleryError: when there is no such image, or nothing of it can be read.
        """
        original = original_of(gallery, image_id)
        return self._cache.get(
            ("read", gallery, image_id, _stamp(original)),
            lambda: source_image(gallery, image_id),
            small=True,
        )

    def pair(
        self, image: str | Path, gallery: Gallery, image_id: int
    ) -> tuple[Image.Image, Image.Image]:
        """Pixels of a query's file and of a gallery image, as they are shown beside each other.

        What was read just before is not read again, and is not to be changed.

        Args:
            image: the query's file.
            gallery: the gallery.
            image_id: the gallery image.

        Raises:
            ImageError: when the query cannot be taken.
            GalleryError: as :meth:`source_image`.
        """
        return self._read(image).shown, self.source(gallery, image_id).shown

    def thumbnails(self, gallery: Gallery, records: Sequence[ImageRecord]) -> list[Path | bytes]:
        """Thumbnails of gallery images: files, there or not, or what is packed."""
        return [gallery.store.shown(record.sha256) for record in records]

    def query(
        self, workspace: Workspace, source: Query | Image.Image | bytes | str | Path
    ) -> Query:
        """An image as a query of a workspace; one that is a query already is handed on.

        A file that was asked just before is not read again, nor passed through the same encoder
        again, whatever the head.

        Raises:
            ImageError: when the image cannot be taken.
        """
        if isinstance(source, Query):
            return source
        if isinstance(source, Image.Image | bytes):
            return workspace.query(source)
        return self._cache.get(
            ("query", *workspace.inputs, str(source), _stamp(Path(source))),
            lambda: workspace.query(self._read(source)),
            small=True,
        )

    def _read(self, file: str | Path) -> ReadImage:
        """An image file with what encoders gave of it."""
        return self._cache.get(
            ("read", str(file), _stamp(Path(file))),
            lambda: read_image(file, fit=FIT, larger=SHOWN_SIDE),
            small=True,
        )

    @staticmethod
    def image(source: Image.Image | bytes | str | Path, *, fit: int | None = FIT) -> Image.Image:
        """A query's pixels alone, large enough to fit a side; errors as in :meth:`query`."""
        return open_image(source, limits=ImageLimits(), fit=fit)

    @staticmethod
    def _require(gallery: Gallery, encoder: Encoder) -> None:
        if gallery.key_of(encoder) not in gallery.encoder_keys:
            gallery.features(encoder)  # raises, saying which encoders there are


def _stamp(path: Path) -> tuple[int, ...]:
    """What differs between any two states of a file; nothing where there is none."""
    with contextlib.suppress(OSError, ValueError):
        found = path.stat()
        return (found.st_ino, found.st_mtime_ns, found.st_size)
    return ()
