"""Values that cross modules, and the one alphabet of array axes.

Axes, written the same everywhere: ``b`` images of a batch, ``n`` images of a gallery, ``q``
queries, ``k`` neighbours, ``f`` backbone features (pooled, before a head), ``d`` embedding
dimensions (after a head), ``p`` patches (positions of a spatial grid, row by row), ``c`` channels
of a patch before its head, ``l`` dimensions of a local descriptor, ``h w`` pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int8, Integer
from PIL import Image

Role = Literal["gallery", "query"]
"""Which side of a comparison an image stands on; heads may centre the two sides differently."""

Progress = Callable[[int, int, str], None]
"""Called as ``progress(done, total, what)``; may raise :class:`Cancelled` to stop the work."""


class WellspringError(Exception):
    """Base of every error whose message is written for the person who uses the program."""


class ImageError(WellspringError):
    """An input that cannot be taken as an image; says what was wrong and what is accepted."""


class EncoderError(WellspringError):
    """An encoder that cannot be found, fetched or loaded."""


class GalleryError(WellspringError):
    """A gallery that cannot be built, opened, changed or trusted."""

    def __init__(self, message: str, *, command: Sequence[str] = ()) -> None:
        """Take a message and, where one is known, the command that helps.

        Args:
            message: what is wrong and what to do, for everybody.
            command: what follows ``python -m core``. It names folders, so that only the command
                line shows it.
        """
        super().__init__(message)
        self.command = tuple(command)


class UndescribedError(GalleryError):
    """A gallery that an encoder does not describe; the encoder can be prepared for it."""


class FilterError(GalleryError):
    """A filter that cannot be read, or that no image of a gallery passes."""


class TrainingError(WellspringError, ValueError):
    """A training run that cannot begin or go on."""


class SettingError(WellspringError):
    """A setting of the environment that cannot be."""


class Cancelled(WellspringError):
    """Work stopped on request; what was finished is kept."""


def first_line(error: Exception, *, most: int | None = None) -> str:
    """What a library's error says, in one line without a full stop, cut where it is too long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:most].rstrip(".")


def no_progress(_done: int, _total: int, _what: str) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Grid:
    """A regular grid of patches laid over an image."""

    rows: int
    columns: int

    @property
    def size(self) -> int:
        """Number of patches p."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Encoded:
    """What an encoder says of a batch: un-headed features, and spatial ones where it has any."""

    features: Float[np.ndarray, "b f"]
    """Pooled features, float32, not normalised."""
    patches: Float[np.ndarray, "b p c"] | None = None
    """Features of every patch, before the patch head; ``None`` for encoders without space."""
    grid: Grid | None = None
    """The grid that the patches stand on."""


@dataclass(frozen=True)
class Level:
    """A part of the features that a head treats by itself: those of one stage of a network."""

    name: str
    """What it sees, for people."""
    width: int
    """Number of its features."""
    weight: float = 1.0
    """Weight of its cosine beside the other levels'."""


@runtime_checkable
class Encoder(Protocol):
    """Images to features. Networks and baselines alike."""

    @property
    def name(self) -> str:
        """Name in the registry, such as ``moco`` or ``thumbnail``."""
        ...

    @property
    def dim(self) -> int:
        """Number of features f."""
        ...

    @property
    def identity(self) -> str:
        """Hash of weights and configuration; keys everything computed with this encoder."""
        ...

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        """Features of RGB images of any size, in their order."""
        ...


@dataclass(frozen=True)
class ImageRecord:
    """One image of a gallery, as its manifest knows it."""

    id: int
    path: str
    """Where the image came from, relative to the root it was indexed from, with forward slashes."""
    sha256: str
    phash: str
    """64-bit perceptual hash, 16 hexadecimal digits."""
    width: int
    height: int
    size: int = 0
    """Bytes of its file when it was indexed; 0 where an earlier version did not keep it."""
    modified: int = 0
    """When its file had last been changed then, nanoseconds since 1970."""
    gone: bool = False
    """In an answer: whether its file is no longer where it was indexed."""
    source: str = ""
    creator: str = ""
    licence: str = ""
    url: str = ""
    title: str = ""
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    """Free columns of the metadata beside the images, such as the factors of a rendered world."""


@dataclass(frozen=True)
class Match:
    """One gallery image as a candidate source of a query."""

    image: ImageRecord
    cosine: float
    """Cosine of the two embeddings, in [-1, 1]."""
    score: float
    """Score that ranks: see :mod:`core.search.ranking`."""
    group: int
    """Group of near-duplicates that the image belongs to."""


@dataclass(frozen=True)
class Aspect:
    """How rare it is to stand out as far as a group does in one way of comparing."""

    name: str
    """What is compared, for people: a level of the encoder, edges, matching places."""
    p_value: float
    """Share of null queries of which some group stands out as far in this aspect."""


@dataclass(frozen=True)
class Group:
    """Near-duplicates that count as one candidate source.

    The numbers of evidence are ``None`` in a gallery with too few different images to tell a
    source from chance.
    """

    id: int
    members: tuple[int, ...]
    """Ids of all images of the group in the gallery."""
    best: Match
    """Its highest-ranked image."""
    p_value: float | None
    """Share of null queries, whose source is not in the gallery, of which some group stands out at
    least as far in all aspects together."""
    confidence: float | None
    """Probability that the group is a source of the query."""
    influence: float | None
    """Share of the query ascribed to this group; all groups and ``none`` sum to 1."""
    strength: float | None = None
    """How far it stands out in all aspects together: minus the logarithm of the mean of their
    p-values; see :mod:`core.evidence.combination`."""
    aspects: tuple[Aspect, ...] = ()
    """By what it stands out; empty beyond the candidates of a ranking."""


@dataclass(frozen=True)
class Roles:
    """Two groups, of which one is nearest to a query in structure and the other in appearance."""

    structure: int
    """Id of the group."""
    appearance: int
    """Id of the other."""
    structure_p_value: float
    """Share of null queries of which some group stands out as far in structure, at most."""
    appearance_p_value: float
    """The same in appearance."""


@dataclass(frozen=True)
class Scale:
    """Scores of two images that everybody can picture, between which people read all others."""

    low: float
    """What the middle image of the gallery scores: shown as 0."""
    high: float
    """What the query itself would score if it were in the gallery: shown as 100."""


@dataclass(frozen=True)
class Surroundings:
    """A gallery around a query: what it holds, and how near the query lies to its images."""

    images: int
    """Images of the gallery."""
    holds: str
    """What they are, in the gallery's own words; empty where it has none."""
    nearest: float
    """Cosine of the query and the image nearest to it."""
    usual: float
    """Median cosine of the gallery's images and the image of another group nearest to each."""
    nearer: float
    """Share of the gallery's images whose nearest image is nearer than the query's."""


@dataclass(frozen=True)
class Scope:
    """The images that an answer is about, where they are not all of the gallery.

    Their evidence is what it is in the whole gallery: a filter leaves images out, and makes none of
    the others stand out more.
    """

    where: str
    """The filter: see :mod:`core.gallery.filters`."""
    words: str
    """The filter in words, behind "images with"."""
    passing: int
    """Images that pass."""
    images: int
    """Images of the gallery."""
    outside: bool = False
    """Whether an image that does not pass is a likely source."""


@dataclass(frozen=True)
class Answer:
    """What the gallery says of one query; :mod:`core.evidence.words` has its words.

    In a gallery with too few different images to tell a source from chance, ``none`` and both
    p-values are ``None``, as are those of the groups.
    """

    matches: tuple[Match, ...]
    """The best images of the sources, then all others as they are ranked."""
    groups: tuple[Group, ...]
    """Sources first, then the group that explains most of the rest, then those of the matches."""
    none: float | None
    """Share ascribed to none of the gallery's images, in [0, 1]."""
    p_value: float | None
    """p-value of the group that stands out most."""
    null_id: str
    """Identity of the null distribution that the p-values refer to."""
    encoder: str = ""
    """``name@identity`` of the encoder."""
    head: str = ""
    """``name@identity`` of the head."""
    gallery: str = ""
    """``name@identity`` of the gallery."""
    lead_p_value: float | None = None
    """Share of null queries of which some group is as far ahead of all others as the first."""
    named: bool = False
    """Whether the first group is a likely source and significantly ahead of all others."""
    prior: float = 0.5
    """Prior probability of a source that the confidences are stated at."""
    identical: int | None = None
    """Id of the gallery image that has the very bytes of the query: a fact, not a score."""
    null_size: int = 0
    """Images of the null m: no p-value is below 1 / (m + 1)."""
    level: float = 0.05
    """Largest p-value at which a group stands out."""
    notes: tuple[str, ...] = ()
    """What was unusual about the query's file, each in a few words: lower case, no full stop."""
    scale: Scale | None = None
    """How scores are shown; ``None`` where there is nothing to compare with."""
    surroundings: Surroundings | None = None
    """The gallery around the query; ``None`` where it holds too few images to say."""
    scope: Scope | None = None
    """The images that were looked at; ``None`` for all."""
    roles: Roles | None = None
    """Which of the groups is nearest in structure and which in appearance, where two groups stand
    out so; both are among the groups."""


@dataclass(frozen=True)
class Contribution:
    """One embedding dimension's part in the cosine of a query and a source."""

    dimension: int
    value: float
    """q_i * s_i of the unit embeddings; the sum over all dimensions is the cosine."""
    share: float
    """Value divided by the cosine."""
    query: float = 0.0
    """q_i, the query's coordinate."""
    source: float = 0.0
    """s_i, the source's coordinate."""


@dataclass(frozen=True)
class RegionMatch:
    """Where a query and a source agree, on the patch grids of both."""

    query_grid: Grid
    source_grid: Grid
    query_heat: Float[np.ndarray, " p"]
    """Evidence per query patch, non-negative; sums to the local score, less what is flat."""
    source_heat: Float[np.ndarray, " p2"]
    """The same evidence laid on the source's patches; the same sum."""
    pairs: Integer[np.ndarray, "m 2"]
    """Mutually best patches: row of the query patch, row of the source patch."""
    strengths: Float[np.ndarray, " m"]
    """Clipped squared cosine of each pair, in [0, 1]."""


@dataclass(frozen=True)
class Alignment:
    """How a query lies in a source: ``source = scale * (mirrored) query + shift``.

    Positions are in [-1, 1] from edge to edge, down and right.
    """

    scale: tuple[float, float]
    """Down and right."""
    shift: tuple[float, float]
    """Down and right, in the source."""
    mirrored: bool
    """Whether the query is turned left to right first."""


@dataclass(frozen=True)
class ScorePart:
    """What one thing adds to the score of a match, or takes from it."""

    name: str
    """A level of the encoder, or what else is scored, for people."""
    value: float


@dataclass(frozen=True)
class CellParts:
    """The cosine of two images in one view, split over cells that lie alike in both."""

    view: str
    """What the view sees, for people: ``edges``."""
    grid: Grid
    """The grid of the cells; it covers the whole of either image."""
    parts: Float[np.ndarray, " p"]
    """Sum to the cosine."""


@dataclass(frozen=True)
class LevelParts:
    """What a level of the encoder adds to the cosine, split over the regions of both images."""

    level: str
    """Its name, for people."""
    query: Float[np.ndarray, " p"]
    source: Float[np.ndarray, " p"]
    """Each sums to the level's part of the cosine."""


@dataclass(frozen=True)
class Explanation:
    """Why a gallery image matched a query, under one encoder and head."""

    match: ImageRecord
    cosine: float
    contributions: tuple[Contribution, ...]
    """Largest magnitudes first; over all dimensions they sum to the cosine."""
    grid: Grid | None
    """Grid of the parts below; ``None`` for encoders without space."""
    query_parts: Float[np.ndarray, " p"] | None
    """The cosine split over the query's regions; sums to the cosine."""
    source_parts: Float[np.ndarray, " p"] | None
    """The cosine split over the source's regions; sums to the cosine."""
    regions: RegionMatch | None
    """Mutually best patches, where local descriptors are stored."""
    cell_parts: tuple[CellParts, ...] = ()
    """The cosines in the views beside the embedding, of those that split over cells."""
    score_parts: tuple[ScorePart, ...] = ()
    """What makes the score that ranks: levels, how common the image is, and what lifted it; they
    sum to the score."""
    alignment: Alignment | None = None
    """How the query lies in the source, where the pixels agree on it."""
    level_parts: tuple[LevelParts, ...] = ()
    """``query_parts`` and ``source_parts`` level by level, where there are several levels."""


Descriptors = Int8[np.ndarray, "n p l"]
"""Unit local descriptors scaled by 127."""
