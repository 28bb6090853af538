"""A fitted head: centre, map linearly and scale every level to unit length; saved and loaded."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Integer
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from core.config import HeadConfig
from core.heads.rotation import haar_rotation
from core.heads.rows import unit_rows
from core.images.files import read_json, write_bytes
from core.images.joined import ManyRows
from core.values import GalleryError, Level, Progress, Role, no_progress

CHUNK = 4_096
"""Rows handled at a time where there may be a million."""

SKETCH = 4_096
"""Hashes of images that a head remembers at most."""


@dataclass(frozen=True)
class LinearHead:
    """The head of one level: unit rows of (x - mean of the role) @ matrix."""

    mean_gallery: Float[np.ndarray, " f"]
    """Subtracted from features of gallery images, float32."""
    mean_query: Float[np.ndarray, " f"]
    """Subtracted from features of queries, float32; the gallery's unless ``per_domain``."""
    matrix: Float[np.ndarray, "f d"] | None = None
    """Linear map, float32; ``None`` is the identity, without its f x f numbers."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together or are not finite float32."""
        for name, array in self.arrays().items():
            if array.dtype != np.float32 or not np.isfinite(array).all():
                raise ValueError(f"{name} of a head must be finite float32, got {array.dtype}")
            if len(array) != self.width:
                raise ValueError(f"{name} has {len(array)} rows, not {self.width}")

    @property
    def width(self) -> int:
        """Number of features f."""
        return self.mean_gallery.size

    @property
    def dim(self) -> int:
        """Number of embedding dimensions d."""
        return self.width if self.matrix is None else self.matrix.shape[1]

    def mapped(self, features: Float[np.ndarray, "b f"], *, role: Role) -> np.ndarray:
        """Rows before they are scaled to unit length."""
        mean = self.mean_gallery if role == "gallery" else self.mean_query
        rows = features.astype(np.float32) - mean
        return rows if self.matrix is None else rows @ self.matrix

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name."""
        named = {"mean_gallery": self.mean_gallery, "mean_query": self.mean_query}
        return named if self.matrix is None else {**named, "matrix": self.matrix}


@dataclass(frozen=True)
class Head:
    """A fitted head: one linear head a level, whose unit rows stand side by side.

    Each level's rows are multiplied by the root of its share of the weights, so that the cosine of
    two embeddings is the weighted mean of the cosines of their levels.
    """

    config: HeadConfig
    parts: tuple[LinearHead, ...]
    """One for each level, in the order of the features."""
    weights: tuple[float, ...] = (1.0,)
    """Weights of the levels."""
    seen: Integer[np.ndarray, " m"] | None = None
    """The smallest hashes of the images that it was fitted on, at most ``SKETCH``; see
    :meth:`fitted_on`. Not part of the identity."""

    def __post_init__(self) -> None:
        """Refuse weights that do not fit the levels."""
        if len(self.weights) != len(self.parts) or not min(self.weights, default=0) > 0:
            raise ValueError(f"{len(self.parts)} levels need as many weights: {self.weights}")

    @property
    def width(self) -> int:
        """Number of features f."""
        return sum(part.width for part in self.parts)

    @property
    def dim(self) -> int:
        """Number of embedding dimensions d."""
        return sum(part.dim for part in self.parts)

    @property
    def levels(self) -> tuple[Level, ...]:
        """Levels that a head of the same shape is fitted with, by number."""
        pairs = zip(self.parts, self.weights, strict=True)
        return tuple(Level(str(i), part.width, weight) for i, (part, weight) in enumerate(pairs))

    @functools.cached_property
    def order(self) -> Integer[np.ndarray, " d"] | None:
        """Dimensions, the leading ones of all levels in turn; ``None`` without axes of its own."""
        if any(part.matrix is None for part in self.parts):
            return None
        ranks = np.concatenate([np.arange(part.dim) for part in self.parts])
        return np.argsort(ranks, kind="stable")

    @functools.cached_property
    def spans(self) -> tuple[tuple[slice, slice], ...]:
        """Where the features and where the dimensions of every level lie."""
        ends = np.cumsum([[part.width, part.dim] for part in self.parts], axis=0)
        starts = np.vstack([[0, 0], ends[:-1]])
        return tuple(
            (slice(f, f_end), slice(d, d_end))
            for (f, d), (f_end, d_end) in zip(starts.tolist(), ends.tolist(), strict=True)
        )

    @functools.cached_property
    def scales(self) -> tuple[float, ...]:
        """Length of every level's rows in an embedding."""
        return tuple(math.sqrt(weight / sum(self.weights)) for weight in self.weights)

    @property
    def name(self) -> str:
        """Kind and dimensions, such as ``whiten-512``."""
        suffix = "-per-domain" if self.config.per_domain else ""
        return f"{self.config.kind}-{self.dim}{suffix}"

    @functools.cached_property
    def identity(self) -> str:
        """Hash of configuration, weights and arrays, 16 hexadecimal digits."""
        digest = hashlib.sha256(json.dumps(asdict(self.config), sort_keys=True).encode())
        if len(self.parts) > 1:
            digest.update(json.dumps(self.weights).encode())
        for name, array in self._arrays().items():
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def __call__(
        self, features: Float[ManyRows, "b f"], *, role: Role, progress: Progress = no_progress
    ) -> Float[np.ndarray, "b d"]:
        """Embed features, unit rows in float32; a level at its mean has no direction, stays zero.

        Args:
            features: what the backbone gave.
            role: the side of a comparison that they stand on.
            progress: told of rows embedded, block by block; may raise ``Cancelled``.

        Raises:
            ValueError: for features of another width or a row that is not finite.
        """
        check_width(features, self.width)
        embedding = np.empty((len(features), self.dim), np.float32)
        for start in range(0, len(features), CHUNK):
            progress(start, len(features), "embedding images")
            chunk = slice(start, start + CHUNK)
            for part, scale, (columns, dims) in zip(
                self.parts, self.scales, self.spans, strict=True
            ):
                with np.errstate(over="ignore", invalid="ignore"):  # found in the norms
                    rows = part.mapped(features[chunk, columns], role=role)
                    check_finite(np.linalg.norm(rows, axis=1), first=start)
                embedding[chunk, dims] = unit_rows(rows) * np.float32(scale)
        return embedding

    def level_cosines(
        self, one: Float[np.ndarray, " d"], others: Float[np.ndarray, "m d"]
    ) -> Float[np.ndarray, "m l"]:
        """Parts of the cosines of an embedding with others by level; they sum to the cosines."""
        parts = [others[:, dims] @ one[dims] for _, dims in self.spans]
        return np.stack(parts, axis=1)

    def with_images(self, hashes: Integer[np.ndarray, " n"]) -> Head:
        """The same head, which remembers that it was fitted on images of these 64-bit hashes."""
        return dataclasses.replace(self, seen=np.sort(hashes)[:SKETCH])

    def fitted_on(self, hashes: Integer[np.ndarray, " n"]) -> Bool[np.ndarray, " n"] | None:
        """Which of these images the head was fitted on; ``None`` where it mostly was on others.

        Only a sketch of the images is kept, the smallest of their hashes (bottom-k sampling, Cohen
        and Kaplan 2007): a random sample of them that is the same wherever an image is met again.
        Of images beyond a full sketch most are taken for those that are missing in it.
        """
        if self.seen is None or not len(self.seen) or np.isin(self.seen, hashes).mean() < 0.5:
            return None
        known = np.isin(hashes, self.seen)
        return known if len(self.seen) < SKETCH else known | (hashes > self.seen[-1])

    def save(self, folder: Path) -> None:
        """Write ``head.safetensors`` and ``head.json``, each whole or not at all.

        Raises:
            GalleryError: when the folder cannot be written.
        """
        arrays = {name: _short(array) for name, array in self._arrays().items()}
        if self.seen is not None:
            arrays["seen"] = np.ascontiguousarray(self.seen)
        card = {
            "config": asdict(self.config),
            "weights": self.weights,
            "identity": self.identity,
        }
        try:
            write_bytes(folder / "head.safetensors", save_arrays(arrays))
            write_bytes(folder / "head.json", json.dumps(card, indent=2).encode())
        except OSError as error:
            raise GalleryError(f"The head cannot be written: {error.strerror}.") from error

    @classmethod
    def load(cls, folder: Path) -> Head:
        """Read what :meth:`save` wrote.

        Raises:
            GalleryError: when a file is missing or damaged, or the two do not belong together.
        """
        try:
            card = read_json(folder / "head.json")
            stored = load_arrays((folder / "head.safetensors").read_bytes())
            arrays = {k: v.astype(np.float32) if v.dtype == "f2" else v for k, v in stored.items()}
            config, weights = HeadConfig(**card["config"]), tuple(card.get("weights", (1.0,)))
            parts = tuple(LinearHead(**_of_level(arrays, i, weights)) for i in range(len(weights)))
            head = cls(config, parts, weights, arrays.get("seen"))
            intact = head.identity == card["identity"]
        except OSError as error:
            raise GalleryError(f"The head cannot be read: {error.strerror}.") from error
        except (ValueError, TypeError, KeyError, SafetensorError) as error:
            raise GalleryError(f"The head is damaged ({error}); fit it again.") from error
        if not intact:
            raise GalleryError("The head is damaged (its identity differs); fit it again.")
        return head

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            f"{_prefix(level, self.weights)}{name}": array
            for level, part in enumerate(self.parts)
            for name, array in part.arrays().items()
        }


def _short(array: np.ndarray) -> np.ndarray:
    """An array as it is stored: in half precision where that loses nothing."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return np.ascontiguousarray(half if np.array_equal(half, array) else array)


def _prefix(level: int, weights: Sequence[float]) -> str:
    """What the names of a level's arrays begin with; nothing where there is only one level."""
    return f"{level}." if len(weights) > 1 else ""


def _of_level(
    arrays: Mapping[str, np.ndarray], level: int, weights: Sequence[float]
) -> dict[str, np.ndarray]:
    prefix = _prefix(level, weights)
    names = ("mean_gallery", "mean_query", "matrix")
    return {name: arrays[prefix + name] for name in names if prefix + name in arrays}


def random_rotation(head: Head, *, seed: int) -> Head:
    """The same head in random axes: equal cosines, meaningless single dimensions. A control."""

    def rotated(part: LinearHead) -> LinearHead:
        matrix = np.eye(part.dim) if part.matrix is None else part.matrix
        turned = matrix @ haar_rotation(part.dim, seed=seed)
        return dataclasses.replace(part, matrix=turned.astype(np.float32))

    return dataclasses.replace(head, parts=tuple(map(rotated, head.parts)))


def check_width(features: ManyRows, width: int) -> None:
    """Refuse features of another width with a ``ValueError``."""
    if len(features.shape) != 2 or features.shape[1] != width:
        raise ValueError(f"features must have the shape (n, {width}), got {features.shape}")


def check_finite(values: np.ndarray, *, first: int) -> None:
    """Refuse what is not finite with a ``ValueError`` that names the row, counted from first."""
    finite = np.isfinite(values)
    if not finite.all():
        row = first + np.argwhere(~finite)[0, 0]
        raise ValueError(f"features of row {row} are not finite or too large")
