"""Tables as people and programs write them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.gallery.tables import read_table
from core.values import GalleryError

PLAIN = 'file_name,creator,title\na.jpg,Ann,"A day, long"\nb.jpg,,Ü\n'
ROWS = (
    {"file_name": "a.jpg", "creator": "Ann", "title": "A day, long"},
    {"file_name": "b.jpg", "title": "Ü"},
)
SEMICOLONS = PLAIN.replace(",", ";").replace("A day;", "A day,")
TABS = SEMICOLONS.replace(";", "\t")
RECORDS = [{**ROWS[0], "n": None}, {**ROWS[1], "creator": float("nan")}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", PLAIN.encode()),
        ("metadata.csv", PLAIN.encode("utf-8-sig")),
        ("metadata.csv", PLAIN.encode("utf-16")),
        ("metadata.csv", b"\xfe\xff" + PLAIN.encode("utf-16-be")),
        ("metadata.csv", PLAIN.encode("utf-16-le")),
        ("metadata.csv", PLAIN.encode("utf-16-be")),
        ("metadata.csv", PLAIN.encode("cp1252")),
        ("metadata.csv", PLAIN.replace("\n", "\r\n").encode()),
        ("metadata.csv", PLAIN.replace("\n", "\n\n").encode()),
        ("metadata.csv", PLAIN.replace("\n", ",,,\n").encode()),
        ("metadata.csv", SEMICOLONS.encode()),
        ("metadata.csv", ("sep=;\n" + SEMICOLONS).encode()),
        ("metadata.csv", TABS.encode()),
        ("metadata.tsv", TABS.encode()),
        ("metadata.tsv", PLAIN.encode()),
        ("metadata.csv", SEMICOLONS.replace(";", "|").encode()),
        ("metadata.csv", ("# made by hand\n\n#, it was\n" + PLAIN).encode()),
        ("metadata.jsonl", "\n\n".join(map(json.dumps, RECORDS)).replace("NaN", "null").encode()),
        ("metadata.json", json.dumps(RECORDS).encode()),
        ("metadata.json", json.dumps({"info": {"by": "Ann"}, "images": RECORDS}).encode()),
        (
            "metadata.json",
            json.dumps(
                {"a.jpg": {"creator": "Ann", "title": "A day, long"}, "b.jpg": {"title": "Ü"}}
            ),
        ),
        (
            "metadata.json",
            json.dumps(
                {
                    "file_name": ["a.jpg", "b.jpg"],
                    "creator": ["Ann", None],
                    "title": ["A day, long", "Ü"],
                }
            ),
        ),
        (
            "metadata.json",
            json.dumps(
                {
                    "file_name": {"0": "a.jpg", "1": "b.jpg"},
                    "creator": {"0": "Ann"},
                    "title": {"0": "A day, long", "1": "Ü"},
                }
            ),
        ),
    ],
)
def test_one_table_is_read_however_it_is_written(
    tmp_path: Path, name: str, content: bytes | str
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = read_table(path)
    assert table.rows == ROWS
    assert table.name_columns == (("file_name",),)


def test_parquet_is_read_without_its_images(tmp_path: Path) -> None:
    image = [{"bytes": b"x" * 1000, "path": "a"}] * 2
    names = ["a.jpg", "b.jpg"]
    columns = {"image": image, "file_name": names, "raw": [b"1", b"2"], "year": [1999, None]}
    pq.write_table(pa.table(columns), tmp_path / "metadata.parquet")
    table = read_table(tmp_path / "metadata.parquet")
    assert table.rows == ({"file_name": "a.jpg", "year": "1999"}, {"file_name": "b.jpg"})


def test_what_had_to_be_guessed_is_said(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_bytes(PLAIN.encode("cp1252"))
    assert "read as Windows-1252" in read_table(path).notes[0]
    path.write_text("file_name,title\na.jpg,Hello, world\nb.jpg,x\n")
    assert read_table(path).notes == ("1 rows have more values than there are columns: 1",)
    path.write_text('file_name,title\na.jpg,"open\nb.jpg,x\n')
    assert "quotation marks do not match" in read_table(path).notes[0]
    path.write_text(PLAIN)
    assert read_table(path).notes == ()


def test_of_columns_with_one_name_the_first_value_counts_and_it_is_said(tmp_path: Path) -> None:
    rows = (
        {"file_name": "a.jpg", "creator": "Ada"},
        {"file_name": "b.jpg", "creator": "Grace"},
    )
    text = tmp_path / "metadata.csv"
    text.write_text("file_name,creator,creator\na.jpg,Ada,Bob\nb.jpg,,Grace\n")
    values = [pa.array(v) for v in (["a.jpg", "b.jpg"], ["Ada", None], ["Bob", "Grace"])]
    columns = pa.table(values, names=["file_name", "creator", "creator"])
    pq.write_table(columns, tmp_path / "metadata.parquet")
    for table in (read_table(text), read_table(tmp_path / "metadata.parquet")):
        assert table.rows == rows
        assert table.columns == ("file_name", "creator")
        assert "several columns are called creator" in table.notes[0]


def test_apostrophes_that_keep_cells_from_being_formulas_are_none_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text("file_name,title\n'-a.jpg,'=x\nb.jpg,'tis\n")
    rows = ({"file_name": "-a.jpg", "title": "=x"}, {"file_name": "b.jpg", "title": "'tis"})
    assert read_table(path).rows == rows


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("file_name,name", (("file_name",),)),
        ("File Name,x", (("File Name",),)),
        ("before_file_name,after_file_name,x", (("before_file_name", "after_file_name"),)),
        ("x,Filename", (("Filename",),)),
        ("name,path,image", (("image",), ("path",), ("name",))),
        ("#,path", (("path",),)),
    ],
)
def test_columns_of_file_names_go_by_several_names(tmp_path: Path, header: str, columns) -> None:
    (tmp_path / "metadata.csv").write_text(f"{header}\n1,2,3\n")
    assert read_table(tmp_path / "metadata.csv").name_columns == columns


def test_without_such_a_column_those_found_are_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("artist,year\nAnn,1999\n")
    table = read_table(tmp_path / "metadata.csv")
    with pytest.raises(GalleryError, match="file_name is missing; its columns are artist, year"):
        _ = table.name_columns
    (tmp_path / "metadata.csv").write_text("\n")
    with pytest.raises(GalleryError, match="it is empty"):
        _ = read_table(tmp_path / "metadata.csv").name_columns


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("metadata.csv", b"file_name\n" + b'"' + b"x" * 200_000 + b'"\n', "csv"),
        ("metadata.csv", b"\xff\xfea", "csv"),
        ("metadata.jsonl", b'{"file_name": "a.jpg"', "jsonl"),
        ("metadata.jsonl", b'["a.jpg"]\n', "object"),
        ("metadata.json", b'{"a": 1}', "no list of objects"),
        ("metadata.json", b'["a.jpg"]', "no list of objects"),
        ("metadata.json", b'{"file_name": ["a.jpg"], "title": []}', "json"),
        ("metadata.json", b"[" * 100_000, "nested too deeply"),
        ("metadata.parquet", b"PAR1" + b"x" * 100, "parquet"),
        ("metadata.parquet", b"", "parquet"),
    ],
)
def test_what_is_no_table_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GalleryError, match=what) as raised:
        read_table(tmp_path / name)
    assert name in str(raised.value)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.parquet"])
def test_too_much_is_refused_before_it_is_read(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(100_000_001)
    with pytest.raises(GalleryError, match="over 100,000,000 bytes"):
        read_table(tmp_path / name)


@pytest.mark.slow
def test_a_small_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metadata.parquet"
    names = pa.array(["x" * 1_000] * 120_000)
    pq.write_table(pa.table({"file_name": names}), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(GalleryError, match="unpacks to over"):
        read_table(path)


@pytest.mark.slow
def test_a_text_that_repeats_is_counted_as_often(tmp_path: Path) -> None:
    """A file of 200 kB took 2.9 GB and 44 seconds: what it unpacks to was not counted."""
    path, names = tmp_path / "metadata.parquet", [f"{i}.png" for i in range(20_000)]
    for title in ("long" * 5_000, ["long" * 500] * 10, {"path": "long" * 5_000}):
        table = pa.table({"file_name": names, "title": pa.array([title] * 20_000)})
        pq.write_table(table, path)
        assert path.stat().st_size < 1_000_000
        if isinstance(title, dict):  # the path of an image is read where no column names files
            pq.write_table(table.select(["title"]).rename_columns(["image"]), path)
        with pytest.raises(GalleryError, match="unpacks to over 100,000,000 bytes"):
            read_table(path)
    rows = pa.table({"file_name": pa.array(["0.png"] * 8_000_000).dictionary_encode()})
    pq.write_table(rows, path)
    assert path.stat().st_size < 100_000
    with pytest.raises(GalleryError, match="unpacks to over 100,000,000 bytes"):
        read_table(path)
