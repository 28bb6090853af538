from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from app.views import contributions
from core.service import Dimensions
from core.values import Contribution
from tests.app.made import explanation


@pytest.mark.parametrize(
    ("query", "source", "words"),
    [
        (0.3, 0.2, "both lie on the side of the highest end"),
        (-0.3, -0.2, "both lie on the side of the lowest end"),
        (-0.3, 0.2, "Your image lies on the side of the lowest end, the source on that of the hi"),
    ],
)
def test_words_tell_on_which_end_the_images_lie(query: float, source: float, words: str):
    """Images at the lowest end were shown as what excites the dimension least."""
    part = Contribution(7, query * source, 1.0, query, source)
    found = replace(explanation(), contributions=(part,))
    assert words in contributions.ends_words(found, 7)
    assert contributions.ends_words(found, 8) == ""


def test_bars_are_signed_and_in_order():
    figure = contributions.bars(explanation(), count=2)
    assert list(figure.data[0].x) == [0.5, -0.2]
    assert list(figure.data[0].y) == ["dim 7", "dim 3"]
    first, second = figure.data[0].marker.color
    assert first != second
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_contribution_words_add_up_to_the_cosine():
    words = contributions.sum_words(explanation(), count=2)
    cosine, total, rest = (float(x) for x in re.findall(r"[+-]?\d\.\d+", words))
    assert (cosine, total) == (0.8, 0.3)
    assert total + rest == pytest.approx(cosine)


def test_unstable_dimensions_are_not_drawn():
    """ "Unstable and hatched: 16 of 16" filled the page with what stands for nothing."""
    similarity = np.zeros(8)
    similarity[3] = 1
    judged_ = Dimensions(similarity, (), np.zeros((8, 0)))
    figure = contributions.bars(explanation(), judged=judged_)
    assert list(figure.data[0].y) == ["dim 3"]
    assert [n for _, n in contributions.dimension_choices(explanation(), judged=judged_)] == [3]
    assert "Drawn: 1 of 3" in contributions.stability_words(explanation(), judged_)
    none = replace(judged_, similarity=np.zeros(8))
    assert "none is drawn" in contributions.stability_words(explanation(), none)


def test_dimension_choices_carry_numbers():
    assert contributions.dimension_choices(explanation(), count=1) == [("Dimension 7 (+0.500)", 7)]
