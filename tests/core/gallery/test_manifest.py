"""The manifest: records as a table, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.gallery.manifest import Records, from_parquet, to_parquet
from core.gallery.paths import is_relative_path
from core.values import GalleryError, ImageRecord

text = st.text(st.characters(codec="utf-8"), max_size=8)
SHA, PHASH = "ab" * 32, "cd" * 8
records = st.builds(
    ImageRecord,
    id=st.integers(0, 2**62),
    path=text.filter(is_relative_path),
    sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    phash=st.text("0123456789abcdef", min_size=16, max_size=16),
    width=st.integers(0, 2**30),
    height=st.integers(0, 2**30),
    source=text,
    creator=text,
    licence=text,
    url=text,
    title=text,
    extra=st.dictionaries(text, text, max_size=3),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(records, max_size=4))
@pytest.mark.slow
def test_records_come_back_as_they_were(tmp_path: Path, given: list[ImageRecord]) -> None:
    path = tmp_path / "manifest.parquet"
    path.write_bytes(to_parquet(given))
    assert list(from_parquet(path)) == given


def test_folders_that_look_like_partitions_are_only_folders(tmp_path: Path) -> None:
    path = tmp_path / "id=7" / "path=x" / "manifest.parquet"
    path.parent.mkdir(parents=True)
    record = ImageRecord(1, "a\nb.jpg", SHA, PHASH, 1, 2)
    path.write_bytes(to_parquet([record]))
    assert from_parquet(path) == (record,)


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    with pytest.raises(GalleryError, match="missing or damaged"):
        from_parquet(path)
    whole = to_parquet([ImageRecord(1, "a", SHA, PHASH, 1, 2)])
    for data in (b"", b"text", whole[: len(whole) // 2], whole[:-4], b"\0" * len(whole)):
        path.write_bytes(data)
        with pytest.raises(GalleryError, match="missing or damaged"):
            from_parquet(path)


@pytest.mark.parametrize(
    ("column", "value"),
    [("extra", v) for v in ("true", "[1]", '{"a": 1}', '{"a": null}', "3")]
    + [("width", None), ("id", None), ("path", None)],
)
def test_a_manifest_whose_values_are_of_other_kinds_is_refused(
    tmp_path: Path, column: str, value: object
) -> None:
    """Free columns that were no mapping broke whoever asked which columns there are."""
    path = tmp_path / "manifest.parquet"
    path.write_bytes(to_parquet([ImageRecord(1, "x.png", SHA, PHASH, 3, 4)]))
    table = pq.read_table(path)
    place = table.schema.get_field_index(column)
    changed = pa.array([value], type=table.schema.field(column).type)
    pq.write_table(table.set_column(place, column, changed), path)
    with pytest.raises(GalleryError, match="damaged"):
        from_parquet(path)


def test_a_text_that_is_missing_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    path.write_bytes(to_parquet([ImageRecord(1, "x.png", SHA, PHASH, 3, 4, title="t")]))
    pq.write_table(pq.read_table(path).drop_columns(["title"]), path)
    assert from_parquet(path)[0].title == ""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records, max_size=4), st.data())
def test_columns_are_a_sequence_of_records(given: list[ImageRecord], data: st.DataObject) -> None:
    found = Records.of(given)
    rows = data.draw(st.lists(st.integers(0, len(given) - 1), max_size=5)) if given else []
    for _ in range(2):  # before all are made, and after
        assert (len(found), [*found]) == (len(given), given)
        assert [found[row] for row in rows] == [given[row] for row in rows]
        assert [found[row - len(given)] for row in rows] == [given[row] for row in rows]
        assert found[1:3] == tuple(given[1:3])
    with pytest.raises(IndexError):
        found[len(given)]
    assert found == given and found == Records.of(given) and found != [*given, None]
    assert [*found.take(np.array(rows, np.int64))] == [given[row] for row in rows]
    assert [*Records.joined([found, found])] == [*given, *given]
    assert found.ids == [record.id for record in given]
    assert found.texts("title") == [record.title for record in given]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records, min_size=2, max_size=4), st.lists(records, min_size=2, max_size=2))
@pytest.mark.slow
def test_some_records_are_replaced(given: list[ImageRecord], others: list[ImageRecord]) -> None:
    meant = [*given]
    changed = dict(zip((len(given) - 1, 0), others, strict=True))
    for row, record in changed.items():
        meant[row] = record
    assert [*Records.of(given).replaced(changed)] == meant
    assert Records.of(given)[np.int64(0)] == given[0]
    assert [*Records.of(given).replaced({})] == given


def test_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    path.write_bytes(to_parquet([ImageRecord(1, "x.png", SHA, PHASH, 1, 2, title="t")]))
    table = pq.read_table(path)
    place = table.schema.get_field_index("title")
    title = pa.array([b"\xff"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(place, "title", title), path)
    with pytest.raises(GalleryError, match="damaged"):
        from_parquet(path)


@pytest.mark.slow
def test_a_small_table_does_not_fill_the_memory(tmp_path: Path) -> None:
    """500 kB took 1.8 GB, and 20 MB named ten million images."""
    path, n = tmp_path / "manifest.parquet", 20_000
    table = Records.of([ImageRecord(i, f"{i}", SHA, PHASH, 1, 2) for i in range(n)]).table
    title = pa.array(["long" * 5_000] * n)
    at = table.schema.get_field_index("title")
    pq.write_table(table.set_column(at, "title", title), path)
    with pytest.raises(GalleryError, match=r"manifest\.parquet is missing or damaged"):
        from_parquet(path)
    names = ("path", "sha256", "phash", "extra")
    same = {name: pa.array([table[name][0].as_py()] * 1_200_000) for name in names}
    same |= {name: pa.array(np.zeros(1_200_000, np.int32)) for name in ("id", "width", "height")}
    pq.write_table(pa.table(same), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(GalleryError, match=r"manifest\.parquet is missing or damaged"):
        from_parquet(path)
