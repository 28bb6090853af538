"""Pairs as people write them: which files are meant, and what is refused."""

from __future__ import annotations

import json
import unicodedata

import pytest

from core.measures.pairs import read_pairs
from core.measures.retrieval import Pair
from core.values import GalleryError

MORE = {"source": "s", "generator": "g", "exemplars": ["a.png"], "generated": "sub/ö.png"}


@pytest.fixture
def written(tmp_path):
    """Writes a pairs file beside some images; a row may be given as changes to a good one."""
    for name in ("a.png", "b.png", "x.png", "y.png", "sub/ö.png", "sub/é/z.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    good = {"source": "s", "generator": "g", "exemplars": ["a.png"], "generated": "x.png"}

    def write(*changes):
        path = tmp_path / "pairs.json"
        rows = [good | change if isinstance(change, dict) else change for change in changes]
        path.write_text(json.dumps(rows))
        return path

    return write


def test_pairs_are_read(written):
    path = written({}, {"generated": "y.png", "exemplars": ["b.png", "a.png"]})
    assert read_pairs(path) == [
        Pair("s", "g", ("a.png",), "x.png"),
        Pair("s", "g", ("b.png", "a.png"), "y.png"),
    ]


def test_an_exemplar_named_twice_is_one_right_answer(written):
    assert read_pairs(written({"exemplars": ["a.png", "a.png"]}))[0].exemplars == ("a.png",)


def test_each_role_is_a_pair_that_leaves_the_other_out(written):
    roles = {"exemplars": ["b.png", "a.png"], "roles": ["content", "style"]}
    assert read_pairs(written(roles, {"roles": []})) == [
        Pair("s: content", "g", ("b.png",), "x.png", others=("a.png",)),
        Pair("s: style", "g", ("a.png",), "x.png", others=("b.png",)),
        Pair("s", "g", ("a.png",), "x.png"),
    ]


def test_splits_share_the_pairs_out(written):
    path = written({}, {"exemplars": ["b.png"]}, {"exemplars": ["y.png"]})
    tune, untouched = (read_pairs(path, split=split) for split in ("tune", "untouched"))
    assert sorted(map(repr, tune + untouched)) == sorted(map(repr, read_pairs(path)))
    assert all(pair.half == "tune" for pair in tune)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exemplars": ["lost.png"]}, r"lost\.png is not there"),
        ({"generated": "lost.png"}, r"lost\.png is not there"),
        ({"exemplars": ["lost.png", "a.png"], "generated": "b"}, r"lost\.png, b is not there"),
        ({"exemplars": [f"{i}.png" for i in range(12)]}, r"9\.png is not there nor are 2 more"),
        ({"exemplars": ["../away.png"]}, r"away\.png lies outside of its folder"),
        ({"generated": ""}, "is not there"),
        ({"exemplars": []}, "no exemplars"),
        ({"exemplars": "a.png"}, "must be a list"),
        ({"exemplars": None}, "must be a list"),
        ({"exemplars": [5]}, "texts"),
        ({"exemplars": [["a.png"]]}, "texts"),
        ({"generated": 5}, "texts"),
        ({"source": None}, "texts"),
        ({"roles": "content"}, "texts"),
        ({"roles": [5]}, "texts"),
        ({"roles": ["content", "style"]}, "1 exemplars"),
        (5, "not a list of pairs"),
        (None, "not a list of pairs"),
        ([], "not a list of pairs"),
    ],
)
def test_bad_rows_are_refused(written, change, message):
    (written({}).parent.parent / "away.png").write_bytes(b"")
    with pytest.raises(GalleryError, match=message):
        read_pairs(written({}, change))


def test_a_row_without_a_field_is_refused(written):
    path = written({})
    path.write_text('[{"source": "s", "exemplars": ["a.png"], "generated": "x.png"}]')
    with pytest.raises(GalleryError, match="generator"):
        read_pairs(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"5", b"null", b'{"source": 1}'])
def test_files_that_are_no_list_of_pairs_are_refused(tmp_path, content):
    path = tmp_path / "pairs.json"
    path.write_bytes(content)
    with pytest.raises(GalleryError, match=r"pairs\.json"):
        read_pairs(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(GalleryError, match=r"pairs\.json"):
        read_pairs(tmp_path / "pairs.json")
    with pytest.raises(GalleryError, match="is not a regular file; name a JSON list of"):
        read_pairs(tmp_path)
    with pytest.raises(GalleryError, match=r"lost\.json' is not there; name a JSON list of"):
        read_pairs(tmp_path / "lost.json")


def test_a_list_without_a_pair_says_what_belongs_there(written):
    with pytest.raises(GalleryError, match=r'lists no pairs; name a JSON list of \{"source"'):
        read_pairs(written())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_pairs_are_read_in_the_encodings_of_tables(written, caplog, encoding):
    """A byte-order mark, which editors on Windows write, was refused as no JSON."""
    path = written({})
    text = json.dumps([*json.loads(path.read_text()), MORE], ensure_ascii=False)
    path.write_bytes(text.encode(encoding))
    assert [pair.generated for pair in read_pairs(path)] == ["x.png", "sub/ö.png"]
    assert ("Windows-1252" in caplog.text) == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("./sub/ö.png", "the path written otherwise"),
        ("sub\\ö.png", "the path written otherwise"),
        ("sub//../sub/ö.png", "the path written otherwise"),
        ("sub/" + unicodedata.normalize("NFD", "ö") + ".png", "the path written otherwise"),
        (" sub/ö.png ", "the path written otherwise"),
        ("{folder}/sub/ö.png", "the path written otherwise"),
        ("SUB/Ö.PNG", "upper and lower case"),
        ("/home/ann/sub/ö.png", "the end of the path"),
        ("C:\\x\\sub\\ö.png", "the end of the path"),
    ],
)
def test_names_are_matched_as_those_of_tables(written, caplog, name, way):
    """They were refused, for paths that would lead out of the folder or for files not there."""
    path = written({})
    names = {"exemplars": ["a.png", name.format(folder=path.parent)], "generated": "x.png"}
    (pair,) = read_pairs(written(names))
    assert pair.exemplars == ("a.png", "sub/ö.png")
    assert caplog.messages == [f"pairs.json: of 3 names of files, 1 by {way}"]


def test_names_that_are_exact_are_not_told(written, caplog):
    read_pairs(written({}, MORE))
    assert not caplog.messages


def test_two_spellings_of_an_exemplar_are_one_right_answer(written):
    assert read_pairs(written({"exemplars": ["a.png", "./a.png"]}))[0].exemplars == ("a.png",)


def test_a_name_alone_is_no_source(written):
    """A generated image that is missing would be found as the exemplar that it was named after."""
    with pytest.raises(GalleryError, match=r"made/z\.png is not there"):
        read_pairs(written({"exemplars": ["sub/é/z.png"], "generated": "made/z.png"}))
