"""One choice is changed at a time, and patches of every stage are read as those that are stored."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import settings, stage_patches, tables, wanted
from core.config import HeadConfig
from core.encoders.descriptors import quantize
from core.encoders.load import load_encoder
from core.heads.fit import fit_head
from core.values import Level

LEVELS = tuple(Level(name, 4) for name in "abcd")


def _same(one, other):
    return [np.array_equal(a.matrix, b.matrix) for a, b in zip(one.parts, other.parts, strict=True)]


@pytest.fixture
def widest():
    rows = np.random.default_rng(0).normal(size=(60, 16)) * np.geomspace(1, 9, 16)
    return {
        alpha: fit_head(rows, config=HeadConfig(shrinkage=alpha), levels=LEVELS)
        for alpha in (None, *settings.ALPHAS)
    }


def test_other_fits_differ_where_they_say(widest):
    made = settings._other_fits(widest, "abcd", k=3)
    usual = made[settings.REFITTED]()
    assert [part.dim for part in usual.parts] == [3] * 4
    assert _same(made["shrinkage: 0.3 of b"](), usual) == [True, False, True, True]
    assert _same(made["shrinkage: 0.3 of every level"](), usual) == [False] * 4
    dims = [part.dim for part in made["k: 128 of d"]().parts]
    assert dims == [3, 3, 3, 4]


def test_other_weights_leave_out_what_they_say(widest):
    made = settings._other_weights(widest[None], "abcd")
    features = np.random.default_rng(1).normal(size=(5, 16))
    alone = made["stages: c alone"]()(features, role="query")
    np.testing.assert_allclose(np.linalg.norm(alone[:, 8:12], axis=1), 1, atol=1e-6)
    without = made["stages: without c"]()(features, role="query")
    np.testing.assert_allclose(np.linalg.norm(without[:, 8:12], axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(without, axis=1), 1, atol=1e-6)


def test_patches_of_the_stage_that_ships_are_those_that_are_stored(tmp_path):
    encoder = load_encoder("lite0")
    rng = np.random.default_rng(0)
    paths = []
    for name in "ab":
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        paths.append(tmp_path / f"{name}.png")
        small.resize((256, 256), Image.Resampling.BICUBIC).save(paths[-1])
    study = SimpleNamespace(progress=lambda *_: None)
    maps = next(stage_patches._stages(study, encoder, paths))
    stored = encoder.encode([Image.open(path).convert("RGB") for path in paths]).patches
    np.testing.assert_allclose(maps[encoder.backbone.config.patch_stage], stored, atol=1e-4)
    assert [part.shape[2] * 2 for part in maps] == [level.width for level in encoder.levels]


def test_fewer_numbers_are_the_first_of_more():
    rows = np.random.default_rng(0).normal(size=(2, 5, 9)).astype(np.float16)
    found = stage_patches.described(rows, 4)
    np.testing.assert_array_equal(found, quantize(rows[:, :, :4].astype(np.float32)))


def _cells(columns):
    numbers = {"low": 0.0, "high": 1.0, "queries": 4, "clusters": 2}
    return [
        {
            "half": half,
            "source": role,
            "column": name,
            "measure": measure,
            "mean": value if role == "restaged" else base,
            **numbers,
        }
        for name, (value, base) in columns.items()
        for half in (*wanted.HALVES, "both")
        for role in wanted.ROLES
        for measure in wanted.MEASURES
    ]


def test_a_missed_bar_has_its_best_attempts_and_what_they_cost():
    cells = _cells({settings.SHIPPED: (0.2, 1.0), "k: 3": (0.3, 1.0), "k: 4": (0.25, 1.0)})
    gaps = _cells({"k: 3": (0.1, -0.5), "k: 4": (0.05, -0.5)})
    fewest = {f"fewest missed, {half}": 1 for half in wanted.HALVES}
    found = {
        "base": settings.SHIPPED,
        "cells": cells,
        "differences": gaps,
        "grid": {"points": 7, "together": 2, **fewest},
        "gallery_images": 10,
        "images_of_roles": 12,
    }
    text = "\n".join(settings.section(found))
    assert "**restaged, R@1: .300 is wanted, .200 found on the untouched half.**" in text
    assert "| k: 3 | .300 | .300 | .300 |" in text
    assert "k: 4 | .250" not in text
    assert "structure -.500" in text
    assert text.count("is wanted") == 1
    assert tables.short(0.5) in text
