"""What p-values are worth under a filter: ``python -m benchmarks.evidence.filtered``.

Photographs of one gallery, one of every group of near-duplicates, are split in two: one part is the
gallery, the other is asked of it and has no source there. Filters let a share of the gallery pass,
at random, or the images nearest to one of them, as a column of the metadata may. Evidence is
measured against the rivals of the whole gallery, as answers do, or of those alone that pass; the
null is that of the whole gallery in both.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_limits

from core.cli.console import results
from core.config import AnswerConfig, NullConfig, ScoreConfig
from core.encoders.load import load_encoder
from core.evidence.answer import answer
from core.evidence.null import Null, fit_null
from core.gallery.gallery import Gallery
from core.search.engine import Among
from core.search.prepare import prepare
from core.search.query import Query
from core.search.ranking import Collection, Ranking
from core.service.heads import choose_head

SHARES = (0.5, 0.2, 0.05, 0.02)
"""Parts of the gallery that pass."""
LEVELS = (0.05, 0.01)


def main() -> None:
    """Ask, and print the share of small p-values by filter and rivals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--images", type=int, default=1_000, help="of the gallery")
    parser.add_argument("--asked", type=int, default=500, help="images without a source")
    options = parser.parse_args()
    threadpool_limits(1, user_api="blas")
    gallery, encoder = Gallery.open(options.gallery, read_only=True), load_encoder(options.encoder)
    head = choose_head(gallery, encoder, "default")
    everything = prepare(gallery, encoder, head, config=ScoreConfig())
    first = np.unique(everything.groups, return_index=True)[1]
    drawn = np.random.default_rng(0).permutation(first)
    held = drawn[options.images : options.images + options.asked]
    rest = everything.of(np.sort(drawn[: options.images]))
    rest = replace(rest, groups=np.arange(len(rest)))  # each is the one image of its group
    null = fit_null(rest, config=NullConfig())
    found: dict[str, np.ndarray] = {}
    for number, query in enumerate(_queries(everything, rest, held)):
        for name, p_value in p_values(rest, query, null, seed=number).items():
            found.setdefault(name, np.ones(len(held)))[number] = p_value
    table = Table("passes, rivals", *(f"p <= {level:g}" for level in LEVELS))
    for name, values in found.items():
        table.add_row(name, *(f"{(values <= level).mean():.3f}" for level in LEVELS))
    results.print(table)


def _queries(everything: Collection, rest: Collection, rows: np.ndarray) -> Iterator[Query]:
    """Images as queries to a part of their gallery that they are not in."""
    patches = everything.patches
    for row in rows:
        vectors = tuple(
            own.head(np.asarray(view.features[row])[None], role="query")[0]
            for view, own in zip(everything.views, rest.views, strict=True)
        )
        yield Query(vectors, None if patches is None else np.asarray(patches[row]))


def p_values(gallery: Collection, query: Query, null: Null, *, seed: int) -> Mapping[str, float]:
    """The smallest p-value of a query's groups by filter and rivals."""
    rng, k = np.random.default_rng(seed), gallery.config.candidates
    vectors = gallery.views[0].vectors
    found = {"all": _p_value(query, gallery, null, gallery.rank(query, k=k))}
    for share in SHARES:
        count = round(share * len(gallery))
        alike = np.argsort(-(vectors @ vectors[rng.integers(len(gallery))]))[:count]
        for kind, rows in (("at random", rng.permutation(len(gallery))[:count]), ("alike", alike)):
            among = np.zeros(len(gallery), bool)
            among[rows] = True
            ranked = {
                "of the gallery": gallery.rank_among(query, Among(among), k=k),
                "that pass": gallery.rank(query, k=k, among=Among(among)),
            }
            for rivals, ranking in ranked.items():
                name = f"{share:.0%} {kind}, {rivals}"
                found[name] = _p_value(query, gallery, null, ranking)
    return found


def _p_value(query: Query, gallery: Collection, null: Null, ranking: Ranking) -> float:
    found = answer(query, ranking, gallery, null=null, config=AnswerConfig(), top=1).p_value
    assert found is not None, "the gallery is too small"
    return found


if __name__ == "__main__":
    main()
