import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import gallery_size, heads, robustness, sift, study
from core.config import HeadConfig
from core.heads.fit import fit_head
from core.heads.head import random_rotation
from core.measures.retrieval import Pair, measures
from core.search.index import csls_means


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def wordless(identity):
    """An encoder that is a key only."""
    return sift.Sift(np.empty((0, 128), np.float32), identity=identity)


@pytest.fixture
def world():
    """Sources under an ill-conditioned mixing: a gallery and queries of its first images."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(16, 16)) * np.geomspace(1, 0.1, 16)
    rotation = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    sources = rng.laplace(size=(600, 16))
    queries = sources[:60] + 0.4 * rng.laplace(size=(60, 16))
    return [(x @ mixing.T @ rotation).astype(np.float32) for x in (sources, queries)]


def recall(head, world):
    gallery, queries = world
    sides = head(gallery, role="gallery"), head(queries, role="query")
    right = [np.array([i]) for i in range(len(queries))]
    return study.ranked(*sides, right, scaling=None)[:, 0].mean()


@pytest.mark.parametrize("scaling", [None, 5])
def test_ranked_equals_the_measures_of_a_full_sort(scaling):
    rng = np.random.default_rng(0)
    gallery, queries = unit(rng.normal(size=(300, 6))), unit(rng.normal(size=(40, 6)))
    right = [rng.choice(300, size=1 + i % 3, replace=False) for i in range(40)]
    found = study.ranked(gallery, queries, right, scaling=scaling)
    means = csls_means(gallery, k=scaling) if scaling else 0
    for query, answers, values in zip(queries, right, found, strict=True):
        order = np.argsort(-(2 * gallery @ query - means), kind="stable")
        np.testing.assert_allclose(values, measures(order, answers))


def test_a_tie_counts_against_the_right_answer():
    gallery = unit(np.array([[1.0, 0], [1, 0], [0, 1]]))
    found = study.ranked(gallery, gallery[:1], [np.array([0])], scaling=None)
    np.testing.assert_allclose(found[0], [0, 1, 1, 0.5])


def test_nested_galleries_count_as_each_of_them_alone():
    rng = np.random.default_rng(1)
    distractors, exemplars = unit(rng.normal(size=(200, 4))), unit(rng.normal(size=(9, 4)))
    queries = unit(rng.normal(size=(12, 4)))
    right = [[i % 9, (i + 4) % 9][: 1 + i % 2] for i in range(12)]
    sizes = [20, 100, 200]
    found = gallery_size.counted(distractors, exemplars, queries, right=right, sizes=sizes)
    for size, values in zip(sizes, found, strict=True):
        alone = np.concatenate([distractors[:size], exemplars])
        rows = [np.array(answers) + size for answers in right]
        np.testing.assert_allclose(values, study.ranked(alone, queries, rows, scaling=None))
    assert found[0, :, 3].mean() > found[-1, :, 3].mean()


def test_cells_are_means_of_their_group_and_half():
    names = [f"e/{i}.jpg" for i in range(40)]
    pairs = [Pair("ab"[i % 2], "g", (name,), f"g/{i}.jpg") for i, name in enumerate(names)]
    values = np.random.default_rng(0).random((40, 4))
    found = study.cells(pairs, {"x": values}, groups=study.by_source(pairs), measures=("R@10",))
    assert {(c["half"], c["source"]) for c in found} == {
        (half, source) for half in study.HALVES for source in ("a", "b", "all")
    }
    for cell in found:
        rows = [
            i
            for i, p in enumerate(pairs)
            if p.half == cell["half"] and cell["source"] in (p.source, "all")
        ]
        assert cell["mean"] == pytest.approx(values[rows, 2].mean(), abs=1e-4)
        assert cell["queries"] == len(rows)
        assert cell["low"] <= cell["mean"] <= cell["high"]


def test_every_edit_has_one_tag():
    groups = study.by_tag()
    rows = study.TAGS.read_text(encoding="utf-8").split()[1:]
    assert len(rows) == len(set(rows)) == 75
    counts = {
        name: sum(member(Pair("", "", ("e",), row.split(",")[0])) for row in rows)
        for name, member in groups.items()
    }
    assert list(counts.values()) == [22, 43, 65, 10]
    assert not any(member(Pair("", "", ("e",), "other.jpg")) for member in groups.values())


def test_what_is_kept_is_keyed_by_the_encoder(tmp_path):
    found = study.Study(tmp_path, None, (), tmp_path / "cache", lambda *_: None)
    one, two = (wordless(identity) for identity in "ab")
    calls = []

    def compute():
        calls.append(1)
        return np.arange(3)

    for _ in range(2):
        np.testing.assert_array_equal(found.kept(one, "x", compute), np.arange(3))
    assert len(calls) == 1
    found.kept(two, "x", compute)
    found.kept(one, "y", compute)
    assert len(calls) == 3


def test_a_random_rotation_ties_with_whitening_and_raw_features_do_not(world):
    whiten = fit_head(world[0], config=HeadConfig(shrinkage=0.0))
    turned = random_rotation(whiten, seed=3)
    sides = [h(world[0], role="gallery") @ h(world[1], role="query").T for h in (whiten, turned)]
    np.testing.assert_allclose(*sides, atol=1e-5)
    best = recall(whiten, world)
    assert recall(turned, world) == best
    raw = fit_head(world[0], config=HeadConfig(kind="identity"))
    assert recall(raw, world) < best - 0.1


def test_the_first_dimensions_of_whitening_are_those_of_a_smaller_fit(world):
    wide, small = (fit_head(world[0], config=HeadConfig(k=k)) for k in (12, 5))
    narrow = heads.narrowed(wide, 5)
    scores = [h(world[0], role="gallery") @ h(world[1], role="query").T for h in (narrow, small)]
    np.testing.assert_allclose(*scores, atol=1e-4)


def test_degradations_do_what_they_say():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))
    assert robustness.crop(image, 0.7).size == (56, 42)
    assert robustness.shrink(image, 0.5).size == (40, 30)
    assert robustness.frame(image, 0.1).size == (92, 72)
    changed = np.asarray(robustness.noise(image, 10), float) - np.asarray(image, float)
    assert 5 < changed.std() < 11
    errors = [
        np.abs(np.asarray(robustness.jpeg(image, q), float) - np.asarray(image, float)).mean()
        for q in (50, 10)
    ]
    assert 0 < errors[0] < errors[1]
    for kind, ways in robustness.CURVES.items():
        assert all(way(image).mode == "RGB" for way in ways.values()), kind
    assert all(s in robustness.CURVES[k] for k, s in robustness.BARS.items() if k != "none")


def test_the_sample_takes_the_first_of_every_exemplar():
    pairs = [Pair("s", "g", (name,), f"{i}") for i, name in enumerate("aabab")]
    assert robustness.sample(pairs, 1) == [0, 2]
    assert robustness.sample(pairs, 2) == [0, 1, 2, 4]


def test_words_weigh_by_rarity_and_an_empty_image_stays_zero():
    weighted = sift.weighted(np.array([[2.0, 1.0], [0, 0]]), np.array([0.5, 2.0]))
    np.testing.assert_allclose(weighted, [[1 / 5**0.5, 2 / 5**0.5], [0, 0]], atol=1e-6)


def test_sift_counts_its_key_points(tmp_path):
    pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    paths = []
    for i in range(4):
        coarse = Image.fromarray(rng.integers(0, 255, (24, 24, 3), np.uint8))
        coarse.resize((256, 256)).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    rows = np.concatenate([sift.descriptors(sift.sift_detector(), Image.open(p)) for p in paths])
    encoder = sift.Sift(rows[:100], identity="x")
    counts = encoder.encode([Image.open(paths[0]), Image.new("RGB", (64, 64))]).features
    assert counts.shape == (2, sift.WORDS)
    assert counts[0].sum() > 50
    assert counts[1].sum() == 0


def test_stored_measurements_are_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    bench = type("Bench", (), {"size": 7})
    found = study.Study(tmp_path, bench, (wordless("a"),), tmp_path, lambda *_: None)
    study.store("part", found, cells=[{"mean": 0.5}, {"mean": 1.0}])
    assert study.stored("part") == {
        "encoders": {"sift": "a"},
        "gallery_images": 7,
        "cells": [{"mean": 0.5}, {"mean": 1.0}],
    }
    assert len((tmp_path / "part.json").read_text().splitlines()) == 8
    assert study.stored("other") is None
    assert json.loads((tmp_path / "part.json").read_bytes())["gallery_images"] == 7
