"""Settings refuse what nothing can be done with, and say what was wrong."""

from __future__ import annotations

import pytest

from core import config
from core.config import (
    AnswerConfig,
    BuildConfig,
    HeadConfig,
    ImageLimits,
    NullConfig,
    ScoreConfig,
    ViewConfig,
)
from tests.core.settings import assert_frozen_and_documented, kinds_of

REFUSED = [
    (ImageLimits, {"max_bytes": 0}, "max_bytes"),
    (ImageLimits, {"max_pixels": -1}, "max_pixels"),
    (ImageLimits, {"min_side": 0}, "min_side"),
    (ImageLimits, {"min_side": 9, "max_side": 8}, "min_side"),
    (ImageLimits, {"max_aspect": 0.5}, "max_aspect"),
    (HeadConfig, {"k": 0}, "k must"),
    (HeadConfig, {"shrinkage": 1.0}, "shrinkage"),
    (HeadConfig, {"shrinkage": -0.1}, "shrinkage"),
    (HeadConfig, {"max_samples": 1}, "max_samples"),
    (ScoreConfig, {"neighbours": 0}, "neighbours"),
    (ScoreConfig, {"candidates": 0}, "candidates"),
    (ViewConfig, {"name": "edges", "weight": -1.0, "trust": 0.8}, "weight of edges"),
    (ViewConfig, {"name": "edges", "weight": 1.0, "trust": 1.1}, "trust of edges"),
    (ScoreConfig, {"views": 2 * (ViewConfig("edges", 1.0, 0.8),)}, "counts once"),
    (NullConfig, {"queries": 0}, "queries"),
    (AnswerConfig, {"prior": 0.0}, "prior"),
    (AnswerConfig, {"prior": 1.0}, "prior"),
    (AnswerConfig, {"slope": 0.0}, "slope"),
    (AnswerConfig, {"level": 1.0}, "level"),
    (AnswerConfig, {"surest": 0.0}, "surest"),
    (AnswerConfig, {"likely": 1.0}, "likely"),
    (AnswerConfig, {"weak": 1.1}, "weak"),
    (BuildConfig, {"batch": 0}, "batch"),
    (BuildConfig, {"workers": -1}, "workers"),
]


@pytest.mark.parametrize(("kind", "change", "named"), REFUSED)
def test_impossible_settings_are_refused_by_name(kind, change, named):
    with pytest.raises((ValueError, TypeError), match=named):  # or the annotation, when checked
        kind(**change)


@pytest.mark.parametrize("kind", kinds_of(config))
def test_settings_are_frozen_and_documented(kind):
    settings = ViewConfig("edges", weight=1.0, trust=0.8) if kind is ViewConfig else kind()
    assert_frozen_and_documented(settings)
