"""What single axes mean, level by level: the paper's assumption, stability, known factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.quality import tables
from benchmarks.quality.heads import unpaired
from benchmarks.quality.study import Study, digest, store
from core.config import HeadConfig, HeadKind
from core.encoders.network import levels_of
from core.gallery.gallery import SHIPPED, Gallery
from core.heads.fit import fit_head
from core.heads.head import Head, LinearHead, random_rotation
from core.measures.dimensions import matched_similarity
from core.measures.factors import factor_codes, factors_of
from core.measures.jackknife import Estimate, estimate, groups_of
from core.measures.label_free import paired
from core.measures.reports import PairedReport
from core.measures.supervised import with_factors
from core.values import Encoder

K = 32
"""Dimensions of everything here: pairs have few exemplars, measures by factors fail in more."""
FACTORS = ("object", "material", "pattern", "colour", "backdrop", "light", "camera", "count")

_PERMUTATIONS, _REFITS, _SPLITS = 999, 4, 2
_AGREEMENT = ("mean_diagonal", "rms_off_diagonal", "asymmetry", "negative_share")
_FACTOR_MEASURES = ("disentanglement", "completeness", "informativeness", "mig", "sap")
_KINDS: tuple[HeadKind, ...] = ("whiten", "logdet", "infomax")

Rows = dict[str, dict[str, Any]]
"""Numbers by their names, by the head that they are of."""


def measure(study: Study) -> None:
    """Store all three for every network, of all levels together and of each by itself."""
    found: dict[str, list[dict[str, Any]]] = {"assumption": [], "stability": [], "factors": []}
    for encoder in study.networks:
        for level, columns in levels(encoder).items():
            real = study.gallery_features(encoder)[: len(study.bench.others), columns]
            tables = {
                "assumption": assumption(study, encoder, real, columns),
                "stability": stability(real),
                "factors": factors(study, encoder, real, columns),
            }
            for name, rows in tables.items():
                of = {"encoder": encoder.name, "level": level}
                found[name] += [{**of, "head": head, **row} for head, row in rows.items()]
            store("axes", study, k=K, permutations=_PERMUTATIONS, **found)


def levels(encoder: Encoder) -> dict[str, slice]:
    """Columns of the features of all levels together, and of each by itself."""
    ends = np.cumsum([level.width for level in levels_of(encoder)]).tolist()
    each = zip(levels_of(encoder), [0, *ends], ends, strict=False)
    return {"all together": slice(0, None)} | {
        level.name: slice(start, end) for level, start, end in each
    }


def assumption(
    study: Study, encoder: Encoder, real: Float[np.ndarray, "n f"], columns: slice
) -> Rows:
    """T of exemplars and the means of what was made from them, before and after each head.

    Before: the leading principal axes, neither scaled nor turned. Every number comes with its
    p-value among shuffled pairings.
    """
    whiten = _fitted("whiten", real)
    matrix = whiten.parts[0].matrix
    assert matrix is not None
    axes = matrix / np.linalg.norm(matrix, axis=0)
    mean, made = real.mean(0), unpaired(study, encoder)[:, columns].mean(0)
    sides = {
        "none": _linear(mean, mean, axes),
        "none, centred per domain": _linear(mean, made, axes),
        **{kind: _fitted(kind, real) for kind in _KINDS},
    }
    features = study.gallery_features(encoder), study.query_features(encoder)
    gallery, queries = (side[:, columns] for side in features)
    return {name: _agreement(study, gallery, queries, side) for name, side in sides.items()}


def stability(real: Float[np.ndarray, "n f"]) -> Rows:
    """How well dimensions come back when a head is fitted again on a bootstrap sample.

    Dimensions of two fits are matched one to one by their absolute correlation over the gallery,
    so that order and sign do not matter; 1 is the same dimensions again.
    """
    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(real), size=len(real)) for _ in range(_REFITS)]
    rows: Rows = {}
    for kind in _KINDS:
        first = _fitted(kind, real)(real, role="gallery")
        again = [_fitted(kind, real[sample])(real, role="gallery") for sample in drawn]
        matched = np.stack([matched_similarity(first, other) for other in again])
        means = matched.mean(1)
        rows[kind] = {
            "mean": round(float(means.mean()), 4),
            "low": round(float(means.min()), 4),
            "high": round(float(means.max()), 4),
            "above .9": round(float((matched > 0.9).mean()), 4),
        }
    return rows


def factors(study: Study, encoder: Encoder, real: Float[np.ndarray, "n f"], columns: slice) -> Rows:
    """DCI, MIG and SAP of the rendered world, whose factors are known, and what a head adds.

    Means over splits, with jackknife intervals over the rendered images; gains over whitening are
    of the same images.
    """
    world = Gallery.open(SHIPPED, read_only=True)
    paths = [world.root / record.path for record in world.records]
    features = study.encoded(encoder, f"rendered-{world.identity}", paths)[:, columns]
    codes = factor_codes(factors_of(world.records))
    heads = {kind: _fitted(kind, real) for kind in _KINDS}
    heads["whiten, random rotation"] = random_rotation(heads["whiten"], seed=0)
    rows: Rows = {}
    of: dict[str, np.ndarray] = {}
    for name, head in heads.items():
        rendered = head(features, role="gallery")
        kept = f"factors-{digest(name, str(columns), head.identity, world.identity)}"
        of[name] = study.kept(encoder, kept, lambda rendered=rendered: _left_out(rendered, codes))
        rows[name] = {}
        for number, kind in enumerate(_FACTOR_MEASURES):
            values, base = of[name][:, number], of["whiten"][:, number]
            rows[name][kind] = _rounded(estimate(values[0], values[1:]))
            if name != "whiten":
                gain = estimate(values[0] - base[0], values[1:] - base[1:])
                rows[name][f"{kind} gained"] = _rounded(gain)
    return rows


def _left_out(
    rendered: Float[np.ndarray, "n k"], codes: Mapping[str, np.ndarray]
) -> Float[np.ndarray, "g m"]:
    """The measures by factors on all images, then without each group of them; means over splits."""
    found: list[list[float]] = []
    for rows in (np.arange(len(rendered)), *groups_of(len(rendered))):
        labels = {name: codes[name][rows] for name in FACTORS}
        reports = [with_factors(rendered[rows], labels, seed=seed) for seed in range(_SPLITS)]
        found.append(
            [float(np.mean([getattr(r, key) for r in reports])) for key in _FACTOR_MEASURES]
        )
    return np.array(found)


def _rounded(found: Estimate) -> list[float]:
    return [round(float(value), 4) for value in (found.value, found.low, found.high)]


def _fitted(kind: HeadKind, features: np.ndarray) -> Head:
    return fit_head(features, config=HeadConfig(kind=kind, k=K))


def _linear(real: np.ndarray, synthetic: np.ndarray, matrix: np.ndarray) -> Head:
    """Centre each side by its mean, then the matrix, then unit length."""
    means = real.astype(np.float32), synthetic.astype(np.float32)
    return Head(HeadConfig(), (LinearHead(*means, matrix.astype(np.float32)),))


def _agreement(
    study: Study,
    gallery: Float[np.ndarray, "n f"],
    queries: Float[np.ndarray, "q f"],
    head: Head,
) -> dict[str, float]:
    """T between the first exemplar of every set and the mean of the images made from the set."""
    clusters: dict[str, list[int]] = {}
    for row, pair in enumerate(study.pairs):
        clusters.setdefault(pair.cluster, []).append(row)
    exemplars = gallery[[study.right[rows[0]][0] for rows in clusters.values()]]
    made = head(queries, role="query")
    report: PairedReport = paired(
        head(exemplars, role="gallery"),
        np.stack([made[rows].mean(0) for rows in clusters.values()]),
        ridge=0.1,
        permutations=_PERMUTATIONS,
    )
    assert report.p_values is not None
    found = {name: round(getattr(report, name), 4) for name in _AGREEMENT}
    found["mean_canonical_correlation"] = round(report.mean_canonical_correlation, 4)
    return found | {f"p {name}": getattr(report.p_values, name) for name in _AGREEMENT}


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of the assumption, and of single dimensions."""
    agreement = {
        "mean_diagonal": "mean diag(T)",
        "rms_off_diagonal": "RMS off-diagonal",
        "asymmetry": "asymmetry",
        "negative_share": "negative share",
    }
    of = ("encoder", "level", "head")
    rows = [[*of, *agreement.values(), "canonical"]]
    for row in found["assumption"]:
        values = [f"{row[key]:.3f} (p {row['p ' + key]:.3f})" for key in agreement]
        canonical = f"{row['mean_canonical_correlation']:.3f}"
        rows.append([*(row[name] for name in of), *values, canonical])
    measures = [key for key in found["factors"][0] if key not in of]
    factors = [[*of, *(text for key in measures for text in (key, "over whitening"))]]
    for row in found["factors"]:
        cells = [row.get(name) for key in measures for name in (key, f"{key} gained")]
        signed = [bool(place % 2) for place in range(len(cells))]
        texts = [_triple(cell, signed=s) for cell, s in zip(cells, signed, strict=True)]
        factors.append([*(row[name] for name in of), *texts])
    return [
        "## The assumption behind it",
        f"T = S_rr^(-1/2) S_rs S_ss^(-1/2) of the exemplars and the means of what was made from "
        f"them, in the first {found['k']} dimensions before and after a head. If T is symmetric "
        "and positive, whitening attains the optimum of CCA without pairs. p: share of "
        f"{found['permutations']} shuffled pairings that look at least as good. Of all levels "
        "together, and of each by itself.",
        tables.markdown(rows),
        "## What single dimensions are worth",
        f"{found['k']} dimensions. Stability: the same head fitted on bootstrap samples of "
        "the gallery, its dimensions matched one to one; mean |correlation|, lowest and highest "
        "refit, and the share of dimensions above .9.",
        tables.plain(found["stability"]),
        "The rendered world's factors: DCI, MIG and SAP, means over two splits, and what a head "
        "adds to whitening; brackets are 95 % intervals that leave tenths of the rendered images "
        "out (decision 019).",
        tables.markdown(factors),
    ]


def _triple(found: Sequence[float] | None, *, signed: bool) -> str:
    """A value and its interval."""
    if found is None:
        return ""
    value, low, high = (tables.short(each, signed=signed) for each in found)
    return f"{value} [{low}, {high}]"
