"""An energy score beside the margin, as what says that an image has no source in the gallery.

    python -m benchmarks.evidence.energy --photos 2500

The energy of a query is T log sum exp(s / T) over the scores s of its candidates (Liu et al. 2020,
Energy-based Out-of-distribution Detection, 2010.03759, with scores in the place of logits and the
sign turned, so that more speaks for a source). The margin is the best score less the fourth, as
the null takes it. Asked are the tune half's generated images, with their sources in the gallery
and with these left out, and photographs of the gallery with their near-duplicates left out.
The 99 % quantile of the photographs is the threshold at 1 %.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from benchmarks.quality import known_pairs, tables
from benchmarks.quality.photos import some_photos
from benchmarks.quality.study import Study
from core.cli.console import reporting, results
from core.config import ScoreConfig
from core.encoders.load import load_encoder
from core.measures.retrieval import Pair, clustered_interval
from core.search.prepare import prepare
from core.search.query import Query
from core.search.ranking import RIVALS, Collection
from core.service.heads import choose_head

TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Temperatures of the energy, in the unit of the score."""
LEVEL = 0.01

_MOST = 4  # images of one set of exemplars
_NULL = 1_000  # photographs that are asked, one of every group of near-duplicates at most

Statistic = Callable[[Float[np.ndarray, "q k"]], Float[np.ndarray, " q"]]


def margin(scores: Float[np.ndarray, "q k"]) -> Float[np.ndarray, " q"]:
    """The best score less the fourth, of scores in descending order."""
    return scores[:, 0] - scores[:, RIVALS]


def energy(scores: Float[np.ndarray, "q k"], *, temperature: float) -> Float[np.ndarray, " q"]:
    """T log sum exp(s / T): near the largest score for a small T, led by their mean for a large."""
    return temperature * logsumexp(scores / temperature, axis=1)


STATISTICS: Mapping[str, Statistic] = {
    "margin": margin,
    "best score": lambda scores: scores[:, 0],
    **{f"energy, T {t:g}": lambda scores, t=t: energy(scores, temperature=t) for t in TEMPERATURES},
    **{
        f"energy, T {t:g}, less the fourth score": lambda scores, t=t: (
            energy(scores, temperature=t) - scores[:, RIVALS]
        )
        for t in TEMPERATURES[:3]
    },
}
"""What is compared, by name."""


def rates(
    present: Float[np.ndarray, "q k"],
    absent: Float[np.ndarray, "q k"],
    null: Float[np.ndarray, "m k"],
    clusters: Sequence[str],
) -> list[list[str]]:
    """AUROC, power at 1 % with its interval, and the rate without sources, by statistic."""
    rows: list[list[str]] = []
    for name, statistic in STATISTICS.items():
        with_source, without, usual = map(statistic, (present, absent, null))
        truth = np.repeat([1, 0], [len(with_source), len(without)])
        area = roc_auc_score(truth, np.concatenate([with_source, without]))
        threshold = np.quantile(usual, 1 - LEVEL, method="higher")
        power = clustered_interval((with_source > threshold).astype(float), clusters)
        found = tables.interval({"mean": power.mean, "low": power.low, "high": power.high})
        rows.append([name, tables.short(area), found, tables.short((without > threshold).mean())])
    return rows


def asked(study: Study) -> tuple[list[Pair], np.ndarray, np.ndarray, np.ndarray]:
    """Some pairs of the tune half; scores with their sources, without, and of photographs."""
    encoder, bench, score = study.encoders[0], study.bench, ScoreConfig()
    head = choose_head(bench.gallery, encoder, "default")
    collection = bench.collection(encoder, head, score=score)
    rng = np.random.default_rng(0)
    counts: dict[str, int] = {}
    pairs: list[Pair] = []
    for i in rng.permutation(len(study.pairs)).tolist():
        pair = study.pairs[i]
        counts[pair.cluster] = counts.get(pair.cluster, 0) + 1
        if pair.half == "tune" and counts[pair.cluster] <= _MOST:
            pairs.append(pair)
    present, absent = [], []
    for done, pair in enumerate(pairs):
        query, others = bench.query(collection, pair), bench.rows_of(pair.others)
        both = np.concatenate([others, bench.rows_of(pair.exemplars)])
        present.append(_scores(collection, query, others))
        absent.append(_scores(collection, query, both))
        study.progress(done + 1, len(pairs), "asking with sources and without")
    null: list[np.ndarray] = []
    groups = prepare(bench.gallery, encoder, head, config=score).groups[bench.others]
    for row in rng.permutation(np.unique(groups, return_index=True)[1])[:_NULL]:
        vectors = tuple(
            view.head(np.asarray(view.features[[row]]), role="query")[0]
            for view in collection.views
        )
        local = None if collection.patches is None else np.asarray(collection.patches[row])
        copies = np.flatnonzero(groups == groups[row])
        null.append(_scores(collection, Query(vectors, local), copies))
        study.progress(len(null), _NULL, "asking photographs")
    return pairs, np.stack(present), np.stack(absent), np.stack(null)


def _scores(collection: Collection, query: Query, left_out: np.ndarray) -> np.ndarray:
    """Scores of the candidates in descending order; as many for every query."""
    most = collection.config.candidates // len(collection.views)  # what every query has
    return collection.rank(query, k=most, without=left_out).scores[:most].astype(np.float64)


def main() -> None:
    """Print a table for every kind of generator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=2_500)
    parser.add_argument("--cache", type=Path, default=Path("galleries/measured"))
    options = parser.parse_args()
    data = Path(os.environ["WELLSPRING_DATA"])
    encoders = [load_encoder("lite0")]
    with reporting() as progress:
        how = {"cache": options.cache, "progress": progress}
        gallery = some_photos(data / "real", options.photos, encoders, **how)
        study = Study.open(data, gallery, encoders, **how)
        parts = [asked(each) for each in (study, known_pairs.beside(study))]
    pairs = [pair for part in parts for pair in part[0]]
    present, absent, null = map(np.concatenate, list(zip(*parts, strict=True))[1:])
    heading = ["", "AUROC", "power at 1 %", "without a source"]
    for name, member in {**known_pairs.kinds(pairs), "all": lambda _: True}.items():
        rows = np.array([i for i, pair in enumerate(pairs) if member(pair)])
        clusters = [pairs[i].cluster for i in rows.tolist()]
        table = rates(present[rows], absent[rows], null, clusters)
        results.print(f"\n{name}: {len(rows)} images, {len({*clusters})} sets of exemplars\n")
        results.print(tables.markdown([heading, *table]), soft_wrap=True)


if __name__ == "__main__":
    main()
