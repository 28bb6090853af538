"""An image that was decoded once, and passes through every encoder once."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from core.config import ImageLimits
from core.encoders.network import Reading, read
from core.images.decode import LoadedImage, at_most, load_image, open_image
from core.values import Encoder


class ReadImage:
    """Pixels, and what encoders gave of them; may be used from several threads."""

    def __init__(
        self, loaded: LoadedImage | Image.Image, *, again: Callable[[], Image.Image] | None = None
    ) -> None:
        """Take what was decoded.

        Args:
            loaded: upright RGB pixels at the scale of a gallery's images, or a file with them.
            again: decodes a larger copy, where the file kept none.
        """
        found = LoadedImage(loaded) if isinstance(loaded, Image.Image) else loaded
        self.image, self.sha256, self.notes = found.image, found.sha256, found.notes
        self._larger, self._again = found.larger, again
        self._readings: dict[str, Reading] = {}
        self._lock = threading.Lock()

    def read(self, encoder: Encoder) -> Reading:
        """What an encoder gives of the image, which it is passed through at most once."""
        with self._lock:
            if encoder.identity not in self._readings:
                self._readings[encoder.identity] = read(encoder, self.image)
            return self._readings[encoder.identity]

    @functools.cached_property
    def shown(self) -> Image.Image:
        """The pixels as people see them, not to be changed.

        Raises:
            ImageError: when that takes the file once more, and it is not there any longer.
        """
        if self._larger is not None:
            return self._larger
        return self.image if self._again is None else self._again()


def read_image(
    source: Image.Image | bytes | str | Path, *, fit: int, larger: int | None = None
) -> ReadImage:
    """Decode an image for encoders, and for people where that is wanted.

    Args:
        source: encoded bytes, a file, or an image that Pillow has opened.
        fit: shorter side at which encoders take it, pixels; see :func:`load_image`.
        larger: most pixels of the longer side of the copy for people. A JPEG file may be decoded
            once more for that, since its fast small scale holds too little.

    Raises:
        ImageError: when the image cannot be taken.
    """
    if isinstance(source, Image.Image):
        return ReadImage(open_image(source, limits=ImageLimits(), fit=fit))
    loaded = load_image(source, limits=ImageLimits(), fit=fit, larger=larger)
    if larger is None:
        return ReadImage(loaded)
    return ReadImage(loaded, again=functools.partial(_larger, source, larger))


def _larger(source: bytes | str | Path, side: int) -> Image.Image:
    return at_most(open_image(source, limits=ImageLimits(), fit=side), side)
