"""A table of LanceDB finds what comparing all finds, whatever its columns and values are called."""

from __future__ import annotations

import resource
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.gallery.filters import Condition, Filter
from core.search import lance
from core.search.engine import Among
from core.search.index import Index
from core.search.lance import LanceEngine, bring_up
from core.search.lance_table import create, drop, new_table
from core.values import Cancelled, GalleryError, ImageRecord

lancedb = pytest.importorskip("lancedb")
N, DIM = 600, 13
HOSTILE = (
    "it's", '"', "a' OR '1'='1", "'; DROP TABLE x; --", "100%", "_", "\\", "\\'", "`", "a.b", "\n",
    "STRASSE", "straße", "Ångström", "\0", "$1", "NULL", "日本",
)  # fmt: skip


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return unit(np.random.default_rng(0).normal(size=(N, DIM)))


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return unit(np.random.default_rng(1).normal(size=(7, DIM)))


def record(number: int, **more: object) -> ImageRecord:
    about = {"path": f"{number}.png", "sha256": f"{number:064x}", "phash": "0" * 16}
    return ImageRecord(id=number, width=1, height=1, **{**about, **more})


def records(n: int = N) -> list[ImageRecord]:
    """Images whose ids are in no order, with values of every kind."""
    numbers = np.random.default_rng(2).permutation(3 * n)[:n].tolist()
    values = [HOSTILE[number % len(HOSTILE)] for number in numbers]
    return [
        record(number, creator=value, extra={"a.b`'\"": value, "Creator": "other", "id": "x"})
        for number, value in zip(numbers, values, strict=True)
    ]


def written(folder: Path, images: list[ImageRecord], rows: np.ndarray) -> LanceEngine:
    address = new_table(str(folder / "lance"))
    create(address, owner="me")
    return up_to_date(address, images, rows)


def up_to_date(address: str, images: list[ImageRecord], rows: np.ndarray) -> LanceEngine:
    version = bring_up(address, images, "view", rows).version
    ids = np.array([image.id for image in images], np.int64)
    return LanceEngine.open(address, "view", ids=ids, version=version)


def same_hits(engine: LanceEngine, rows: np.ndarray, queries: np.ndarray, **how: object) -> None:
    means = np.random.default_rng(3).uniform(0, 0.2, len(rows))
    found = Index(rows, csls_means=means, engine=engine).search(queries, **how)
    wanted = Index(rows, csls_means=means).search(queries, **how)
    np.testing.assert_array_equal(found.rows, wanted.rows)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-5)
    np.testing.assert_allclose(found.cosines, wanted.cosines, atol=1e-5)


def test_it_finds_and_scores_what_comparing_all_does(tmp_path, vectors, queries) -> None:
    engine = written(tmp_path, records(), vectors)
    for some, k in ((queries, 10), (queries[:1], 10), (queries, 2 * N)):
        same_hits(engine, vectors, some, k=k)
    for share in (0, 0.01, 0.5):
        among = Among(np.random.default_rng(4).random(N) < share)
        same_hits(engine, vectors, queries, k=20, among=among)


@pytest.mark.slow
def test_values_are_compared_as_filters_do_and_never_parsed(tmp_path, vectors, queries) -> None:
    n = 5 * len(HOSTILE)
    images = records(n)
    engine = written(tmp_path, images, vectors[:n])
    asked = [("creator", value) for value in HOSTILE]
    asked += [(column, HOSTILE[2]) for column in ("a.b`'\"", "Creator", "id", "path")]
    for column, value in asked:
        for operator in ("=", "!=", "contains"):
            where = Filter((Condition(column, operator, value),))
            passing = np.array([where.conditions[0].holds(image) for image in images])
            rows = engine.found(queries[:1], n, Among(passing, where), exact=False)
            assert set(rows[rows >= 0].tolist()) == set(np.flatnonzero(passing).tolist()), value


def test_several_conditions_and_empty_values(tmp_path, vectors, queries) -> None:
    images = [replace(r, title="t" * (r.id % 2), licence="CC0" * (r.id % 3)) for r in records()]
    engine = written(tmp_path, images, vectors)
    both = Filter((Condition("title", "is filled"), Condition("licence", "is not filled")))
    among = Among(both.passing(images), both)
    assert 0 < among.rows.sum() < N / 4
    rows = engine.found(queries[:1], N, among, exact=False)
    assert set(rows[rows >= 0].tolist()) == set(np.flatnonzero(among.rows).tolist())
    same_hits(engine, vectors, queries, k=10, among=among)


@pytest.mark.slow
def test_images_come_and_go_and_readers_keep_their_version(tmp_path, vectors, queries) -> None:
    images = records()
    first = written(tmp_path, images[:500], vectors[:500])
    moved = vectors[10:].copy()
    moved[5] = vectors[-1]
    later = up_to_date(first.address, images[10:], moved)
    same_hits(later, moved, queries, k=10)
    same_hits(first, vectors[:500], queries, k=10)
    again = up_to_date(first.address, images[10:], moved)
    assert again.table.version == later.table.version  # nothing had to be written
    renamed = [replace(image, title="new") for image in images[10:]]
    named = up_to_date(first.address, renamed, moved)
    where = Filter((Condition("title", "=", "NEW"),))
    same_hits(named, moved, queries, k=10, among=Among(where.passing(renamed), where))
    assert len(up_to_date(first.address, [], vectors[:0]).nearest(queries, k=3, among=None)) == 7


def test_only_what_differs_is_written(tmp_path, vectors, monkeypatch) -> None:
    images = records()
    engine = written(tmp_path, images[:500], vectors[:500])
    seen = []
    monkeypatch.setattr(lance, "BLOCK", 1)
    bring_up(engine.address, images[3:502], "view", vectors[3:502],
             progress=lambda *what: seen.append(what))  # fmt: skip
    assert [done for done, _, _ in seen] == [0, 1, 0, 1]


@pytest.mark.slow
def test_codes_find_the_same_and_takes_up_what_comes_and_moves(
    tmp_path, vectors, queries, monkeypatch
) -> None:
    monkeypatch.setattr(lance, "EXACT", 100)
    images = records()
    engine = written(tmp_path, images[:500], vectors[:500])
    assert [index.name for index in engine.table.list_indices()] == ["view_idx"]
    same_hits(engine, vectors[:500], queries, k=10)
    moved = vectors[20:].copy()
    moved[:50] = vectors[:50]
    later = up_to_date(engine.address, images[20:], moved)
    assert later.table.index_stats("view_idx").num_unindexed_rows == 0
    same_hits(later, moved, queries, k=10)
    few = Among(np.arange(len(moved)) % 50 == 0)
    same_hits(later, moved, queries, k=10, among=few)
    other = up_to_date(engine.address, images[20:], moved[::-1])
    same_hits(other, moved[::-1], queries, k=10)


@pytest.mark.slow
def test_a_call_that_is_stopped_is_gone_on_with(tmp_path, vectors, queries, monkeypatch) -> None:
    images = records()
    engine = written(tmp_path, images[:100], vectors[:100])
    monkeypatch.setattr(lance, "BLOCK", 100)

    def stop(done: int, total: int, what: str) -> None:
        if done >= 200:
            raise Cancelled(what)

    with pytest.raises(Cancelled):
        bring_up(engine.address, images, "view", vectors, progress=stop)
    same_hits(engine, vectors[:100], queries, k=10)
    same_hits(up_to_date(engine.address, images, vectors), vectors, queries, k=10)


def test_a_table_that_is_away_is_told_and_not_made(tmp_path, vectors, queries) -> None:
    engine = written(tmp_path, records(), vectors)
    folder = Path(engine.address)
    away = folder.rename(tmp_path / "away")
    for call in (
        lambda: up_to_date(engine.address, records(), vectors),
        lambda: LanceEngine.open(engine.address, "view", ids=engine.ids, version=1),
    ):
        with pytest.raises(GalleryError, match=r"is not at .*index again.*--search exact"):
            call()
    assert not folder.exists()
    drop(engine.address, owner="me")
    away.rename(folder)
    same_hits(up_to_date(engine.address, records(), vectors), vectors, queries, k=10)


def test_a_uri_of_no_store_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WELLSPRING_LANCE", "weird://x")
    with pytest.raises(GalleryError, match=r"images-.* at weird://x cannot be written"):
        create(new_table("weird://x/"), owner="me")


@pytest.mark.parametrize("what", ["data", "_versions"])
def test_a_half_written_table_is_told(tmp_path, vectors, queries, what: str) -> None:
    engine = written(tmp_path, records(), vectors)
    for file in (Path(engine.address) / what).rglob("*"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(GalleryError, match=r"cannot be (read|written) \(.*index again"):
        up_to_date(engine.address, records(), vectors).nearest(queries, k=5, among=None)


def test_another_table_is_refused_and_left_alone(tmp_path, vectors) -> None:
    lancedb.connect(tmp_path / "lance").create_table("images-1", [{"id": 1, "text": "mine"}])
    address = str(tmp_path / "lance" / "images-1.lance")
    with pytest.raises(GalleryError, match="has format none, this version reads 1"):
        bring_up(address, records(), "view", vectors)
    drop(address, owner="me")
    drop("", owner="me")
    assert lancedb.connect(tmp_path / "lance").open_table("images-1").count_rows() == 1


def test_an_image_that_is_there_twice_is_told(tmp_path, vectors) -> None:
    engine = written(tmp_path, records(), vectors)
    engine.table.checkout_latest()
    engine.table.add(engine.table.search().limit(1).to_arrow())
    with pytest.raises(GalleryError, match="two writers"):
        bring_up(engine.address, records(), "view", vectors)


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path, vectors, queries) -> None:
    """A limit of the size of files stands for a disk that takes no more."""
    engine = written(tmp_path, records()[:50], vectors[:50])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, hard))
    try:
        with pytest.raises(GalleryError, match="cannot be written"):
            bring_up(engine.address, records(), "view", vectors)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    same_hits(engine, vectors[:50], queries, k=10)
    same_hits(up_to_date(engine.address, records(), vectors), vectors, queries, k=10)


def test_what_to_install_is_told(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(GalleryError, match=r"pip install lancedb==.*--search exact"):
        create(new_table(str(tmp_path)), owner="me")
