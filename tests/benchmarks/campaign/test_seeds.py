"""Files that once broke something, by name: each is read or refused in words, on every run."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.campaign import corpus
from benchmarks.campaign.children import outcome
from benchmarks.campaign.hostile import Readers

Change = Callable[[bytes], bytes]
_RENAMED = 4  # the seed by which the gallery is renamed after it was asked


def _no_anchors(data: bytes) -> bytes:
    """A map of no points, which was asked to place an image."""
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name][:0] if file[name].ndim else file[name] for name in file.files}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _column(name: str, value: object) -> Change:
    """A manifest whose column holds another value."""

    def change(data: bytes) -> bytes:
        rows = pq.read_table(io.BytesIO(data)).to_pylist()
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([{**row, name: value} for row in rows]), buffer)
        return buffer.getvalue()

    return change


def _field(name: str, value: object) -> Change:
    """A JSON object whose field holds another value."""
    return lambda data: json.dumps({**json.loads(data), name: value}).encode()


SEEDS: dict[str, tuple[str, Change]] = {
    "a map of no anchors": ("map-*/map.npz", _no_anchors),
    "free columns that are true": ("manifest.parquet", _column("extra", "true")),
    "free columns that are a list": ("manifest.parquet", _column("extra", "[1]")),
    "a path out of the folder": ("manifest.parquet", _column("path", "../../outside.png")),
    "a digest that is a path": ("manifest.parquet", _column("sha256", "../" * 30 + "etc/passwd")),
    "a generation of 300 digits": ("gallery.json", _field("generation", int("9" * 300))),
    "a generation that is true": ("gallery.json", _field("generation", True)),
    "a name of half a character": ("gallery.json", _field("name", "\ud800")),
    "a number of 5,000 digits": ("gallery.json", lambda data: data.replace(b"16", b"9" * 5_000)),
    "100,000 lists in each other": ("files.json", lambda _: b"[" * 100_000),
    "a list of files that is text": ("files.json", lambda _: b'"x"'),
    "a table that ends early": ("manifest.parquet", lambda data: data[:-9]),
    "an array whose header lies": (
        "features.npy",
        lambda data: data.replace(b"(16", b"(99", 1),
    ),
    "an array of objects": ("groups.npy", lambda data: data.replace(b"<i8", b"|O8", 1)),
    "a queries file of numbers": ("queries.json", lambda _: b'{"queries": [1, null]}'),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    corpus.gallery(folder)
    return folder


def _used(whole: Path, work: Path, changed: str = "", change: Change = bytes) -> tuple[str, str]:
    """What using a gallery comes to after a change of the files of a name."""
    for name in ("g", "photos"):
        shutil.copytree(whole / name, work / name)
    found = [path for path in work.rglob("*") if changed and path.match(changed)]
    assert found or not changed
    before = [path.read_bytes() for path in found]
    for path, data in zip(found, before, strict=True):
        path.write_bytes(change(data))
    assert not changed or [path.read_bytes() for path in found] != before
    return outcome(
        lambda: Readers(whole, {}, np.random.default_rng(_RENAMED)).use(work / "g", work)
    )


def test_a_whole_gallery_is_used(whole: Path, tmp_path: Path) -> None:
    """Negative control: what is not changed is not refused."""
    assert _used(whole, tmp_path) == ("done", "")


@pytest.mark.parametrize("name", SEEDS)
def test_a_seed_is_read_or_refused(whole: Path, tmp_path: Path, name: str) -> None:
    how, why = _used(whole, tmp_path, *SEEDS[name])
    assert how in ("done", "refused"), why
