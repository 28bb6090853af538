"""The theorems of whitening: what every kind of head is, finds and refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import HeadConfig
from core.heads.fit import HeadFitter, fit_head, optimal_shrinkage
from core.heads.head import random_rotation
from core.heads.rotation import haar_rotation
from core.values import Cancelled, GalleryError
from tests.core.heads.made import KINDS, ill_conditioned, matrix, unit


@pytest.fixture(scope="module")
def toy():
    """Concepts in an ill-conditioned mixture; each query keeps half of one source's concepts.

    The variances stand on two levels, so that the principal axes within a level are arbitrary, as
    in any dense spectrum. Returns gallery and query features, and the row of each query's source.
    """
    rng = np.random.default_rng(0)
    scales = np.repeat([1.0, 0.1], 12)[:, None]
    mixing = haar_rotation(24, seed=1) @ (scales * haar_rotation(24, seed=2))
    concepts = rng.laplace(size=(2000, 24))
    truth = rng.choice(2000, 400, replace=False)
    kept = rng.permuted(np.tile(np.arange(24) < 12, (400, 1)), axis=1)
    gallery = concepts @ mixing + 0.5 * rng.standard_normal(24)
    queries = (concepts[truth] * kept) @ mixing + 0.5 * rng.standard_normal(24)
    return gallery.astype(np.float32), queries.astype(np.float32), truth


def _recall(gallery, queries, truth, *, at=5):
    first = np.argsort(-(queries @ gallery.T), axis=1)[:, :at]
    return (first == truth[:, None]).any(axis=1).mean()


def _head_recall(toy, config):
    gallery, queries, truth = toy
    head = fit_head(gallery, config=config, synthetic=queries)
    return _recall(head(gallery, role="gallery"), head(queries, role="query"), truth)


def _reference_cosines(features, orient, *, shrinkage=0.0):
    """Cosines after whitening in float64, oriented by ``orient(vectors)``."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred / len(centred)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / len(
        covariance
    ) * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(covariance)
    embedding = unit(centred @ (vectors / np.sqrt(values)) @ orient(vectors))
    return embedding @ embedding.T


def _cosines(head, features):
    embedding = head(features, role="gallery")
    return embedding @ embedding.T


# What whitening is


def test_every_orientation_of_whitening_gives_the_same_cosines():
    features = ill_conditioned()
    pca = _reference_cosines(features, lambda v: np.eye(len(v)))
    zca = _reference_cosines(features, lambda v: v.T)
    turned = _reference_cosines(features, lambda v: haar_rotation(len(v), seed=5))
    np.testing.assert_allclose(zca, pca, atol=1e-6)
    np.testing.assert_allclose(turned, pca, atol=1e-6)
    raw = unit(features) @ unit(features).T
    assert np.abs(raw - pca).max() > 0.5  # or the comparison would hold for anything


@pytest.mark.parametrize("kind", ["whiten", "logdet", "infomax"])
@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_a_head_of_any_whitening_kind_agrees_with_the_reference(kind, shrinkage):
    features = ill_conditioned()
    head = fit_head(features, config=HeadConfig(kind=kind, k=99, shrinkage=shrinkage))
    reference = _reference_cosines(features, lambda v: np.eye(len(v)), shrinkage=shrinkage)
    np.testing.assert_allclose(_cosines(head, features), reference, atol=1e-5)
    control = random_rotation(head, seed=1)
    np.testing.assert_allclose(_cosines(control, features), reference, atol=1e-5)


def test_infomax_ties_with_whitening_where_dimensions_are_cut():
    features = ill_conditioned(f=20)
    whiten = fit_head(features, config=HeadConfig(k=7))
    infomax = fit_head(features, config=HeadConfig(kind="infomax", k=7, max_samples=200))
    assert whiten.dim == infomax.dim == 7
    np.testing.assert_allclose(_cosines(infomax, features), _cosines(whiten, features), atol=1e-4)
    assert np.abs(matrix(whiten) - matrix(infomax)).max() > 0.1


@pytest.mark.parametrize("kind", ["whiten", "logdet", "infomax"])
def test_whitened_training_rows_have_unit_covariance(kind):
    features = ill_conditioned(n=500)
    head = fit_head(features, config=HeadConfig(kind=kind, k=8, shrinkage=0.0))
    rows = (features - head.parts[0].mean_gallery).astype(np.float64) @ matrix(head)
    np.testing.assert_allclose(rows.T @ rows / len(rows), np.eye(8), atol=1e-4)


def test_shrinkage_lifts_only_the_small_variances():
    features = ill_conditioned(n=500)
    variance = features.var(axis=0, dtype=np.float64).mean()
    raw, shrunk = (matrix(fit_head(features, config=HeadConfig(shrinkage=a))) for a in (0.0, 0.1))
    before = 1 / np.square(raw, dtype=np.float64).sum(axis=0)  # the eigenvalues
    after = 1 / np.square(shrunk, dtype=np.float64).sum(axis=0)
    np.testing.assert_allclose(after, 0.9 * before + 0.1 * variance, rtol=1e-4)


def test_logdet_is_where_descent_on_its_loss_ends():
    features = ill_conditioned(f=5).astype(np.float64)
    centred = features - features.mean(axis=0)
    covariance = torch.from_numpy(centred.T @ centred / len(centred))
    beta, eps, eye = 2.0, 0.01, torch.eye(5, dtype=torch.float64)
    weights = eye.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")
    optimiser.param_groups[0].update(tolerance_grad=1e-10, tolerance_change=1e-14)

    def loss():
        optimiser.zero_grad()
        embedded = weights.T @ covariance @ weights
        value = beta * embedded.trace() / 5 - torch.logdet(embedded + eps * eye) / 5
        value.backward()
        return value

    optimiser.step(loss)
    head = fit_head(
        features.astype(np.float32), config=HeadConfig(kind="logdet", k=5, shrinkage=0.0)
    )
    expected = matrix(head) * np.sqrt(1 / beta - eps)
    np.testing.assert_allclose(weights.detach().numpy(), expected, atol=1e-3 * expected.max())
    whiten = fit_head(features.astype(np.float32), config=HeadConfig(k=5, shrinkage=0.0))
    assert np.abs(matrix(whiten) - matrix(head)).max() > 0.1 * matrix(head).max()


# What it is for


def test_retrieval_improves_from_raw_to_centred_to_whitened(toy):
    raw = _head_recall(toy, HeadConfig(kind="identity"))
    centred = _head_recall(toy, HeadConfig(kind="center", per_domain=True))
    whitened = _head_recall(toy, HeadConfig(shrinkage=0.0, per_domain=True))
    assert raw + 0.1 < centred
    assert centred + 0.2 < whitened


def test_separate_pca_collapses_and_separate_zca_does_not(toy):
    gallery, queries, truth = toy

    def separate(kind):
        config = HeadConfig(kind=kind, shrinkage=0.0)
        sides = [fit_head(side, config=config)(side, role="gallery") for side in (gallery, queries)]
        return _recall(*sides, truth)

    shared = _head_recall(toy, HeadConfig(shrinkage=0.0, per_domain=True))
    assert separate("whiten") < 0.03  # chance is .0025
    assert separate("logdet") > shared - 0.05


def test_per_domain_centring_removes_an_offset_that_pooled_centring_keeps(toy):
    gallery, queries, _ = toy
    near = _head_recall(toy, HeadConfig(per_domain=True))
    far = (gallery, queries + 3, toy[2])
    assert _head_recall(far, HeadConfig(per_domain=True)) == pytest.approx(near, abs=0.01)
    assert _head_recall(far, HeadConfig()) < near - 0.2
    head = fit_head(gallery, config=HeadConfig(per_domain=True), synthetic=far[1])
    np.testing.assert_allclose((far[1] - head.parts[0].mean_query).mean(axis=0), 0, atol=1e-5)
    pooled = fit_head(gallery, config=HeadConfig(), synthetic=far[1])
    np.testing.assert_array_equal(head.parts[0].mean_gallery, pooled.parts[0].mean_query)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gallery_row_finds_itself_first(kind):
    features = ill_conditioned()
    per_domain = kind != "identity"
    for config in (HeadConfig(kind=kind), HeadConfig(kind=kind, per_domain=per_domain)):
        head = fit_head(features, config=config, synthetic=features + np.float32(0.02))
        found = head(features, role="query") @ head(features, role="gallery").T
        np.testing.assert_array_equal(found.argmax(axis=1), np.arange(len(features)))


# Streams


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6), kind=st.sampled_from(KINDS))
def test_any_split_into_batches_gives_the_same_head(cuts, kind):
    features = ill_conditioned(n=60, f=5)
    config = HeadConfig(kind=kind, k=4, max_samples=30)
    whole, parts = HeadFitter(config, 5), HeadFitter(config, 5)
    whole.update(features)
    for batch in np.split(features, sorted(cuts)):
        parts.update(batch)
    expected, head = whole.finish(), parts.finish()
    np.testing.assert_allclose(
        head.parts[0].mean_gallery, expected.parts[0].mean_gallery, rtol=1e-6
    )
    if matrix(expected) is not None:
        np.testing.assert_allclose(matrix(head), matrix(expected), atol=1e-4)


def test_the_subsample_is_seeded_and_not_the_first_rows():
    features = ill_conditioned(n=400)

    def fit(rows, seed):
        config = HeadConfig(kind="infomax", k=6, max_samples=50, seed=seed)
        return matrix(fit_head(rows, config=config))

    np.testing.assert_array_equal(fit(features, 0), fit(features, 0))
    assert np.abs(fit(features, 0) - fit(features, 1)).max() > 1e-3


def test_half_precision_memory_maps_are_read_in_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("core.heads.head.CHUNK", 64)
    monkeypatch.setattr("core.heads.fit.CHUNK", 64)
    features = ill_conditioned().astype(np.float16)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    seen = []
    head = fit_head(mapped, config=HeadConfig(k=6), progress=lambda *call: seen.append(call))
    assert seen[1] == (64, 300, "Reading features")
    fitter = HeadFitter(HeadConfig(k=6), 12)
    fitter.update(features)
    np.testing.assert_allclose(matrix(head), matrix(fitter.finish()), atol=1e-4)
    embedding = head(mapped, role="gallery")
    assert embedding.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embedding[70:80], head(features[70:80], role="gallery"), atol=1e-6)


@pytest.mark.parametrize("after", [0, 3])
def test_cancel_stops_a_fit(after):
    calls = []

    def cancel(*call):
        calls.append(call)
        if len(calls) > after:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fit_head(ill_conditioned(), config=HeadConfig(kind="infomax"), progress=cancel)
    assert len(calls) == after + 1


# Bad input


@pytest.mark.parametrize("kind", ["center", "whiten", "infomax", "logdet"])
def test_too_few_images_are_refused(kind):
    features = ill_conditioned(n=3)
    for rows in (features[:0], features[:1]):
        with pytest.raises(GalleryError, match=f"at least 2 gallery images, got {len(rows)}"):
            fit_head(rows, config=HeadConfig(kind=kind))
    with pytest.raises(GalleryError, match="2 synthetic images, got 0"):
        fit_head(features, config=HeadConfig(kind=kind, per_domain=True))


def test_copies_of_one_image_cannot_be_whitened():
    with pytest.raises(GalleryError, match="all are the same"):
        fit_head(np.ones((5, 4), np.float32), config=HeadConfig())


@pytest.mark.parametrize("kind", ["whiten", "infomax", "logdet"])
def test_fewer_images_or_less_rank_than_k_keep_fewer_dimensions(kind):
    few = fit_head(ill_conditioned(n=6, f=20), config=HeadConfig(kind=kind, k=16))
    assert few.dim == 5
    flat = ill_conditioned(n=50, f=4)[:, [0, 1, 2, 3, 0, 1]]  # two features are copies
    head = fit_head(flat, config=HeadConfig(kind=kind))
    assert head.dim == 4
    assert np.isfinite(head(flat, role="query")).all()


def test_settings_that_make_no_sense_are_refused():
    config = HeadConfig()
    object.__setattr__(config, "kind", "blanch")
    with pytest.raises(ValueError, match="blanch"):
        config.__post_init__()
    with pytest.raises(ValueError, match="per_domain"):
        HeadFitter(HeadConfig(kind="identity", per_domain=True), 4)


def test_shrinkage_follows_from_the_number_of_images():
    """Few images got as little shrinkage as many; the optimum is that of the true covariance."""
    rng = np.random.default_rng(0)
    scales = np.arange(1, 41) ** -0.5
    truth = np.diag(scales**2)
    chosen = []
    for n in (30, 100, 1_000, 50_000):
        rows = rng.standard_normal((n, 40)) * scales
        covariance = np.cov(rows.T, bias=True)
        alpha = optimal_shrinkage(covariance, n)
        target = np.trace(covariance) / 40 * np.eye(40)
        errors = {
            a: np.linalg.norm((1 - a) * covariance + a * target - truth)
            for a in (alpha, *np.linspace(0, 1, 21))
        }
        assert errors[alpha] <= 1.1 * min(errors.values())
        assert n > 30 or errors[alpha] < errors[0.0]
        chosen.append(alpha)
    assert chosen == sorted(chosen, reverse=True)
    assert chosen[0] > 0.2
    assert chosen[-1] < 0.001
    assert optimal_shrinkage(np.eye(5), 10) == 0


def test_a_fit_shrinks_by_what_it_was_told_or_by_the_optimum():
    rows = np.random.default_rng(1).standard_normal((40, 12)).astype(np.float32)
    told = fit_head(rows, config=HeadConfig(shrinkage=0.5))
    own = fit_head(rows, config=HeadConfig())
    optimum = optimal_shrinkage(np.cov(rows.T.astype(np.float64), bias=True), 40)
    same = fit_head(rows, config=HeadConfig(shrinkage=optimum))
    np.testing.assert_allclose(matrix(own), matrix(same), atol=1e-5)
    assert np.abs(matrix(own) - matrix(told)).max() > 0.01
