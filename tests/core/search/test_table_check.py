"""A table that is not what was written to it is named, with the command that mends it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.config import HeadConfig, ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.opting import opt_in, opt_out
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import verify
from core.search import lance, table_check
from core.search.lance_table import create, new_table, open_table, versions_of
from core.search.prepare import fitted_head, prepare
from core.search.table_check import changed_table
from core.values import Cancelled
from tests.core.conftest import FakeEncoder, draw

lancedb = pytest.importorskip("lancedb")
Change = Callable[[Any], object]
AGAIN = "`index --engine lance` with the same folder writes it anew"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Twelve images with creators, whose gallery a table inside it searches."""
    place, encoder = tmp_path_factory.mktemp("built"), FakeEncoder()
    for number in range(12):
        draw(place / "photos" / f"{number:02d}.png", number)
    (place / "photos" / "metadata.csv").write_text("file,creator\n01.png,Ann\n02.png,Bea\n")
    update(place / "g", Source(place / "photos"), [encoder])
    write_anew(place / "g", encoder)
    return place


@pytest.fixture
def folder(built, tmp_path) -> Path:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    header = json.loads((tmp_path / "g" / "gallery.json").read_text(encoding="utf-8"))
    header["root"] = str(tmp_path / "photos")
    (tmp_path / "g" / "gallery.json").write_text(json.dumps(header), encoding="utf-8")
    return tmp_path / "g"


def write_anew(folder: Path, encoder: Any, *, database: Path | None = None) -> str:
    table, store = new_table(str(database or folder / "lance")), Store(folder)
    create(table, owner="me")
    store.search_in(table)
    ask(folder, encoder)
    return table


def ask(folder: Path, encoder: Any) -> None:
    """Do what comes before an answer, which brings the table up to date."""
    gallery = Gallery.open(folder)
    head = fitted_head(gallery, encoder, config=HeadConfig(k=4))
    prepare(gallery, encoder, head, config=ScoreConfig())


def table_of(folder: Path) -> Any:
    store = Store(folder)
    return open_table(store.table(store.header()))


def alone(table: Any) -> None:
    """Leave a table in its last version alone, as after a while."""
    table.optimize(cleanup_older_than=timedelta(milliseconds=1), delete_unverified=True)


def vector_of(table: Any) -> str:
    (name,) = (f.name for f in table.schema if pa.types.is_fixed_size_list(f.type))
    return name


def faults(folder: Path) -> list[str]:
    name = Store(folder).header().lance
    found = changed_table(folder)
    assert {damage.file for damage in found} <= {name}
    assert all(AGAIN in damage.mend for damage in found)
    return [damage.what for damage in found]


@pytest.mark.slow
def test_a_whole_table_has_no_fault_whatever_changes(folder, encoder) -> None:
    assert faults(folder) == []
    for change in (remove, opt_out, opt_in):
        change(folder, [3] if change is remove else [5])
        assert faults(folder) == [], "what is asked next brings it up to date"
        ask(folder, encoder)
        assert faults(folder) == []


@pytest.mark.slow
def test_a_table_that_is_compacted_has_no_fault(folder) -> None:
    alone(table_of(folder))
    assert faults(folder) == []


def test_a_table_that_went_on_to_another_state_has_no_fault(folder, encoder, monkeypatch) -> None:
    """Versions go after a while, and opting an image back in asks for one that went."""
    monkeypatch.setattr(lance, "KEPT", timedelta(milliseconds=1))
    opt_out(folder, [5])
    ask(folder, encoder)
    assert len(versions_of(table_of(folder))) == 1
    opt_in(folder, [5])
    assert faults(folder) == []
    ask(folder, encoder)
    assert faults(folder) == []


def test_a_gallery_without_a_table_has_no_fault(folder) -> None:
    Store(folder).search_in("")
    assert changed_table(folder) == []


def moved(table: Any, rows: int) -> None:
    """Give the first rows the vectors of others, as if nothing had happened."""
    name = vector_of(table)
    found = table.search().limit(100).to_arrow().sort_by("id")
    vectors = found[name].to_pylist()
    vectors[:rows] = vectors[-rows:]
    place = found.schema.get_field_index(name)
    other = found.set_column(place, found.schema.field(name), pa.array(vectors, found[name].type))
    table.merge_insert("id").when_matched_update_all().execute(other)


CHANGES: dict[str, tuple[Change, str]] = {
    "emptied": (lambda table: table.delete("true"), "images that are not in it: 12 of 12"),
    "two gone": (lambda table: table.delete("id < 2"), "images that are not in it: 2 of 12"),
    "one twice": (
        lambda table: table.add(table.search().limit(1).to_arrow()),
        "images that are in it twice: 1 of 12",
    ),
    "a stranger": (
        lambda table: table.update(where="id = 3", values={"id": 99}),
        "images that are not in it: 1 of 12; rows of no image of the gallery: 1",
    ),
    "vectors": (lambda table: moved(table, 2), "images with other vectors: 2 of 12"),
    "no digest": (
        lambda table: table.update(where="id = 3", values={"digest_of_" + vector_of(table): 7}),
        "images with other vectors: 1 of 12",
    ),
    "a value": (
        lambda table: table.update(where="creator = 'ann'", values={"creator": "bea"}),
        "images described otherwise: 1 of 12",
    ),
    "no vectors": (
        lambda table: table.drop_columns([vector_of(table)]),
        "of another schema: embedding_fake_",
    ),
    "another kind": (
        lambda table: table.alter_columns({"path": "creator", "rename": "maker"}),
        "of another schema: creator",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.slow
def test_what_was_changed_is_named_and_mended(folder, encoder, name: str) -> None:
    change, what = CHANGES[name]
    change(table_of(folder))
    assert faults(folder) == [], "the version that is asked is still there, and whole"
    alone(table_of(folder))
    found = "; ".join(faults(folder))
    assert found.startswith(what) if "schema" in what else found == what, found
    write_anew(folder, encoder)
    assert faults(folder) == []


def test_a_change_of_a_large_table_is_found_in_a_sample(folder, monkeypatch) -> None:
    monkeypatch.setattr(table_check, "EXACT", 6)
    monkeypatch.setattr(table_check, "LOOKED_AT", 4)
    assert faults(folder) == []
    moved(table_of(folder), 11)
    alone(table_of(folder))
    (found,) = faults(folder)
    assert re.fullmatch("images with other vectors: [1-4] of 12", found)


def test_an_older_copy_is_named(folder, encoder, tmp_path, write_image) -> None:
    shutil.copytree(folder / "lance", tmp_path / "copy")
    write_image(tmp_path / "photos" / "new.png", 99)
    update(folder, Source(tmp_path / "photos"), [encoder])
    ask(folder, encoder)
    shutil.rmtree(folder / "lance")
    (tmp_path / "copy").rename(folder / "lance")
    (found,) = faults(folder)
    assert found.startswith("older than the gallery: version ")


def test_a_table_that_is_away_is_named(folder) -> None:
    (folder / "lance").rename(folder.parent / "away")
    (found,) = faults(folder)
    assert "is not at" in found


@pytest.mark.parametrize("what", ["data", "_versions"])
def test_a_half_written_table_is_named(folder, what: str) -> None:
    (table,) = (folder / "lance").iterdir()
    for file in (table / what).rglob("*"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    (found,) = faults(folder)
    assert "cannot be read (" in found


def test_a_table_of_another_version_is_named(folder) -> None:
    (table,) = (folder / "lance").iterdir()
    shutil.rmtree(table)
    lancedb.connect(folder / "lance").create_table(table.stem, [{"id": 1, "text": "mine"}])
    assert faults(folder) == [f"{table.stem} has format none, this version reads 1"]


def test_a_table_elsewhere_is_written_anew_where_it_lies(folder, encoder, tmp_path) -> None:
    table = write_anew(folder, encoder, database=tmp_path / "db")
    assert changed_table(folder) == []
    shutil.rmtree(tmp_path / "db")
    (found,) = changed_table(folder)
    assert found.file == table
    assert f"`index --engine lance --uri {tmp_path / 'db'}`" in found.mend


def test_what_cannot_be_looked_at_is_said(folder, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "lancedb", None)
        (found,) = changed_table(folder)
    assert found.what == "not looked at"
    assert "pip install lancedb==" in found.mend
    Store(folder).search_in("s3://bucket/images-1.lance")
    (found,) = changed_table(folder)
    assert (found.file, found.what) == ("s3://bucket/images-1.lance", "not looked at")
    assert "only where the setting WELLSPRING_LANCE names it" in found.mend


@pytest.mark.parametrize(
    "change",
    [{"column": 7}, {"texts": "creator"}, {"texts": [None]}, {"table": ["x"]}, None],
)
@pytest.mark.slow
def test_a_damaged_record_of_what_was_written_is_passed_over(folder, encoder, change) -> None:
    """Every file of a gallery may be a stranger's; `verify` names it, and it is written anew."""
    path = next(Gallery.open(folder).artefacts.folder.glob("lance-*/written.json"))
    said = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(None if change is None else said | change), encoding="utf-8")
    assert [damage.what for damage in verify(folder)] == ["changed since it was written"]
    assert changed_table(folder) == []
    ask(folder, encoder)
    assert faults(folder) == []


def test_it_reports_and_can_be_stopped(folder) -> None:
    calls: list[tuple[int, int]] = []
    changed_table(folder, progress=lambda done, total, _: calls.append((done, total)))
    assert calls == [(1, 1)]

    def stop(*_: object) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        changed_table(folder, progress=stop)


def test_numbers_that_are_no_contents_are_passed_over(folder) -> None:
    place = next(Gallery.open(folder).artefacts.folder.glob("lance-*"))
    for name, array in (
        ("numbers", np.array([0, 4])),
        ("numbers", np.array([1, 2**40])),
        ("ids", np.arange(12.0)),
        ("digests", np.zeros((3, 2), np.uint64)),
    ):
        whole = (place / f"{name}.npy").read_bytes()
        np.save(place / f"{name}.npy", array)
        assert changed_table(folder) == []
        (place / f"{name}.npy").write_bytes(whole)
    assert faults(folder) == []
