"""Encoders made ready for a gallery: fetched, applied beside it, and what answers need computed."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.config import DESCRIPTION, ServerConfig
from core.encoders.load import fetch_weights
from core.encoders.registry import NETWORKS, BackboneSpec, encoder_infos, is_here, spec
from core.gallery.describe import describe, described_already
from core.gallery.gallery import Gallery
from core.images.files import cache_home
from core.service.heads import choose_head
from core.service.library import BUILTIN
from core.service.speeds import Speeds
from core.service.turns import Told, Turns
from core.service.visitors import Visitors
from core.service.workspace import Workspace
from core.values import (
    Cancelled,
    Encoder,
    EncoderError,
    GalleryError,
    Progress,
    WellspringError,
    no_progress,
)

logger = logging.getLogger(__name__)
_MEGABYTE = 1_000_000
_FAULT = "this is a fault of the program; the log of the server says more"
_PATIENCE = 10.0  # seconds that the end of the program waits for what is prepared


@dataclass(frozen=True)
class Offer:
    """What it takes to have an encoder for a gallery that it does not describe yet."""

    title: str
    licence: str
    """Licence of the weights."""
    host: str
    """Where the weights are fetched from; empty where they are here."""
    megabytes: int
    """Size of what is fetched, 10^6 bytes; 0 where the weights are here."""
    at_least: bool
    """Whether it may be more."""
    images: int
    """Images of the gallery."""
    described: int
    """How many of them unfinished work holds already."""
    seconds: float
    """What the rest will take on this machine, estimated."""
    refusal: str = ""
    """Why this server does not prepare it, and what its owner can do."""
    failure: str = ""
    """Why the last try failed."""
    told: Told | None = None
    """How far it is, where it is being prepared."""


@dataclass(frozen=True)
class Preparation:
    """What became of an encoder that the settings name."""

    name: str
    title: str
    ready: bool
    failure: str = ""
    told: Told | None = None


class Preparations:
    """Encoders for galleries, prepared once for all who use a server."""

    def __init__(
        self,
        server: ServerConfig,
        visitors: Visitors,
        *,
        gallery: Callable[..., Gallery],
        encoder: Callable[[str], Encoder],
        device: str,
    ) -> None:
        self.server, self.visitors = server, visitors
        self.gallery, self.encoder = gallery, encoder
        self.home = cache_home() / "descriptions"
        self.speeds = Speeds(self.home / "speeds.json", device=device)
        self._turns = Turns()
        self._failures: dict[tuple[Path | None, str], str] = {}

    def descriptions(self, folder: Path) -> Path:
        """Where what describes a gallery lies, which is neither shipped nor a visitor's."""
        return self.home / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]

    def ready(self, gallery: Gallery, name: str) -> bool:
        """Whether an encoder describes a gallery, and can be loaded to describe queries alike."""
        if name not in gallery.encoder_names:
            return False
        if name not in NETWORKS:
            return True
        try:
            return is_here(NETWORKS[name]) and self._knows(gallery, self.encoder(name))
        except EncoderError:
            return False

    def offer(self, gallery: Gallery, name: str) -> Offer:
        """What it takes to prepare an encoder for a gallery.

        Raises:
            EncoderError: when the registry has no such network.
        """
        network = spec(name)
        here, key = is_here(network), (gallery.descriptions, name)
        described = described_already(gallery, name)
        return Offer(
            title=network.title,
            licence=network.licence,
            host="" if here else urlsplit(network.url or "").hostname or "",
            megabytes=0 if here else network.megabytes,
            at_least=network.at_least,
            images=len(gallery),
            described=described,
            seconds=self.speeds.seconds(
                network.work, passes=_passes(gallery, described), images=len(gallery)
            ),
            refusal=self._refusal(network),
            failure=self._failures.get(key, ""),
            told=self._turns.told(key),
        )

    def prepare(
        self, gallery_name: str, name: str, *, visitor: str = "", progress: Progress = no_progress
    ) -> None:
        """Have an encoder for a gallery; whoever else asks for the same waits for this.

        Args:
            gallery_name: the gallery, as a session opens it.
            name: a network of the registry.
            visitor: whose gallery it is on a hosted server.
            progress: told of what is done; may raise ``Cancelled``, and the next call goes on.

        Raises:
            EncoderError: when the encoder cannot be had, or this server does not fetch it.
            GalleryError: when the gallery cannot be described.
        """
        gallery, network = self.gallery(gallery_name, visitor=visitor), spec(name)
        if refusal := self._refusal(network):
            raise EncoderError(refusal)
        key = (gallery.descriptions, name)

        def work(report: Progress) -> None:
            with self._within_limits(gallery_name, visitor, report) as checked:
                self._make(gallery, network, checked)

        self._failures.pop(key, None)  # of the try before: this one may be stopped
        try:
            self._turns.take(key, work, progress)
        except Cancelled:
            raise
        except WellspringError as error:
            self._failures[key] = str(error)
            raise

    def begin(self, gallery_name: str) -> threading.Thread | None:
        """Prepare what the settings name, in the background; failures are told by ``status``."""
        if not self.server.encoders:
            return None
        over = threading.Event()

        def report(_done: int, _total: int, _what: str) -> None:
            if over.is_set():
                raise Cancelled("the program ends")

        def end() -> None:
            over.set()
            thread.join(_PATIENCE)

        thread = threading.Thread(target=self._prepare_named, args=(gallery_name, report))
        thread.daemon = True
        atexit.register(end)
        thread.start()
        return thread

    def status(self, gallery: Gallery) -> list[Preparation]:
        """What became of the encoders that the settings name."""
        titles = {info.name: info.title for info in encoder_infos()}
        found: list[Preparation] = []
        for name in self.server.encoders:
            key, ready = (gallery.descriptions, name), name in gallery.encoder_names
            failure = "" if ready else self._failures.get(key, "")
            told = None if ready else self._turns.told(key)
            found.append(Preparation(name, titles.get(name, name), ready, failure, told))
        return found

    def _prepare_named(self, gallery_name: str, progress: Progress) -> None:
        """Prepare what the settings name, one after the other; what fails costs no other."""
        for name in self.server.encoders:
            try:
                self.prepare(gallery_name, name, progress=progress)
            except Cancelled:
                return
            except WellspringError as error:
                logger.warning("%s was not prepared: %s", name, error)
                self._failures[self.gallery(gallery_name).descriptions, name] = str(error)
            except Exception:  # of the place where it runs; it must not pass without a word
                logger.exception("%s was not prepared", name)
                self._failures[self.gallery(gallery_name).descriptions, name] = _FAULT

    def _make(self, gallery: Gallery, network: BackboneSpec, progress: Progress) -> None:
        def fetching(done: int, total: int, _file: str) -> None:
            came, whole = done // _MEGABYTE, (total // _MEGABYTE) or network.megabytes
            progress(came, max(whole, 1), f"fetching its weights: {came:,} of {whole:,} MB")

        progress(0, 1, "looking for its weights")
        fetch_weights(network.name, progress=fetching)
        progress(0, 1, "opening it")
        encoder = self.encoder(network.name)
        if not self._knows(gallery, encoder):
            before, started = described_already(gallery, network.name), time.monotonic()
            describe(gallery, encoder, progress=progress)
            seconds = time.monotonic() - started
            self.speeds.learn(network.work, passes=_passes(gallery, before), seconds=seconds)
        started = time.monotonic()
        with contextlib.suppress(GalleryError):  # too small for a null; it answers without
            head = choose_head(gallery, encoder, "default", progress=progress)
            Workspace(gallery, encoder, head, progress=progress)
            self.speeds.learn_finish((time.monotonic() - started) / len(gallery))

    @staticmethod
    def _knows(gallery: Gallery, encoder: Encoder) -> bool:
        return gallery.key_of(encoder) in gallery.encoder_keys

    def _refusal(self, network: BackboneSpec) -> str:
        """Why this server does not prepare an encoder; empty where it does."""
        if not (self.server.hosted and network.needs_network):
            return ""
        if network.name in self.server.encoders:
            return ""
        return (
            f"This server does not fetch {network.title} for its visitors. Its owner can: with "
            f"{network.name} in the setting WELLSPRING_ENCODERS it is prepared when the server "
            "starts. On a machine of your own every encoder can be chosen."
        )

    @contextlib.contextmanager
    def _within_limits(
        self, gallery_name: str, visitor: str, progress: Progress
    ) -> Iterator[Progress]:
        """Keep a visitor's own gallery within the server's limits while it is described."""
        if not self.server.hosted or gallery_name == BUILTIN:
            yield progress
            return
        with self.visitors.working(visitor, progress=progress) as checked:
            yield checked


def _passes(gallery: Gallery, described: int) -> int:
    """Passes of a network that describe what is left of a gallery, its sample of patches first."""
    left = max(len(gallery) - described, 0)
    return left + (0 if described else min(DESCRIPTION.patch_sample, left))
