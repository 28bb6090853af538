"""Crops are found by what they show; images that only resemble each other are not."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PIL import Image

from core.config import RegistrationConfig
from core.encoders.descriptors import quantize
from core.search.crops import crop_links
from core.search.survivors import Compared
from core.values import Cancelled
from tests.core.search.pictures import crop, described, picture


def links_of(images):
    patches = np.stack([described(image) for image in images])
    n = len(images)
    table = np.array([[j for j in range(n) if j != i] for i in range(n)])
    return {
        tuple(sorted(map(int, pair)))
        for pair in crop_links(table, patches, load=images.__getitem__).links
    }


@pytest.mark.parametrize("share", [0.95, 0.85, 0.75])
def test_crops_are_found_from_either_side(share):
    images = [
        picture(0),
        crop(picture(0), share),
        picture(1),
        crop(picture(1), share, at=(0.1, 0.9)),
    ]
    assert links_of(images) == {(0, 1), (2, 3)}
    assert links_of(images[::-1]) == {(0, 1), (2, 3)}


def test_recompressed_and_smaller_crops_are_found(tmp_path):
    small = crop(picture(2), 0.85).resize((70, 70))
    small.save(tmp_path / "small.jpg", quality=40)
    assert links_of([picture(2), Image.open(tmp_path / "small.jpg")]) == {(0, 1)}


def test_other_pictures_are_no_crops():
    assert links_of([picture(seed) for seed in range(6)]) == set()


def test_two_views_that_share_half_of_their_area_are_not_copies():
    whole = picture(3, side=300)
    assert links_of([whole.crop((0, 0, 200, 200)), whole.crop((100, 0, 300, 200))]) == set()


def test_nothing_is_looked_for_without_a_square_grid():
    patches = quantize(np.random.default_rng(0).standard_normal((3, 12, 4)))
    found = crop_links(np.array([[1], [0], [1]]), patches, load=lambda _: picture(0))
    assert found.pairs.shape == (0, 2)


def test_every_image_is_loaded_once_at_most_and_pairs_are_told_of():
    images = [picture(seed) for seed in range(4)] + [crop(picture(seed), 0.9) for seed in range(4)]
    patches = np.stack([described(image) for image in images])
    table = np.array([[j for j in range(8) if j != i] for i in range(8)])
    loaded, lock, told = [], threading.Lock(), []

    def load(row):
        with lock:
            loaded.append(row)
        return images[row]

    found = crop_links(table, patches, load=load, progress=lambda *step: told.append(step))
    assert {tuple(pair) for pair in found.links.tolist()} == {(0, 4), (1, 5), (2, 6), (3, 7)}
    assert sorted(loaded) == sorted(set(loaded))
    assert told
    assert all(0 <= done < total == 8 for done, total, _ in told)


@pytest.mark.parametrize("strict", [{"agreement": 1.0}, {"votes": 1.0}, {"likeness": 1.0}])
def test_what_counts_as_a_crop_is_a_setting(strict):
    """With nothing but a perfect value good enough there is none."""
    images = [picture(0), crop(picture(0), 0.85)]
    patches, table = np.stack([described(image) for image in images]), np.array([[1], [0]])
    assert len(crop_links(table, patches, load=images.__getitem__).links) == 1
    config = RegistrationConfig(**strict)
    assert not len(crop_links(table, patches, load=images.__getitem__, config=config).links)


def test_a_stop_is_heard():
    patches = np.stack([described(picture(seed)) for seed in range(2)])

    def stop(*_):
        raise Cancelled

    with pytest.raises(Cancelled):
        crop_links(np.array([[1], [0]]), patches, load=picture, progress=stop)


def test_images_without_neighbours_have_no_crops():
    patches = np.stack([described(picture(seed)) for seed in range(2)])
    assert crop_links(np.array([[-1], [-1]]), patches, load=picture).pairs.shape == (0, 2)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_known_of_pairs_is_not_looked_at_again_and_changes_nothing(seed):
    """Whatever else is compared with them: no value of a pair depends on its batch."""
    rng = np.random.default_rng(seed)
    images = [picture(number) for number in range(12)]
    images += [crop(picture(number), 0.9, at=rng.random(2)) for number in range(6)]
    patches, n = np.stack([described(image) for image in images]), len(images)
    table = np.array([rng.permutation(np.delete(np.arange(n), row))[:7] for row in range(n)])
    whole = crop_links(table, patches, load=images.__getitem__)
    assert 0 < len(whole.links) < len(whole.pairs)
    some = rng.random(len(whole.pairs)) < 0.7
    known, loaded = Compared(whole.pairs[some], whole.linked[some]), set()

    def load(row):
        loaded.add(row)
        return images[row]

    again = crop_links(table, patches, load=load, known=known)
    np.testing.assert_array_equal(again.pairs, whole.pairs)
    np.testing.assert_array_equal(again.linked, whole.linked)
    assert loaded <= set(whole.pairs[~some].ravel().tolist())
    wrong = crop_links(table, patches, load=load, known=Compared(whole.pairs, ~whole.linked))
    np.testing.assert_array_equal(wrong.linked, ~whole.linked)  # the control: it is believed
