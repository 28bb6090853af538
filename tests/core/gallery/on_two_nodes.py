"""What a cluster of two nodes builds; :mod:`tests.core.gallery.test_cluster` runs it on its own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.scale.cluster import Killer, differences, two_nodes
from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.build import update
from core.gallery.cluster import connected
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.gallery.verify import verify
from core.search.extra_views import with_extra_views
from core.service.building import build
from core.values import Cancelled, Encoded, GalleryError

CONFIG = BuildConfig(batch=4, shard=8, workers=1, thumbnail=32)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def joined(cluster) -> Iterator[Any]:
    """The cluster, joined once for several tests, so that its workers start once."""
    with connected(cluster.address):
        yield cluster


@pytest.fixture
def many(tmp_path: Path, write_image: Callable[[Path, int], Path]) -> Path:
    """120 images, two of which are the same, and a file that is none."""
    folder = tmp_path / "many"
    for number in range(119):
        write_image(folder / f"{number:03d}.png", number)
    (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def test_two_nodes_build_what_one_process_builds_though_a_worker_is_killed(
    cluster, many, tmp_path
) -> None:
    encoders = with_extra_views([load_encoder("lite0")])
    one, two = tmp_path / "one", tmp_path / "two"
    alone = update(one, Source(many), encoders, config=CONFIG)
    killer = Killer(cluster, share=0.3)
    config = replace(CONFIG, ray=cluster.address)
    together = update(two, Source(many), encoders, config=config, progress=killer)
    assert len(killer.killed) == 1
    assert together == alone
    assert (together.images, [each.path for each in together.skipped]) == (120, ["broken.png"])
    assert differences(one, two, encoders) == []
    assert verify(two) == []


def test_a_stopped_build_goes_on_with_what_was_written(cluster, many, tmp_path) -> None:
    """And on whatever it goes on: here the rest is done by one process."""
    encoder = load_encoder("thumbnail")
    config, folder = replace(CONFIG, ray=cluster.address), tmp_path / "g"

    def stop(done: int, _total: int, what: str) -> None:
        if what.startswith("reading and encoding") and done >= 40:
            raise Cancelled

    with pytest.raises(Cancelled):
        update(folder, Source(many), [encoder], config=config, progress=stop)
    written = len(list(folder.glob("work/*/shard-*")))
    assert written >= 5
    told: list[int] = []
    update(
        folder,
        Source(many),
        [encoder],
        config=CONFIG,
        progress=lambda _d, n, w: told.append(n) if w.startswith("reading and encoding") else None,
    )
    assert max(told) <= 120 - 8 * 5 + 1
    update(tmp_path / "anew", Source(many), [encoder], config=CONFIG)
    assert differences(folder, tmp_path / "anew", [encoder]) == []


def test_folders_are_found_from_wherever_workers_run(joined, many, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    encoder = load_encoder("histogram")
    build(many.name, Path("g"), [encoder], config=BuildConfig(ray=joined.address))
    build(many, tmp_path / "alone", [encoder])
    assert differences(Path("g"), tmp_path / "alone", [encoder]) == []


class Refusing:
    """Gives values that are not finite for more than one image at once."""

    name, identity, dim = "refusing", "0" * 16, 3

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        return Encoded(np.full((len(images), 3), 1.0 if len(images) == 1 else np.nan, np.float32))


def test_what_a_worker_refuses_is_told_as_one_process_tells_it(joined, photos, tmp_path) -> None:
    """An error of ours comes from the worker as it is, not as Ray's, and nothing is committed."""
    importlib.import_module("ray.cloudpickle").register_pickle_by_value(sys.modules[__name__])
    config = replace(CONFIG, ray=joined.address, patch_sample=1)
    with pytest.raises(GalleryError, match="encoder refusing@0000000000000000 gave values") as told:
        update(tmp_path / "g", Source(photos), [Refusing()], config=config)
    assert type(told.value) is GalleryError
    assert len(Gallery.open(tmp_path / "g")) == 0
