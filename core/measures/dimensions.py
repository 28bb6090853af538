"""What the dimensions of an embedding are worth: do they come back, and what do they follow?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from core.explain.contributions import matched_similarity
from core.heads.fit import fit_head
from core.heads.head import Head
from core.values import Progress, no_progress

STABLE = 0.8
"""Mean |correlation| with its partners in refits from which a dimension counts as stable."""

_FOLLOWS = 0.1  # least share of its variance by which a dimension follows a factor
_COMPARED = 5_000  # images on which the dimensions of two heads are compared


@dataclass(frozen=True)
class Dimensions:
    """Stability and factors of every dimension of an embedding."""

    similarity: Float[np.ndarray, " d"]
    """Mean |correlation| of each dimension with its partner in heads fitted on resamples."""
    factors: tuple[str, ...]
    """Names of the factors in the metadata; empty where there are none."""
    shares: Float[np.ndarray, "d m"]
    """Share of every dimension's variance that each factor explains."""

    @property
    def stable(self) -> Bool[np.ndarray, " d"]:
        """Whether each dimension comes back; one that does not should not be read as a concept."""
        return self.similarity >= STABLE

    def note(self, dimension: int) -> str:
        """What to know of a dimension before it is read: unstable, or the factor it follows."""
        followed = self.followed(dimension)
        words = [] if self.stable[dimension] else ["unstable"]
        return ", ".join([*words, *([f"follows {followed[0]}"] if followed else [])])

    def followed(self, dimension: int) -> tuple[str, float] | None:
        """The factor that a dimension follows most and its share; ``None`` where it follows none.

        Raises:
            ValueError: when there is no such dimension.
        """
        if not 0 <= dimension < len(self.similarity):
            last = len(self.similarity) - 1
            raise ValueError(f"dimension must be in 0..{last}, got {dimension}")
        shares = self.shares[dimension]
        if not shares.size or shares.max() < _FOLLOWS:
            return None
        return self.factors[int(shares.argmax())], float(shares.max())


def stability(
    features: Float[np.ndarray, "n f"],
    head: Head,
    *,
    refits: int,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Float[np.ndarray, " d"]:
    """Mean |correlation| of every dimension with its partner in heads fitted on resamples.

    The refits have the head's own configuration. A head that was not fitted on these features is
    held to the same measure: would its dimensions be found here?

    Raises:
        ValueError: when there are no refits.
    """
    if refits < 1:
        raise ValueError(f"refits must be positive, got {refits}")
    rng = np.random.default_rng(seed)
    n = len(features)
    compared = features[np.sort(rng.permutation(n)[:_COMPARED])]
    own = head(compared, role="gallery")
    config = replace(head.config, per_domain=False)
    total = np.zeros(own.shape[1])
    for done in range(refits):
        drawn = np.sort(rng.integers(n, size=n))
        refit = fit_head(features[drawn], config=replace(config, seed=head.config.seed + done))
        total += matched_similarity(own, refit(compared, role="gallery"))
        progress(done + 1, refits, "refitting the head on resamples")
    return total / refits
