from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from core.gallery.examples import Example
from core.measures.compare import (
    compare_answers,
    compare_examples,
    compare_rankings,
    overlap,
    rank_biased_overlap,
    spearman,
)
from core.values import (
    Answer,
    Group,
    ImageRecord,
    Match,
)

RNG = np.random.default_rng(0)


def answer(ids: list[int], *, named: bool = True, gallery: str = "g@1") -> Answer:
    """An answer that ranks images of these ids; its first group has influence or not."""
    records = [ImageRecord(i, f"{i}.png", "", "", 1, 1) for i in ids]
    matches = tuple(Match(record, 0.5, 0.5, record.id) for record in records)
    influence = 0.7 if named else 0.0
    first = Group(ids[0], (ids[0],), matches[0], 0.01, 0.9, influence)
    return Answer(matches, (first,), 1 - influence, 0.01, "null", "e@1", "h@1", gallery)


def test_overlap_counts_what_both_have_at_each_depth():
    assert overlap([1, 2, 3, 4], [2, 1, 5, 6], depth=1) == 0
    assert overlap([1, 2, 3, 4], [2, 1, 5, 6], depth=2) == 1
    assert overlap([1, 2, 3, 4], [2, 1, 5, 6], depth=4) == 0.5
    assert overlap([1, 2], [2, 1], depth=24) == 1


def test_rank_biased_overlap_is_one_for_the_same_and_zero_for_the_disjoint():
    ranking = RNG.permutation(24).tolist()
    assert rank_biased_overlap(ranking, ranking) == pytest.approx(1)
    assert rank_biased_overlap(ranking, [i + 100 for i in ranking]) == 0


def test_rank_biased_overlap_matches_its_definition_term_by_term():
    first, second, p = [1, 2, 3, 4, 5], [2, 1, 6, 3, 7], 0.9
    shared = [0, 2, 2, 3, 3]
    expected = 3 / 5 * p**5 + (1 - p) / p * sum(shared[d - 1] / d * p**d for d in range(1, 6))
    assert rank_biased_overlap(first, second) == pytest.approx(expected)


def test_rank_biased_overlap_is_symmetric_and_weighs_the_first_ranks_most():
    ranking = list(range(10))
    early, late = [99, *ranking[1:]], [*ranking[:-1], 99]
    assert rank_biased_overlap(ranking, early) == rank_biased_overlap(early, ranking)
    assert rank_biased_overlap(ranking, late) > rank_biased_overlap(ranking, early)


def test_spearman_is_that_of_scipy_on_the_common_items():
    first, second = RNG.permutation(40)[:24].tolist(), RNG.permutation(40)[:24].tolist()
    common = [item for item in first if item in second]
    expected = spearmanr(range(len(common)), [second.index(item) for item in common])[0]
    assert spearman(first, second) == pytest.approx(expected)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert spearman([1, 2, 3], [1, 2, 4]) is None


def test_comparison_splits_the_items_and_keeps_their_order():
    found = compare_rankings([5, 1, 9, 2], [2, 7, 5, 8])
    assert found.common == (5, 2)
    assert (found.only_first, found.only_second) == ((1, 9), (7, 8))
    assert found.overlaps[1] == 0


def test_rankings_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="one length"):
        compare_rankings([1, 2], [1])
    with pytest.raises(ValueError, match="twice"):
        compare_rankings([1, 1], [1, 2])
    with pytest.raises(ValueError, match="above 0"):
        compare_rankings([], [])
    with pytest.raises(ValueError, match="persistence"):
        rank_biased_overlap([1], [1], persistence=1.0)
    with pytest.raises(ValueError, match="two galleries"):
        compare_answers(answer([1]), answer([1], gallery="other@2"))


def test_examples_say_which_side_is_right():
    examples = [
        Example(Path("a"), ("1.png",), ""),
        Example(Path("b"), ("2.png", "3.png"), ""),
        Example(Path("c"), ("4.png",), ""),
        Example(Path("d"), (), ""),
    ]
    left = [answer([1, 9]), answer([2, 3]), answer([8, 9]), answer([5, 6], named=False)]
    right = [answer([1, 7]), answer([9, 3], named=False), answer([9, 8]), answer([6, 5])]
    found = compare_examples(examples, left, right)
    assert found.sides is not None
    assert found.difference is not None
    first, second = found.sides
    assert (first.hits[1].mean, second.hits[1].mean) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (first.recall.mean, second.recall.mean) == (pytest.approx(2 / 3), pytest.approx(0.5))
    assert second.hits[5].mean == pytest.approx(2 / 3)
    assert found.difference.mean == pytest.approx(1 / 3)
    assert found.right == {"both": (0,), "first": (1,), "second": (), "neither": (2,)}
    assert (found.unrelated, found.declined) == ((3,), (1, 0))
    assert found.missed == (0, 1)
    assert found.same_first.mean == 0.25


def test_examples_without_known_sources_still_agree_or_not():
    examples = [Example(Path("a"), (), ""), Example(Path("b"), (), "")]
    found = compare_examples(examples, [answer([1]), answer([2])], [answer([1]), answer([3])])
    assert (found.sides, found.difference) == (None, None)
    assert found.overlap.mean == 0.5


def test_examples_of_one_source_are_resampled_together():
    same = [Example(Path(str(i)), ("1.png",), "") for i in range(6)]
    other = [Example(Path(str(i)), (f"{i}.png",), "") for i in range(6)]
    answers = [answer([i % 2, 9]) for i in range(6)]
    assert compare_examples(same, answers, answers).overlap.clusters == 1
    assert compare_examples(other, answers, answers).overlap.clusters == 6


def test_examples_need_an_answer_each():
    with pytest.raises(ValueError, match="1 examples, 1 and 0 answers"):
        compare_examples([Example(Path("a"), (), "")], [answer([1])], [])
    with pytest.raises(ValueError, match="0 examples"):
        compare_examples([], [], [])
