"""An image that is opted out is part of nothing, and comes back as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.config import HeadConfig, ScoreConfig
from core.gallery.artefacts import Key
from core.gallery.build import update
from core.gallery.describe import describe
from core.gallery.gallery import Gallery
from core.gallery.opting import opt_in, opt_out
from core.gallery.remove import narrow, remove
from core.gallery.source import Source
from core.gallery.verify import verify
from core.heads.fit import fit_head
from core.search.prepare import prepare
from core.search.query import Query
from core.values import GalleryError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path, photos, encoder) -> Path:
    update(tmp_path / "g", Source(photos), [encoder])
    return tmp_path / "g"


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a gallery but its lock."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_an_image_is_taken_out_and_comes_back_byte_by_byte(folder, encoder) -> None:
    before, whole = files_of(folder), Gallery.open(folder)
    features, patches = np.array(whole.features(encoder)), whole.patches(encoder)
    digest, identity, seen = whole.digest(encoder), whole.identity, encoder.seen
    assert opt_out(folder, [3, 5]).out == (3, 5)
    gallery = Gallery.open(folder)
    assert [r.id for r in gallery.records] == [r.id for r in whole.records if r.id not in (3, 5)]
    assert [r.id for r in gallery.opted_out] == [3, 5]
    assert not {3, 5} & gallery.row_of.keys()
    rows = [row for row in range(12) if whole.records[row].id not in (3, 5)]
    np.testing.assert_array_equal(gallery.features(encoder), features[rows])
    np.testing.assert_array_equal(gallery.patches(encoder), np.asarray(patches)[rows])
    assert (gallery.digest(encoder), gallery.identity) != (digest, identity)
    assert verify(folder) == []
    assert opt_in(folder, [3]).out == (5,)
    assert 3 in Gallery.open(folder).row_of
    assert opt_in(folder, [5]).out == ()
    assert files_of(folder) == before
    assert Gallery.open(folder).digest(encoder) == digest
    assert encoder.seen == seen


def nearest(folder: Path, encoder, asked: int) -> list[int]:
    """Ids of all images by how near they are to one of the stored ones."""
    gallery = Gallery.open(folder)
    whole = Gallery.open(folder, whole=True)
    head = fit_head(np.asarray(gallery.features(encoder)), config=HeadConfig("center"))
    found = prepare(gallery, encoder, head, config=ScoreConfig().without("edges"))
    row = whole.row_of[asked]
    vector = head(np.asarray(whole.features(encoder))[row : row + 1], role="gallery")[0]
    patches = whole.patches(encoder)
    assert patches is not None
    query = Query((vector,), np.asarray(patches[row]))
    ranking = found.rank(query, k=12)
    return [gallery.records[int(candidate)].id for candidate in ranking.rows]


@pytest.mark.slow
def test_the_answer_to_its_own_copy_names_it_no_more(folder, encoder) -> None:
    first = nearest(folder, encoder, 4)
    assert first[0] == 4
    kept = files_of(folder)
    opt_out(folder, [4])
    without = nearest(folder, encoder, 4)
    assert 4 not in without
    assert len(without) == 11
    assert verify(folder) == []
    opt_in(folder, [4])
    assert files_of(folder) == kept  # what followed from all images is there still
    assert nearest(folder, encoder, 4) == first


def test_its_group_goes_on_without_it(folder, photos, encoder) -> None:
    shutil.copy(photos / "02.png", photos / "twin.png")
    update(folder, Source(photos), [encoder])
    gallery = Gallery.open(folder)
    first, twin = (r.id for r in gallery.records if r.path in ("02.png", "twin.png"))
    assert nearest(folder, encoder, first)[:2] in ([first, twin], [twin, first])
    opt_out(folder, [first])
    assert nearest(folder, encoder, first)[0] == twin


def test_what_follows_from_other_choices_than_the_last_is_dropped(folder) -> None:
    def kept() -> set[str]:
        return {path.parent.name.partition("-")[0] for path in folder.rglob("number.npy")}

    def follow() -> None:
        gallery = Gallery.open(folder)
        place = gallery.artefacts.kept_in
        assert place is not None
        (place / str(Key.of("number", follow, images=gallery.identity))).mkdir(parents=True)

    for ids in ([], [1], [2], [3]):
        opt_out(folder, ids)
        follow()
    assert len(list(folder.glob("generations/1/artefacts*"))) == 3
    assert kept() == set()


def test_it_stays_out_through_every_change(folder, photos, encoder, write_image) -> None:
    opt_out(folder, [0, 1, 2])
    paths = {r.id: r.path for r in Gallery.open(folder, whole=True).records}
    write_image(photos / "new.png", 60)
    write_image(photos / paths[1], 61)  # another picture in the place of an opted out one
    (photos / paths[2]).rename(photos / "moved.png")
    encoder.seen = 0
    change = update(folder, Source(photos), [encoder])
    assert encoder.seen == 2
    assert (change.images, change.opted_out) == (13, 3)
    gallery = Gallery.open(folder)
    assert {r.path for r in gallery.opted_out} == {paths[0], paths[1], "moved.png"}
    assert "new.png" in {r.path for r in gallery.records}
    narrow(folder)
    remove(folder, [0])
    assert len(Gallery.open(folder).opted_out) == 2
    assert Gallery.open(folder).features(encoder).shape == (10, encoder.dim)
    assert verify(folder) == []


def test_another_encoder_beside_the_gallery_stays(folder, tmp_path, encoder, make_encoder) -> None:
    other = make_encoder("other", seed=9)

    def opened() -> Gallery:
        return Gallery.open(folder, descriptions=tmp_path / "beside")

    opt_out(folder, [7])
    describe(opened(), other)
    seen = other.seen
    assert opened().features(other).shape == (11, other.dim)
    opt_in(folder, [7])
    assert opened().features(other).shape == (12, other.dim)
    describe(opened(), other)
    assert other.seen == seen


def test_unknown_ids_and_empty_answers_are_told(folder, encoder) -> None:
    with pytest.raises(GalleryError, match="no image of the gallery has the id 99"):
        opt_out(folder, [1, 99])
    assert Gallery.open(folder).opted_out == ()
    opt_out(folder, list(range(12)))
    with pytest.raises(GalleryError, match="are opted out; opt some in again") as raised:
        Gallery.open(folder).features(encoder)
    assert raised.value.command[:1] == ("opt-in",)


@pytest.mark.parametrize("damage", ["x", ["1"], [True], 5, [-1]])
@pytest.mark.slow
def test_a_damaged_list_is_refused(folder, damage: object) -> None:
    header = json.loads((folder / "gallery.json").read_text())
    (folder / "gallery.json").write_text(json.dumps(header | {"opted_out": damage}))
    with pytest.raises(GalleryError, match=r"gallery\.json of g is damaged"):
        Gallery.open(folder)


KILLED = """
import os, sys
from pathlib import Path
from core.gallery.opting import opt_in, opt_out
folder, steps, count = Path(sys.argv[1]), int(sys.argv[2]), 0

def watch(event, args):
    global count
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    changes = event in {"os.rename", "os.mkdir", "os.remove", "os.rmdir"}
    if (writes or changes) and str(folder) in str(args[0]):
        count += 1
        if count == steps:
            os.kill(os.getpid(), 9)

for steps in range(1, steps + 1):
    pid = os.fork()
    if not pid:
        sys.addaudithook(watch)
        opt_out(folder, [4])
        os._exit(0)
    print(os.waitpid(pid, 0)[1], (folder / "gallery.json").read_text().count("opted_out"))
    opt_in(folder, [4])
"""


@pytest.mark.slow
def test_one_that_was_killed_leaves_a_whole_gallery(folder, encoder) -> None:
    before = files_of(folder)
    script = [sys.executable, "-c", KILLED, str(folder), "8"]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        script, capture_output=True, text=True, check=True, cwd=ROOT, env=environ
    ).stdout
    lines = [tuple(map(int, line.split())) for line in said.splitlines()]
    assert (9, 0) in lines
    assert lines[-1] == (0, 1)  # it was done before the last step
    assert {name: data for name, data in files_of(folder).items() if ".part" not in name} == before
    assert verify(folder) == []
