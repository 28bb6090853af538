"""By which of a gallery's factors an image looks like a match, in words."""

from __future__ import annotations

from collections.abc import Sequence

from app.views.names import label_of, number_of
from core.report import words
from core.service import Likeness

_STRONG, _SOME = 0.8, 0.65
"""Least share of comparisons that speak for a value."""


def likeness_words(found: Sequence[Likeness], *, level: float) -> str:
    """How far an image looks like others by each factor; empty where there are no factors.

    Weak ones are counted, not named: they say nothing.

    Args:
        found: what was measured, for each factor.
        level: largest p-value at which a factor counts, divided among all of them.
    """
    told: dict[str, list[str]] = {words.STRONG: [], words.SOME: [], words.WEAK: []}
    for each in found:
        strength = _strength(each, level=level / len(found))
        value = "" if strength == words.WEAK else f" ({each.value})"
        told[strength].append(f"{label_of(each.factor).lower()}{value}")
    if found and not told[words.STRONG] and not told[words.SOME]:
        return "none of it stands out."
    weak = told.pop(words.WEAK)
    parts = [f"{word}: {', '.join(names)}" for word, names in told.items() if names]
    parts += [f"{words.WEAK}: {number_of(len(weak), 'other')}"] if weak else []
    return f"{'; '.join(parts).capitalize()}." if parts else ""


def _strength(found: Likeness, *, level: float) -> str:
    if found.p_value > level or found.auc < _SOME:
        return words.WEAK
    return words.STRONG if found.auc >= _STRONG else words.SOME
