"""A gallery whose table lies on an object store is changed, asked and verified as any other."""

from __future__ import annotations

import asyncio
import json
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.gallery.store import Store
from core.search import lance, lance_table
from core.search.lance import LanceEngine, bring_up
from core.search.lance_table import create, drop, new_table, open_table
from core.values import GalleryError, ImageRecord
from tests.core.cli.calls import call, failed, said
from tests.core.conftest import draw
from tests.core.object_store import ObjectStore, serving, settings

pytest.importorskip("lancedb")
URI = "s3://bucket/some place/galleries"


@pytest.fixture(scope="module")
def served() -> Iterator[ObjectStore]:
    with serving() as store:
        yield store


@pytest.fixture
def store(served, monkeypatch) -> ObjectStore:
    for name, value in served.environment.items():
        monkeypatch.setenv(name, value)
    return served


@pytest.fixture
def listening(monkeypatch) -> Iterator[socket.socket]:
    """A port that takes connections and never answers, which the environment names."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        for name, value in settings(f"http://127.0.0.1:{server.getsockname()[1]}").items():
            monkeypatch.setenv(name, value)
        yield server


def found(image: Path, gallery: Path, *options: str) -> list[tuple[str, float]]:
    """Paths and scores of the matches."""
    answer = said(call("attribute", image, "--gallery", gallery, "--json", *options))
    return [(match["path"], match["score"]) for match in answer["matches"]]


def damage(address: str) -> None:
    """Give an image the vector of another, and leave no version without that."""
    table = open_table(address)
    rows = table.search().limit(2).to_arrow()
    (vectors, *_) = (name for name in rows.schema.names if name.startswith("embedding_"))
    place, turned = rows.schema.get_field_index(vectors), rows[vectors].take([1, 0])
    other = rows.set_column(place, rows.schema.field(vectors), turned).slice(0, 1)
    table.merge_insert("id").when_matched_update_all().execute(other)
    table.optimize(cleanup_older_than=timedelta(milliseconds=1), delete_unverified=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_life_of_a_gallery_on_an_object_store(store, photos, tmp_path) -> None:
    folder = tmp_path / "g"
    (photos / "metadata.csv").write_text("file,creator\n01.png,Ann\n02.png,Bea\n04.png,Ann\n")
    index = ("index", photos, "--out", folder, "--engine", "lance", "--uri", URI)
    assert call(*index, "--encoder", "random").exit_code == 0
    first = Store(folder).header().lance
    assert first.startswith(URI + "/images-")
    assert any(key.startswith("some place/galleries/images-") for key in store.objects())
    assert not (folder / "lance").exists()
    only = ("--where", "creator = Ann")
    by_table = found(photos / "01.png", folder, *only)
    assert [path for path, _ in by_table] == ["01.png", "04.png"]
    exact = found(photos / "01.png", folder, *only, "--search", "exact")
    assert dict(by_table) == pytest.approx(dict(exact), abs=1e-5)

    draw(photos / "new.png", 99)
    assert call("add", photos, "--gallery", folder).exit_code == 0
    assert found(photos / "new.png", folder)[0][0] == "new.png"
    assert call("remove", "new.png", "--gallery", folder, "--tombstone").exit_code == 0
    left = [path for path, _ in found(photos / "new.png", folder, "--top", "20")]
    assert len(left) == 12 and "new.png" not in left
    assert "and so is the search table" in call("verify", folder).stderr

    damage(first)
    (named,) = json.loads(call("verify", folder, "--json").stdout)
    assert (named["file"], named["what"]) == (first, "images with other vectors: 1 of 12")
    advised = shlex.split(named["mend"].split("`")[1])
    assert call(advised[0], photos, "--out", folder, *advised[1:]).exit_code == 0
    assert call("verify", folder).exit_code == 0
    assert Store(folder).header().lance != first
    assert not any(first.rpartition("/")[2] in key for key in store.objects())


@pytest.mark.slow
def test_no_writer_s_version_takes_the_place_of_another_s(store) -> None:
    address = new_table("s3://bucket/a")
    create(address, owner="me")

    def write(first: int) -> None:
        table = open_table(address)
        for number in range(first, first + 3):
            table.add([{"id": number}])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(0, 40, 10)))
    assert open_table(address).count_rows() == 12
    drop(address, owner="me")


@pytest.mark.slow
def test_a_notebook_asks_it_from_a_thread_with_a_loop(store) -> None:
    async def cell() -> int:
        create(address := new_table("s3://bucket/a"), owner="me")
        return open_table(address).count_rows()

    with ThreadPoolExecutor(1) as pool:  # which has no loop yet, whatever ran before
        assert pool.submit(asyncio.run, cell()).result() == 0


def made(address: str) -> None:
    create(address, owner="me")


def refused(act: Callable[[str], object], words: str, *, bucket: str = "bucket") -> None:
    """A table is neither made nor opened, in words and in time."""
    begun = time.monotonic()
    with pytest.raises(GalleryError, match=f"{words}.*--search exact answers without it"):
        act(f"s3://{bucket}/a/images-1.lance")
    assert time.monotonic() - begun < 30


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_told(store) -> None:
    refused(made, "no such bucket.*make the bucket, or name another by --uri", bucket="none")


@pytest.mark.slow
def test_a_table_that_is_not_there_is_told(store) -> None:
    with pytest.raises(GalleryError, match=r"not found.*index again with --engine lance"):
        open_table("s3://bucket/a/images-1.lance")


@pytest.mark.slow
def test_a_right_that_is_missing_is_told(store) -> None:
    address = new_table("s3://bucket/a")
    create(address, owner="me")
    for what, act in (("PutObject", lambda: create(new_table("s3://bucket/a"), owner="me")),
                      ("*", lambda: open_table(address))):  # fmt: skip
        store.allow(but=what)
        try:
            with pytest.raises(GalleryError, match=r"refuses it.*AWS_ACCESS_KEY_ID .* may list"):
                act()
        finally:
            store.allow()
    drop(address, owner="me")


@pytest.mark.slow
def test_a_store_without_encryption_is_told(store, monkeypatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(GalleryError, match="set AWS_ALLOW_HTTP=true where that is meant"):
        open_table("s3://bucket/a/images-1.lance")


@pytest.mark.slow
def test_a_store_that_is_away_is_told(listening, photos, tmp_path, monkeypatch) -> None:
    listening.close()
    monkeypatch.setenv("OBJECT_STORE_CLIENT_MAX_RETRIES", "0")
    assert call("index", photos, "--out", tmp_path / "g", "--encoder", "phash").exit_code == 0
    Store(tmp_path / "g").search_in("s3://bucket/a/images-1.lance")
    words = "the object store does not answer.*see that it runs, and that AWS_ENDPOINT names it"
    failed(call("verify", tmp_path / "g"), words)


@pytest.mark.slow
def test_a_store_that_falls_silent_is_told_to_who_searches(monkeypatch) -> None:
    image = ImageRecord(id=0, path="0.png", sha256="0" * 64, width=1, height=1, phash="0" * 16)
    vectors, address = np.eye(1, 8, dtype=np.float32), new_table("s3://bucket/a")
    with serving() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        create(address, owner="me")
        version = bring_up(address, [image], "view", vectors).version
        engine = LanceEngine.open(address, "view", ids=np.array([0]), version=version)
    monkeypatch.setattr(lance, "LONGEST_SEARCH", timedelta(seconds=0.5))
    with closing(socket.socket()) as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.1", int(store.environment["AWS_ENDPOINT"].rpartition(":")[2])))
        silent.listen()
        begun = time.monotonic()
        with pytest.raises(
            GalleryError, match=r"cannot be read \(the object store does not answer"
        ):
            engine.nearest(vectors, k=1, among=None)
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize("act", [made, open_table])
@pytest.mark.slow
def test_a_store_that_is_silent_is_told(listening, monkeypatch, act) -> None:
    """The library asks it for ten minutes."""
    monkeypatch.setattr(lance_table, "ANSWER", 0.5)
    refused(act, "does not answer.*see that it runs")
