from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from core.config import ProjectionConfig
from core.explain import projection as module
from core.explain.projection import Map, fit_map, place
from core.images import apart
from core.values import Cancelled, GalleryError

CONFIG = ProjectionConfig(fit_points=120, neighbours=10)


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=200)
    centres = rng.standard_normal((2, 16))
    return centres[labels] + 0.5 * rng.standard_normal((200, 16)), labels


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What the fit told of its progress."""
    return []


@pytest.fixture(scope="module")
def fitted(clusters, told) -> Map:
    return fit_map(clusters[0], config=CONFIG, progress=lambda *each: told.append(each[2]))


def random_map(*, n: int, d: int) -> Map:
    rng = np.random.default_rng(1)
    anchors = rng.standard_normal((n, d)).astype("f4")
    anchors /= np.linalg.norm(anchors, axis=1, keepdims=True)
    return Map(rng.standard_normal((n, 2)).astype("f4"), np.arange(n), anchors, 15)


def opened(path: Path) -> Map:
    return Map.load(path, np.ones((30, 4), "f4"))


@pytest.mark.slow
def test_same_seed_same_map(clusters, fitted):
    again = fit_map(clusters[0], config=CONFIG)
    np.testing.assert_array_equal(again.points, fitted.points)
    np.testing.assert_array_equal(again.fitted, fitted.fitted)


@pytest.mark.slow
def test_a_fit_takes_what_another_has_compiled(clusters, fitted, tmp_path):
    """Each fit compiled for eight seconds what a small map then took no time for."""
    apart.save_array(tmp_path / "given.npy", clusters[0][fitted.fitted].astype("f4"))
    how, environ = json.dumps(asdict(CONFIG)), {**os.environ, "NUMBA_DEBUG_CACHE": "1"}
    command = [sys.executable, "-m", "core.explain.projection", tmp_path, how]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=log) as process,
    ):
        assert process.wait(100) == 0
    told = (tmp_path / "log").read_text()
    assert re.search(r"data loaded from .*optimize_layout", told)
    assert "data saved to" not in told


def test_after_an_error_all_is_compiled_anew(clusters, tmp_path, monkeypatch):
    """One empty file of what is kept would have stopped every map."""
    monkeypatch.setenv("WELLSPRING_CACHE", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")

    def damaged(*_: object) -> None:
        (tmp_path / "compiled" / "empty.nbi").touch()
        raise EOFError

    monkeypatch.setattr(module, "fit_umap", damaged)
    with pytest.raises(EOFError):
        module.fit_apart(clusters[0], tmp_path)
    assert not (tmp_path / "compiled").exists()


@pytest.mark.slow
def test_clusters_stay_apart(clusters, fitted):
    """Holds for fitted and for placed images; not for shuffled labels."""
    _, labels = clusters
    placed = np.setdiff1d(np.arange(200), fitted.fitted)
    assert len(fitted.fitted) == 120
    assert silhouette_score(fitted.points[fitted.fitted], labels[fitted.fitted]) > 0.5
    assert silhouette_score(fitted.points[placed], labels[placed]) > 0.5
    shuffled = np.random.default_rng(2).permutation(labels)
    assert silhouette_score(fitted.points, shuffled) < 0.1


@pytest.mark.slow
def test_an_image_of_the_gallery_lands_on_its_own_point(clusters, fitted):
    """Whatever the length of its vector."""
    extent = np.ptp(fitted.points, axis=0).max()
    distances = np.linalg.norm(place(fitted, 7 * clusters[0]) - fitted.points, axis=1)
    assert distances.max() < 1e-3 * extent


@pytest.mark.slow
def test_a_query_lands_among_its_neighbours(clusters, fitted):
    rows, labels = clusters
    queries = rows + 0.2 * np.random.default_rng(3).standard_normal(rows.shape)
    found = place(fitted, queries)
    centres = np.stack([fitted.points[labels == label].mean(axis=0) for label in (0, 1)])
    nearest = np.linalg.norm(found[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.97


def test_placing_does_not_jump_where_neighbours_change():
    layout = random_map(n=200, d=8)
    start, end = np.random.default_rng(4).standard_normal((2, 8))
    steps = np.linspace(0, 1, 20_001)[:, None]
    path = place(layout, (1 - steps) * start + steps * end)
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).max() < 0.02
    assert np.linalg.norm(path[0] - path[-1]) > 0.2


def test_placing_is_quick():
    layout = random_map(n=5_000, d=512)
    query = np.random.default_rng(5).standard_normal((1, 512)).astype("f4")
    times = []
    for _ in range(10):
        start = time.perf_counter()
        place(layout, query)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02


def test_opening_a_map_does_not_load_umap(tmp_path):
    random_map(n=30, d=4).save(tmp_path / "map.npz")
    code = (
        "import sys, numpy as np, pathlib; from core.explain.projection import Map, place; "
        "place(Map.load(pathlib.Path(sys.argv[1]), np.ones((30, 4))), np.ones((1, 4))); "
        "sys.exit(any(m in sys.modules for m in ('umap', 'numba', 'faiss')))"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "map.npz")],
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=60,
    )


@pytest.mark.parametrize("n", range(12))
def test_tiny_galleries_have_a_map(n):
    rows = np.random.default_rng(6).standard_normal((n, 5))
    layout = fit_map(rows, config=ProjectionConfig())
    assert layout.points.shape == (n, 2)
    assert np.isfinite(layout.points).all()
    if n >= 3:
        assert len(np.unique(layout.points, axis=0)) == n


def test_tiny_galleries_keep_their_neighbours():
    rows = np.repeat(np.eye(3), 3, axis=0) + 0.05 * np.random.default_rng(7).standard_normal((9, 3))
    points = fit_map(rows, config=ProjectionConfig()).points
    assert silhouette_score(points, np.repeat(np.arange(3), 3)) > 0.8


@pytest.mark.parametrize("rows", [np.ones((5, 3)), np.zeros((5, 3)), np.ones((5, 1))])
def test_equal_images_lie_on_one_point(rows):
    layout = fit_map(rows, config=ProjectionConfig())
    np.testing.assert_allclose(layout.points, 0, atol=1e-5)
    np.testing.assert_allclose(place(layout, rows[:1]), 0, atol=1e-5)


def test_the_sample_keeps_the_proportions_of_the_strata():
    rng = np.random.default_rng(8)
    strata = rng.permutation(np.repeat(["a", "b", "c"], [70, 20, 10]))
    layout = fit_map(
        rng.standard_normal((100, 4)), config=ProjectionConfig(10), strata=strata.tolist()
    )
    counts = np.unique(strata[layout.fitted], return_counts=True)[1]
    np.testing.assert_array_equal(counts, [7, 2, 1])
    other = fit_map(rng.standard_normal((100, 4)), config=ProjectionConfig(10, seed=1))
    assert (other.fitted != layout.fitted).any()


def test_progress_counts_up_and_may_cancel():
    rows = np.random.default_rng(9).standard_normal((1_200, 4))
    seen: list[int] = []

    def watch(done: int, total: int, _what: str) -> None:
        assert total == 1_200
        seen.append(done)
        if len(seen) == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fit_map(rows, config=ProjectionConfig(10), progress=watch)
    assert seen == [10, 522, 1034]


@pytest.mark.slow
def test_progress_tells_of_the_rounds_and_a_stop_acts_at_once(clusters, fitted, told):
    """Nothing could stop a fit before it was done."""
    assert {*told} >= {"laying out", "placing"}

    def stop(*_: object) -> None:
        raise Cancelled("enough")

    started = time.perf_counter()
    with pytest.raises(Cancelled):
        fit_map(clusters[0], config=CONFIG, progress=stop)
    assert time.perf_counter() - started < 1


@pytest.mark.slow
def test_a_fit_ends_with_the_process_that_waits_for_it(tmp_path):
    """It went on without one, for as long as a large map takes."""
    code = (
        "import numpy as np; from core.config import ProjectionConfig; "
        "from core.explain.projection import fit_map; "
        "fit_map(np.random.default_rng(0).random((3_000, 16)), config=ProjectionConfig())"
    )
    waiting = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "TMPDIR": tmp_path})
    wait_for(lambda: fits_below(tmp_path))
    waiting.kill()
    waiting.wait()
    wait_for(lambda: not fits_below(tmp_path), seconds=10)
    assert list(tmp_path.iterdir())  # the fit was under way


def fits_below(folder: Path) -> list[Path]:
    """Processes that fit a map in a folder; others may end while they are looked at."""
    found: list[Path] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if f"{folder}{os.sep}wellspring-work-projection".encode() in path.read_bytes():
                found.append(path)
    return found


def wait_for(there, *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_fit_that_fails_is_told(clusters, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho No module named core.nowhere >&2\nexit 1\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(GalleryError, match=r"could not be laid out.*No module named core.nowhere"):
        fit_map(clusters[0], config=CONFIG)


def test_a_full_disk_is_told(clusters, monkeypatch):
    """The error of the system passed through."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(apart, "save_array", full)
    with pytest.raises(GalleryError, match="could not be laid out: No space left on device"):
        fit_map(clusters[0], config=CONFIG)


def test_a_map_survives_saving(tmp_path):
    layout = random_map(n=30, d=4)
    layout.save(tmp_path / "map.npz")
    opened = Map.load(tmp_path / "map.npz", 3 * layout.anchors)
    for name, value in vars(layout).items():
        np.testing.assert_allclose(getattr(opened, name), value, rtol=1e-6)
    assert (tmp_path / "map.npz").stat().st_size < 1_500  # without the anchors
    assert [path.name for path in tmp_path.iterdir()] == ["map.npz"]


def test_saving_keeps_the_old_map_when_it_fails(tmp_path, monkeypatch):
    layout = random_map(n=30, d=4)
    layout.save(tmp_path / "map.npz")

    def full(file, **_arrays):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space"):
        layout.save(tmp_path / "map.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["map.npz"]
    np.testing.assert_array_equal(opened(tmp_path / "map.npz").points, layout.points)


@pytest.mark.parametrize(
    "change",
    [
        {"points": np.zeros((30, 3), "f4")},
        {"points": np.full((30, 2), np.nan, "f4")},
        {"points": np.zeros((30, 2), "f8")},
        {"points": np.array([{}], dtype=object)},
        {"fitted": np.arange(1, 31)},
        {"fitted": np.linspace(0, 1, 30)},
        {"points": np.zeros((31, 2), "f4")},
        {"neighbours": 0},
    ],
)
def test_damaged_maps_are_refused(tmp_path, change):
    np.savez(tmp_path / "map.npz", **{**vars(random_map(n=30, d=4)), **change})
    with pytest.raises(GalleryError, match=r"map\.npz is not a"):
        opened(tmp_path / "map.npz")


@pytest.mark.parametrize("content", [b"", b"no map", None])
def test_unreadable_maps_are_refused(tmp_path, content):
    path = tmp_path / "map.npz"
    random_map(n=30, d=4).save(path)
    path.write_bytes(path.read_bytes()[:300] if content is None else content)
    with pytest.raises(GalleryError, match="not a readable map"):
        opened(path)
    np.savez(path, points=np.zeros((2, 2)))
    with pytest.raises(GalleryError, match="not a readable map"):
        opened(path)


@pytest.mark.slow
def test_wrong_input_is_named(fitted):
    with pytest.raises(ValueError, match="must be finite"):
        fit_map(np.full((3, 2), np.nan), config=CONFIG)
    with pytest.raises(ValueError, match="3 embeddings need as many strata, got 1"):
        fit_map(np.ones((3, 2)), config=CONFIG, strata=["a"])
    with pytest.raises(ValueError, match="cannot place 3 wide"):
        place(fitted, np.ones((1, 3)))
    with pytest.raises(ValueError, match="must be finite"):
        place(fitted, np.full((1, 16), np.nan))
