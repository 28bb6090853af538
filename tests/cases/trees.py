"""Made folders of all kinds, and what becomes of each picture and row: one table."""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def picture(seed: int, form: str = "PNG", **options: object) -> bytes:
    """A small picture that no other seed gives."""
    cells = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(cells).resize((48, 40), Image.Resampling.BICUBIC).save(file, form, **options)
    return file.getvalue()


def cut(seed: int, *, by: int) -> bytes:
    """A JPEG file without its last bytes."""
    return picture(seed, "JPEG", quality=90)[:-by]


def animation() -> bytes:
    """A GIF that begins with a black frame."""
    frames = [Image.open(io.BytesIO(picture(seed))).convert("P") for seed in (1, 2)]
    file = io.BytesIO()
    black = Image.new("RGB", frames[0].size).convert("P")
    black.save(file, "GIF", save_all=True, append_images=frames)
    return file.getvalue()


def parquet(**columns: list[object]) -> bytes:
    """A Parquet file."""
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


NAMES = ("a.png", "b.png", "trip/c.png", "trip/d.png")
P = {name: picture(seed) for seed, name in enumerate(NAMES)}
"""Four pictures."""
ANN, BO = {"creator": "Ann"}, {"creator": "Bo"}


@dataclass(frozen=True)
class Case:
    """A folder and what must become of it."""

    what: str
    files: Mapping[str, bytes | str]
    fields: Mapping[str, Mapping[str, str]] | None = None
    """Metadata of every image by its path; what is not named is an image without any."""
    matched: Mapping[str, int] = field(default_factory=dict)
    """Rows of all tables by how they were matched."""
    unmatched: tuple[str, ...] = ()
    """What rows without an image name."""
    unread: Mapping[str, list[str]] = field(default_factory=dict)
    """Pictures of kinds that are not read."""
    other_tables: tuple[str, ...] = ()
    """What may be tables but is not called so."""
    skipped: tuple[str, ...] = ()
    """Files left out with a reason."""
    left_out: tuple[str, ...] = ()
    """Those of them that have a row."""
    note: str = ""
    """Part of a note on a table."""
    images: tuple[str, ...] = tuple(sorted(P))
    """The images of the gallery."""
    error: str = ""
    """Pattern of the error, where nothing is built."""


def table(*rows: str, header: str = "file_name,creator") -> str:
    return "\n".join([header, *rows]) + "\n"


def csv(*rows: str, header: str = "file_name,creator") -> dict[str, bytes | str]:
    """The four pictures and a table beside them."""
    return {**P, "metadata.csv": table(*rows, header=header)}


EXACT, OTHERWISE, CASE_, END, NAME = (
    "the exact path",
    "the path written otherwise",
    "upper and lower case",
    "the end of the path",
    "the name alone",
)
BOTH = {"a.png": ANN, "trip/c.png": BO}
C = {"trip/c.png": BO}
ROWS = ("a.png,Ann", "trip/c.png,Bo")
PLAIN = table(*ROWS)
OBJECTS = [{"file_name": "a.png", "creator": "Ann"}, {"file_name": "trip/c.png", "creator": "Bo"}]
LINES = '{"file_name": "a.png", "creator": "Ann"}\n{"file_name": "trip/c.png", "creator": "Bo"}\n'

CASES = [
    Case("no table", P),
    Case("CSV", csv(*ROWS), BOTH, {EXACT: 2}),
    Case("TSV", P | {"metadata.tsv": PLAIN.replace(",", "\t")}, BOTH, {EXACT: 2}),
    Case("lines of JSON", P | {"metadata.jsonl": LINES}, BOTH, {EXACT: 2}),
    Case(
        "JSON",
        P | {"metadata.json": json.dumps({k: dict(v) for k, v in BOTH.items()})},
        BOTH,
        {EXACT: 2},
    ),
    Case(
        "Parquet",
        P | {"metadata.parquet": parquet(file_name=list(BOTH), creator=["Ann", "Bo"])},
        BOTH,
        {EXACT: 2},
    ),
    Case("another case of the name", P | {"METADATA.CSV": PLAIN}, BOTH, {EXACT: 2}),
    Case(
        "a table in a folder of its own",
        P | {"trip/metadata.csv": table("c.png,Bo")},
        C,
        {EXACT: 1},
    ),
    Case(
        "the nearest table counts",
        P
        | {
            "metadata.csv": table("trip/c.png,Ann,calm", header="file_name,creator,mood"),
            "trip/metadata.csv": table("c.png,Bo"),
        },
        {"trip/c.png": {"creator": "Bo", "mood": "calm"}},
        {EXACT: 2},
    ),
    Case(
        "several tables are merged",
        P | {"metadata.csv": table("a.png,Ann"), "metadata.jsonl": LINES.split("\n")[1]},
        BOTH,
        {EXACT: 2},
    ),
    Case(
        "splits",
        {f"train/{n}": data for n, data in P.items()}
        | {"train/metadata.csv": table(*ROWS), "test/e.png": picture(9)},
        {f"train/{name}": value for name, value in BOTH.items()},
        {EXACT: 2},
        images=("test/e.png", *(f"train/{n}" for n in sorted(P))),
    ),
    Case(
        "several file names a row",
        csv("a.png,b.png,Ann", header="one_file_name,two_file_name,creator"),
        {"a.png": ANN, "b.png": ANN},
        {EXACT: 2},
    ),
    Case("semicolons", P | {"metadata.csv": PLAIN.replace(",", ";")}, BOTH, {EXACT: 2}),
    Case("tabs in a CSV", P | {"metadata.csv": PLAIN.replace(",", "\t")}, BOTH, {EXACT: 2}),
    Case(
        "a line sep=;",
        P | {"metadata.csv": "sep=;\n" + PLAIN.replace(",", ";")},
        BOTH,
        {EXACT: 2},
    ),
    Case(
        "a byte-order mark",
        P | {"metadata.csv": PLAIN.encode("utf-8-sig")},
        BOTH,
        {EXACT: 2},
    ),
    Case("UTF-16", P | {"metadata.csv": PLAIN.encode("utf-16")}, BOTH, {EXACT: 2}),
    Case(
        "Latin-1",
        P | {"metadata.csv": table("a.png,Åsa").encode("latin-1")},
        {"a.png": {"creator": "Åsa"}},
        {EXACT: 1},
        note="read as Windows-1252",
    ),
    Case(
        "blank lines, comments, delimiters at the end",
        P
        | {"metadata.csv": "# ours\n\nfile_name,creator,\n\na.png,Ann,\n# no\ntrip/c.png,Bo,,\n\n"},
        BOTH,
        {EXACT: 2},
    ),
    *(
        Case(
            f"the column {header!r}",
            csv(*ROWS, header=f"{header},creator"),
            BOTH,
            {EXACT: 2},
            note="was taken for file_name",
        )
        for header in ("filename", "Image", "path", "name", "file path", "Image Path", "imageName")
    ),
    Case(
        "the column 'file name'",
        csv(*ROWS, header="File Name,Creator"),
        BOTH,
        {EXACT: 2},
        note="was taken for file_name",
    ),
    Case(
        "backslashes",
        csv("trip\\c.png,Bo"),
        C,
        {OTHERWISE: 1},
    ),
    Case(
        "./ and blanks",
        csv(" ./a.png ,Ann"),
        {"a.png": ANN},
        {OTHERWISE: 1},
    ),
    Case(
        "another Unicode form",
        P
        | {
            "é.png": picture(8),
            "metadata.csv": table(unicodedata.normalize("NFD", "é.png") + ",Ann"),
        },
        {"é.png": ANN},
        {OTHERWISE: 1},
        images=(*NAMES, "é.png"),
    ),
    Case(
        "another case",
        csv("TRIP/C.PNG,Bo"),
        C,
        {CASE_: 1},
    ),
    Case(
        "absolute paths",
        csv("/home/ann/trip/c.png,Bo", "C:\\x\\trip\\d.png,Bo"),
        {"trip/c.png": BO, "trip/d.png": BO},
        {END: 2},
    ),
    Case(
        "base names",
        csv("c.png,Bo"),
        C,
        {NAME: 1},
    ),
    Case("stems", csv("c,Bo", "a.jpg,Ann"), BOTH, {NAME: 2}),
    Case(
        "a name that two images have",
        P | {"trip/a.png": picture(7), "metadata.csv": table("b.png,Bo", "x/a.png,Ann")},
        {"b.png": BO},
        {EXACT: 1},
        unmatched=("x/a.png",),
        images=("a.png", "b.png", "trip/a.png", "trip/c.png", "trip/d.png"),
    ),
    Case(
        "rows without an image",
        csv("a.png,Ann", "gone.png,Bo"),
        {"a.png": ANN},
        {EXACT: 1},
        unmatched=("gone.png",),
    ),
    Case(
        "an unquoted comma",
        csv("a.png,Ann,the third"),
        {"a.png": ANN},
        {EXACT: 1},
        note="more values than there are columns",
    ),
    Case(
        "a table that matches nothing",
        csv("x.png,Ann"),
        error="names none of the 4 images",
    ),
    Case(
        "no column of file names",
        P | {"metadata.csv": "artist,year\nAnn,1999\n"},
        error="file_name is missing; its columns are artist, year",
    ),
    Case(
        "a broken line of JSON",
        P | {"metadata.jsonl": LINES + "{oops"},
        error="metadata.jsonl cannot be read as jsonl: line 3: Expecting",
    ),
    Case("an empty table", P | {"metadata.csv": ""}, error="it is empty"),
    Case("no table at all", P | {"metadata.json": "{}"}, error="no list of objects"),
    Case(
        "pictures without or with another extension",
        P | {"scan": picture(5, "JPEG"), "photo.jpg_large": picture(6, "JPEG"), "notes.txt": "x"},
        images=("a.png", "b.png", "photo.jpg_large", "scan", "trip/c.png", "trip/d.png"),
    ),
    Case(
        "tables of other names",
        P | {"labels.csv": "file_name,creator\n", "trip/metadata.xlsx": b"PK\3\4", "x.txt": "x"},
        other_tables=("labels.csv", "trip/metadata.xlsx"),
    ),
    Case(
        "kinds that are not read",
        P | {"x.psd": b"8BPS", "trip/y.svg": "<svg/>", "z": b"8BPS\0\1", "r.cr2": b"II*\0....CR"},
        unread={"PSD": ["x.psd", "z"], "SVG": ["trip/y.svg"], "camera RAW": ["r.cr2"]},
    ),
    Case("a file that only has the name", P | {"x.jpg": "no picture"}, skipped=("x.jpg",)),
    Case(
        "two files of the same bytes that cannot be read",
        csv("a.png,Ann", "x.jpg,Bo") | {"x.jpg": b"no picture", "y.jpg": b"no picture"},
        {"a.png": ANN},
        {EXACT: 2},
        skipped=("x.jpg", "y.jpg"),
        left_out=("x.jpg",),
    ),
    Case("an empty file", P | {"x.jpg": b""}, skipped=("x.jpg",)),
    Case("a JPEG without its end marker", P | {"x.jpg": cut(5, by=2)}, images=(*NAMES, "x.jpg")),
    Case("a JPEG without its last rows", P | {"x.jpg": cut(5, by=200)}, skipped=("x.jpg",)),
    Case("an animation", P | {"x.gif": animation()}, images=(*NAMES, "x.gif")),
    Case(
        "a line break in quotes",
        csv('a.png,Ann,"one\ntwo"', header="file_name,creator,about"),
        {"a.png": {**ANN, "about": "one\ntwo"}},
        {EXACT: 1},
    ),
    Case(
        "blanks before quotes",
        csv('"a.png", "Ann"', '"trip/c.png", "Bo"', header="file_name, creator"),
        BOTH,
        {EXACT: 2},
    ),
    Case(
        "ends of lines of old Macs",
        P | {"metadata.csv": PLAIN.replace("\n", "\r")},
        BOTH,
        {EXACT: 2},
    ),
    Case(
        "UTF-16 without a mark", P | {"metadata.csv": PLAIN.encode("utf-16-be")}, BOTH, {EXACT: 2}
    ),
    Case("UTF-32", P | {"metadata.csv": PLAIN.encode("utf-32")}, BOTH, {EXACT: 2}),
    Case(
        "a title above the columns",
        P | {"metadata.csv": "Our photos;;\nfile_name;creator\na.png;Ann\n"},
        {"a.png": ANN},
        {EXACT: 1},
        note="named in line 2",
    ),
    Case(
        "the last of several rows counts",
        csv("a.png,Ann", "a.png,Bo"),
        {"a.png": BO},
        {EXACT: 2},
    ),
    Case("lines of JSON called .json", P | {"metadata.json": LINES}, BOTH, {EXACT: 2}),
    Case(
        "a list of JSON called .jsonl",
        P | {"metadata.jsonl": json.dumps(OBJECTS)},
        BOTH,
        {EXACT: 2},
    ),
    Case(
        "one object of JSON",
        P | {"metadata.json": json.dumps(OBJECTS[0])},
        {"a.png": ANN},
        {EXACT: 1},
    ),
    Case(
        "JSON by column",
        P | {"metadata.json": json.dumps({"file_name": [*BOTH], "creator": ["Ann", "Bo"]})},
        BOTH,
        {EXACT: 2},
    ),
    Case(
        "JSON as columns and data",
        P
        | {
            "metadata.json": json.dumps(
                {
                    "columns": ["file_name", "creator"],
                    "data": [["a.png", "Ann"], ["trip/c.png", "Bo"]],
                }
            )
        },
        BOTH,
        {EXACT: 2},
    ),
    Case(
        "images beside licences, as COCO has them",
        P | {"metadata.json": json.dumps({"licenses": [{"name": "CC0"}], "images": OBJECTS})},
        BOTH,
        {EXACT: 2},
    ),
    Case(
        "JSON of texts",
        P | {"metadata.json": '{"a.png": "Ann"}'},
        error="no list of objects",
    ),
    Case(
        "Parquet with the images inside",
        P
        | {
            "metadata.parquet": parquet(
                image=[{"bytes": P[name], "path": name} for name in BOTH], creator=["Ann", "Bo"]
            )
        },
        BOTH,
        {EXACT: 2},
        note="was taken for file_name",
    ),
    Case(
        "a list of names that is none",
        csv('"[a.png, b.png]",Ann', "c,Bo", header="our_file_names,creator"),
        C,
        {NAME: 1},
        unmatched=("[a.png, b.png]",),
    ),
    Case("a path with ..", csv("trip/../a.png,Ann"), {"a.png": ANN}, {OTHERWISE: 1}),
    Case(
        "addresses",
        P
        | {
            "trip/e f.png": picture(8),
            "metadata.csv": table("file:///x/trip/c.png,Bo", "https://a.b/trip/e%20f.png?s=1,Bo"),
        },
        {"trip/c.png": BO, "trip/e f.png": BO},
        {END: 2},
        images=(*NAMES, "trip/e f.png"),
    ),
    Case(
        "names that differ by case alone",
        P | {"A.png": picture(8), "metadata.csv": table("A.png,Ann", "a.png,Bo", "B.PNG,Bo")},
        {"A.png": ANN, "a.png": BO, "b.png": BO},
        {EXACT: 2, CASE_: 1},
        images=("A.png", *NAMES),
    ),
    Case(
        "two Unicode forms of one name",
        P
        | {
            unicodedata.normalize("NFD", "é.png"): picture(8),
            "é.png": picture(9),
            "metadata.csv": table("é.png,Ann"),
        },
        {"é.png": ANN},
        {EXACT: 1},
        images=(*NAMES, unicodedata.normalize("NFD", "é.png"), "é.png"),
    ),
    Case(
        "columns of nested tables under other names",
        P
        | {
            "metadata.csv": table("trip/c.png,Ann,calm", header="file_name,Author,mood"),
            "trip/metadata.json": '[{"file_name": "c.png", "artist": "Bo"}]',
        },
        {"trip/c.png": {"creator": "Bo", "mood": "calm"}},
        {EXACT: 2},
    ),
    Case(
        "wrong extensions",
        {"a.png": picture(1, "JPEG"), "b.txt": picture(2), "c.heic": picture(3, "WEBP")},
        images=("a.png", "b.txt", "c.heic"),
    ),
    Case(
        "more kinds that are not read",
        P
        | {
            "n.dng": picture(5, "TIFF"),
            "raw": picture(6, "TIFF", tiffinfo={50706: b"\1\4\0\0"}),
            "x.exr": b"v/1\1",
            "y.tga": b"\0",
            "z.ppm": b"P6 1 1",
        },
        unread={
            "OpenEXR": ["x.exr"],
            "PNM": ["z.ppm"],
            "TGA": ["y.tga"],
            "camera RAW": ["n.dng", "raw"],
        },
    ),
    Case(
        "what systems leave behind",
        P | {"Thumbs.db": b"\xd0\xcf", "desktop.ini": "x", "__MACOSX/a.png": b"\0\5\x16\7"},
    ),
    Case("hidden files", P | {".x.png": picture(5), "__MACOSX/._a.png": b"\0\5\x16\7"}),
]
