"""Maps fitted to known pairs: their optimum, their start, what they learn, and what they keep."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.config import LEAST_KEPT, PAIRED_KINDS, HeadConfig, NullConfig, ScoreConfig
from core.evidence.null import fit_null
from core.heads.fit import fit_head
from core.heads.head import Head
from core.heads.paired import (
    FEWEST_EXEMPLARS,
    PairFeatures,
    _sharing,
    fit_paired_head,
    infonce_map,
    ridge_map,
)
from core.search.ranking import Collection
from core.search.views import View
from core.values import GalleryError, Level
from tests.core.heads.made import unit
from tests.core.made import Arrays

F, SHARED = 16, 4


def _photos(n, *, seed):
    return np.random.default_rng(seed).standard_normal((n, F)).astype(np.float32)


def _made(exemplars, *, each=1, seed=0):
    """Images that keep the first numbers of their exemplars; the others are drawn anew."""
    rng = np.random.default_rng(seed)
    made = np.repeat(exemplars, each, axis=0)
    made[:, SHARED:] = rng.standard_normal((len(made), F - SHARED))
    return made.astype(np.float32)


def _pairs(n=120, *, each=1, seed=1):
    exemplars = _photos(n, seed=seed)
    source = np.repeat(np.arange(n), each)
    made = _made(exemplars, each=each, seed=seed + 100)
    return PairFeatures(made, exemplars[source], np.arange(n * each), source)


def _base(levels=()):
    return fit_head(_photos(500, seed=7), config=HeadConfig(), levels=levels)


def _found(head, *, seed=50):
    """How many of 100 new images find their exemplar among 400, of which none was fitted to."""
    gallery = _photos(400, seed=seed)
    asked = head(_made(gallery[:100], seed=seed + 1), role="query")
    return ((asked @ head(gallery, role="gallery").T).argmax(1) == np.arange(100)).mean()


@pytest.mark.parametrize("kind", PAIRED_KINDS)
@pytest.mark.slow
def test_what_a_map_learns_holds_for_images_that_it_never_saw(kind):
    base, config = _base(), HeadConfig(kind=kind, shrinkage=0.01)
    head = fit_paired_head(base, _pairs(), config=config)
    assert _found(head) > _found(base) + 0.15
    pairs = _pairs()
    shuffled = replace(pairs, generated=pairs.generated[np.random.default_rng(0).permutation(120)])
    control = fit_paired_head(base, shuffled, config=config)
    assert _found(control) < _found(base) + 0.05  # pairs that are none teach nothing


@pytest.mark.parametrize("kind", PAIRED_KINDS)
@pytest.mark.slow
def test_a_strong_weight_keeps_the_base(kind):
    base = _base([Level("a", 6), Level("b", 10)])
    head = fit_paired_head(base, _pairs(), config=HeadConfig(kind=kind, shrinkage=1 - 1e-9))
    rows = _photos(30, seed=3)
    tolerance = 1e-5 if kind == "ridge" else 0.05  # Adam's steps do not vanish with the gradient
    wanted = base(rows, role="query") @ base(rows, role="gallery").T
    found = head(rows, role="query") @ head(rows, role="gallery").T
    np.testing.assert_allclose(found, wanted, atol=tolerance)
    assert (head.weights, head.spans) == (base.weights, base.spans)
    assert head.name == f"{kind}-{base.dim}"


def test_the_least_weight_still_determines_the_map():
    """Of few pairs and without any weight SciPy warned on the terminal that it made one up."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        least = HeadConfig(kind="ridge", shrinkage=LEAST_KEPT)
        head = fit_paired_head(_base(), _pairs(10, each=1), config=least)
    assert np.isfinite(head(_photos(30, seed=3), role="query")).all()
    with pytest.raises(ValueError, match=r"in \[1e-06, 1\), got 0"):
        HeadConfig(kind="ridge", shrinkage=0.0)
    HeadConfig(kind="infonce", shrinkage=0.0)


def test_the_ridge_is_where_descent_on_its_loss_ends():
    pairs, keep = _pairs(60, each=2), 0.3
    made, own = (unit(rows.astype(np.float64)) for rows in (pairs.generated, pairs.exemplars))
    sides = [torch.from_numpy(rows) for rows in (made, own)]
    weights, eye = torch.from_numpy(pairs.weights), torch.eye(F, dtype=torch.float64)
    free = eye.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([free], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        metric = (free + free.T) / 2
        errors = ((sides[0] @ metric - sides[1]) ** 2).sum(1)
        loss = (1 - keep) * F * (weights * errors).sum() + keep * ((metric - eye) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        return loss

    optimiser.step(closure)
    metric = ((free + free.T) / 2).detach().numpy()
    values = np.linalg.eigvalsh(metric)
    assert values.min() > 0  # or the root would be of another matrix
    found = ridge_map(made, own, weights=pairs.weights, keep=keep)
    np.testing.assert_allclose(found @ found, metric, atol=1e-4)
    np.testing.assert_allclose(found, found.T, atol=1e-12)


def test_exemplars_count_alike_however_many_images_were_made_of_them():
    pairs = _pairs(20)
    rows = np.concatenate([np.arange(20), np.zeros(30, int)])
    one, many = (
        fit_paired_head(_base(), p, config=HeadConfig(kind="ridge")) for p in (pairs, pairs[rows])
    )
    np.testing.assert_allclose(many.parts[0].matrix, one.parts[0].matrix, atol=1e-5)


@pytest.mark.slow
def test_infonce_follows_its_seed_and_lowers_its_loss():
    pairs = _pairs()
    made, own = (unit(rows.astype(np.float64)) for rows in (pairs.generated, pairs.exemplars))

    def loss(matrix):
        cosines = unit(made @ matrix) @ unit(own @ matrix).T / 0.07
        return -np.diag(cosines - np.log(np.exp(cosines).sum(1, keepdims=True))).mean()

    how = {"pairs": pairs, "keep": 0.0}
    one, same, other = (infonce_map(made, own, **how, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert loss(one) < loss(np.eye(F)) - 0.3


def test_pairs_that_share_an_image_are_no_contrasts():
    pairs = _pairs(4)
    shared = replace(pairs, made=np.array([0, 0, 2, 3]), source=np.array([0, 1, 2, 0]))
    wanted = np.zeros((4, 4), bool)
    wanted[0, 1] = wanted[1, 0] = wanted[0, 3] = wanted[3, 0] = True
    np.testing.assert_array_equal(_sharing(shared), wanted)


def test_too_few_exemplars_and_other_kinds_are_refused():
    few = _pairs(FEWEST_EXEMPLARS - 1, each=30)
    with pytest.raises(GalleryError, match="at least 10 different exemplars, got 9"):
        fit_paired_head(_base(), few, config=HeadConfig(kind="ridge"))
    with pytest.raises(ValueError, match="ridge, infonce"):
        fit_paired_head(_base(), _pairs(), config=HeadConfig())


def test_a_head_is_saved_and_loaded_like_any_other(tmp_path):
    head = fit_paired_head(_base(), _pairs(), config=HeadConfig(kind="infonce"))
    head.save(tmp_path)
    loaded = Head.load(tmp_path)
    assert (loaded.identity, loaded.config) == (head.identity, head.config)
    assert loaded.fitted_on(np.arange(3)) is None  # held fixed while the null is fitted


# P-values


def _rates(head_of, *, exemplars, n=80, worlds=8, asked=60):
    """How often p is at most .1 for new images, over galleries whose first images are exemplars."""
    levels = []
    for seed in range(worlds):
        rows = _photos(n + asked, seed=1000 + seed)
        head = head_of(rows[:n], rows[:exemplars], seed)
        vectors = head(rows[:n], role="gallery")
        view = View("embedding", Arrays(), head, rows[:n], vectors)
        gallery = Collection((view,), np.arange(n), config=ScoreConfig(local_scaling=False))
        null = fit_null(gallery, config=NullConfig(folds=4, alone=0))
        for vector in head(rows[n:], role="query"):
            scores = np.sort(vectors @ vector)[::-1]
            margin = scores[0] - scores[3]
            larger = (null.margins[:, -1] >= margin).sum()
            levels.append((1 + larger) / (len(null) + 1))
    return (np.array(levels) <= 0.1).mean()


@pytest.mark.slow
def test_p_values_hold_with_a_map_though_exemplars_are_in_the_gallery():
    """A fifth of the gallery was fitted to; 480 images without a source are asked."""

    def mapped(_, exemplars, seed):
        source = np.repeat(np.arange(len(exemplars)), 3)
        made = _made(exemplars, each=3, seed=seed)
        pairs = PairFeatures(made, exemplars[source], np.arange(len(made)), source)
        return fit_paired_head(_base(), pairs, config=HeadConfig(kind="ridge", shrinkage=0.01))

    assert _rates(mapped, exemplars=16) <= 0.1 / 0.8 + 2 * np.sqrt(0.1 * 0.9 / 480)


@pytest.mark.slow
def test_p_values_would_not_hold_were_the_base_fitted_on_the_gallery():
    """Negative control: a whitening of few gallery images that is held fixed."""

    def whitened(gallery, _, __):
        return fit_head(gallery, config=HeadConfig(shrinkage=0.0))

    assert _rates(whitened, exemplars=0, n=19) > 0.2
