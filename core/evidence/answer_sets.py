"""Answer sets: how many images to list so that a source is among them as often as is wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from core.values import Answer


def score_gaps(answer: Answer) -> list[float]:
    """By how much every match scores less than the best, on the scale on which scores are shown.

    A source that is listed before its score's place counts as high as what it stands before. Empty
    where the answer has no scale.
    """
    scale = answer.scale
    if scale is None:
        return []
    scores = np.maximum.accumulate([match.score for match in answer.matches[::-1]])[::-1]
    return ((scores.max(initial=-math.inf) - scores) / (scale.high - scale.low)).tolist()


def largest_gap(known: Mapping[str, Sequence[float]], level: float) -> float:
    """The gap up to which images are listed so that a source is among them at a level.

    Split conformal prediction (Vovk, Gammerman and Shafer 2005) within every kind of image: of n
    known cases the ceil((n + 1) level)-th smallest gap, and of that the largest over all kinds, so
    that it holds for each of them, on average over cases like the known ones. As the size of a
    list of retrieved images: Cai et al. 2025 (risk-controlled image retrieval).

    Args:
        known: gaps of the best source of the known cases, by their kind; a kind of too few cases
            to tell, fewer than level / (1 - level), has no part.
        level: the share, in (0, 1).

    Raises:
        ValueError: when no kind has enough cases, or level is not in (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    found: list[float] = []
    for cases in known.values():
        place = math.ceil((len(cases) + 1) * level - 1e-9)
        if place <= len(cases):
            found.append(float(np.sort(cases)[place - 1]))
    if not found:
        raise ValueError(f"no kind has enough cases for a level of {level}")
    return max(found)
