from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from core.config import GroupConfig
from core.images.thumbnails import perceptual_hash
from core.search.near_duplicates import near_duplicate_groups
from core.values import Cancelled

LIMITS = GroupConfig(max_hash_distance=6, mirror_slack=2, min_cosine=0.5)
ZERO = "0" * 16
MIRROR = 0x5555555555555555


def hashes_of(values: np.ndarray) -> list[str]:
    return [f"{int(value):016x}" for value in values]


def random_hashes(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(0, 2**64, size=n, dtype=np.uint64)


def nearest(rows: np.ndarray, *, k: int) -> np.ndarray:
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return np.argsort(-cosines, axis=1)[:, :k]


def literal_groups(rows: np.ndarray, hashes: list[str], table: np.ndarray) -> np.ndarray:
    """Merge sets over all candidate pairs until nothing changes."""
    label = list(range(len(rows)))
    for i, j in combinations(range(len(rows)), 2):
        candidate = j in table[i] or i in table[j] or hashes[i] == hashes[j]
        distance = (int(hashes[i], 16) ^ int(hashes[j], 16)).bit_count()
        cosine = rows[i] @ rows[j] / (np.linalg.norm(rows[i]) * np.linalg.norm(rows[j]))
        mirrored = (int(hashes[i], 16) ^ int(hashes[j], 16) ^ MIRROR).bit_count()
        near = j in table[i] or i in table[j]
        alike = distance <= LIMITS.max_hash_distance or (
            near and mirrored <= LIMITS.max_hash_distance + 2
        )
        if candidate and alike and cosine >= LIMITS.min_cosine:
            first, second = sorted((label[i], label[j]))
            label = [first if value == second else value for value in label]
    return np.array(label)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 24), k=st.integers(0, 4))
@pytest.mark.slow
def test_equals_the_literal_definition(seed, n, k):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((5, 8))[rng.integers(5, size=n)] + 0.6 * rng.standard_normal((n, 8))
    flips = np.array([1 << int(b) for b in rng.integers(64, size=n)], dtype=np.uint64)
    hashes = hashes_of(random_hashes(rng, 4)[rng.integers(4, size=n)] ^ (flips * (flips % 3 == 0)))
    table = nearest(rows, k=k)
    found = near_duplicate_groups(rows, hashes, neighbours=table, limits=LIMITS)
    np.testing.assert_array_equal(found, literal_groups(rows, hashes, table))


@pytest.fixture
def originals() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((40, 256)), random_hashes(rng, 40)


def test_planted_copies_are_found_and_others_stand_alone(originals):
    rows, bits = originals
    copies = rows[:5] + 0.1
    all_rows = np.concatenate([rows, copies, copies + 0.1])
    all_bits = np.concatenate([bits, bits[:5] ^ np.uint64(0b111), bits[:5] ^ np.uint64(0b11 << 60)])
    found = near_duplicate_groups(
        all_rows, hashes_of(all_bits), neighbours=nearest(all_rows, k=3), limits=LIMITS
    )
    np.testing.assert_array_equal(
        found, np.concatenate([np.arange(40), np.arange(5), np.arange(5)])
    )


@pytest.mark.parametrize("flipped, linked", [(6, True), (7, False)])
def test_hash_distance_is_the_limit(originals, flipped, linked):
    rows, bits = originals
    rows, bits = (
        np.concatenate([rows, rows[:1]]),
        np.append(bits, bits[0] ^ np.uint64(2**flipped - 1)),
    )
    found = near_duplicate_groups(
        rows, hashes_of(bits), neighbours=nearest(rows, k=2), limits=LIMITS
    )
    assert (found[-1] == 0) == linked


def test_flat_images_of_equal_hash_are_not_linked(originals):
    rows, _ = originals
    table = nearest(rows, k=5)
    found = near_duplicate_groups(rows, [ZERO] * 40, neighbours=table, limits=LIMITS)
    np.testing.assert_array_equal(found, np.arange(40))


@pytest.mark.parametrize("kinds", [3, 2_500])
@pytest.mark.slow
def test_thousands_of_one_hash_are_compared_with_the_first_of_each_kind(kinds):
    """All were compared with all: a gallery of flat images took the square of the time."""
    rng = np.random.default_rng(0)
    middles = rng.standard_normal((kinds, 256))
    rows = middles[np.arange(5_000) % kinds] + 0.1 * rng.standard_normal((5_000, 256))
    apart = np.full((len(rows), 1), -1)
    found = near_duplicate_groups(rows, [ZERO] * len(rows), neighbours=apart, limits=LIMITS)
    wanted = np.arange(5_000) % kinds
    named = wanted if kinds == 3 else np.where(wanted < 64, wanted, np.arange(5_000))
    np.testing.assert_array_equal(found, named)


def test_equal_embeddings_of_other_hash_are_not_linked(originals):
    _, bits = originals
    rows = np.ones((40, 3))
    table = nearest(rows, k=5)
    found = near_duplicate_groups(rows, hashes_of(bits), neighbours=table, limits=LIMITS)
    np.testing.assert_array_equal(found, np.arange(40))


def test_many_copies_are_one_group_even_with_few_neighbours():
    rows = np.ones((3_000, 4), np.float32)
    table = np.full((3_000, 1), -1)
    found = near_duplicate_groups(rows, [ZERO] * 3_000, neighbours=table, limits=LIMITS)
    assert (found == 0).all()


def test_zero_embeddings_stand_alone():
    found = near_duplicate_groups(
        np.zeros((3, 4)), [ZERO] * 3, neighbours=np.array([[1], [2], [0]]), limits=LIMITS
    )
    np.testing.assert_array_equal(found, [0, 1, 2])


def test_empty_gallery():
    found = near_duplicate_groups(
        np.empty((0, 4)), [], neighbours=np.empty((0, 10), np.int64), limits=LIMITS
    )
    assert found.shape == (0,)


def test_fifteen_thousand_images_take_a_moment():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((15_000, 64)).astype("f4")
    hashes = hashes_of(random_hashes(rng, 15_000))
    table = rng.integers(15_000, size=(15_000, 10))
    start = time.perf_counter()
    near_duplicate_groups(rows, hashes, neighbours=table, limits=LIMITS)
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize("value", ["", "0" * 15, "g" * 16, "0x" + "0" * 14, " " + "0" * 15])
def test_a_hash_that_is_none_is_named(value):
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        near_duplicate_groups(
            np.ones((1, 2)), [value], neighbours=np.empty((1, 0), np.int64), limits=LIMITS
        )


def test_one_hash_per_row():
    with pytest.raises(ValueError, match="2 embeddings need as many hashes, got 1"):
        near_duplicate_groups(
            np.ones((2, 2)), [ZERO], neighbours=np.empty((2, 0), np.int64), limits=LIMITS
        )


def test_the_hash_of_a_mirrored_image_follows_from_its_own():
    rng = np.random.default_rng(0)
    for _ in range(20):
        noise = rng.integers(0, 256, (6, 6, 3), np.uint8)
        image = Image.fromarray(noise).resize((96, 80), Image.Resampling.BICUBIC)
        one, two = (int(perceptual_hash(i), 16) for i in (image, ImageOps.mirror(image)))
        assert (one ^ two ^ MIRROR).bit_count() <= LIMITS.max_hash_distance + 2
        assert (one ^ two).bit_count() > 20  # the control: as it is, the hash is another


def test_mirrored_copies_are_one_group(originals):
    rows, hashes = originals
    both = np.concatenate([rows, rows])
    found = near_duplicate_groups(
        both,
        hashes_of(np.concatenate([hashes, hashes ^ np.uint64(MIRROR)])),
        neighbours=nearest(both, k=3),
        limits=LIMITS,
    )
    np.testing.assert_array_equal(found, np.tile(np.arange(len(rows)), 2))


def test_given_links_join_groups(originals):
    rows, hashes = originals
    found = near_duplicate_groups(
        rows,
        hashes_of(hashes),
        neighbours=nearest(rows, k=3),
        links=np.array([[5, 2], [5, 9]]),
        limits=LIMITS,
    )
    wanted = np.arange(len(rows))
    wanted[[5, 9]] = 2
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("neighbours", [1, 0])
def test_comparing_many_is_stopped_within_it(neighbours: int):
    """Pairs of neighbours, or pairs of equal hash: a million images took seven seconds of both."""
    rows, pairs = np.ones((6_000, 2), np.float32), 3_000
    hashes = [f"{i // 2:016x}" for i in range(len(rows))]
    table = np.full((len(rows), 1), -1)
    table[:pairs, 0] = np.arange(pairs)[::-1] if neighbours else -1
    told: list[int] = []

    def stop(done: int, _total: int, _what: str) -> None:
        told.append(done)
        if len(told) == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        near_duplicate_groups(rows, hashes, neighbours=table, limits=LIMITS, progress=stop)
    assert told == [0, 1024]
