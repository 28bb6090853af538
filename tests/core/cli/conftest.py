"""What the tests of the command line share: galleries, and a cache of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.cli.calls import call


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WELLSPRING_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(photos, tmp_path) -> Path:
    assert call("index", photos, "--out", tmp_path / "g", "--encoder", "thumbnail").exit_code == 0
    return tmp_path / "g"


@pytest.fixture
def large(photos, tmp_path, write_image) -> Path:
    """A gallery with images enough to tell a source from chance."""
    for seed in range(100, 120):
        write_image(photos / f"{seed}.png", seed)
    done = call("index", photos, "--out", tmp_path / "large", "--encoder", "thumbnail")
    assert done.exit_code == 0
    return tmp_path / "large"


@pytest.fixture
def broken(tmp_path) -> Path:
    """A file that is no image."""
    (tmp_path / "broken.jpg").write_bytes(b"x")
    return tmp_path / "broken.jpg"
