from __future__ import annotations

from app.views.factors import likeness_words
from core.service import Likeness


def test_factors_are_told_by_their_strength_and_weak_ones_without_a_value():
    found = [
        Likeness("backdrop", "walnut", 0.9, 1e-9),
        Likeness("object", "vase", 0.7, 1e-3),
        Likeness("few_images", "three", 0.95, 0.2),
        Likeness("light", "warm", 0.55, 1e-9),
    ]
    assert likeness_words(found, level=0.05) == (
        "Strong: backdrop (walnut); some: object (vase); weak: 2 others."
    )


def test_chance_is_shared_among_the_factors():
    one = Likeness("colour", "red", 0.9, 0.03)
    assert likeness_words([one], level=0.05) == "Strong: colour (red)."
    assert likeness_words([one, Likeness("size", "big", 0.5, 0.5)], level=0.05) == (
        "none of it stands out."
    )
    assert likeness_words([], level=0.05) == ""
