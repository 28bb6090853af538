"""Sessions for the places where the app is served: a machine of one's own, a Space, a lent GPU."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

from PIL import Image

from app.page.zerogpu import LEND, Lend
from core.config import ServerConfig
from core.service import (
    NetworkEncoder,
    Reading,
    Session,
    best_device,
    default_home,
    encoder_infos,
    load_encoder,
)
from core.values import Encoded, Encoder, SettingError

logger = logging.getLogger(__name__)
_RESIDENT: dict[str, NetworkEncoder] = {}
# The lent process is a fork of this one: it finds here the networks that were loaded at start-up.


def is_hosted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether strangers are served: in a Space, or where ``WELLSPRING_HOSTED`` is set."""
    return bool(environment.get("SPACE_ID") or environment.get("WELLSPRING_HOSTED"))


def named_encoders(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Encoders that ``WELLSPRING_ENCODERS`` names, with commas between them: prepared at start."""
    names = environment.get("WELLSPRING_ENCODERS", "").split(",")
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def proxies(environment: Mapping[str, str] = os.environ) -> int:
    """Proxies that are believed: those of ``WELLSPRING_PROXIES``, or the one before a Space.

    Raises:
        SettingError: when that is no number.
    """
    named = environment.get("WELLSPRING_PROXIES", "").strip()
    if not named:
        return int(bool(environment.get("SPACE_ID")))
    if not named.isascii() or not named.isdigit() or len(named) > 2:
        raise SettingError(f"WELLSPRING_PROXIES must be a small number, got {named[:20]!r}")
    return int(named)


def open_session(*, lend: Lend | None = LEND) -> Session:
    """The session of this place.

    Raises:
        SettingError: when the environment says what cannot be.
    """
    hosted = is_hosted()
    server = ServerConfig(
        hosted=hosted,
        encoders=named_encoders(),
        proxies=proxies(),
        visitors=default_home() / "visitors" if hosted else None,
    )
    if lend is None:
        return Session(server=server, device=best_device())
    return LentSession(server=server, lend=lend)


class LentSession(Session):
    """A session whose networks run on a lent GPU; all else stays on the CPU."""

    on_zerogpu = True

    def __init__(self, *, server: ServerConfig, lend: Lend, device: str = "cuda") -> None:
        super().__init__(server=server)
        self._lend, self._device = lend, device
        bundled = [info.name for info in encoder_infos() if info.kind == "bundled"]
        self._lent: dict[str, Encoder] = {
            name: LentEncoder(_resident(name, device), lend=lend, device=device) for name in bundled
        }

    def encoder(self, name: str) -> Encoder:
        """An encoder by name; the bundled networks are on the GPU since start-up."""
        if name not in self._lent:
            found = super().encoder(name)
            if not isinstance(found, NetworkEncoder):
                return found
            self._lent[name] = LateEncoder(found, lend=self._lend, device=self._device)
        return self._lent[name]


class LentEncoder(NetworkEncoder):
    """A network that is encoded with where a GPU is lent; arrays come back on the CPU."""

    def __init__(self, network: NetworkEncoder, *, lend: Lend, device: str) -> None:
        vars(self).update(vars(network))
        self._lent_device = device
        self._encode, self._read = lend(_encode), lend(_read)

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        """Features, as :meth:`NetworkEncoder.encode` gives them."""
        return self._encode(self.name, self._lent_device, list(images))

    def read(self, image: Image.Image) -> Reading:
        """One pass over one image, as :meth:`NetworkEncoder.read` gives it."""
        return self._read(self.name, self._lent_device, image)


class LateEncoder(LentEncoder):
    """A network that was fetched after start-up; where no GPU is lent, the CPU has it too."""

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        """Features, as :meth:`NetworkEncoder.encode` gives them."""
        try:
            return super().encode(images)
        except Exception as error:  # the Space's own errors: no GPU, no quota, no request
            self._refused(error)
            return NetworkEncoder.encode(self, images)

    def read(self, image: Image.Image) -> Reading:
        """One pass over one image, as :meth:`NetworkEncoder.read` gives it."""
        try:
            return super().read(image)
        except Exception as error:
            self._refused(error)
            return NetworkEncoder.read(self, image)

    def _refused(self, error: Exception) -> None:
        logger.warning("no GPU was lent for %s: %s", self.name, error)


def _encode(name: str, device: str, images: Sequence[Image.Image]) -> Encoded:
    return _resident(name, device).encode(images)


def _read(name: str, device: str, image: Image.Image) -> Reading:
    return _resident(name, device).read(image)


def _resident(name: str, device: str) -> NetworkEncoder:
    """A network of this process; one that was fetched after the fork is loaded there once."""
    if name not in _RESIDENT:
        found = load_encoder(name, device=device)
        if not isinstance(found, NetworkEncoder):
            raise TypeError(f"{name} is no network")
        _RESIDENT[name] = found
    return _RESIDENT[name]
