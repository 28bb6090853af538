"""What the dimensions of an embedding are worth: do they come back, and what do they follow?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from core.config import MeasureConfig
from core.heads.fit import fit_head
from core.heads.head import Head
from core.measures.rows import sampled, standardised
from core.values import Progress, no_progress

_DEFAULT = MeasureConfig()


@dataclass(frozen=True)
class Dimensions:
    """Stability and factors of every dimension of an embedding."""

    similarity: Float[np.ndarray, " d"]
    """Mean |correlation| of each dimension with its partner in heads fitted on resamples."""
    factors: tuple[str, ...]
    """Names of the factors in the metadata; empty where there are none."""
    shares: Float[np.ndarray, "d m"]
    """Share of every dimension's variance that each factor explains."""
    config: MeasureConfig = _DEFAULT
    """From where a dimension is called stable and follows a factor."""

    @property
    def stable(self) -> Bool[np.ndarray, " d"]:
        """Whether each dimension comes back; one that does not should not be read as a concept."""
        return self.similarity >= self.config.stable

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
        if not shares.size or shares.max() < self.config.follows:
            return None
        return self.factors[int(shares.argmax())], float(shares.max())


def stability(
    features: Float[np.ndarray, "n f"],
    head: Head,
    *,
    config: MeasureConfig = _DEFAULT,
    progress: Progress = no_progress,
) -> Float[np.ndarray, " d"]:
    """Mean |correlation| of every dimension with its partner in heads fitted on resamples.

    The refits have the head's own configuration. A head that was not fitted on these features is
    held to the same measure: would its dimensions be found here?

    Args:
        features: the features of a gallery, which are resampled.
        head: the head whose dimensions are judged.
        config: number of refits, images on which dimensions are compared, and the seed.
        progress: called within and after every refit.
    """
    rng = np.random.default_rng(config.seed)
    n, refits = len(features), config.refits
    compared = features[sampled(n, config=config)]
    own = head(compared, role="gallery")
    fitted, levels = replace(head.config, per_domain=False), head.levels
    total = np.zeros(own.shape[1])
    for done in range(refits):
        drawn = np.sort(rng.integers(n, size=n))
        again = replace(fitted, seed=head.config.seed + done)
        refit = fit_head(features[drawn], config=again, levels=levels, progress=progress)
        total += matched_similarity(own, refit(compared, role="gallery"))
        progress(done + 1, refits, "refitting the head on resamples")
    return total / refits


def matched_similarity(
    one: Float[np.ndarray, "n d"], two: Float[np.ndarray, "n d2"]
) -> Float[np.ndarray, " d"]:
    """|correlation| of every dimension of one embedding with its partner in another.

    Partners are matched one to one so that the sum is largest (Hungarian assignment, as for the
    mean correlation coefficient of Hyvärinen and Morioka 2016); 0 for a dimension left over.
    """
    width = one.shape[1]
    products = np.abs(standardised(one).T @ standardised(two)) / len(one)
    found = np.zeros(width)
    rows, columns = linear_sum_assignment(products, maximize=True)
    found[rows] = np.minimum(products[rows, columns], 1)
    return found
