"""Measures of disentanglement against known factors: DCI, MIG, SAP and FactorVAE.

They fail in high dimensions, where some dimension fits anything: only a few are taken. One half of
the images, drawn by the seed, fits the predictors of DCI and SAP and the votes of FactorVAE; the
other half scores them. MIG has nothing to fit and uses all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Integer
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from core.config import FactorConfig
from core.measures.reports import FactorReport

_DEFAULT = FactorConfig()


def with_factors(
    codes: Float[np.ndarray, "n d"],
    factors: Mapping[str, Integer[np.ndarray, " n"]],
    *,
    seed: int,
    config: FactorConfig = _DEFAULT,
) -> FactorReport:
    """Disentanglement of ``codes`` with respect to labelled factors.

    Args:
        codes: Embeddings, reduced to at most ``config.dimensions``.
        factors: Value of each factor for every image; the integers are names, not amounts.
        seed: Seed of the split, the forests and the groups.
        config: Sizes of forests, bins and groups.

    Raises:
        ValueError: for fewer than 2 or too many dimensions, rows that are all the same, numbers
            that are not finite, fewer than two factors, a factor of another length or of one value
            only, or one without a value that both halves of the images hold twice.
    """
    _check_codes(codes, most=config.dimensions)
    rows = codes.astype(np.float64)
    labels = np.stack(_checked_labels(factors, len(rows)))
    rng = np.random.default_rng(seed)
    fit, test = np.array_split(rng.permutation(len(rows)), 2)
    few = fit[: config.fit]
    _check_halves(labels, tuple(factors), fit=few, test=test)
    forests = [_forest(rows[few], values[few], trees=config.trees, seed=seed) for values in labels]
    importance = np.stack([forest.feature_importances_ for forest in forests])
    hits = [f.predict(rows[test]) == v[test] for f, v in zip(forests, labels, strict=True)]
    accuracies = np.mean(hits, axis=1)
    return FactorReport(
        images=len(rows),
        factors=tuple(factors),
        importance=importance,
        accuracies=accuracies,
        chances=np.array([np.bincount(v).max() / len(v) for v in labels]),
        disentanglement=concentration(importance.T),
        completeness=concentration(importance),
        hits=np.array(hits),
        informativeness=float(accuracies.mean()),
        mig=mutual_information_gap(rows, labels, bins=config.bins),
        sap=mean_gap(threshold_scores(rows, labels, fit=few, test=test)),
        factor_vae=factor_vae(rows, labels, halves=(fit, test), rng=rng, config=config),
    )


def concentration(importance: Float[np.ndarray, "rows columns"]) -> float:
    """1 - normalised entropy of each row's shares, averaged with the rows' sums as weights.

    DCI's completeness of the factor x dimension importances, and its disentanglement of their
    transpose (Eastwood & Williams 2018, section 2). Rows of zeros weigh nothing; 0 where all are.
    """
    sums = importance.sum(axis=1)
    if not sums.any():
        return 0.0
    used = importance[sums > 0] / sums[sums > 0, None]
    logs = np.log(used, out=np.zeros_like(used), where=used > 0)
    scores = 1 + (used * logs).sum(axis=1) / np.log(importance.shape[1])
    return float(scores @ sums[sums > 0] / sums.sum())


def mutual_information_gap(
    codes: Float[np.ndarray, "n d"], labels: Integer[np.ndarray, "m n"], *, bins: int
) -> float:
    """Mean over factors of (best - second-best I(code; factor)) / H(factor).

    Chen et al. 2018 (1802.04942), with the codes in bins of equal width, as Locatello et al.
    2019 (1811.12359) do for codes that are points, not distributions. Labels count from 0.
    """
    binned = [_binned(column, bins) for column in codes.T]
    gaps = []
    for values in labels:
        information = np.array([[_mutual_information(values, column)] for column in binned])
        gaps.append(mean_gap(information) / _mutual_information(values, values))
    return float(np.mean(gaps))


def balanced_accuracy(truth: Integer[np.ndarray, " n"], guess: Integer[np.ndarray, " n"]) -> float:
    """Mean over the values in ``truth`` of the share of their images that are guessed right."""
    return float(np.mean([(guess[truth == value] == value).mean() for value in np.unique(truth)]))


def mean_gap(scores: Float[np.ndarray, "d m"]) -> float:
    """Best minus second-best dimension (rows), averaged over the factors (columns)."""
    ordered = np.sort(scores, axis=0)
    return float((ordered[-1] - ordered[-2]).mean())


def threshold_scores(
    codes: Float[np.ndarray, "n d"],
    labels: Integer[np.ndarray, "m n"],
    *,
    fit: Integer[np.ndarray, " a"],
    test: Integer[np.ndarray, " b"],
) -> Float[np.ndarray, "d m"]:
    """SAP's scores (Kumar et al. 2018, section 3, for categorical factors).

    The paper fits thresholds on one dimension that minimise the balanced error on the images it
    scores; here a balanced tree with a leaf per value finds them, on other images than it is scored
    on, so that many values with few images each earn nothing by chance.
    """
    scores = np.empty((codes.shape[1], len(labels)))
    for column, values in np.ndindex(scores.shape):
        truth = labels[values]
        tree = DecisionTreeClassifier(
            max_leaf_nodes=int(truth.max()) + 1, class_weight="balanced", random_state=0
        )
        tree.fit(codes[fit, column : column + 1], truth[fit])
        guess = tree.predict(codes[test, column : column + 1])
        scores[column, values] = balanced_accuracy(truth[test], guess)
    return scores


def factor_vae(
    codes: Float[np.ndarray, "n d"],
    labels: Integer[np.ndarray, "m n"],
    *,
    halves: tuple[Integer[np.ndarray, " a"], Integer[np.ndarray, " b"]],
    rng: np.random.Generator,
    config: FactorConfig = _DEFAULT,
) -> float:
    """Accuracy of the majority vote (Kim & Mnih 2018, 1802.05983, section 4).

    The paper renders each group; here it is drawn, with replacement, from the images of a finite
    set that share the value. Votes are learned on one half of the images and scored on the other.
    """
    varying = codes[:, np.ptp(codes, axis=0) > 0]
    scaled = varying / varying.std(axis=0)
    learned, scored = (
        least_varying(scaled[half], labels[:, half], rng=rng, config=config) for half in halves
    )
    winner = learned.argmax(axis=0)
    return float(scored[winner, np.arange(scored.shape[1])].sum() / scored.sum())


def least_varying(
    codes: Float[np.ndarray, "n d"],
    labels: Integer[np.ndarray, "m n"],
    *,
    rng: np.random.Generator,
    config: FactorConfig = _DEFAULT,
) -> Integer[np.ndarray, "m d"]:
    """How often each dimension varied least (columns) when a factor was shared (rows)."""
    votes = np.zeros((len(labels), codes.shape[1]), dtype=np.int64)
    shared = [np.flatnonzero(np.bincount(values)[values] >= 2) for values in labels]
    for _ in range(config.votes):
        factor = rng.integers(len(labels))
        value = labels[factor, rng.choice(shared[factor])]
        group = rng.choice(np.flatnonzero(labels[factor] == value), config.group)
        votes[factor, codes[group].var(axis=0).argmin()] += 1
    return votes


def _check_codes(codes: np.ndarray, *, most: int) -> None:
    if codes.ndim != 2 or not 2 <= codes.shape[1] <= most:
        raise ValueError(f"codes must have 2 to {most} columns, got {codes.shape}")
    if not len(codes) or not np.ptp(codes, axis=0).any():
        raise ValueError(f"all {len(codes)} rows of codes are the same")
    if not np.isfinite(codes).all():
        raise ValueError(f"codes hold {(~np.isfinite(codes)).sum()} numbers that are not finite")


def _checked_labels(factors: Mapping[str, np.ndarray], images: int) -> list[np.ndarray]:
    """Labels of each factor, renumbered from 0."""
    if len(factors) < 2:
        raise ValueError(f"at least two factors are needed, got {list(factors)}")
    for name, values in factors.items():
        if values.shape != (images,):
            raise ValueError(f"factor {name!r} must have shape ({images},), got {values.shape}")
        if values.min() == values.max():
            raise ValueError(f"factor {name!r} has fewer than two values")
    return [np.unique(values, return_inverse=True)[1] for values in factors.values()]


def _check_halves(
    labels: np.ndarray, names: tuple[str, ...], *, fit: np.ndarray, test: np.ndarray
) -> None:
    for name, values in zip(names, labels, strict=True):
        twice = [np.bincount(values[half], minlength=values.max() + 1) >= 2 for half in (fit, test)]
        if not (twice[0] & twice[1]).any():
            raise ValueError(f"factor {name!r} has too many values for {len(values)} images")
        if np.ptp(values[fit]) == 0:
            raise ValueError(f"factor {name!r} has one value only in half of the images")


def _forest(
    codes: np.ndarray, values: np.ndarray, *, trees: int, seed: int
) -> RandomForestClassifier:
    """Predictor of one factor whose importances DCI uses.

    A forest is one of the paper's own regressors and faster than the gradient boosting of later
    work. Every split sees all dimensions, else unimportant ones are forced into use; small leaves
    are forbidden, else trees grown to the end split on noise (the paper bounds the depth).
    """
    forest = RandomForestClassifier(
        trees,
        max_features=1.0,  # pyright: ignore[reportArgumentType] - typed by its default, a name
        max_samples=0.5,
        min_samples_leaf=1 + len(codes) // 200,
        random_state=seed,
    )
    return forest.fit(codes, values)


def _binned(column: np.ndarray, bins: int) -> np.ndarray:
    edges = np.histogram_bin_edges(column, bins)
    return np.digitize(column, edges[1:-1])


def _mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """Mutual information of two arrays of small non-negative integers, in nats."""
    columns = b.max() + 1
    joint = np.bincount(a * columns + b, minlength=(a.max() + 1) * columns).reshape(-1, columns)
    joint = joint / len(a)
    expected = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / expected[seen])).sum())
