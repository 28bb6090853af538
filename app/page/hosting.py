"""Sessions for the places where the app is served: a machine of one's own, a Space, a lent GPU."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from PIL import Image

from app.page.zerogpu import LEND, Lend
from core.config import ServerConfig
from core.service import NetworkEncoder, Reading, Session, encoder_infos, load_encoder
from core.values import Encoded, Encoder

_RESIDENT: dict[str, NetworkEncoder] = {}
# The lent process is a fork of this one: it finds here the networks that were loaded at start-up.


def is_hosted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether strangers are served: in a Space, or where ``WELLSPRING_HOSTED`` is set."""
    return bool(environment.get("SPACE_ID") or environment.get("WELLSPRING_HOSTED"))


def open_session(*, lend: Lend | None = LEND) -> Session:
    """The session of this place."""
    server = ServerConfig(hosted=is_hosted())
    return Session(server=server) if lend is None else LentSession(server=server, lend=lend)


class LentSession(Session):
    """A session whose bundled networks run on a lent GPU; all else stays on the CPU."""

    lends = True

    def __init__(self, *, server: ServerConfig, lend: Lend, device: str = "cuda") -> None:
        super().__init__(server=server)
        bundled = [info.name for info in encoder_infos() if info.kind == "bundled"]
        self._lent: dict[str, Encoder] = {
            name: LentEncoder(name, lend=lend, device=device) for name in bundled
        }

    def encoder(self, name: str) -> Encoder:
        """An encoder by name; the bundled networks are on the GPU since start-up."""
        return self._lent.get(name) or super().encoder(name)


class LentEncoder(NetworkEncoder):
    """A network that is encoded with where a GPU is lent; arrays come back on the CPU."""

    def __init__(self, name: str, *, lend: Lend, device: str) -> None:
        resident = load_encoder(name, device=device)
        if not isinstance(resident, NetworkEncoder):
            raise TypeError(f"{name} is no network")
        vars(self).update(vars(resident))
        _RESIDENT[name] = resident
        self._encode, self._read = lend(_encode), lend(_read)

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        """Features, as :meth:`NetworkEncoder.encode` gives them."""
        return self._encode(self.name, list(images))

    def read(self, image: Image.Image) -> Reading:
        """One pass over one image, as :meth:`NetworkEncoder.read` gives it."""
        return self._read(self.name, image)


def _encode(name: str, images: Sequence[Image.Image]) -> Encoded:
    return _RESIDENT[name].encode(images)


def _read(name: str, image: Image.Image) -> Reading:
    return _RESIDENT[name].read(image)
