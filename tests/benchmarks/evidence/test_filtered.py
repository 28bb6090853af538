"""Evidence under filters is asked as answers ask it, and against the rivals that pass beside it."""

from __future__ import annotations

import numpy as np

from benchmarks.evidence.filtered import SHARES, p_values
from core.config import NullConfig, ScoreConfig
from core.evidence.null import fit_null
from core.values import ImageRecord
from tests.core import made


def test_every_filter_is_asked_both_ways_and_only_one_keeps_the_p_values_up() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((220, 12))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    records = [ImageRecord(i, f"{i}.png", f"{i:064x}", "0" * 16, 9, 9) for i in range(200)]
    config = ScoreConfig(local_scaling=False)
    gallery = made.collection(rows[:200], records=records, config=config)
    null = fit_null(gallery, config=NullConfig())
    found = [p_values(gallery, made.query(row), null, seed=i) for i, row in enumerate(rows[200:])]
    assert len(found[0]) == 1 + 4 * len(SHARES)
    of_gallery = [name for name in found[0] if name.endswith("of the gallery")]
    for each in found:
        assert all(each[name] >= each["all"] for name in of_gallery)
    few = [np.mean([each[f"5% at random, {who}"] for each in found])
           for who in ("of the gallery", "that pass")]  # fmt: skip
    assert few[0] > few[1]
