from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.encoders.descriptors import quantize
from core.search.patches import local_scores, region_match, strongest_links
from core.values import Grid, RegionMatch


def random_patches(seed: int, *shape: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((1, *shape)).astype("f4")
    return quantize(rows.reshape(-1, *shape[-2:])).reshape(shape)


def literal_pairs(query: np.ndarray, source: np.ndarray) -> list[tuple[int, int, float]]:
    """Mutually best pairs by the definition, where no two products are equal."""
    products = [[int(np.dot(q.astype(int), s.astype(int))) for s in source] for q in query]
    pairs = []
    for i in range(len(query)):
        for j in range(len(source)):
            best_of_row = all(products[i][j] >= products[i][other] for other in range(len(source)))
            best_of_column = all(
                products[i][j] >= products[other][j] for other in range(len(query))
            )
            if best_of_row and best_of_column:
                pairs.append((i, j, min(max(products[i][j] / 127**2, 0.0), 1.0) ** 2))
    return pairs


def test_scores_equal_the_double_loop():
    query, candidates = random_patches(0, 9, 64), random_patches(1, 300, 12, 64)
    wanted = [sum(s for *_, s in literal_pairs(query, c)) / 9 for c in candidates]
    np.testing.assert_allclose(local_scores(query, candidates), wanted, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), p=st.integers(1, 12), p2=st.integers(1, 12))
def test_pairs_equal_the_double_loop(seed, p, p2):
    rng = np.random.default_rng(seed)
    query, source = quantize(rng.standard_normal((2, 12, 64)))
    match = region_match(query[:p], source[:p2], query_grid=Grid(1, p), source_grid=Grid(1, p2))
    products = query[:p].astype(int) @ source[:p2].astype(int).T
    if len(np.unique(products)) == products.size:
        wanted = literal_pairs(query[:p], source[:p2])
        np.testing.assert_array_equal(match.pairs, [(i, j) for i, j, _ in wanted])
        np.testing.assert_allclose(match.strengths, [s for *_, s in wanted], rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), p=st.integers(1, 9), p2=st.integers(1, 9))
def test_evidence_adds_up_even_with_equal_patches(seed, p, p2):
    """Few distinct descriptors make ties; each patch is still in one pair at most."""
    rng = np.random.default_rng(seed)
    kinds = quantize(rng.standard_normal((1, 3, 8)))[0]
    query, source = kinds[rng.integers(3, size=p)], kinds[rng.integers(3, size=p2)]
    match = region_match(query, source, query_grid=Grid(1, p), source_grid=Grid(p2, 1))
    assert len(set(match.pairs[:, 0].tolist())) == len(match.pairs)
    assert len(set(match.pairs[:, 1].tolist())) == len(match.pairs)
    score = local_scores(query, source[None])[0]
    np.testing.assert_allclose(match.query_heat.sum(), score, atol=1e-12)
    np.testing.assert_allclose(match.source_heat.sum(), score, atol=1e-12)
    assert min(match.query_heat.min(), match.source_heat.min()) >= 0


def test_an_image_agrees_with_itself_everywhere():
    image = random_patches(2, 100, 64)
    match = region_match(image, image, query_grid=Grid(10, 10), source_grid=Grid(10, 10))
    np.testing.assert_array_equal(match.pairs, np.stack([np.arange(100)] * 2, axis=1))
    assert local_scores(image, image[None])[0] == pytest.approx(1, abs=0.01)


def test_a_flat_image_agrees_with_itself_everywhere():
    image = np.repeat(random_patches(3, 1, 64), 100, axis=0)
    assert local_scores(image, image[None])[0] == pytest.approx(1, abs=0.01)


def test_order_of_patches_does_not_matter():
    query, candidates = random_patches(4, 50, 64), random_patches(5, 20, 50, 64)
    rng = np.random.default_rng(6)
    moved = local_scores(query[rng.permutation(50)], candidates[:, rng.permutation(50)])
    np.testing.assert_allclose(moved, local_scores(query, candidates), rtol=1e-6)


def test_a_shifted_crop_lands_on_the_shifted_cells():
    source = random_patches(7, 10, 10, 64)
    crop = source[2:8, 3:9].reshape(36, 64)
    match = region_match(
        crop, source.reshape(100, 64), query_grid=Grid(6, 6), source_grid=Grid(10, 10)
    )
    rows, columns = np.divmod(match.pairs[:, 0], 6)
    np.testing.assert_array_equal(match.pairs[:, 1], (rows + 2) * 10 + columns + 3)
    assert len(match.pairs) == 36
    outside = np.ones((10, 10), bool)
    outside[2:8, 3:9] = False
    heat = match.source_heat.reshape(10, 10)
    assert heat[outside].sum() < 0.01 * heat.sum()


def literal_heat(query: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Shares of every two patches by the definition."""
    cosines = query.astype(int) @ source.T.astype(int) / 127**2
    raised = np.exp(cosines / 0.05)
    shares = np.zeros_like(raised)
    for i in range(len(query)):
        for j in range(len(source)):
            partner = raised[i, j] / raised[i].sum() * raised[i, j] / raised[:, j].sum()
            shares[i, j] = partner * max(cosines[i, j], 0) ** 2
    return shares


def test_heat_equals_the_definition():
    query, source = random_patches(14, 6, 16), random_patches(15, 8, 16)
    match = region_match(query, source, query_grid=Grid(2, 3), source_grid=Grid(2, 4))
    wanted = literal_heat(query, source)
    wanted *= local_scores(query, source[None])[0] / wanted.sum()
    np.testing.assert_allclose(match.query_heat, wanted.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(match.source_heat, wanted.sum(axis=0), rtol=1e-6)


def test_heat_marks_the_half_that_came_from_the_source():
    """The other half, taken from another image, is the negative control."""
    source, other = random_patches(16, 10, 10, 64), random_patches(17, 10, 10, 64)
    query = np.concatenate([source[:, :5], other[:, 5:]], axis=1).reshape(100, 64)
    for image, half in ((source, slice(0, 5)), (other, slice(5, 10))):
        match = region_match(
            query, image.reshape(100, 64), query_grid=Grid(10, 10), source_grid=Grid(10, 10)
        )
        heat = match.query_heat.reshape(10, 10)
        assert heat[:, half].sum() > 0.9 * heat.sum()


# Links


def linked(pairs: list[tuple[int, int]], strengths: list[float]) -> RegionMatch:
    heat = np.zeros(100)
    grid = Grid(10, 10)
    rows = np.array(pairs, np.int64).reshape(-1, 2)
    return RegionMatch(grid, grid, heat, heat, rows, np.array(strengths, np.float64))


def test_links_are_the_strongest_that_stand_apart():
    match = linked([(0, 99), (1, 50), (11, 3), (2, 7), (99, 0)], [0.5, 0.9, 0.8, 0.0, 0.3])
    links = strongest_links(match, count=2)
    assert [link.strength for link in links] == [0.9, 0.3]
    assert links[0].query == (0.15, 0.05)
    assert links[0].source == (0.05, 0.55)
    assert links[1].query == (0.95, 0.95)
    everything = strongest_links(match, count=9)
    assert [link.strength for link in everything] == [0.9, 0.8, 0.5, 0.3]


def test_links_of_an_image_with_itself_cover_it():
    image = random_patches(18, 100, 64)
    match = region_match(image, image, query_grid=Grid(10, 10), source_grid=Grid(10, 10))
    links = strongest_links(match)
    assert len(links) == 12
    assert all(link.query == link.source for link in links)
    places = np.array([link.query for link in links]) * 10
    gaps = np.abs(places[:, None] - places[None]).max(axis=2) + 10 * np.eye(12)
    assert gaps.min() > 1.5


def test_nothing_alike_has_no_links():
    assert strongest_links(linked([], [])) == ()
    assert strongest_links(linked([(3, 4)], [0.0])) == ()


def test_a_changed_copy_scores_above_unrelated_images():
    rng = np.random.default_rng(8)
    image = rng.standard_normal((100, 64))
    copy = quantize((image + 0.5 * rng.standard_normal((100, 64)))[None])
    scores = local_scores(
        quantize(image[None])[0], np.concatenate([copy, random_patches(9, 30, 100, 64)])
    )
    assert scores[0] > 0.6
    assert scores[1:].max() < 0.15


def test_opposite_patches_are_no_evidence():
    image = random_patches(10, 1, 64)
    assert local_scores(image, -image[None])[0] == 0


def test_nothing_to_compare():
    assert local_scores(random_patches(12, 4, 8), np.empty((0, 4, 8), np.int8)).shape == (0,)


def test_wrong_input_is_named():
    image = random_patches(13, 4, 8)
    with pytest.raises(ValueError, match="2 x 3 grid cannot hold 4 patches"):
        region_match(image, image, query_grid=Grid(2, 2), source_grid=Grid(2, 3))
    with pytest.raises(ValueError, match="without patches"):
        local_scores(image[:0], image[None])
