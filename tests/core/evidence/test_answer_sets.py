"""Lists that hold a source as often as is wanted, on average over cases like the known ones."""

from __future__ import annotations

import numpy as np
import pytest

from core.config import AnswerConfig
from core.evidence.answer_sets import largest_gap, score_gaps
from core.values import Match, Scale
from tests.app.made import answer, record


def test_gaps_are_read_on_the_shown_scale_and_never_shrink_along_the_list():
    scores = (2.0, 3.0, 1.0, 1.5)  # a source may stand before what scores more
    matches = tuple(Match(record(i), cosine=0.5, score=s, group=i) for i, s in enumerate(scores))
    found = answer(none=1.0, scale=Scale(-1.0, 9.0))
    given = type(found)(**{**vars(found), "matches": matches})
    assert score_gaps(given) == pytest.approx([0.0, 0.0, 0.15, 0.15])
    assert score_gaps(type(found)(**{**vars(given), "scale": None})) == []
    assert score_gaps(found) == []


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_every_kind_is_covered_as_often_as_is_wanted(level: float):
    """On average over draws, for the hardest kind too; what is easy is covered more often."""
    rng = np.random.default_rng(0)
    hit = {"easy": [], "hard": []}
    for _ in range(400):
        known = {
            "easy": rng.exponential(0.01, 40).tolist(),
            "hard": rng.exponential(0.1, 25).tolist(),
        }
        gap = largest_gap(known, level)
        for kind, scale in (("easy", 0.01), ("hard", 0.1)):
            hit[kind].append(np.mean(rng.exponential(scale, 100) <= gap))
    assert level - 0.01 <= np.mean(hit["hard"]) <= level + 1 / 26 + 0.02
    assert np.mean(hit["easy"]) > np.mean(hit["hard"])


def test_a_kind_of_too_few_cases_has_no_part():
    known = {"many": [0.1] * 20, "few": [9.0] * 3}
    assert largest_gap(known, 0.9) == 0.1
    with pytest.raises(ValueError, match="no kind has enough cases"):
        largest_gap({"few": [9.0] * 3}, 0.9)
    with pytest.raises(ValueError, match="level must be"):
        largest_gap(known, 1.0)


def test_more_is_listed_the_more_often_a_source_is_to_be_there():
    levels, gaps = zip(*AnswerConfig().listed, strict=True)
    assert list(levels) == sorted(levels)
    assert list(gaps) == sorted(gaps)
