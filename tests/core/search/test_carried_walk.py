"""What a large gallery is walked by survives a change, is right after it, and never stale."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import faiss
import numpy as np
import pytest

from core.config import BuildConfig, HeadConfig, ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Gallery, encoder_key
from core.gallery.opting import opt_out
from core.gallery.remove import remove
from core.gallery.source import Source
from core.heads.head import Head, LinearHead
from core.search.index import neighbours
from core.search.prepare import fitted_head, prepare
from core.search.views import View
from core.search.walk import Walk
from tests.core.made import draw_noise

COUNT, DIM = 90, 12
SMALL = BuildConfig(thumbnail=32)
LARGE = ScoreConfig(exact=10)
"""Settings under which a small gallery is walked as a large one is."""


@pytest.fixture
def photos(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    draw_noise(tmp_path / "photos", range(COUNT))
    return tmp_path / "photos"


@pytest.fixture
def folder(photos, tmp_path, encoder) -> Path:
    update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    return tmp_path / "g"


@pytest.fixture
def head() -> Head:
    """A head that was fitted elsewhere, so that vectors stay as they are."""
    linear = LinearHead(np.zeros(DIM, np.float32), np.ones(DIM, np.float32))
    return Head(HeadConfig(kind="identity"), (linear,))


@pytest.fixture
def built(monkeypatch) -> list[int]:
    """Rows that are inserted in graphs, whenever some are."""
    inserted, real = list[int](), faiss.IndexIDMap.add_with_ids

    def watched(self, vectors, rows) -> None:
        inserted.append(len(rows))
        real(self, vectors, rows)

    monkeypatch.setattr(faiss.IndexIDMap, "add_with_ids", watched)
    return inserted


def prepared(folder: Path, encoder, head: Head | None = None) -> View:
    gallery = Gallery.open(folder)
    head = head or fitted_head(gallery, encoder, config=HeadConfig(kind="center"))
    return prepare(gallery, encoder, head, config=LARGE).views[0]


def assert_right(view: View) -> None:
    """All of the ten nearest are there, but for very few, with their cosines."""
    vectors = np.asarray(view.vectors, np.float32)
    graph, meant = view.graph(), neighbours(vectors, k=10).rows
    assert np.mean([np.isin(m, g) for m, g in zip(meant, graph.rows, strict=True)]) > 0.97
    near = np.where(graph.rows >= 0, graph.rows, 0)
    cosines = (vectors[near] @ vectors[:, :, None])[:, :, 0]
    np.testing.assert_allclose(graph.cosines, np.where(graph.rows >= 0, cosines, -1), atol=2e-3)
    found = view.walk.search(vectors, k=1, beam=64)[:, 0]
    assert (found == np.arange(len(vectors))).mean() > 0.9


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.slow
def test_only_what_came_is_inserted(folder, photos, encoder, head, built, fitted) -> None:
    """A gallery beyond 20,000 images was linked and compared from nothing after every change."""
    head = None if fitted else head
    assert_right(prepared(folder, encoder, head))
    assert built == [COUNT]
    draw_noise(photos, range(COUNT, COUNT + 5))
    update(folder, Source(photos), [encoder], config=SMALL)
    assert_right(prepared(folder, encoder, head))
    remove(folder, [3, 4, 70])
    assert_right(prepared(folder, encoder, head))
    opt_out(folder, [8, 9])
    view = prepared(folder, encoder, head)
    assert_right(view)
    assert len(view.vectors) == COUNT
    assert_right(prepared(folder, encoder, head))
    assert built == [COUNT, 5]


@pytest.mark.slow
def test_after_many_changes_all_is_made_anew(folder, photos, encoder, head, built) -> None:
    prepared(folder, encoder, head)
    for start in range(COUNT, COUNT + 30, 10):
        draw_noise(photos, range(start, start + 10))
        update(folder, Source(photos), [encoder], config=SMALL)
        prepared(folder, encoder, head)
    assert built == [COUNT, 10, 10, COUNT + 30]
    draw_noise(photos, range(200, 210))
    update(folder, Source(photos), [encoder], config=SMALL)
    prepared(folder, encoder, head)
    assert built[-1] == 10


DAMAGE = {
    "lost walk": ("walk-*/walk.npz", None),
    "damaged walk": ("walk-*/walk.npz", b"nothing"),
    "lost neighbours": ("neighbours-*/rows.npy", None),
    "damaged neighbours": ("neighbours-*/cosines.npy", b"nothing"),
    "lost names": ("walked-*/names.npy", None),
    "damaged names": ("walked-*/names.npy", b"nothing"),
    "damaged state": ("walked-*/state.json", b"{}"),
    "endless state": ("walked-*/state.json", "built"),
    "wrong state": ("walked-*/state.json", b'{"walk": 1, "neighbours": 2}'),
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.slow
def test_what_is_damaged_or_lost_is_made_anew(folder, photos, encoder, head, name) -> None:
    prepared(folder, encoder, head)
    pattern, content = DAMAGE[name]
    for path in Gallery.open(folder).artefacts.folder.glob(pattern):
        if content == "built":
            path.write_text(path.read_text().replace('"built": 90', f'"built": {10**400}'))
        else:
            path.write_bytes(content) if content else path.unlink()
    draw_noise(photos, range(COUNT, COUNT + 3))
    update(folder, Source(photos), [encoder], config=SMALL)
    assert_right(prepared(folder, encoder, head))


@pytest.mark.parametrize("kind", ["../../../elsewhere", "..\\\\x", "x" * 300])
@pytest.mark.slow
def test_a_state_that_names_other_folders_is_not_followed(
    folder, photos, encoder, head, monkeypatch, kind
) -> None:
    prepared(folder, encoder, head)
    (path,) = Gallery.open(folder).artefacts.folder.glob("walked-*/state.json")
    state = json.loads(path.read_text())
    state["walk"]["kind"] = kind
    path.write_text(json.dumps(state))
    monkeypatch.setattr(Walk, "changed", None)
    draw_noise(photos, range(COUNT, COUNT + 3))
    update(folder, Source(photos), [encoder], config=SMALL)
    assert_right(prepared(folder, encoder, head))


@pytest.mark.slow
def test_neighbours_of_other_images_are_not_taken(folder, photos, encoder, head) -> None:
    """A state of as many images that were others, with their names left as they were."""
    prepared(folder, encoder, head)
    folders = [*Gallery.open(folder).artefacts.folder.glob("neighbours-*")]
    rows = np.load(folders[0] / "rows.npy")
    np.save(folders[0] / "rows.npy", np.where(rows >= 0, COUNT + 7, rows))
    draw_noise(photos, range(COUNT, COUNT + 3))
    update(folder, Source(photos), [encoder], config=SMALL)
    assert_right(prepared(folder, encoder, head))


@pytest.mark.slow
def test_a_cosine_that_is_none_is_not_taken_over(folder, photos, encoder, head) -> None:
    """It was refused where it lay, and copied into the table that took its place."""
    prepared(folder, encoder, head)
    (path,) = Gallery.open(folder).artefacts.folder.glob("neighbours-*/cosines.npy")
    cosines = np.load(path)
    cosines[3, 2] = np.nan
    np.save(path, cosines)
    assert_right(prepared(folder, encoder, head))


@pytest.mark.slow
def test_lost_neighbours_do_not_put_off_that_all_is_made_anew(
    folder, photos, encoder, head, built
) -> None:
    prepared(folder, encoder, head)
    for start in range(COUNT, COUNT + 30, 10):
        for path in Gallery.open(folder).artefacts.folder.glob("neighbours-*/rows.npy"):
            path.unlink()
        draw_noise(photos, range(start, start + 10))
        update(folder, Source(photos), [encoder], config=SMALL)
        prepared(folder, encoder, head)
    assert built == [COUNT, 10, 10, COUNT + 30]


@pytest.mark.slow
def test_images_are_opted_out_one_after_another(folder, encoder, head, built) -> None:
    """What was looked at first was the state of all images, not the last one."""
    prepared(folder, encoder, head)
    for start in range(0, 40, 10):
        opt_out(folder, range(start, start + 10))
        assert_right(prepared(folder, encoder, head))
    assert built == [COUNT, COUNT - 30]


@pytest.mark.slow
def test_features_that_were_read_otherwise_have_their_own_cosines(
    folder, encoder, head, built
) -> None:
    """The contents and the head were the same, so that old cosines stayed."""
    prepared(folder, encoder, head)
    gallery = Gallery.open(folder)
    path = gallery.folder / encoder_key(encoder) / "features.npy"
    features = np.load(path)
    features[:10] = features[:10][::-1]
    np.save(path, features)
    header = folder / "gallery.json"
    other = {**json.loads(header.read_text()), "reading": gallery.header.reading + 1}
    header.write_text(json.dumps(other))
    opt_out(folder, [50])
    for kept in gallery.artefacts.folder.glob("vectors-*"):
        shutil.rmtree(kept)
    assert_right(prepared(folder, encoder, head))
    assert built == [COUNT, COUNT - 1]


@pytest.mark.slow
def test_another_head_of_the_kind_has_its_own_cosines(folder, photos, encoder, head) -> None:
    prepared(folder, encoder, head)
    (linear,) = head.parts
    matrix = np.diag(np.linspace(0.5, 2, DIM)).astype(np.float32)
    other = dataclasses.replace(head, parts=(dataclasses.replace(linear, matrix=matrix),))
    assert other.identity != head.identity
    draw_noise(photos, range(COUNT, COUNT + 3))
    update(folder, Source(photos), [encoder], config=SMALL)
    assert_right(prepared(folder, encoder, other))
