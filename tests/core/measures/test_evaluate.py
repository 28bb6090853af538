"""The bench on a tiny world: noisy copies of exemplars among other images."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.config import HeadConfig, ScoreConfig
from core.encoders.backbones import BackboneConfig, build
from core.encoders.baselines import BASELINES, Baseline
from core.encoders.network import NetworkEncoder
from core.gallery.build import update
from core.gallery.source import Source
from core.heads.fit import fit_head
from core.measures.evaluate import Bench, Evaluation
from core.measures.retrieval import MEASURES
from core.search.prepare import fitted_head
from core.values import GalleryError

HISTOGRAM = BASELINES["histogram"]()
SCORE = ScoreConfig(neighbours=3)


@pytest.fixture(scope="module")
def network():
    return NetworkEncoder("tiny", build(BackboneConfig(input_size=64), seed=0))


def _pixels(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return Image.fromarray(noise).resize((70, 60), Image.Resampling.BICUBIC)


def _noisy(image, seed):
    noise = np.random.default_rng(seed).normal(0, 6, (*image.size[::-1], 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture
def world(tmp_path):
    """Ten gallery images, four exemplars, two noisy images of each; the pairs file lies beside."""
    folder = tmp_path / "data"
    for name in ("real", "exemplars", "made"):
        (folder / name).mkdir(parents=True)
    for i in range(10):
        _pixels(100 + i).save(folder / "real" / f"{i}.png")
    rows = []
    for i in range(8):
        exemplar = _pixels(i // 2)
        exemplar.save(folder / "exemplars" / f"{i // 2}.png")
        _noisy(exemplar, i).save(folder / "made" / f"{i}.png")
        names = {"exemplars": [f"exemplars/{i // 2}.png"], "generated": f"made/{i}.png"}
        rows.append({"source": "even" if i < 4 else "odd", "generator": "noise"} | names)
    (folder / "pairs.json").write_text(json.dumps(rows))
    return folder


def _bench(world, encoders, *, gallery=None, cache="cache"):
    return Bench(
        world / "pairs.json",
        gallery or world / "real",
        encoders,
        cache=world.parent / cache,
    )


def _run(bench, encoder, *, score=SCORE):
    head = fitted_head(bench.gallery, encoder, config=HeadConfig(kind="center"))
    return bench.run(encoder, head, pairs=bench.all_pairs, score=score)[0]


def _counting(encoder, calls):
    """The same baseline, which notes how many images it is asked for."""

    def describe(image):
        calls.append(1)
        return encoder.describe(image)

    return replace(encoder, describe=describe)


@pytest.mark.parametrize("rerank", [True, False])
@pytest.mark.slow
def test_noisy_copies_find_their_exemplars(world, network, rerank):
    bench = _bench(world, [HISTOGRAM, network])
    assert bench.size == 14
    assert len(bench.all_pairs) == 8
    score = SCORE if rerank else SCORE.without("patches")
    for encoder in (HISTOGRAM, network):
        found = _run(bench, encoder, score=score)
        assert found.shape == (8, len(MEASURES))
        assert found[:, 0].mean() >= 0.75
        assert (found[:, 2] >= found[:, 0]).all()


def test_an_encoder_that_sees_nothing_finds_nothing(world):
    blind = Baseline("blind", 3, lambda image: np.array([1, image.getpixel((0, 0))[0] % 5, 2.0]))
    found = _run(_bench(world, [blind]), blind)
    assert found[:, 0].mean() < 0.6


@pytest.mark.slow
def test_a_second_bench_encodes_nothing(world):
    calls = []
    encoder = _counting(HISTOGRAM, calls)
    first = _run(_bench(world, [encoder]), encoder)
    assert len(calls) >= 10 + 4 + 8
    calls.clear()
    second = _run(_bench(world, [encoder]), encoder)
    assert not calls
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_a_folder_and_a_built_gallery_give_equal_results(world, network):
    update(world / "built", Source(world / "real"), [network, HISTOGRAM])
    before = sorted(path for path in (world / "built").rglob("*.npy"))
    folder = _bench(world, [network, HISTOGRAM])
    built = _bench(world, [network, HISTOGRAM], gallery=world / "built", cache="other")
    assert folder.size == built.size
    for encoder in (network, HISTOGRAM):
        np.testing.assert_array_equal(_run(folder, encoder), _run(built, encoder))
    assert set(before) <= set((world / "built").rglob("*.npy"))


@pytest.mark.slow
def test_the_shipped_gallery_is_left_as_it_is(world, network, monkeypatch):
    """Ranking its images wrote heads and embeddings into it."""
    update(world / "built", Source(world / "real"), [network])
    monkeypatch.setattr("core.gallery.gallery.SHIPPED", world / "built")
    before = sorted((world / "built").rglob("*"))
    _run(_bench(world, [network], gallery=world / "built"), network)
    assert sorted((world / "built").rglob("*")) == before


def test_images_that_were_deleted_are_no_longer_ranked(world):
    """The cache kept every image that had ever been in the folder."""
    _bench(world, [HISTOGRAM])
    (world / "real" / "3.png").unlink()
    bench = _bench(world, [HISTOGRAM])
    assert bench.size == 13
    assert "3.png" not in {record.path for record in bench.gallery.records}


@pytest.mark.slow
def test_an_image_that_changed_is_read_again(world):
    _bench(world, [HISTOGRAM])
    calls = []
    _pixels(999).save(world / "made" / "0.png")
    encoder = _counting(HISTOGRAM, calls)
    found = _run(_bench(world, [encoder]), encoder)
    assert 1 <= len(calls) <= 2
    assert found[0, 3] < 1


def test_an_exemplar_that_is_in_the_gallery_too_is_still_the_right_answer(world):
    """Its copy came first by a tie, and every recall at one was zero."""
    for path in (world / "exemplars").iterdir():
        shutil.copy(path, world / "real" / f"copy-{path.name}")
    bench = _bench(world, [HISTOGRAM])
    assert len(bench.gallery) == 14
    assert bench.size == 14
    assert _run(bench, HISTOGRAM)[:, 0].mean() >= 0.75


def test_results_are_those_of_a_literal_ranking(world):
    bench = _bench(world, [HISTOGRAM])
    head = fit_head(bench.gallery.features(HISTOGRAM), config=HeadConfig(kind="center"))
    plain = ScoreConfig(local_scaling=False).without("patches")
    found, pool = bench.run(HISTOGRAM, head, pairs=bench.all_pairs, score=plain)

    def embed(path, role):
        features = HISTOGRAM.encode([Image.open(world / path).convert("RGB")]).features
        return head(features.astype(np.float16), role=role)[0]

    names = [f"real/{i}.png" for i in range(10)] + [f"exemplars/{i}.png" for i in range(4)]
    gallery = np.stack([embed(name, "gallery") for name in names])
    for i, pair in enumerate(bench.all_pairs):
        order = np.argsort(-(gallery @ embed(pair.generated, "query")), kind="stable")
        rank = 1 + order.tolist().index(names.index(pair.exemplars[0]))
        np.testing.assert_allclose(found[i], [rank <= 1, rank <= 5, rank <= 10, 1 / rank])
        scores = gallery @ embed(pair.generated, "query")
        np.testing.assert_allclose(pool.scores[i, :14], scores[order], atol=1e-5)
        assert np.flatnonzero(pool.right[i]).tolist() == [rank - 1]


def test_images_without_a_source_are_asked_behind_the_pairs(world):
    (world / "alone").mkdir()
    for i in range(3):
        _pixels(500 + i).save(world / "alone" / f"{i}.png")
    bench = _bench(world, [HISTOGRAM])
    shutil.copy(world / "real" / "3.png", world / "alone" / "known.png")
    shutil.copy(world / "made" / "3.png", world / "alone" / "0.made.png")
    left_out = bench.ask_without(Source(world / "alone", prune=True))
    assert [*left_out] == ["0.made.png", "known.png"]
    assert "is in the file of pairs" in left_out["0.made.png"]
    assert "is in the gallery" in left_out["known.png"]
    head = fitted_head(bench.gallery, HISTOGRAM, config=HeadConfig(kind="center"))
    values, pool = bench.run(HISTOGRAM, head, pairs=bench.all_pairs, score=SCORE)
    assert pool.answers.tolist() == [1] * 8 + [0] * 3
    assert np.isfinite(pool.scores).sum(1).tolist() == [14] * 11
    assert (pool.right.sum(1)[:8] == 1).all()
    first = pool.right[:8, 0]
    np.testing.assert_array_equal(first, values[:, 0])  # the measures of the same ranking


@pytest.mark.slow
def test_an_evaluation_tabulates_its_columns(world):
    bench = _bench(world, [HISTOGRAM])
    head = fitted_head(bench.gallery, HISTOGRAM, config=HeadConfig(kind="center"))
    values, pool = bench.run(HISTOGRAM, head, pairs=bench.all_pairs, score=SCORE)
    results, pools = {"a/x": values, "b/x": np.zeros((8, 4))}, {"a/x": pool, "b/x": pool}
    found = Evaluation(tuple(bench.all_pairs), bench.size, results, {}, pools)
    cells = found.table()
    assert {cell.source for cell in cells} == {"even", "odd", "all"}
    assert {cell.measure for cell in cells} == {*MEASURES, "uAP"}
    assert {cell.interval.clusters for cell in cells if cell.source == "all"} == {4}
    assert {cell.column for cell in found.differences()} == {"a/x - b/x"}


@pytest.mark.slow
def test_a_handful_of_exemplars_is_not_compared_by_domain(world):
    """Four exemplars ended the evaluation, after everything had been ranked."""
    bench = _bench(world, [HISTOGRAM])
    head = fitted_head(bench.gallery, HISTOGRAM, config=HeadConfig(kind="center"))
    assert len(bench.measures(HISTOGRAM, head, pairs=bench.all_pairs)) == 1
    rows = json.loads((world / "pairs.json").read_text())
    for i, row in enumerate(rows):
        _pixels(20 + i).save(world / "exemplars" / f"own-{i}.png")
        row["exemplars"] = [f"exemplars/own-{i}.png"]
    (world / "pairs.json").write_text(json.dumps(rows))
    bench = _bench(world, [HISTOGRAM])
    found = bench.measures(HISTOGRAM, head, pairs=bench.all_pairs)
    assert [type(report).__name__ for report in found] == [
        "LabelFreeReport",
        "PairedReport",
        "ViewsReport",
        "DomainGapReport",
    ]


@pytest.mark.slow
def test_a_gallery_with_factors_is_measured_by_them(world):
    """The evaluation left out the measures that need labels, even where there were some."""
    for i in range(10, 40):
        _pixels(100 + i).save(world / "real" / f"{i}.png")
    rows = [f"{i}.png,{'red' if i % 2 else 'blue'},{i // 2 % 2}" for i in range(40)]
    (world / "real" / "metadata.csv").write_text("\n".join(["file_name,colour,shape", *rows]))
    bench = _bench(world, [HISTOGRAM])
    head = fitted_head(bench.gallery, HISTOGRAM, config=HeadConfig(kind="center"))
    _, by_factor = bench.measures(HISTOGRAM, head, pairs=bench.all_pairs)
    assert by_factor.factors == ("colour", "shape")
    assert by_factor.importance.shape == (2, 64)
    assert all(0 <= x <= 1 for x in (by_factor.disentanglement, by_factor.mig, by_factor.sap))


def test_pairs_that_are_no_file_or_take_a_name_of_ours_are_refused(world):
    """A pipe was waited for; a source called "all" took the place of the overall results."""
    rows = json.loads((world / "pairs.json").read_text())
    (world / "pairs.json").write_text(json.dumps([{**rows[0], "source": "all"}, *rows[1:]]))
    with pytest.raises(GalleryError, match="no source may be called 'all'"):
        _bench(world, [HISTOGRAM])
    (world / "pairs.json").unlink()
    os.mkfifo(world / "pairs.json")
    with pytest.raises(GalleryError, match="not a regular file"):
        _bench(world, [HISTOGRAM])


@pytest.mark.slow
def test_pairs_whose_images_cannot_be_read_are_left_out(world):
    """One broken image of hundreds stopped the evaluation."""
    (world / "made" / "3.png").write_bytes(b"not an image")
    (world / "exemplars" / "3.png").write_bytes(b"")
    bench = _bench(world, [HISTOGRAM])
    assert list(bench.unread) == ["exemplars/3.png", "made/3.png"]
    assert "not an image" in bench.unread["made/3.png"]
    kept = [pair.generated for pair in bench.all_pairs]
    assert kept == [f"made/{i}.png" for i in (0, 1, 2, 4, 5)]
    assert _run(bench, HISTOGRAM).shape == (5, len(MEASURES))
    for i in (0, 1, 2):
        (world / "exemplars" / f"{i}.png").write_bytes(b"")
    with pytest.raises(GalleryError, match=r"no pair can be read; of 'exemplars/0\.png'"):
        _bench(world, [HISTOGRAM], cache="other")


def test_wrong_inputs_are_named(world, tmp_path):
    with pytest.raises(GalleryError, match="lost"):
        _bench(world, [HISTOGRAM], gallery=tmp_path / "lost")
    (world / "pairs.json").write_text("[]")
    with pytest.raises(GalleryError, match="no pairs"):
        _bench(world, [HISTOGRAM])
