"""Fit one linear map a level to known pairs of a generated image and its source.

The map stands behind a head that was fitted without pairs, the *base*, and is square, begins at
the identity and is held near it. Both roles share it, so what comes out is a head like any other.

**Held fixed, not cross-fitted.** A p-value compares a query with images of the gallery that play
queries. That is fair where the head treats both alike, which holds here for every image of the
gallery that is no exemplar of a pair: the map follows from the pairs alone, and the base must not
be fitted on the gallery that is asked. Exemplars did take part in the fit, and they play null
queries too. If they are a share e of the gallery's images, the counted p-value of a query is
still at least 1 - e times a valid one, so that P(p <= a) <= a / (1 - e) for images without a
source, whatever the map does to exemplars (the null's other images alone would give a valid one).
That is why :data:`MOST_EXEMPLARS` limits the share, and why such a head does not say what images it
was fitted on: :func:`core.heads.fit.refit_head` would put a plain whitening in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from scipy import linalg

from core.config import PAIRED_KINDS, HeadConfig
from core.heads.head import Head, LinearHead
from core.heads.rows import unit_rows
from core.values import GalleryError, Progress, no_progress

FEWEST_EXEMPLARS = 10
"""Different exemplars that a map needs: contrasts among fewer say little of any other image."""
MOST_EXEMPLARS = 0.2
"""Largest share of a gallery's images that may be exemplars; p-values are then within 1.25."""
KEEP = 0.5
"""Weight of staying at the identity where ``shrinkage`` is not given; see docs/decisions/017."""

_STEPS, _BATCH, _RATE, _TEMPERATURE = 200, 128, 1e-3, 0.07


@dataclass(frozen=True)
class PairFeatures:
    """Features of known pairs; an image of several pairs is there several times."""

    generated: Float[np.ndarray, "m f"]
    exemplars: Float[np.ndarray, "m f"]
    made: Integer[np.ndarray, " m"]
    """Number of the generated image of every pair."""
    source: Integer[np.ndarray, " m"]
    """Number of the exemplar of every pair."""

    def __len__(self) -> int:
        return len(self.made)

    def __getitem__(self, rows: np.ndarray) -> PairFeatures:
        """Some of the pairs."""
        return PairFeatures(*(values[rows] for values in vars(self).values()))

    @property
    def weights(self) -> Float[np.ndarray, " m"]:
        """Weights of the pairs, the same sum for every exemplar; they sum to 1."""
        _, member, counts = np.unique(self.source, return_inverse=True, return_counts=True)
        return 1 / counts[member] / len(counts)


def fit_paired_head(
    base: Head,
    pairs: PairFeatures,
    *,
    config: HeadConfig,
    progress: Progress = no_progress,
) -> Head:
    """A head whose levels are those of the base, each followed by a map fitted to known pairs.

    ``ridge`` is in closed form, ``infonce`` the contrastive loss of Wang et al. 2023 (Evaluating
    Data Attribution for Text-to-Image Models, 2306.09345), which fits a map for each domain where
    this one fits one for both. See :func:`ridge_map` and :func:`infonce_map`.

    Args:
        base: the head behind which the maps stand; not fitted on the gallery that will be asked.
        pairs: features of known pairs.
        config: the kind, ``ridge`` or ``infonce``; ``shrinkage`` is the weight of staying at the
            identity; the seed of the batches.
        progress: told of every level; may raise ``Cancelled``.

    Raises:
        GalleryError: for fewer than :data:`FEWEST_EXEMPLARS` different exemplars.
        ValueError: for another kind, and for features of another width.
    """
    if config.kind not in PAIRED_KINDS:
        raise ValueError(f"kind must be one of {', '.join(PAIRED_KINDS)}, got {config.kind!r}")
    known = len(np.unique(pairs.source))
    if known < FEWEST_EXEMPLARS:
        raise GalleryError(
            f"a map needs pairs of at least {FEWEST_EXEMPLARS} different exemplars, got {known}"
        )
    keep = KEEP if config.shrinkage is None else config.shrinkage
    parts: list[LinearHead] = []
    for number, (part, (columns, _)) in enumerate(zip(base.parts, base.spans, strict=True)):
        progress(number, len(base.parts), "Fitting to pairs")
        made, own = (
            unit_rows(rows).astype(np.float64)
            for rows in (
                part.mapped(pairs.generated[:, columns], role="query"),
                part.mapped(pairs.exemplars[:, columns], role="gallery"),
            )
        )
        if config.kind == "ridge":
            found = ridge_map(made, own, weights=pairs.weights, keep=keep)
        else:
            found = infonce_map(made, own, pairs=pairs, keep=keep, seed=config.seed)
        first = np.eye(part.width) if part.matrix is None else part.matrix
        parts.append(replace(part, matrix=(first @ found).astype(np.float32)))
    return Head(config, tuple(parts), base.weights)


def ridge_map(
    generated: Float[np.ndarray, "m d"],
    exemplars: Float[np.ndarray, "m d"],
    *,
    weights: Float[np.ndarray, " m"],
    keep: float,
) -> Float[np.ndarray, "d d"]:
    """The root of the symmetric metric B that takes generated rows s to their exemplars r.

    B is the symmetric minimiser of (1 - a) d sum_i w_i |B s_i - r_i|^2 + a |B - I|^2, for unit
    rows, with the weight ``keep`` as a. Setting the gradient's symmetric part to zero gives the
    Lyapunov equation L B + B L = Q with L = (1 - a) d S'WS + a I and Q = (1 - a) d (S'WR + R'WS) +
    2 a I. With its negative eigenvalues set to 0 (Higham 1988), B is a metric, and cosines of rows
    times B^(1/2) are cosines under it. Without pairs, or for a = 1, it is the identity.
    """
    dim = generated.shape[1]
    weighted = (1 - keep) * dim * weights[:, None] * generated
    square, cross, eye = weighted.T @ generated, weighted.T @ exemplars, np.eye(dim)
    found = linalg.solve_continuous_lyapunov(square + keep * eye, cross + cross.T + 2 * keep * eye)
    values, vectors = linalg.eigh((found + found.T) / 2)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def infonce_map(
    generated: Float[np.ndarray, "m d"],
    exemplars: Float[np.ndarray, "m d"],
    *,
    pairs: PairFeatures,
    keep: float,
    seed: int,
) -> Float[np.ndarray, "d d"]:
    """The map M of the smallest symmetric InfoNCE of pairs, at the temperature .07, by Adam.

    The loss is 1 - a times the mean cross-entropy, in both directions, of the cosines of a batch's
    mapped rows, plus a |M - I|^2, with the weight ``keep`` as a. Every exemplar is drawn equally
    often, however many images were made from it, and two pairs that share an image are no
    contrasts.
    """
    rng = np.random.default_rng(seed)
    sides = [torch.from_numpy(rows.astype(np.float32)) for rows in (generated, exemplars)]
    eye = torch.eye(generated.shape[1])
    matrix = eye.clone().requires_grad_()
    optimiser = torch.optim.Adam([matrix], lr=_RATE)
    weights = pairs.weights
    for _ in range(_STEPS):
        rows = rng.choice(len(pairs), size=min(_BATCH, len(pairs)), replace=False, p=weights)
        one, two = (torch.nn.functional.normalize(side[rows] @ matrix, dim=1) for side in sides)
        shared = torch.from_numpy(_sharing(pairs[rows]))
        logits = (one @ two.T / _TEMPERATURE).masked_fill(shared, -torch.inf)
        target = torch.arange(len(rows))
        entropies = [torch.nn.functional.cross_entropy(x, target) for x in (logits, logits.T)]
        loss = (1 - keep) * sum(entropies) / 2 + keep * ((matrix - eye) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return matrix.detach().numpy().astype(np.float64)


def _sharing(pairs: PairFeatures) -> Bool[np.ndarray, "b b"]:
    """Which two pairs share a generated image or an exemplar; no pair with itself."""
    made, source = pairs.made, pairs.source
    shared = (made[:, None] == made) | (source[:, None] == source)
    np.fill_diagonal(shared, False)
    return shared
