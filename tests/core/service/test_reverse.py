"""Reverse look-up names the images that were made from a source, at a controlled rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import HeadConfig, ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.search.extra_views import with_extra_views
from core.search.prepare import fitted_head
from core.service.reverse import adjust, fewest_named, reverse_lookup
from core.service.workspace import Query, Workspace
from core.values import Encoder, GalleryError

COUNT = 60


def picture(seed: int) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((48, 40), Image.Resampling.BICUBIC)


@pytest.fixture
def workspace(tmp_path: Path, encoder: Encoder) -> Workspace:
    folder = tmp_path / "world"
    folder.mkdir()
    for seed in range(COUNT):
        picture(seed).save(folder / f"{seed:02d}.png")
    update(folder / "g", Source(folder), with_extra_views([encoder]))
    gallery = Gallery.open(folder / "g")
    return Workspace(
        gallery, encoder, fitted_head(gallery, encoder, config=HeadConfig(kind="center"))
    )


def reference(p_values: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's step-up, from the largest p-value down."""
    order = np.argsort(-p_values)
    least, found = 1.0, np.empty(len(p_values))
    for passed, i in enumerate(order):
        rank = len(p_values) - passed
        least = min(least, p_values[i] * len(p_values) / rank)
        found[i] = least
    return found


def given(workspace: Workspace, **seeds: int) -> dict[str, Query]:
    """Uploads by name."""
    return {name: workspace.query(picture(seed)) for name, seed in seeds.items()}


def test_adjusted_values_are_those_of_the_step_up_procedure():
    p_values = np.random.default_rng(0).uniform(0.001, 1, 50)
    np.testing.assert_allclose(adjust(p_values.tolist()), reference(p_values))
    assert adjust([0.03]).tolist() == [0.03]
    assert adjust([]).shape == (0,)


def test_tests_that_share_a_query_pay_the_harmonic_number():
    """Pairs of one generated image with several sources are not independent tests."""
    p_values = np.random.default_rng(0).uniform(0.001, 1, 50)
    harmonic = (1 / np.arange(1, 51)).sum()
    found = adjust(p_values.tolist(), share_queries=True)
    np.testing.assert_allclose(found, np.minimum(reference(p_values) * harmonic, 1))


def test_the_rate_is_kept_under_the_null():
    """And without the adjustment it is not: the negative control."""
    rng = np.random.default_rng(1)
    draws = rng.uniform(0, 1, (400, 30))
    assert np.mean([(adjust(row.tolist()) <= 0.1).any() for row in draws]) < 0.14
    assert np.mean((draws <= 0.1).any(axis=1)) > 0.9


def queries(workspace: Workspace, *seeds: int):
    return ((f"made {seed}", workspace.query(picture(seed))) for seed in seeds)


@pytest.mark.slow
def test_copies_are_named_and_others_are_not(workspace):
    found = reverse_lookup(workspace, queries(workspace, 3, 7, 1001, 1002), ids=[3, 7], rate=0.2)
    assert len(found) == 8
    assert {(f.generated, f.source) for f in found if f.named} == {
        ("made 3", "03.png"),
        ("made 7", "07.png"),
    }
    assert [f.p_value for f in found] == sorted(f.p_value for f in found)
    assert all(f.p_adjusted >= f.p_value for f in found)
    assert all(f.named == (f.p_adjusted <= 0.2) for f in found)


@pytest.mark.slow
def test_pairs_are_adjusted_by_how_many_sources_share_a_query(workspace):
    one = reverse_lookup(workspace, queries(workspace, 3, 1001), ids=[3, 3])
    np.testing.assert_allclose(
        [f.p_adjusted for f in one], adjust([f.p_value for f in one]), rtol=1e-12
    )
    two = reverse_lookup(
        workspace, queries(workspace, 3, 1001), ids=[3], uploads=given(workspace, u=8)
    )
    np.testing.assert_allclose(
        [f.p_adjusted for f in two], adjust([f.p_value for f in two], share_queries=True)
    )


@pytest.mark.slow
def test_a_source_is_looked_for_among_the_candidates_of_the_scoring(workspace):
    """It was always looked for among 200, however many candidates are compared."""
    few = Workspace(
        workspace.gallery, workspace.encoder, workspace.head, score=ScoreConfig(candidates=20)
    )
    ranked = [
        len(
            {
                f.image_id
                for f in reverse_lookup(each, queries(each, 3), ids=range(COUNT))
                if f.score
            }
        )
        for each in (few, workspace)
    ]
    assert ranked == [20, COUNT]


@pytest.mark.slow
def test_the_p_value_of_a_pair_is_that_of_the_answer(workspace):
    query = workspace.query(picture(5))
    (group,) = (g for g in workspace.attribute(query, top=COUNT).groups if 9 in g.members)
    (found,) = reverse_lookup(workspace, [("q", query)], ids=[9])
    assert found.p_value == group.p_value
    assert found.score == group.best.score
    assert (found.image_id, found.source) == (9, "09.png")


def test_fewest_named_is_what_the_adjustment_needs():
    """As many of the smallest p-value as that are named, and one fewer are not."""
    for count, null_size, rate in ((200, 800, 0.05), (41, 800, 0.05), (30, 60, 0.1), (5, 800, 0.5)):
        needed = fewest_named(count, null_size=null_size, rate=rate)
        assert needed is not None

        def smallest(standing: int, total: int = count, size: int = null_size) -> float:
            return float(adjust([1 / (size + 1)] * standing + [1.0] * (total - standing)).min())

        assert smallest(needed) <= rate * (1 + 1e-9)
        assert needed == 1 or smallest(needed - 1) > rate
    assert fewest_named(5, null_size=24, rate=0.01) is None


@pytest.mark.slow
def test_a_finding_says_by_what_it_stands_out_an_upload_s_too(workspace):
    query = workspace.query(picture(5))
    (group,) = (g for g in workspace.attribute(query, top=COUNT).groups if 6 in g.members)
    (inside,) = reverse_lookup(workspace, [("q", query)], ids=[6])
    assert (inside.aspects, inside.confidence) == (group.aspects, group.confidence)
    (own,) = reverse_lookup(workspace, [("q", query)], uploads=given(workspace, mine=5))
    assert [aspect.name for aspect in own.aspects] == [aspect.name for aspect in group.aspects]
    assert own.confidence is not None
    assert own.confidence > 0.5


@pytest.mark.slow
def test_an_upload_is_scored_as_if_it_were_in_the_gallery(workspace):
    uploads = given(workspace, mine=2000, other=2001)
    found = reverse_lookup(workspace, queries(workspace, 2000, 4), uploads=uploads, rate=0.2)
    assert [(f.generated, f.source) for f in found if f.named] == [("made 2000", "mine")]
    assert all(f.image_id is None for f in found)
    # A gallery image as an upload scores as in its own right, but for itself among its neighbours.
    (own,) = reverse_lookup(workspace, queries(workspace, 6), uploads=given(workspace, six=6))
    (inside,) = reverse_lookup(workspace, queries(workspace, 6), ids=[6])
    assert own.score is not None
    assert inside.score is not None
    assert own.score == pytest.approx(inside.score, abs=0.2)


@pytest.mark.slow
def test_a_file_of_the_gallery_may_be_among_the_generated_images(workspace):
    """Its row in the gallery was looked for among the rows of the upload."""
    file = workspace.gallery.root / "06.png"
    (found,) = reverse_lookup(
        workspace,
        [("six", workspace.query(file))],
        uploads=given(workspace, mine=2000),
    )
    assert not found.named


@pytest.mark.slow
def test_nothing_generated_has_no_pairs(workspace):
    assert reverse_lookup(workspace, [], ids=[1]) == ()


@pytest.mark.slow
def test_wrong_use_is_named(workspace):
    with pytest.raises(ValueError, match=r"in \(0, 1\), got 1\.0"):
        reverse_lookup(workspace, [], ids=[1], rate=1.0)
    with pytest.raises(GalleryError, match="id 99"):
        reverse_lookup(workspace, [], ids=[1, 99])
    with pytest.raises(GalleryError, match="name the sources"):
        reverse_lookup(workspace, [])
