from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import BuildConfig
from core.encoders.descriptors import PATCH_HEAD, describe_patches
from core.gallery.gallery import encoder_key
from core.gallery.shards import (
    Item,
    Shard,
    ShardWriter,
    Stamp,
    hash_files,
)
from core.gallery.store import Store
from core.heads.fit import fit_head
from core.heads.head import Head
from core.values import (
    Cancelled,
    Encoded,
    GalleryError,
    no_progress,
)

CONFIG = BuildConfig(batch=2, shard=4, workers=2, thumbnail=32)


@pytest.fixture
def items(photos: Path) -> list[Item]:
    paths = sorted(photos.rglob("*.png"))
    return [Item(p, p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in paths]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "g")


def writer(store: Store, *encoders: object, heads: dict[str, Head] | None = None) -> ShardWriter:
    keyed = {encoder_key(e): e for e in encoders}  # type: ignore[arg-type]
    return ShardWriter(store, store.work, keyed, patch_heads=heads or {}, config=CONFIG)  # type: ignore[arg-type]


def test_rows_are_what_the_encoder_says_of_each_image(items, store, make_encoder) -> None:
    encoder, reference = make_encoder(), make_encoder()
    made = writer(store, encoder)
    made.write(items, list(made.encoders), no_progress)
    shards = made.finished()
    assert [len(shard.records) for shard in shards] == [4, 4, 4]
    assert [r.sha256 for s in shards for r in s.records] == [i.sha256 for i in items]
    head = made.patch_heads[encoder_key(encoder)]
    for shard, start in zip(shards, (0, 4, 8), strict=True):
        said = reference.encode([Image.open(i.path) for i in items[start : start + 4]])
        folder = shard.folder / encoder_key(encoder)
        np.testing.assert_array_equal(
            np.load(folder / "features.npy"), said.features.astype(np.float16)
        )
        assert said.patches is not None
        np.testing.assert_array_equal(
            np.load(folder / "patches.npy"), describe_patches(said.patches, head)
        )
        for record in shard.records:
            with Image.open(store.thumbnail(record.sha256)) as small:
                assert max(small.size) == 32
            assert (record.width, record.height) == (48, 40)


def test_an_encoder_without_space_has_no_descriptors(items, store, make_encoder) -> None:
    encoder = make_encoder(space=False)
    made = writer(store, encoder)
    made.write(items[:2], list(made.encoders), no_progress)
    (shard,) = made.finished()
    assert shard.keys == (encoder_key(encoder),)
    assert not list(shard.folder.rglob("patches.npy"))
    assert not list(store.work.glob("patch_heads/*"))


def test_cancelling_keeps_whole_shards_only(items, store, make_encoder) -> None:
    def stop(done: int, total: int, what: str) -> None:
        if what.startswith("reading") and done > 6:
            raise Cancelled("enough")

    made = writer(store, make_encoder())
    with pytest.raises(Cancelled):
        made.write(items, list(made.encoders), stop)
    assert [len(shard.records) for shard in made.finished()] == [4]
    assert [p.name for p in store.work.glob("*shard*")] == ["shard-000000"]


def test_what_cannot_be_read_is_left_out_with_its_reason(items, store, make_encoder) -> None:
    items[1].path.write_bytes(b"no image")
    items[2].path.unlink()
    items[3].path.write_bytes(items[4].path.read_bytes())
    made = writer(store, make_encoder())
    made.write(items[:5], list(made.encoders), no_progress)
    assert [r.path for s in made.finished() for r in s.records] == [items[0].name, items[4].name]
    assert {sha[:8] for sha in made.unread} == {item.sha256[:8] for item in items[1:4]}
    why = {name: reason for names in made.unread.values() for name, reason in names.items()}
    assert "not an image" in why[items[1].name]
    assert "cannot be read" in why[items[2].name]
    assert "changed" in why[items[3].name]


def test_a_copy_is_read_where_the_first_file_cannot_be(items, store, make_encoder) -> None:
    """Both were left out where the first had changed or gone since it was hashed."""
    path = items[0].path.with_name("copy.png")
    shutil.copy(items[0].path, path)
    items[0].path.unlink()
    copies = (Item(path.with_name("gone.png"), "gone.png", items[0].sha256),)
    copies += (Item(path, "copy.png", items[0].sha256),)
    made = writer(store, make_encoder())
    made.write([replace(items[0], copies=copies), items[1]], list(made.encoders), no_progress)
    assert [r.sha256 for s in made.finished() for r in s.records] == [i.sha256 for i in items[:2]]
    assert not made.unread


def test_the_patch_head_is_taken_up_again(items, store, make_encoder) -> None:
    encoder = make_encoder()
    first = writer(store, encoder)
    first.write(items[:4], list(first.encoders), no_progress)
    key = encoder_key(encoder)
    (store.work / "patch_heads" / f".{key}.0.part").mkdir()  # of a call killed while saving
    again = writer(store, encoder)
    assert again.patch_heads[key].identity == first.patch_heads[key].identity


def test_a_given_patch_head_needs_no_sample(items, store, make_encoder) -> None:
    encoder = make_encoder()
    rows = np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)
    head = fit_head(rows, config=PATCH_HEAD)
    made = writer(store, encoder, heads={encoder_key(encoder): head})
    made.write(items, list(made.encoders), no_progress)
    assert encoder.seen == len(items)
    assert Head.load(store.work / "patch_heads" / encoder_key(encoder)).identity == head.identity


@pytest.mark.parametrize(
    ("features", "patches", "what"),
    [
        (np.nan, 0.0, "not finite"),
        (np.inf, 0.0, "not finite"),
        (1e6, 0.0, "too large for float16"),
        (0.0, np.nan, "not finite"),
    ],
)
def test_values_that_are_not_numbers_are_refused(
    items, store, make_encoder, features: float, patches: float, what: str
) -> None:
    encoder = make_encoder()
    said = encoder.encode

    def broken(images: list[Image.Image]) -> Encoded:
        found = said(images)
        return Encoded(found.features + np.float32(features), found.patches + patches, found.grid)

    encoder.encode = broken
    made = writer(store, encoder)
    with pytest.raises(GalleryError, match=what):
        made.write(items, list(made.encoders), no_progress)
    assert made.finished() == []


def test_a_shard_is_read_back(items, store, make_encoder) -> None:
    made = writer(store, make_encoder("b"), make_encoder("a", seed=1))
    made.write(items[:2], list(made.encoders), no_progress)
    shard = Shard.open(store.work / "shard-000000")
    assert [key[:2] for key in shard.keys] == ["a@", "b@"]
    assert shard.records == made.finished()[0].records


def test_files_are_hashed_and_those_that_cannot_be_are_named(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    good.write_bytes(b"x")
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    nameless = tmp_path / "\udcff.png"
    nameless.write_bytes(b"y")
    paths: dict[str, Path] = {p.name: p for p in (good, loop, tmp_path / "gone.png", nameless)}
    stamps, skipped = hash_files(paths | {"folder.png": tmp_path})
    modified = good.stat().st_mtime_ns
    assert stamps == {"good.png": Stamp(hashlib.sha256(b"x").hexdigest(), 1, modified)}
    assert [s.path for s in skipped] == ["loop.png", "gone.png", "\udcff.png", "folder.png"]
    assert all(s.reason for s in skipped)


def test_progress_counts_images(items, store, make_encoder) -> None:
    calls: list[tuple[int, int]] = []
    reports: Callable[[int, int, str], None] = lambda done, total, _: calls.append((done, total))  # noqa: E731
    made = writer(store, make_encoder(space=False))
    made.write(items[:5], list(made.encoders), reports)
    assert calls == [(2, 5), (4, 5), (5, 5)]
