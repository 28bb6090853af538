"""Rivals without learning, and the splits on which maps of known pairs are measured."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks.quality import known_pairs, patches, rivals
from core.measures.retrieval import Pair


def _picture(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((96, 96), Image.Resampling.BICUBIC)


def test_nearest_patches_are_those_of_a_literal_search():
    query, *others = (patches.patches(_picture(seed), 16) for seed in range(5))
    candidates = np.stack(others)
    assert query.shape == (36, 75)
    nearest = np.array(
        [[min(((p - r) ** 2).sum() for r in rows) for p in query] for rows in candidates]
    )
    wanted = -(nearest / nearest.mean(0)).mean(1)
    np.testing.assert_allclose(patches.similarity(query, candidates), wanted, rtol=1e-4)


def test_an_image_whose_parts_were_moved_is_found_by_its_patches():
    """A thumbnail would not find it."""
    source = np.asarray(_picture(3))
    moved = Image.fromarray(np.roll(source, 48, axis=1))
    for scale in (16, 32):
        candidates = np.stack([patches.patches(_picture(seed), scale) for seed in range(12)])
        found = patches.similarity(patches.patches(moved, scale), candidates)
        assert found.argmax() == 3


def test_scores_of_pairs_leave_other_roles_out_and_pool_what_has_no_source():
    pair = Pair("s: style", "g", ("b",), "made", ("a",))
    study = type("Study", (), {"pairs": [pair], "right": [[1]], "left_out": [[0]]})
    values, pool = rivals.scored(study, np.array([[9.0, 5, 1], [8, 7, 6]]))
    np.testing.assert_array_equal(values, [[1, 1, 1, 1]])
    assert pool.answers.tolist() == [1, 0]
    assert pool.scores[0].tolist() == [5, 1, -np.inf]
    assert pool.right.tolist() == [[True, False, False], [False] * 3]


def test_a_map_is_asked_of_what_shares_nothing_with_its_fit():
    pairs = [
        Pair("a", "SinGAN", ("x",), "1"),
        Pair("a", "ConSinGAN", ("x",), "2"),
        Pair("b", "GPNN (patch synthesis)", ("x",), "3"),
        Pair("b", "GPNN (patch synthesis)", ("y",), "4"),
        Pair("c: style", "WCT2", ("z",), "5", ("y",)),
    ]
    parts = known_pairs.splits(pairs)
    for split in parts.values():
        assert sum(asked.astype(int) for _, asked in split).tolist() == [1] * 5
        for fitted, asked in split:
            assert not (fitted & asked).any()
    left_out = {tuple(np.flatnonzero(a)): np.flatnonzero(f) for f, a in parts["unseen generator"]}
    assert left_out[0, 1].tolist() == [3, 4]  # one family; the third shares its exemplar
    assert left_out[2, 3].tolist() == []
    assert left_out[4,].tolist() == [0, 1, 2]
    assert set(known_pairs.kinds(pairs)) == {
        "single-image GANs",
        "patch synthesis",
        "structure and appearance: style",
    }
