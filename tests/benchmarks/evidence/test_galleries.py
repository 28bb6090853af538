"""Evidence builds its galleries and asks them as the program does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.evidence import nominal
from benchmarks.evidence.__main__ import _one_per_group
from benchmarks.evidence.galleries import Builder, ask, resaves
from benchmarks.evidence.nominal import SIZES, nominal_bars, split
from core.config import ScoreConfig
from core.encoders.load import load_encoder
from core.service.choice import Choice
from core.service.session import Session
from core.service.workspace import Workspace


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Forty images of coarse noise."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    found = {}
    for i in range(40):
        pixels = rng.integers(0, 255, (6, 6, 3), np.uint8)
        file = folder / f"{i}.png"
        Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC).save(file)
        found[f"photos/{i}.png"] = file
    return found


def test_what_is_asked_is_what_the_program_answers(photos, tmp_path):
    """Evidence computed nulls, embeddings and edges of its own, and measured another program."""
    encoder = load_encoder("lite0")
    names = list(photos)
    inside, outside = {n: photos[n] for n in names[:30]}, [photos[n] for n in names[25:]]
    builder = Builder(tmp_path)
    asked = ask(
        builder.workspace(inside, encoder),
        outside,
        what="",
        right=[[name] for name in names[25:]],
    )
    session = Session()
    folder = builder.gallery(inside, encoder).store.folder
    choice = Choice("lite0", gallery=str(folder))
    answers = [session.attribute(file, choice) for file in outside]
    np.testing.assert_allclose(asked.p_values, [a.p_value for a in answers])
    np.testing.assert_allclose(asked.confidences, [a.groups[0].confidence for a in answers])
    assert asked.named.tolist() == [a.named for a in answers]
    assert asked.right.tolist() == [True] * 5 + [False] * 10
    assert (asked.strengths[:5] > asked.strengths[5:].max()).all()


def test_galleries_of_some_images_are_those_that_the_program_builds(photos, tmp_path):
    """Each image is encoded once for all galleries; what they hold is as if it were not so."""
    encoder, builder = load_encoder("lite0"), Builder(tmp_path / "one")
    names = list(photos)
    builder.gallery({name: photos[name] for name in names[:30]}, encoder)
    some = builder.gallery({name: photos[name] for name in names[20:]}, encoder)
    alone = Builder(tmp_path / "two").gallery({name: photos[name] for name in names[20:]}, encoder)
    assert sorted(r.path for r in some.records) == sorted(names[20:])
    for found in (some, alone):
        rows = [{r.path: i for i, r in enumerate(found.records)}[name] for name in names[20:]]
        features, patches = found.features(encoder)[rows], found.patches(encoder)[rows]
        if found is some:
            wanted = features, patches
    np.testing.assert_allclose(features, wanted[0], atol=1e-2, rtol=1e-2)
    assert (patches == wanted[1]).mean() > 0.99


def test_answers_are_kept_for_their_question_alone(photos, tmp_path):
    """Keyed by name alone, rankings of one set of queries were read for another."""
    files = list(photos.values())
    workspace = Builder(tmp_path).workspace(dict(list(photos.items())[:20]), load_encoder("lite0"))
    first = ask(workspace, files[20:25], what="photos")
    again = ask(workspace, files[20:25], what="photos")
    other = ask(workspace, files[25:30], what="photos")
    np.testing.assert_array_equal(first.strengths, again.strengths)
    assert not np.array_equal(first.strengths, other.strengths)


def test_galleries_and_what_is_asked_of_them_share_no_image():
    many = {name: Path(name) for name in map(str, range(1_000))}
    drawn = list(split(many, SIZES))
    sizes = [len(gallery) for gallery, _ in drawn]
    assert sizes == [60] * 5 + [200] * 2 + [400]  # as many as there are images for, five at most
    for size in set(sizes):
        parts = [
            part for gallery, asked in drawn if len(gallery) == size for part in (gallery, asked)
        ]
        named = [str(name) for part in parts for name in part]
        assert len(named) == len(set(named)) == 2 * size * sizes.count(size)


def test_one_row_of_every_group_is_drawn():
    groups = np.array([0, 0, 2, 3, 3, 3])
    drawn = _one_per_group(groups)
    assert sorted(groups[drawn]) == [0, 2, 3]


def test_resaves_differ_from_their_image_and_from_each_other():
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    image = Image.fromarray(noise).resize((160, 120))
    made = resaves(image, 10)
    assert len({copy.tobytes() for copy in made}) == 10
    assert image.tobytes() not in {copy.tobytes() for copy in made}


def test_a_run_of_all_heads_goes_on_where_it_was_stopped(photos, tmp_path, monkeypatch):
    """Hours were lost: what was asked of a gallery was kept in memory until all had been asked."""
    monkeypatch.setattr(nominal, "HEADS", ("default",))
    ways = {"as it ships": ScoreConfig(), "no edges": ScoreConfig().without("edges")}
    monkeypatch.setattr(nominal, "WAYS", ways)  # the palette's features were taken for the edges'
    encoder, builder = load_encoder("random"), Builder(tmp_path)
    found = nominal_bars(builder, photos, [encoder], sizes=(20,))
    assert {bar.what.rpartition(", ")[2] for bar in found} == {"p <= 0.05", "p <= 0.01"}
    monkeypatch.delattr(Workspace, "attribute")
    assert nominal_bars(builder, photos, [encoder], sizes=(20,)) == found
