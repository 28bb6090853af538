"""What a cluster's workers write is what one process writes, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.cluster import ClusterWriter, connected, on_device, shard_name, share
from core.gallery.gallery import encoder_key
from core.gallery.shards import Item
from core.gallery.store import Store
from core.values import GalleryError

CONFIG = BuildConfig(batch=4, shard=8, workers=1, thumbnail=32)
ROOT = Path(__file__).parents[3]
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
    fill = writer.fill

    def slowly(*args: Any) -> Iterator[int]:
        inside.append(1)
        while len(inside) < 2:  # both have begun before either ends
            pass
        yield from fill(*args)

    writer.fill = slowly
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_cluster_that_is_away_is_told() -> None:
    pytest.importorskip("ray", reason=WITHOUT)
    for address in ("127.0.0.1:9", "host:port"):
        with pytest.raises(GalleryError, match="no Ray cluster answers"), connected(address):
            pass


# With one


@pytest.mark.slow
@pytest.mark.timeout(650)
def test_two_nodes_build_what_one_process_builds() -> None:
    """In a process of its own: where Ray's checks of itself fail, it aborts whoever uses it.

    That is tried again; a test that fails is not.
    """
    pytest.importorskip("ray", reason=WITHOUT)
    file = Path(__file__).with_name("on_two_nodes.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    for _ in range(3):
        code, said = _to_its_end([*command, str(file)], seconds=200)
        if code in set(pytest.ExitCode):
            break
    assert code == pytest.ExitCode.OK, said
    assert "4 passed" in said


def _to_its_end(command: Sequence[str], *, seconds: float) -> tuple[int, str]:
    """How a process ended, -9 after too long, and what it said; nothing that it began is left."""
    mark = f"WELLSPRING_TEST={uuid4().hex}"
    environ = os.environ | dict([mark.split("=")])
    process = subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        said = f"not done after {seconds} seconds"
    finally:
        for each in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark.encode() in each.read_bytes() and int(each.parent.name) != os.getpid():
                    os.kill(int(each.parent.name), signal.SIGKILL)
    return process.wait(), said
