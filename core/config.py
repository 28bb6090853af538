"""Frozen settings of every stage but training; each default is written here once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

HeadKind = Literal["identity", "center", "whiten", "infomax", "logdet"]
"""The maps that can be fitted; ``docs/method.md`` says what each one does."""

HEAD_KINDS: tuple[HeadKind, ...] = get_args(HeadKind)

PairedKind = Literal["ridge", "infonce"]
"""The maps that are fitted to known pairs; see :mod:`core.heads.paired`."""

PAIRED_KINDS: tuple[PairedKind, ...] = get_args(PairedKind)

LEAST_KEPT = 1e-6
"""Least shrinkage of the kind ``ridge``: below, nothing determines the map where no pair lies."""


def require(condition: bool, message: str) -> None:
    """Refuse a setting in words."""
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class ImageLimits:
    """What is accepted as an image."""

    max_bytes: int = 20_000_000
    """Size of the encoded file, bytes."""
    max_pixels: int = 64_000_000
    """Width times height, pixels; checked before decoding."""
    max_side: int = 20_000
    """Longer side, pixels."""
    min_side: int = 8
    """Shorter side, pixels."""
    max_aspect: float = 20.0
    """Longer side divided by shorter side."""

    def __post_init__(self) -> None:
        """Refuse limits that admit nothing."""
        require(self.max_bytes > 0, f"max_bytes must be positive, got {self.max_bytes}")
        require(self.max_pixels > 0, f"max_pixels must be positive, got {self.max_pixels}")
        require(0 < self.min_side <= self.max_side, "min_side must be in 1..max_side")
        require(self.max_aspect >= 1, f"max_aspect must be at least 1, got {self.max_aspect}")


@dataclass(frozen=True)
class HeadConfig:
    """How features become an embedding."""

    kind: HeadKind | PairedKind = "whiten"
    """The map that is fitted."""
    k: int = 512
    """Embedding dimensions kept at most; fewer where the features or the samples allow fewer."""
    shrinkage: float | None = None
    """Weight alpha of the mean variance in the covariance (1-alpha) C + alpha tr(C)/f I; ``None``
    lets it follow from the number of images and features. Of a map that is fitted to pairs, the
    weight of staying at the identity."""
    per_domain: bool = False
    """Centre queries by the mean of unpaired synthetic features instead of the gallery's mean."""
    seed: int = 0
    """Seed of the subsample."""
    max_samples: int = 15_000
    """Rows used by the iterative fit (infomax), drawn at random."""

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        known = (*HEAD_KINDS, *PAIRED_KINDS)
        kinds = ", ".join(known)
        require(self.kind in known, f"kind must be one of {kinds}, got {self.kind!r}")
        require(self.k > 0, f"k must be positive, got {self.k}")
        least = LEAST_KEPT if self.kind == "ridge" else 0
        if self.shrinkage is not None:
            words = f"shrinkage of the kind {self.kind!r} must be in [{least:g}, 1)"
            require(least <= self.shrinkage < 1, f"{words}, got {self.shrinkage}")
        require(self.max_samples > 1, f"max_samples must exceed 1, got {self.max_samples}")


PATCHES = "patches"
"""Name of the local descriptors by which the first candidates are re-ranked."""


@dataclass(frozen=True)
class ViewConfig:
    """How one view beside the embedding counts."""

    name: str
    """One of :data:`core.search.extra_views.EXTRA_VIEWS`, or :data:`PATCHES`."""
    weight: float
    """Weight of its score beside the embedding's, in the score that has both."""
    trust: float
    """What standing out by that score counts, next to standing out by the embedding alone."""

    def __post_init__(self) -> None:
        """Refuse weights and trusts that turn a ranking round."""
        require(self.weight >= 0, f"the weight of {self.name} must not be negative")
        require(0 <= self.trust <= 1, f"the trust of {self.name} must be in [0, 1]")


@dataclass(frozen=True)
class ScoreConfig:
    """How candidates are ranked."""

    search: Literal["auto", "exact", "hnsw"] = "auto"
    """Compare with every image, or walk a graph that may miss some; ``auto`` walks where there are
    more images than ``exact``."""
    exact: int = 20_000
    """Images up to which all are compared with all to find neighbours; see decision 013."""
    local_scaling: bool = True
    """CSLS: 2 cos minus the gallery image's mean cosine to its nearest gallery images."""
    neighbours: int = 10
    """Gallery neighbours k in local scaling."""
    candidates: int = 200
    """Candidates that are compared by all that is known; every view gives as many of them."""
    groups: int = 20
    """Near-duplicate groups among them at least, however many copies there are of the first."""
    views: tuple[ViewConfig, ...] = (
        ViewConfig("edges", weight=0.7, trust=0.8),
        ViewConfig("palette", weight=1.0, trust=0.8),
        ViewConfig(PATCHES, weight=5.3, trust=0.8),
    )
    """What images are compared by beside the embedding, where the gallery has it."""

    def __post_init__(self) -> None:
        """Refuse empty neighbourhoods."""
        require(self.neighbours > 0, f"neighbours must be positive, got {self.neighbours}")
        require(self.candidates > 0, f"candidates must be positive, got {self.candidates}")
        require(self.groups > 0, f"groups must be positive, got {self.groups}")
        require(self.exact >= 0, f"exact must not be negative, got {self.exact}")
        names = [view.name for view in self.views]
        require(len({*names}) == len(names), f"every view counts once, got {names}")

    def view(self, name: str) -> ViewConfig | None:
        """How a view counts; ``None`` where images are not compared by it."""
        return next((view for view in self.views if view.name == name), None)

    def without(self, *names: str) -> ScoreConfig:
        """The same, but for views of these names."""
        return replace(self, views=tuple(view for view in self.views if view.name not in names))


@dataclass(frozen=True)
class RegistrationConfig:
    """When pixels bear out that one image shows a part of another, mirrored or not.

    Local descriptors vote for a place (:mod:`core.search.placement`); there the two are registered
    and compared (:mod:`core.search.registration`). The defaults are for crops in a gallery.
    """

    votes: float = 0.12
    """Least evidence per patch of the matches that agree on a place, in [0, 1]; with less, pixels
    are not looked at."""
    overlap: float = 0.75
    """Least share of the smaller image that lies inside the other, in [0, 1]."""
    likeness: float = 0.8
    """Least Pearson correlation of the blurred images; below, their detail is not compared."""
    agreement: float = 0.9
    """Pearson correlation of the fine detail, which a blur takes away, from which both show one."""

    def __post_init__(self) -> None:
        """Refuse shares and correlations that nothing or everything reaches."""
        for name, value in vars(self).items():
            require(0 < value <= 1, f"{name} must be in (0, 1], got {value}")


ALIGNMENT = RegistrationConfig(votes=0.06, agreement=0.5)
"""When a query is laid over its source on the page: looser, for generated images are no crops, and
nothing but the picture follows from it."""


@dataclass(frozen=True)
class GroupConfig:
    """When two gallery images count as copies of one."""

    max_hash_distance: int = 6
    """Largest Hamming distance of the 64-bit perceptual hashes, bits."""
    mirror_slack: int = 2
    """Bits more by which the hash of a mirrored image may differ, since its median moves."""
    min_cosine: float = 0.5
    """Smallest cosine of the embeddings."""
    neighbours: int = 10
    """Nearest gallery images of every image that are looked at as its copies."""
    crop_neighbours: int = 5
    """Nearest gallery images of every image that are looked at as its crops."""
    crop_cosine: float = 0.3
    """Smallest cosine of the embeddings of an image and its crop; below, pixels are not looked at.
    Among photographs it leaves half of the work and 99 % of the crops, see docs/scale.md."""
    crops: RegistrationConfig = field(default_factory=RegistrationConfig)
    """When one of two counts as a crop of the other."""

    def __post_init__(self) -> None:
        """Refuse distances and neighbourhoods that are none."""
        for name in ("max_hash_distance", "mirror_slack", "neighbours", "crop_neighbours"):
            least = getattr(self, name)
            require(least >= 0, f"{name} must not be negative, got {least}")
        for name in ("min_cosine", "crop_cosine"):
            cosine = getattr(self, name)
            require(-1 <= cosine <= 1, f"{name} must be in [-1, 1], got {cosine}")


@dataclass(frozen=True)
class NullConfig:
    """The null distribution."""

    queries: int = 2_000
    """Gallery images, each ranked against the gallery without its own group."""
    folds: int = 10
    """Parts in which the asked images are taken out of the gallery, for cross-fitting."""
    alone: int = 60
    """Images up to which each is taken out by itself: a tenth of few would leave too few."""
    seed: int = 0
    """Seed of the draw."""

    def __post_init__(self) -> None:
        """Refuse a null without queries, or of one part."""
        require(self.queries > 0, f"queries must be positive, got {self.queries}")
        require(self.folds > 1, f"folds must exceed 1, got {self.folds}")
        require(self.alone >= 0, f"alone must not be negative, got {self.alone}")


@dataclass(frozen=True)
class AnswerConfig:
    """How an answer is drawn from scores and their null."""

    prior: float = 0.5
    """Prior probability that a query has a source in the gallery."""
    level: float = 0.05
    """Largest p-value of a candidate source, and of the lead by which an answer names one."""
    midpoint: float = 1.8
    """Strength at which source and no source are equally likely."""
    slope: float = 3.25
    """Log-odds of a source per unit of strength."""
    surest: float = 7.0
    """Log-odds of the evidence for or against a source at most: no measurement here bears out a
    confidence of more than .999."""
    likely: float = 0.5
    """Confidence above which what stands out is a source."""
    weak: float = 0.2
    """Largest p-value of what may be one more source, too weak to count."""
    listed: tuple[tuple[float, float], ...] = (
        (0.5, 0.034),
        (0.6, 0.06),
        (0.7, 0.1),
        (0.8, 0.115),
        (0.9, 0.15),
    )
    """Shares of cases in which a source is to be listed, and the gap up to which images then are;
    see :mod:`core.evidence.answer_sets`."""

    def __post_init__(self) -> None:
        """Refuse priors and levels that decide everything."""
        require(0 < self.prior < 1, f"prior must be in (0, 1), got {self.prior}")
        require(0 < self.level < 1, f"level must be in (0, 1), got {self.level}")
        require(self.slope > 0, f"slope must be positive, got {self.slope}")
        require(self.surest > 0, f"surest must be positive, got {self.surest}")
        require(0 <= self.likely < 1, f"likely must be in [0, 1), got {self.likely}")
        require(0 <= self.weak <= 1, f"weak must be in [0, 1], got {self.weak}")


@dataclass(frozen=True)
class ProjectionConfig:
    """The 2-D map."""

    fit_points: int = 5_000
    """Points on which UMAP is fitted at most; all others are placed by their neighbours."""
    neighbours: int = 15
    """Neighbours in UMAP and in placing."""
    min_dist: float = 0.1
    """UMAP's smallest distance between points of the map."""
    seed: int = 0
    """Seed of the sample and of UMAP."""


@dataclass(frozen=True)
class SourceLimits:
    """What is unpacked or fetched to become a gallery."""

    max_bytes: int = 1_000_000_000
    """Sum of the images' sizes in a zip or a public dataset, bytes."""
    max_images: int = 1_000_000
    """Images in a zip, and those taken of a public dataset."""
    public: bool = False
    """A stranger names the source: a zip, or a public dataset of the Hub; nothing of this machine
    is read, neither a folder nor its token."""

    def __post_init__(self) -> None:
        """Refuse limits that admit nothing."""
        require(self.max_bytes > 0, f"max_bytes must be positive, got {self.max_bytes}")
        require(self.max_images > 0, f"max_images must be positive, got {self.max_images}")


@dataclass(frozen=True)
class BuildConfig:
    """How a gallery is built."""

    batch: int = 32
    """Images per forward pass."""
    shard: int = 512
    """Images between two checkpoints of a build."""
    workers: int = 2
    """Decoding threads."""
    thumbnail: int = 256
    """Longer side of the thumbnails, pixels."""
    patch_sample: int = 1_000
    """Images whose patches fit the patch head, where the encoder brings none."""
    ray: str = field(default="", repr=False)
    """Ray cluster whose workers encode, see :func:`core.gallery.cluster.connected`; none: this
    process. Not part of what tells one unfinished build from another, nor are the limits."""
    limits: SourceLimits = field(default_factory=SourceLimits, repr=False)
    """What is taken of a zip or a dataset."""

    def __post_init__(self) -> None:
        """Refuse empty batches."""
        for name in ("batch", "shard", "workers", "thumbnail", "patch_sample"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")


DESCRIPTION = BuildConfig(batch=16, shard=64, patch_sample=200)
"""How a gallery is described while somebody waits: a stop takes effect and loses within seconds."""


@dataclass(frozen=True)
class ServerConfig:
    """What the server allows; but for encoders and uploads, limits are those of a hosted server."""

    hosted: bool = False
    """Public server: no server paths in answers or as input, shipped galleries read-only."""
    max_upload_bytes: int = 200_000_000
    """Size of an uploaded file, such as a zip of images, bytes."""
    max_unpacked_bytes: int = 1_000_000_000
    """Sum of the unpacked sizes of a zip, bytes."""
    max_images: int = 2_000
    """Images in a gallery of one visitor."""
    session_seconds: int = 3_600
    """Time without use after which a visitor's uploads and galleries are removed, seconds."""
    max_total_bytes: int = 20_000_000_000
    """Sum of the galleries of all visitors, bytes."""
    max_builds: int = 4
    """Galleries that are built or changed at once."""
    max_visitor_builds: int = 2
    """Those of one visitor, of which one may be a new gallery."""
    max_sent_bytes: int = 1_000_000_000
    """What one client uploads in an hour, bytes."""
    max_kept_bytes: int = 5_000_000_000
    """Sum of the uploads and copies that are kept of all clients, bytes; the oldest go first."""
    max_body_bytes: int = 32_000_000
    """Size of a request that is no upload, bytes: an image of 20 MB as text fits."""
    max_requests: int = 600
    """Requests of one client in a minute; files of the page and pictures are not counted."""
    max_total_requests: int = 3_000
    """Those of all clients."""
    max_seconds: int = 1_800
    """Seconds that the calls of one client take in an hour, before long work is refused."""
    max_waiting: int = 256
    """Calls that wait at once."""
    max_client_waiting: int = 48
    """Those of one client; a page makes some twenty when it opens."""
    max_client_open: int = 256
    """Requests and streams of one client that are open at once; an open page has two."""
    at_once: int = 2
    """Calls of a kind that are worked on at once, on every server."""
    proxies: int = 0
    """Proxies before the server that each add an address to X-Forwarded-For; none is believed
    beyond them."""
    visitors: Path | None = None
    """Folder of visitors' galleries, in which a restart finds them again; ``None`` for one that
    goes with the process."""
    encoders: tuple[str, ...] = ()
    """Encoders that are prepared at start, by name; on a hosted server no others are fetched."""

    def __post_init__(self) -> None:
        """Refuse a server on which nothing can be done."""
        for name, value in vars(self).items():
            if name.startswith("max_") or name == "at_once":
                require(value > 0, f"{name} must be positive, got {value}")
        require(self.proxies >= 0, f"proxies must not be negative, got {self.proxies}")
        for total, one in (
            ("max_total_bytes", "max_unpacked_bytes"),
            ("max_kept_bytes", "max_upload_bytes"),
        ):
            require(getattr(self, total) >= getattr(self, one), f"{total} must be at least {one}")


@dataclass(frozen=True)
class FactorConfig:
    """Measures of disentanglement against known factors; see ``core.measures.supervised``."""

    dimensions: int = 64
    """Leading dimensions that are looked at; in more, some dimension fits anything."""
    fit: int = 5_000
    """Images that fit forests and thresholds at most; they decide the time it takes."""
    trees: int = 30
    """Trees of a forest."""
    bins: int = 20
    """Bins of equal width of a dimension in MIG."""
    votes: int = 1_000
    """Groups that FactorVAE draws to learn the vote, and again to score it."""
    group: int = 64
    """Images drawn for a group."""

    def __post_init__(self) -> None:
        """Refuse what measures nothing."""
        for name in ("fit", "trees", "bins", "votes", "group"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        require(self.dimensions > 1, f"dimensions must exceed 1, got {self.dimensions}")


@dataclass(frozen=True)
class MeasureConfig:
    """What is measured of an embedding: which images and dimensions, and how often."""

    images: int = 5_000
    """Gallery images that are measured at most, drawn at random."""
    seed: int = 0
    """Seed of images, halves, forests, groups, folds, shuffles and resamples."""
    shown: int = 32
    """Leading dimensions of a correlation matrix, and of pairs that are compared, at most."""
    fewest_pairs: int = 8
    """Pairs below which agreement and domain gap mean nothing and are left out."""
    pairs_per_dimension: int = 4
    """Pairs for each dimension in which they are compared."""
    ridge: float = 0.1
    """Ridge of the pairs' covariances, in mean variances."""
    permutations: int = 200
    """Shuffled pairings that the agreement of pairs is held against."""
    refits: int = 5
    """Heads fitted on resamples, in which a dimension has to come back."""
    stable: float = 0.8
    """Mean |correlation| with its partners in refits from which a dimension counts as stable."""
    follows: float = 0.1
    """Least share of its variance by which a dimension follows a factor."""
    factors: FactorConfig = field(default_factory=FactorConfig)
    """The measures by factors."""

    def __post_init__(self) -> None:
        """Refuse samples of nothing."""
        for name in ("images", "shown", "fewest_pairs", "pairs_per_dimension", "refits"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        require(self.ridge >= 0, f"ridge must not be negative, got {self.ridge}")
