"""Files that once broke something, by name: each is read or refused in words, on every run."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.campaign import corpus, mutate
from benchmarks.campaign.children import outcome
from benchmarks.campaign.hostile import Readers
from core.config import ImageLimits
from core.encoders.backbones import BackboneConfig
from core.encoders.backbones.upstream import PLAIN, load_checkpoint
from core.gallery.source import Source
from core.heads.head import Head
from core.images.archives import unpack_images
from core.images.decode import load_image
from core.search.walk import Walk

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


def _png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A picture with further chunks behind its first, their checksums right."""
    data = corpus.image_bytes(1)
    more = (
        len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
        for kind, body in chunks
    )
    return data[:33] + b"".join(more) + data[33:]


def _zip(name: str, body: bytes, *, mode: int = 0o100644) -> bytes:
    """A zip of one entry."""
    buffer, entry = io.BytesIO(), zipfile.ZipInfo(name)
    entry.external_attr, entry.compress_type = mode << 16, zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(entry, body)
    return buffer.getvalue()


def _checkpoint(pickled: bytes) -> bytes:
    """A checkpoint whose pickle is another one."""
    return mutate.of_archive(
        corpus.weights()["checkpoint"][1],
        np.random.default_rng(1),  # changes the pickle
        lambda _, __: pickled,
    )


def _arrays(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


_BOMB = zlib.compress(bytes(100_000_000))
SINGLE: dict[str, tuple[str, bytes]] = {
    "a text of 100 MB in a picture": ("x.image", _png((b"zTXt", b"k\0\0" + _BOMB))),
    "a profile of 100 MB in a picture": ("x.image", _png((b"iCCP", b"k\0\0" + _BOMB))),
    "a picture that ends early": ("x.image", corpus.image_bytes(1)[:60]),
    "a GIF of 65,535 by 65,535": ("x.image", b"GIF89a\xff\xff\xff\xff\0\0\0"),
    "a path out of a zip": ("x.zip", _zip("../../outside.png", corpus.image_bytes(1))),
    "a link in a zip": ("x.zip", _zip("a.png", b"/etc/passwd", mode=0o120777)),
    "100 MB of zeros in a zip": ("x.zip", _zip("a.png", bytes(100_000_000))),
    "a name of 5,000 letters in a zip": ("x.zip", _zip("x" * 5_000 + ".png", b"")),
    "a cell of 70,000 letters": ("metadata.csv", b"file_name,title\n0.png," + b"y" * 70_000),
    "a table of 100,000 lists": ("metadata.json", b"[" * 100_000),
    "half a character in a table": ("metadata.jsonl", b'{"file_name": "\\ud800", "title": "x"}'),
    "a Parquet table that ends early": ("metadata.parquet", corpus.tables()["parquet"][0][:-9]),
    "a checkpoint that runs a command": ("x.pt", _checkpoint(b"cos\nsystem\n(S'touch out'\ntR.")),
    "tensors under a header of 2**63 bytes": ("x.safetensors", (1 << 63).to_bytes(8, "little")),
    "tensors that lie behind the end": (
        "x.safetensors",
        corpus.weights()["safetensors"][0][:-300],
    ),
    "an index of links to nowhere": ("walk.npz", _arrays(links=np.full((120, 9), -7))),
    "an index that is no archive": ("walk.npz", b"PK\3\4"),
}


def _read(path: Path) -> object:
    """Read a file as the program reads what is called so."""
    if path.suffix == ".image":
        return load_image(path)
    if path.suffix == ".zip":
        into, limits = path.parent / "into", ImageLimits()
        return unpack_images(path, into, max_bytes=50_000_000, max_images=50, limits=limits)
    if path.name == "walk.npz":
        return Walk.load(path, corpus.features())
    if path.stem == "metadata":
        return Source(path.parent).look()
    return load_checkpoint(path, config=BackboneConfig(), layout=PLAIN)


@pytest.mark.parametrize("name", SINGLE)
def test_a_file_that_stands_by_itself_is_read_or_refused(tmp_path: Path, name: str) -> None:
    work = tmp_path / "a" / "b"
    work.mkdir(parents=True)
    file, data = SINGLE[name]
    (work / file).write_bytes(data)
    how, why = outcome(lambda: _read(work / file))
    assert how in ("done", "refused"), why
    assert {path.name for path in tmp_path.rglob("*")} <= {"a", "b", file, "into", "a.png"}


@pytest.mark.parametrize("name", ["k", "kind", "fitted_on"])
@pytest.mark.parametrize("value", [-1, "x" * 9_000, None, [1]])
def test_a_head_that_lies_is_read_or_refused(tmp_path: Path, name: str, value: object) -> None:
    corpus.heads(tmp_path / "head")
    path = tmp_path / "head" / "head.json"
    path.write_bytes(_field(name, value)(path.read_bytes()))
    how, why = outcome(lambda: Head.load(tmp_path / "head")(corpus.features(), role="query"))
    assert how in ("done", "refused"), why


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
