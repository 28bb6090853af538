"""Parts of a cosine sum to it: over dimensions, and over an image's own features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.config import HeadConfig, HeadKind
from core.encoders.baselines import BASELINES
from core.explain.contributions import (
    cell_parts,
    contributions,
    cosine_weights,
    excitement,
)
from core.heads.fit import fit_head
from core.search.views import View
from core.values import Grid


def _unit(seed, d):
    values = np.random.default_rng(seed).standard_normal(d)
    return (values / np.linalg.norm(values)).astype(np.float32)


@given(st.integers(0, 1000), st.integers(1, 300))
def test_contributions_sum_to_the_cosine(seed, d):
    query, source = _unit(seed, d), _unit(seed + 1, d)
    found = contributions(query, source)
    assert sorted(c.dimension for c in found) == list(range(d))
    cosine = float(query.astype(np.float64) @ source)
    assert sum(c.value for c in found) == pytest.approx(cosine, abs=1e-6)
    assert sum(c.share for c in found) == pytest.approx(1, abs=1e-5)
    magnitudes = [abs(c.value) for c in found]
    assert magnitudes == sorted(magnitudes, reverse=True)


def test_the_first_contributions_are_the_largest():
    query, source = _unit(0, 20), _unit(1, 20)
    assert contributions(query, source, top=5) == contributions(query, source)[:5]
    products = np.abs(query * source)
    assert contributions(query, source)[0].dimension == products.argmax()


def test_a_cosine_of_zero_has_no_shares():
    found = contributions(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert [c.share for c in found] == [0.0, 0.0]


def test_excitement_orders_both_ends():
    values = np.array([[0.3], [-2.0], [5.0], [0.1], [1.0]])
    found = excitement(values, 0, count=2)
    assert found.most.tolist() == [2, 4]
    assert found.least.tolist() == [1, 3]
    everything = excitement(values, 0, count=99)
    assert everything.most.tolist() == everything.least.tolist()[::-1]


@pytest.mark.parametrize("dimension", [-1, 3])
def test_dimensions_that_are_not_there_are_refused(dimension):
    with pytest.raises(ValueError, match=r"0\.\.2"):
        excitement(np.zeros((4, 3)), dimension, count=1)


@pytest.mark.parametrize("kind", ["identity", "center", "whiten", "infomax", "logdet"])
@pytest.mark.parametrize("role", ["gallery", "query"])
def test_the_cosine_is_linear_in_the_features_of_one_image(kind, role):
    rng = np.random.default_rng(0)
    features = (rng.laplace(size=(200, 12)) @ rng.standard_normal((12, 12)) + 2).astype(np.float32)
    apart = kind != "identity"
    config = HeadConfig(kind=kind, k=8, per_domain=apart)
    head = fit_head(features, config=config, synthetic=features[:50] + 1 if apart else None)
    other = head(features[7:8], role="gallery")[0]
    for row in (3, 7):
        weights, constants = cosine_weights(features[row], other, head, role=role)
        cosine = float(head(features[row : row + 1], role=role)[0] @ other)
        assert float(features[row] @ weights) + constants.sum() == pytest.approx(cosine, abs=1e-4)


def test_the_roles_differ_where_the_head_centres_them_apart():
    rng = np.random.default_rng(1)
    features = rng.standard_normal((100, 6)).astype(np.float32)
    head = fit_head(features, config=HeadConfig(per_domain=True), synthetic=features + 3)
    other = head(features[:1], role="gallery")[0]
    one, two = (cosine_weights(features[5], other, head, role=r) for r in ("gallery", "query"))
    assert np.abs(one[0] - two[0]).max() > 1e-3


def test_an_image_at_the_mean_has_finite_weights():
    features = np.random.default_rng(2).standard_normal((100, 6)).astype(np.float32)
    head = fit_head(features, config=HeadConfig())
    other = head(features[:1], role="gallery")[0]
    weights, constants = cosine_weights(head.parts[0].mean_gallery, other, head, role="gallery")
    assert np.isfinite(weights).all()
    assert np.isfinite(constants).all()


def _view(name: str, kind: HeadKind) -> View:
    rng, encoder = np.random.default_rng(0), BASELINES[name]()
    images = [Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)) for _ in range(6)]
    features = encoder.encode(images).features
    head = fit_head(features, config=HeadConfig(kind=kind, k=4))
    return View(name, encoder, head, features, head(features, role="gallery"))


@pytest.mark.parametrize(("name", "grid"), [("edges", Grid(5, 5)), ("thumbnail", Grid(8, 8))])
def test_parts_of_cells_sum_to_the_cosine_and_lie_where_the_cells_do(name, grid):
    view = _view(name, "center")
    found = cell_parts(view, view.vectors[0], 1)
    assert (found.view, found.grid, found.parts.shape) == (name, grid, (grid.size,))
    assert found.parts.sum() == pytest.approx(view.vectors[0] @ view.vectors[1], abs=1e-6)
    query = view.vectors[0].copy()
    query[view.vectors.shape[1] // grid.size :] = 0  # the first cell alone
    assert np.flatnonzero(cell_parts(view, query, 1).parts).tolist() == [0]


def test_a_view_without_cells_or_whose_head_mixes_them_has_no_parts():
    for name, kind in (("histogram", "center"), ("edges", "whiten")):
        view = _view(name, kind)
        assert cell_parts(view, view.vectors[0], 1) is None
