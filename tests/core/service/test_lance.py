"""A gallery that LanceDB searches answers as one that FAISS searches, and changes like it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks.scale.agreement import agreement
from core.config import ScoreConfig
from core.encoders.load import load_encoder
from core.gallery.gallery import Gallery
from core.gallery.opting import opt_in, opt_out
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import verify
from core.search import served
from core.search.lance import LanceEngine
from core.search.lance_table import open_table
from core.service import building
from core.service.building import bring_up, build, search_with_faiss, search_with_lance
from core.service.choice import Choice
from core.service.heads import choose_head
from core.service.selftest import selftest
from core.service.session import Session
from core.service.workspace import Workspace
from core.values import Answer, GalleryError, no_progress
from tests.core.conftest import draw
from tests.core.object_store import settings

lancedb = pytest.importorskip("lancedb")
EXACT = ScoreConfig(search="exact")


@pytest.fixture(scope="module")
def network():
    return load_encoder("random")


@pytest.fixture(scope="module")
def built(tmp_path_factory, network) -> Path:
    """Twelve images with creators, whose gallery a table searches."""
    folder = tmp_path_factory.mktemp("built")
    for number in range(12):
        draw(folder / "photos" / f"{number:02d}.png", number)
    rows = "".join(f"{n:02d}.png,O'Hara {n % 2}\n" for n in range(12) if n % 3)
    (folder / "photos" / "metadata.csv").write_text("file,creator\n" + rows)
    build(str(folder / "photos"), folder / "g", [network])
    search_with_lance(folder / "g", [network], progress=no_progress)
    return folder


@pytest.fixture
def photos(built, tmp_path) -> Path:
    return shutil.copytree(built / "photos", tmp_path / "photos")


@pytest.fixture
def gallery(built, photos, tmp_path) -> Path:
    folder = shutil.copytree(built / "g", tmp_path / "g")
    header = json.loads((folder / "gallery.json").read_text())
    (folder / "gallery.json").write_text(json.dumps({**header, "root": str(photos)}))
    return folder


def choice(folder: Path, **more: object) -> Choice:
    return Choice("random", gallery=str(folder), **more)


def tables(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.lance"))


def answered_alike(folder: Path, image: Path, where: str | None = None) -> Answer:
    """The answer by the table, after seeing that comparing all gives the same."""
    session = Session()
    for view in session.workspace(choice(folder)).collection.views:
        assert isinstance(view.engine, LanceEngine)
    for view in session.workspace(choice(folder, score=EXACT)).collection.views:
        assert view.engine is None
    found = session.attribute(image, choice(folder, where=where))
    wanted = session.attribute(image, choice(folder, where=where, score=EXACT))
    assert [m.image.id for m in found.matches] == [m.image.id for m in wanted.matches]
    for one, other in zip(found.matches, wanted.matches, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-5)
    assert found.p_value == wanted.p_value
    return found


@pytest.mark.slow
def test_answers_are_those_of_comparing_all_whatever_changes(
    gallery, photos, network, write_image
) -> None:
    image = photos / "01.png"
    assert answered_alike(gallery, image).matches[0].image.path == "01.png"
    only = answered_alike(gallery, image, where='creator = "o\'hara 0"')
    assert {match.image.creator for match in only.matches} == {"O'Hara 0"}
    write_image(photos / "new.png", 99)
    assert bring_up(gallery, Source(photos), building.with_extra_views([network])).added
    assert answered_alike(gallery, photos / "new.png").matches[0].image.path == "new.png"
    first = answered_alike(gallery, image).matches[0].image
    for change, back in ((opt_out, opt_in), (remove, None)):
        change(gallery, {first.id})
        assert first.id not in {m.image.id for m in answered_alike(gallery, image).matches}
        if back is not None:
            back(gallery, {first.id})
            assert answered_alike(gallery, image).matches[0].image.id == first.id
    assert verify(gallery) == []
    assert len(tables(gallery / "lance")) == 1


CLOSE = 1e-3
"""By how much scores may differ."""


@pytest.mark.slow
def test_engines_agree_and_another_scoring_does_not(gallery, network, photos, write_image) -> None:
    opened = Gallery.open(gallery)
    head = choose_head(opened, network, "default")
    table, exact, other = (
        Workspace(opened, network, head, score=score)
        for score in (None, EXACT, ScoreConfig(local_scaling=False))
    )
    queries = [table.query(write_image(photos / "asked.png", seed)) for seed in (3, 7, 20, 21)]
    for where in (None, "creator is filled"):
        found = agreement(table, exact, queries, where=where)
        assert (found.queries, found.same_first, found.same_ten) == (4, 1, 1)
        assert found.largest < CLOSE / 10
    assert agreement(table, other, queries).largest > CLOSE


@pytest.mark.slow
def test_the_table_is_where_it_was_asked_to_be_until_faiss_searches_again(
    gallery, photos, network, tmp_path
) -> None:
    search_with_lance(gallery, [network], database=str(tmp_path / "db"), progress=no_progress)
    assert tables(gallery / "lance") == []
    (table,) = tables(tmp_path / "db")
    assert Gallery.open(gallery).header.lance == str(tmp_path / "db" / table)
    answered_alike(gallery, photos / "01.png")
    search_with_faiss(gallery)
    assert tables(tmp_path / "db") == []
    assert "lance" not in json.loads((gallery / "gallery.json").read_text())
    assert Session().workspace(choice(gallery)).collection.views[0].engine is None


@pytest.mark.slow
def test_a_gallery_may_be_moved_with_its_table(gallery, photos, tmp_path) -> None:
    answered_alike(gallery.rename(tmp_path / "moved"), photos / "01.png")


@pytest.mark.slow
def test_a_copy_gets_a_table_of_its_own_and_leaves_the_original_s(
    gallery, network, photos, tmp_path
) -> None:
    """It deleted the table that the original names."""
    database = str(tmp_path / "db")
    search_with_lance(gallery, [network], database=database, progress=no_progress)
    copy = tmp_path / "copy"
    shutil.copytree(gallery, copy)
    search_with_lance(copy, [network], database=database, progress=no_progress)
    tables = {Store(folder).header().lance for folder in (gallery, copy)}
    assert {str(path) for path in (tmp_path / "db").iterdir()} == tables
    assert len(tables) == 2
    search_with_lance(copy, [network], database=database, progress=no_progress)
    assert len([*(tmp_path / "db").iterdir()]) == 2  # its own of before is gone


@pytest.mark.slow
def test_what_goes_wrong_leaves_the_table_before(
    gallery, photos, network, tmp_path, monkeypatch
) -> None:
    before = Gallery.open(gallery).header

    def refuse(*_: object, **__: object) -> int:
        raise GalleryError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(served, "bring_up", refuse)
        with pytest.raises(GalleryError, match="full"):
            search_with_lance(gallery, [network], database=str(tmp_path / "db"),
                              progress=no_progress)  # fmt: skip
    assert Gallery.open(gallery).header == before
    assert tables(tmp_path / "db") == []
    answered_alike(gallery, photos / "01.png")


@pytest.mark.slow
def test_a_table_that_is_away_is_told_and_the_folder_answers_without_it(
    gallery, photos, tmp_path
) -> None:
    (gallery / "lance").rename(tmp_path / "away")
    with pytest.raises(GalleryError, match="index again with --engine lance; --search exact"):
        Session().attribute(photos / "01.png", choice(gallery))
    exact = Session().attribute(photos / "01.png", choice(gallery, score=EXACT))
    assert exact.matches[0].image.path == "01.png"
    (tmp_path / "away").rename(gallery / "lance")
    answered_alike(gallery, photos / "01.png")


@pytest.mark.slow
def test_a_version_that_was_cleaned_up_is_written_anew(gallery, photos) -> None:
    table = open_table(str(gallery / "lance" / tables(gallery / "lance")[0]))
    table.add_columns({"more": "1"})
    table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)
    answered_alike(gallery, photos / "01.png")


@pytest.mark.slow
def test_a_second_writer_waits_and_is_refused_in_the_end(
    gallery, photos, network, write_image, monkeypatch
) -> None:
    monkeypatch.setattr(served, "PATIENCE", 0.1)
    write_image(photos / "new.png", 99)
    with FileLock(gallery / "lance.lock", is_singleton=False):
        answered_alike(gallery, photos / "01.png")  # who only reads needs no lock
        bring_up(gallery, Source(photos), building.with_extra_views([network]))
        with pytest.raises(GalleryError, match="being written by another process"):
            Session().attribute(photos / "new.png", choice(gallery))
    assert answered_alike(gallery, photos / "new.png").matches[0].image.path == "new.png"


@pytest.mark.slow
def test_a_link_out_of_the_gallery_is_refused(gallery, tmp_path) -> None:
    (table,) = (gallery / "lance").iterdir()
    table.rename(tmp_path / "elsewhere")
    table.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GalleryError, match="link that leads"):
        Gallery.open(gallery)


@pytest.mark.slow
def test_a_uri_is_asked_only_where_it_is_named(gallery, network, monkeypatch) -> None:
    """The header of a stranger's gallery may name any."""
    for name, value in settings("http://127.0.0.1:9").items():  # where nothing answers
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OBJECT_STORE_CLIENT_MAX_RETRIES", "0")
    asked = {"database": "s3://bucket/a%20b/", "progress": no_progress}
    for named in ("", "s3://buck, s3://bucket/a", "s3://bucket/b/"):
        monkeypatch.setenv("WELLSPRING_LANCE", named)
        with pytest.raises(GalleryError, match="only where the setting WELLSPRING_LANCE names it"):
            search_with_lance(gallery, [network], **asked)
    monkeypatch.setenv("WELLSPRING_LANCE", "gs://other,s3://bucket/")
    with pytest.raises(GalleryError, match="at s3://bucket/a%20b cannot be written"):
        search_with_lance(gallery, [network], **asked)
    table = "s3://bucket/a%20b/images-1.lance"
    header = replace(Gallery.open(gallery).header, lance=table)
    assert Gallery.open(gallery).store.table(header) == table


@pytest.mark.parametrize("damage", ["away", "half", None])
@pytest.mark.slow
def test_a_damaged_table_is_named_and_written_anew(gallery, photos, network, damage) -> None:
    (before,) = (gallery / "lance").iterdir()
    if damage == "away":
        shutil.rmtree(gallery / "lance")
    elif damage == "half":
        for file in (before / "data").iterdir():
            file.write_bytes(file.read_bytes()[:40])
    library, opened = Session().library, Gallery.open(gallery)
    found = [each.file for each in library.verify(opened)]
    assert found == ([] if damage is None else [f"lance/{before.name}"])
    search_with_lance(gallery, [network], progress=no_progress)
    assert library.verify(Gallery.open(gallery)) == []
    assert len(tables(gallery / "lance")) == 1
    answered_alike(gallery, photos / "01.png")


@pytest.mark.slow
def test_a_picture_that_a_self_test_adds_is_found_beside_a_table(gallery, tmp_path):
    session, stranger = Session(), tmp_path / "stranger.png"
    draw(stranger, 99)
    trial = selftest(session, stranger, choice(gallery), name="stranger.png")
    found = trial.run("blend", far=0.0, seed=0).present.matches[0]
    assert found.image.path == "stranger.png", "the table does not hold it"
