"""What else the defaults could be: dimensions, stages, local scaling, input size, views of a query.

By the global score alone, as heads are compared; what is chosen is chosen on the tune half.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from benchmarks.robustness import Degradation, crop
from benchmarks.study import Study, by_source, by_tag, compared, digest, of_scores, store
from core.config import HeadConfig, ScoreConfig
from core.encoders.network import NetworkEncoder
from core.heads.fit import fit_head
from core.search.index import hubness

BASE = "embedding as it ships"
"""The column that the others are compared with."""

_MEASURES = ("R@1", "R@10")
_CROP = 0.7  # of both sides

Scores = Callable[[int], Float[np.ndarray, " n"]]
"""Global scores of all candidates for a query by its number."""


def measure(study: Study) -> None:
    """Rank every pair under every choice; store means and differences from what ships."""
    groups = by_source(study.pairs) | by_tag()
    names = ("consingan_lsun", "nano_banana", "nano_banana: layout", "all")
    wanted = {name: groups[name] for name in names}
    desks = [Desk(study, e) for e in study.networks if isinstance(e, NetworkEncoder)]
    means: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    for desk in desks:
        name = desk.encoder.name
        ways = desk.columns() | {
            f"with {other.encoder.name}": lambda desk=desk, other=other: added(
                desk.scores(), other.scores()
            )
            for other in desks
            if other is not desk
        }
        results = {
            f"{name}/{way}": study.kept(
                desk.encoder,
                f"choice-{digest(way, *study.images)}",
                lambda make=make: ranks(make(), study.right),
            )
            for way, make in ways.items()
        }
        base = f"{name}/{BASE}"
        found = compared(study.pairs, results, base, groups=wanted, measures=_MEASURES)
        means += found[0]
        gaps += found[1]
        store("choices", study, base=BASE, cells=means, differences=gaps)


class Desk:
    """An encoder's features, and scores by what can be chosen."""

    def __init__(self, study: Study, encoder: NetworkEncoder) -> None:
        self.study, self.encoder = study, encoder
        self.gallery, self.queries = study.gallery_features(encoder), study.query_features(encoder)
        self.generated = [study.data / pair.generated for pair in study.pairs]

    def columns(self) -> dict[str, Callable[[], Scores]]:
        """How each column scores."""
        mirrored, cropped = {"mirror": ImageOps.mirror}, corners(_CROP)
        return {
            BASE: self.scores,
            **{f"k {k}": lambda k=k: self.scores(k=k) for k in (256, 768, self.encoder.dim)},
            "no local scaling": lambda: self.scores(neighbours=None),
            **{f"local scaling {n}": lambda n=n: self.scores(neighbours=n) for n in (5, 20, 50)},
            "stage 2": lambda: self.stages(0),
            "stage 3": lambda: self.stages(1),
            "stage 4": lambda: self.stages(2),
            "stages 2 and 3": lambda: self.stages(0, 1),
            "stages 3 and 4": lambda: self.stages(1, 2),
            **{f"{size} pixels": lambda size=size: self.sized(size) for size in (96, 128, 192)},
            "mirrored too, mean": lambda: self.viewed(mirrored),
            "five crops too, mean": lambda: self.viewed(cropped),
            "five crops too, best": lambda: self.viewed(cropped, over=np.max),
        }

    def scores(
        self,
        gallery: np.ndarray | None = None,
        views: Sequence[np.ndarray] | None = None,
        *,
        k: int = HeadConfig().k,
        neighbours: int | None = ScoreConfig().neighbours,
        over: Callable[..., np.ndarray] = np.mean,
    ) -> Scores:
        """Scores as they ship but for what is given; several views of a query count together."""
        gallery = self.gallery if gallery is None else gallery
        views = [self.queries] if views is None else views
        head = fit_head(gallery[: len(self.study.bench.others)], config=HeadConfig(k=k))
        own, asked = head(gallery, role="gallery"), [head(view, role="query") for view in views]
        hubs = 0.0 if neighbours is None else hubness(own, k=neighbours)
        return lambda i: over([2 * own @ view[i] for view in asked], axis=0) - hubs

    def stages(self, *wanted: int) -> Scores:
        """Scores by some of the pooled stages, counted from 0."""
        maps = self.encoder.stages([Image.new("RGB", (64, 64))]).maps
        ends = np.cumsum([0, *(2 * stage.shape[1] for stage in maps)])
        chosen = np.concatenate([np.arange(ends[s], ends[s + 1]) for s in wanted])
        return self.scores(self.gallery[:, chosen], [self.queries[:, chosen]])

    def sized(self, size: int) -> Scores:
        """Scores when everything is read at another size."""
        backbone = copy.copy(self.encoder.backbone)
        backbone.config = replace(backbone.config, input_size=size)
        encoder, study = NetworkEncoder(self.encoder.name, backbone), self.study
        name = f"gallery-{size}-{digest(*study.images)}"
        gallery = study.encoded(encoder, name, ranked_images(study))
        return self.scores(gallery, [study.encoded(encoder, f"queries-{size}", self.generated)])

    def viewed(self, ways: Mapping[str, Degradation], **how: Any) -> Scores:
        """Scores by the queries as they are and other views of them."""
        more = [
            self.study.encoded(self.encoder, f"queries-{name}", self.generated, seen=way)
            for name, way in ways.items()
        ]
        return self.scores(views=[self.queries, *more], **how)


def ranked_images(study: Study) -> list[Path]:
    """Files of all candidates, in the order in which they are ranked."""
    gallery = study.bench.gallery
    own = [gallery.root / gallery.records[row].path for row in study.bench.others]
    return own + [study.data / name for name in study.bench.exemplars]


def added(*scores: Scores) -> Scores:
    """The sum of several encoders' scores."""
    return lambda i: np.sum([one(i) for one in scores], axis=0)


def ranks(scores: Scores, right: Sequence[np.ndarray]) -> Float[np.ndarray, "q 4"]:
    """R@1, R@5, R@10 and average precision of every query."""
    return np.stack([of_scores(scores(i), answers) for i, answers in enumerate(right)])


def corners(share: float) -> dict[str, Degradation]:
    """Crops of the middle and of the four corners, at a share of both sides."""

    def corner(image: Image.Image, x: int, y: int) -> Image.Image:
        width, height = (round(side * share) for side in image.size)
        left, top = x * (image.width - width), y * (image.height - height)
        return image.crop((left, top, left + width, top + height))

    at = {
        f"corner {share:g} {x}{y}": lambda image, x=x, y=y: corner(image, x, y)
        for x in (0, 1)
        for y in (0, 1)
    }
    return {f"middle {share:g}": lambda image: crop(image, share), **at}
