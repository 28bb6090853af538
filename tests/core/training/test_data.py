"""Folders packed once, keyed by what they hold; images that cannot be read are left out."""

from __future__ import annotations

import logging
import os

import numpy as np
import pytest
from PIL import Image

from core.training import data
from core.training.data import pack
from core.values import Cancelled


def _save(path, seed, size=(48, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def folders(tmp_path):
    for i in range(3):
        _save(tmp_path / "one" / f"{i}.png", i)
    _save(tmp_path / "two" / "deep" / "3.jpg", 3)
    return [tmp_path / "one", tmp_path / "two"]


def test_squares_are_the_images_in_order(folders, tmp_path):
    found = pack(folders, size=16, cache=tmp_path / "cache")
    assert found.shape == (4, 3, 16, 16)
    assert found.dtype == np.uint8
    assert isinstance(found, np.memmap)
    for i in range(3):
        image = Image.open(folders[0] / f"{i}.png").convert("RGB")
        wanted = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC), int)
        assert np.abs(found[i].transpose(1, 2, 0) - wanted).max() <= 12
    backwards = pack(folders[::-1], size=16, cache=tmp_path / "cache")
    np.testing.assert_array_equal(backwards[1:], found[:3])


def test_a_second_call_only_opens_the_file(folders, tmp_path, monkeypatch):
    first = pack(folders, size=16, cache=tmp_path / "cache")
    monkeypatch.setattr(data, "decode_ahead", None)
    np.testing.assert_array_equal(pack(folders, size=16, cache=tmp_path / "cache"), first)


def test_the_file_is_keyed_by_the_list_and_the_size(folders, tmp_path):
    cache = tmp_path / "cache"
    pack(folders, size=16, cache=cache)
    pack(folders, size=24, cache=cache)
    _save(folders[0] / "new.png", 9)
    assert len(pack(folders, size=16, cache=cache)) == 5
    assert len(list(cache.iterdir())) == 3
    assert all(path.suffix == ".npy" for path in cache.iterdir())


def test_a_changed_image_is_packed_anew(folders, tmp_path):
    """The key held the paths alone, so that the old pixels came back."""
    before = pack(folders, size=16, cache=tmp_path / "cache").copy()
    _save(folders[0] / "1.png", 77)
    after = pack(folders, size=16, cache=tmp_path / "cache")
    changed = [bool((one != two).any()) for one, two in zip(before, after, strict=True)]
    assert changed == [False, True, False, False]


def test_equal_relative_paths_of_two_places_are_two_files(tmp_path, monkeypatch):
    """The key held the paths as given, so that another folder's images came back."""
    for i, place in enumerate(("here", "there")):
        _save(tmp_path / place / "photos" / "0.png", i)
        monkeypatch.chdir(tmp_path / place)
        pack([data.Path("photos")], size=8, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_bad_images_are_left_out_and_named(folders, tmp_path, caplog):
    (folders[0] / "1.png").write_bytes(b"not an image")
    seen = []
    with caplog.at_level(logging.WARNING):
        found = pack(
            folders, size=8, cache=tmp_path / "cache", progress=lambda *step: seen.append(step)
        )
    assert len(found) == 3
    assert "1.png" in caplog.text
    assert seen == [(i, 4, "packing images") for i in (1, 2, 3, 4)]


def test_nothing_to_pack_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no image below"):
        pack([tmp_path / "empty"], size=8, cache=tmp_path / "cache")
    (tmp_path / "empty" / "a.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="no image below"):
        pack([tmp_path / "empty"], size=8, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy"))


def test_a_cancelled_packing_is_done_again(folders, tmp_path):
    def stop(done, _total, _what):
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        pack(folders, size=8, cache=tmp_path / "cache", progress=stop)
    assert len(pack(folders, size=8, cache=tmp_path / "cache")) == 4


def test_two_processes_do_not_write_one_file(folders, tmp_path, monkeypatch):
    """Both wrote the same temporary file, as two ranks that start together do."""
    names = []
    whole = data.save_array

    def save(path, array):
        names.append(path.name)
        whole(path, array)

    monkeypatch.setattr(data, "save_array", save)
    for number in (1, 2):
        monkeypatch.setattr(os, "getpid", lambda number=number: number)
        for path in (tmp_path / "cache").glob("*.npy"):
            path.unlink()
        pack(folders, size=8, cache=tmp_path / "cache")
    assert len(set(names)) == 2
