"""Settings of training refuse what nothing can be done with, and say what was wrong."""

from __future__ import annotations

import pytest

from core.training import config
from core.training.config import TrainConfig, ViewConfig
from tests.core.settings import assert_frozen_and_documented, kinds_of

REFUSED = [
    (ViewConfig, {"scale": (0.0, 1.0)}, "scale"),
    (ViewConfig, {"scale": (0.5, 0.4)}, "scale"),
    (ViewConfig, {"scale": (0.5, 1.5)}, "scale"),
    (TrainConfig, {"method": "moco", "steps": 0}, "steps"),
    (TrainConfig, {"method": "dino", "steps": 1, "batch": 1}, "batch"),
    (TrainConfig, {"method": "byol", "steps": 1}, "byol"),
]


@pytest.mark.parametrize(("kind", "change", "named"), REFUSED)
def test_impossible_settings_are_refused_by_name(kind, change, named):
    with pytest.raises((ValueError, TypeError), match=named):  # or the annotation, when checked
        kind(**change)


@pytest.mark.parametrize("kind", kinds_of(config))
def test_settings_are_frozen_and_documented(kind):
    needed = {"method": "moco", "steps": 3} if kind is TrainConfig else {}
    assert_frozen_and_documented(kind(**needed))
