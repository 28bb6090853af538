"""What a cluster's workers write is what one process writes, whoever dies meanwhile."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.scale.cluster import Killer, differences, two_nodes
from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.build import update
from core.gallery.cluster import ClusterWriter, connected, on_device, shard_name, share
from core.gallery.gallery import Gallery, encoder_key
from core.gallery.shards import Item
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import verify
from core.search.edges import with_edges
from core.service.building import build
from core.values import Cancelled, Encoded, GalleryError

CONFIG = BuildConfig(batch=4, shard=8, workers=1, thumbnail=32)
WITHOUT = "NOT TESTED: building on a cluster; pip install ray==2.60.0 tests it"


@pytest.fixture
def items(photos: Path) -> list[Item]:
    paths = sorted(photos.rglob("*.png"))
    return [Item(p, p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in paths]


@pytest.fixture
def writer(tmp_path: Path, encoder) -> ClusterWriter:
    encoder.space = False
    store = Store(tmp_path / "g")
    store.work.mkdir(parents=True)
    keyed = {encoder_key(encoder): encoder}
    return ClusterWriter(store, store.work, keyed, patch_heads={}, config=CONFIG)


# Without a cluster


def test_a_shard_is_written_once(items, writer) -> None:
    keys = list(writer.encoders)
    writer.write_block(items, keys)
    seen = next(iter(writer.encoders.values())).seen
    writer.write_block(items, keys)
    assert next(iter(writer.encoders.values())).seen == seen == len(items)
    assert [shard.folder.name for shard in writer.finished()] == [shard_name(items, keys)]


def test_two_workers_that_write_one_shard_at_once_leave_one(items, writer) -> None:
    """A worker that was taken for dead goes on beside the one that took its place."""
    keys, inside = list(writer.encoders), list[int]()
    fill = writer._fill

    def slowly(*args: Any) -> Iterator[int]:
        inside.append(1)
        while len(inside) < 2:  # both have begun before either ends
            pass
        yield from fill(*args)

    writer._fill = slowly
    threads = [Thread(target=writer.write_block, args=(items, keys)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(inside) == 2
    (shard,) = writer.finished()
    assert [record.sha256 for record in shard.records] == [item.sha256 for item in items]
    assert [path.name for path in writer.folder.iterdir()] == [shard.folder.name]


def test_a_shard_is_named_by_its_contents_and_encoders(items) -> None:
    name = shard_name(items, ["a", "b"])
    moved = [replace(item, path=Path("/elsewhere"), name="other") for item in items]
    assert shard_name(moved, ["b", "a"]) == name
    others = [(items[::-1], ["a", "b"]), (items[1:], ["a", "b"]), (items, ["a"])]
    assert name not in [shard_name(*each) for each in others]
    int(name.removeprefix("shard-"))


def test_a_worker_that_sees_no_image_says_so(items, writer) -> None:
    away = [replace(item, path=Path("/nowhere") / item.name) for item in items]
    with pytest.raises(GalleryError, match="does not see the images"):
        writer.write_block(away, list(writer.encoders))
    writer.folder.rmdir()
    with pytest.raises(GalleryError, match="does not see the gallery's folder"):
        writer.write_block(items, list(writer.encoders))
    assert not writer.folder.exists()


def test_an_unread_image_is_left_out_of_its_shard(items, writer) -> None:
    items[3].path.write_bytes(b"no image")
    writer.write_block(items, list(writer.encoders))
    (shard,) = writer.finished()
    assert [r.sha256 for r in shard.records] == [i.sha256 for i in (*items[:3], *items[4:])]


def test_a_worker_has_a_gpu_with_its_share_of_processors() -> None:
    assert share(iter([{"CPU": 64.0, "GPU": 8.0}, {"CPU": 16.0, "GPU": 1.0}, {"CPU": 4.0}])) == (
        8,
        1,
    )
    assert share(iter([{"CPU": 64.0}, {"CPU": 2.0}])) == (1, 0)
    assert share(iter([{"CPU": 1.0, "GPU": 4.0}])) == (1, 1)


def test_an_encoder_stays_the_same_where_it_is_moved() -> None:
    one = load_encoder("random")
    assert on_device(one, "cpu") is one
    moved = on_device(one, "cpu:0")
    assert (moved.name, moved.identity) == (one.name, one.identity)
    shared = [each.backbone.parameters() for each in (one, moved)]  # type: ignore[attr-defined]
    assert not any(a.data_ptr() == b.data_ptr() for a, b in zip(*shared, strict=True))


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(GalleryError, match=r"pip install ray==2\.60\.0"), connected("local"):
        pass


def test_a_build_goes_on_whoever_encodes() -> None:
    """The folder of unfinished work is the same, since the cluster is no part of its name."""
    assert repr(BuildConfig(ray="auto")) == repr(BuildConfig())


def test_a_cluster_that_is_away_is_told() -> None:
    pytest.importorskip("ray", reason=WITHOUT)
    for address in ("127.0.0.1:9", "host:port"):
        with pytest.raises(GalleryError, match="no Ray cluster answers"), connected(address):
            pass


# With one


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason=WITHOUT)
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


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_nodes_build_what_one_process_builds_though_a_worker_is_killed(
    cluster, many, tmp_path
) -> None:
    encoders = with_edges([load_encoder("lite0")])
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


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_stopped_build_goes_on_with_what_was_written(joined, many, tmp_path) -> None:
    """And on whatever it goes on: here the rest is done by one process."""
    encoder = load_encoder("thumbnail")
    config, folder = replace(CONFIG, ray=joined.address), tmp_path / "g"

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


@pytest.mark.slow
@pytest.mark.timeout(300)
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


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_a_worker_refuses_is_told_as_one_process_tells_it(joined, photos, tmp_path) -> None:
    """An error of ours comes from the worker as it is, not as Ray's, and nothing is committed."""
    importlib.import_module("ray.cloudpickle").register_pickle_by_value(sys.modules[__name__])
    config = replace(CONFIG, ray=joined.address, patch_sample=1)
    with pytest.raises(GalleryError, match="encoder refusing@0000000000000000 gave values") as told:
        update(tmp_path / "g", Source(photos), [Refusing()], config=config)
    assert type(told.value) is GalleryError
    assert len(Gallery.open(tmp_path / "g")) == 0
