"""Rows joined to the images that they name, and the account of what was not."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.gallery.metadata import Metadata, read_metadata, split_fields
from core.gallery.naming import WAYS
from core.values import GalleryError

EXACT, OTHERWISE, CASE, END, NAME = WAYS


def joined(folder: Path, files: list[str], **tables: str | bytes) -> Metadata:
    """What tables say of files; ``trip__metadata_csv`` stands for trip/metadata.csv."""
    paths = []
    for key, content in tables.items():
        stem, _, kind = key.replace("__", "/").rpartition("_")
        path = folder / f"{stem}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        paths.append(path)
    return read_metadata(folder, paths, files)


def ways(found: Metadata) -> dict[str, int]:
    (account,) = found.tables
    return dict(account.matched)


def test_known_columns_go_by_several_names_and_none_is_lost(tmp_path: Path) -> None:
    header = "file_name,License,Author,LINK,Title,mood,artist\n"
    found = joined(
        tmp_path, ["a.jpg"], metadata_csv=header + "a.jpg,CC0,Ann,http://x,A day,calm,Bo\n"
    )
    assert found.fields["a.jpg"] == {
        "licence": "CC0",
        "creator": "Ann",
        "url": "http://x",
        "title": "A day",
        "mood": "calm",
        "artist": "Bo",
    }
    found = joined(tmp_path, ["a.jpg"], metadata_csv="file_name,artist,creator\na.jpg,Bo,Ann\n")
    assert found.fields["a.jpg"] == {"creator": "Ann", "artist": "Bo"}


def test_no_table_is_no_metadata(tmp_path: Path) -> None:
    assert read_metadata(tmp_path, [], ["a.jpg"]) == Metadata()


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("cats/Tom é.jpg", EXACT),
        ("cats\\Tom é.jpg", OTHERWISE),
        ("./cats//Tom é.jpg", OTHERWISE),
        (" cats / Tom é.jpg ", OTHERWISE),
        (unicodedata.normalize("NFD", "cats/Tom é.jpg"), OTHERWISE),
        ("CATS/TOM É.JPG", CASE),
        ("/home/ann/pictures/cats/Tom é.jpg", END),
        ("C:\\pictures\\cats\\Tom é.jpg", END),
        ("images/cats/tom é.jpg", END),
        ("https://example.org/cats/Tom é.jpg", END),
        ("Tom é.jpg", NAME),
        ("dogs/Tom é.jpg", NAME),
        ("Tom é", NAME),
        ("cats/Tom é.png", NAME),
    ],
)
def test_a_row_names_its_image_in_many_ways(tmp_path: Path, text: str, way: str) -> None:
    files = ["cats/Tom é.jpg", "cats/b.jpg", "dogs/b.jpg"]
    found = joined(tmp_path, files, metadata_csv=f'file_name,title\n"{text}",T\ncats/b.jpg,B\n')
    assert found.fields == {"cats/Tom é.jpg": {"title": "T"}, "cats/b.jpg": {"title": "B"}}
    assert ways(found) == ({EXACT: 2} if way == EXACT else {EXACT: 1, way: 1})


@pytest.mark.parametrize(
    ("rows", "unmatched"),
    [
        (["b.jpg"], ["b.jpg"]),  # cats/b.jpg or dogs/b.jpg?
        (["birds/b.jpg"], ["birds/b.jpg"]),
        (
            ["cats/b.jpg", "old/cats/a.jpg", "older/cats/a.jpg"],
            ["old/cats/a.jpg", "older/cats/a.jpg"],
        ),
        (["cats/a.jpg", "old/a.jpg"], ["old/a.jpg"]),  # it has its own row
        (["cats/A.JPG", "cats/gone.jpg"], ["cats/gone.jpg"]),
    ],
)
def test_what_could_be_two_images_or_is_none_is_named_and_not_guessed(
    tmp_path: Path, rows: list[str], unmatched: list[str]
) -> None:
    files = ["cats/a.jpg", "cats/b.jpg", "dogs/b.jpg"]
    table = "".join(f"{row},T\n" for row in [*rows, "dogs/b.jpg"])
    (account,) = joined(tmp_path, files, metadata_csv="file_name,title\n" + table).tables
    assert [name for _, name in account.unmatched] == unmatched
    assert [rows[number - 1] for number, _ in account.unmatched] == unmatched
    assert account.rows == len(rows) + 1 == sum(account.matched.values()) + len(unmatched)


def test_files_that_differ_in_case_alone_keep_their_own_rows(tmp_path: Path) -> None:
    table = "file_name,title\na.jpg,small\nA.JPG,large\na.JPG,which?\n"
    found = joined(tmp_path, ["a.jpg", "A.JPG"], metadata_csv=table)
    assert found.fields == {"a.jpg": {"title": "small"}, "A.JPG": {"title": "large"}}
    assert found.tables[0].unmatched == ((3, "a.JPG"),)


def test_each_table_is_relative_to_its_folder_and_the_nearest_counts(tmp_path: Path) -> None:
    found = joined(
        tmp_path,
        ["a.jpg", "trip/a.jpg", "trip/b.jpg"],
        metadata_csv="file_name,title,creator\na.jpg,Top,Ann\ntrip/a.jpg,Far,Ann\ntrip/b.jpg,B,Ann\n",
        trip__metadata_jsonl='{"file_name": "a.jpg", "title": "Near", "mood": "calm"}\n',
    )
    assert found.fields == {
        "a.jpg": {"title": "Top", "creator": "Ann"},
        "trip/a.jpg": {"title": "Near", "creator": "Ann", "mood": "calm"},
        "trip/b.jpg": {"title": "B", "creator": "Ann"},
    }
    assert [(each.name, each.rows) for each in found.tables] == [
        ("metadata.csv", 3),
        ("trip/metadata.jsonl", 1),
    ]


def test_several_tables_of_a_folder_are_merged(tmp_path: Path) -> None:
    found = joined(
        tmp_path,
        ["a.jpg", "b.jpg"],
        metadata_jsonl='{"file_name": "a.jpg", "title": "J", "mood": "calm"}\n',
        metadata_csv="file_name,title\na.jpg,C\n",
        Metadata_JSON='[{"file_name": "b.jpg", "title": "B"}]',
    )
    assert found.fields == {"a.jpg": {"title": "C", "mood": "calm"}, "b.jpg": {"title": "B"}}


def test_a_row_may_name_several_images(tmp_path: Path) -> None:
    table = "before_file_name,after_file_name,title\na.jpg,b.jpg,Pair\n"
    found = joined(tmp_path, ["a.jpg", "b.jpg"], metadata_csv=table)
    assert found.fields == {"a.jpg": {"title": "Pair"}, "b.jpg": {"title": "Pair"}}
    lines = '{"frames_file_names": ["a.jpg", "gone.jpg"], "title": "Frames"}\n'
    found = joined(tmp_path, ["a.jpg", "b.jpg"], metadata_jsonl=lines)
    assert found.fields == {"a.jpg": {"title": "Frames"}}
    assert found.tables[0].unmatched == ((1, "gone.jpg"),)


def test_another_column_is_taken_for_the_file_name_with_a_word(tmp_path: Path) -> None:
    """Of several, the one that names the most images."""
    table = "name,image,title\nTom,a.jpg,T\nAnn,b.jpg,A\n"
    found = joined(tmp_path, ["a.jpg", "b.jpg"], metadata_csv=table)
    assert found.fields["a.jpg"] == {"name": "Tom", "title": "T"}
    assert found.tables[0].notes == ("its column 'image' was taken for file_name",)


def test_comments_and_repeated_and_nameless_rows_are_told_apart(tmp_path: Path) -> None:
    table = "file_name,title\n# old ones\na.jpg,1\n#b.jpg,no\na.jpg,2\n,x\n#c.jpg,yes\n"
    found = joined(tmp_path, ["a.jpg", "#c.jpg"], metadata_csv=table)
    assert found.fields == {"a.jpg": {"title": "2"}, "#c.jpg": {"title": "yes"}}
    (account,) = found.tables
    assert (account.rows, account.repeated, account.unmatched) == (4, 1, ())
    assert account.notes == ("1 of its rows name no file",)


def test_a_table_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match=r"names none of the 1 images.*first row names 'x\.jpg'"):
        joined(tmp_path, ["a.jpg"], metadata_csv="file_name,title\nx.jpg,T\n")
    path = tmp_path / "metadata.csv"
    assert read_metadata(tmp_path, [path], ["a.jpg"], some=True).tables[0].unmatched
    assert joined(tmp_path, ["a.jpg"], metadata_csv="file_name,title\n").fields == {}


PATHS = ["a.jpg", "cats/Tom.jpg", "cats/été 1.png", "dogs/b.JPG", "dogs/deep/写.webp"]
FORMS = {
    "as it is": lambda name: name,
    "backslashes": lambda name: name.replace("/", "\\"),
    "dotted": lambda name: f"./{name}",
    "spaced": lambda name: f"  {name} ",
    "decomposed": lambda name: unicodedata.normalize("NFD", name),
    "upper": str.upper,
    "absolute": lambda name: f"/data/pictures/{name}",
    "windows": lambda name: "D:\\pictures\\" + name.replace("/", "\\"),
    "base": lambda name: name.rpartition("/")[2],
    "stem": lambda name: name.rpartition("/")[2].rpartition(".")[0],
}


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.permutations(list(enumerate(PATHS))),
    forms=st.lists(st.sampled_from(sorted(FORMS)), min_size=len(PATHS), max_size=len(PATHS)),
    header=st.sampled_from(["file_name", "File Name", "FILENAME", "path", "Image"]),
    written=st.tuples(
        st.sampled_from([",", ";", "\t", "|"]),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]),
        st.sampled_from(["\n", "\r\n", "\n\n", ",\n"]),
    ),
)
@pytest.mark.slow
def test_however_a_table_is_written_the_join_is_the_same(
    tmp_path: Path, rows, forms, header, written
) -> None:
    delimiter, encoding, ending = written
    lines = [[header, "title"]]
    lines += [
        [FORMS[form](name), f"title {at}"] for form, (at, name) in zip(forms, rows, strict=True)
    ]
    end = ending.replace(",", delimiter)
    text = "".join(delimiter.join(f'"{cell}"' for cell in line) + end for line in lines)
    (tmp_path / "metadata.csv").write_bytes(text.encode(encoding))
    found = read_metadata(tmp_path, [tmp_path / "metadata.csv"], PATHS)
    assert found.fields == {name: {"title": f"title {at}"} for at, name in enumerate(PATHS)}
    (account,) = found.tables
    assert account.unmatched == () and sum(account.matched.values()) == len(PATHS)


def test_fields_are_split_into_known_and_free() -> None:
    own, extra = split_fields({"title": "t", "creator": "c", "mood": "calm", "id": "7"})
    assert own == {"title": "t", "creator": "c"}
    assert extra == {"mood": "calm", "id": "7"}
