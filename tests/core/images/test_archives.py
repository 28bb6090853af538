"""Archives: sound zips give their images, hostile ones an error and nothing else."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.config import ImageLimits
from core.images.archives import unpack_images
from core.images.decode import open_image
from core.values import Cancelled, GalleryError, ImageError, Progress, WellspringError
from tests.cases.trees import picture

LIMITS = ImageLimits()


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "PNG")
    return buffer.getvalue()


PNG = png()


def zipped(entries, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of pairs of a name, or a ZipInfo, and bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", kind) as archive:
        warnings.simplefilter("ignore", UserWarning)  # duplicate names are meant
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def typed(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (mode | 0o644) << 16
    return info


def directory_field(data: bytes, offset: int, form: str, value: int) -> bytes:
    """The zip with one field of its first entry in the table of contents replaced."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.find(b"PK\1\2") + offset, value)
    return bytes(changed)


def encrypted() -> bytes:
    return directory_field(zipped([("a.png", PNG)]), 8, "<H", 1)


def raw_name(name: str) -> bytes:
    """A zip of one image whose name is written as it is, in both of its places."""
    return zipped([("x" * len(name), PNG)]).replace(b"x" * len(name), name.encode())


def unpack(data: bytes, tmp_path: Path, *, into: str = "into", **wanted) -> list[str]:
    archive = tmp_path / "upload.zip"
    archive.write_bytes(data)
    options = {"max_bytes": 1_000_000, "max_images": 20, "limits": LIMITS, **wanted}
    target = tmp_path / into
    return [
        path.relative_to(target).as_posix() for path in unpack_images(archive, target, **options)
    ]


def test_images_and_metadata_are_unpacked_and_nothing_else(tmp_path):
    data = zipped(
        [
            ("b/2.png", PNG),
            ("a.PNG", PNG),
            ("фото é\n.webp", PNG),
            ("metadata.csv", b"file_name\n"),
            ("b/metadata.jsonl", b"{}\n"),
            ("notes.txt", b"text"),
            ("run.py", b"print()"),
            ("nested.zip", zipped([("x.png", PNG)])),
            ("__MACOSX/._a.png", b"fork"),
            (".hidden/c.png", PNG),
            ("empty/", b""),
        ]
    )
    assert unpack(data, tmp_path) == ["a.PNG", "b/2.png", "фото é\n.webp"]
    left = sorted(
        p.relative_to(tmp_path / "into").as_posix() for p in (tmp_path / "into").rglob("*")
    )
    assert left == ["a.PNG", "b", "b/2.png", "b/metadata.jsonl", "metadata.csv", "фото é\n.webp"]
    assert open_image(tmp_path / "into" / "b" / "2.png").getpixel((0, 0)) == (255, 0, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["into", "upload.zip"]


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_existing_empty_folder_and_a_new_one_below_new_ones_are_taken(tmp_path, kind):
    (tmp_path / "into").mkdir()
    assert unpack(zipped([("a.png", PNG)], kind), tmp_path) == ["a.png"]
    assert unpack(zipped([("a.png", PNG)], kind), tmp_path, into="new/folder") == ["a.png"]


@pytest.mark.parametrize("data", [b"", b"broken"])
def test_images_are_not_decoded(tmp_path, data):
    assert unpack(zipped([("broken.jpg", data)]), tmp_path) == ["broken.jpg"]


REFUSED: dict[str, tuple[bytes, str]] = {
    "parent": (raw_name("../evil.png"), "'../evil.png'; only relative paths"),
    "inner parent": (raw_name("a/../../evil.png"), "only relative paths"),
    "absolute": (raw_name("/tmp/evil.png"), "only relative paths"),
    "drive": (raw_name("C:/evil.png"), "only relative paths"),
    "drive-relative": (raw_name("c:evil.png"), "only relative paths"),
    "backslashes": (raw_name("..\\evil.png"), "only relative paths"),
    "nul": (raw_name("a.png\0.txt"), "only relative paths"),
    "slip of an ignored file": (raw_name("../evil.txt"), "only relative paths"),
    "symlink": (zipped([(typed("a.png", stat.S_IFLNK), b"/etc/passwd")]), "a link or device"),
    "symlink folder": (zipped([(typed("dir", stat.S_IFLNK), b"/etc")]), "a link or device"),
    "pipe": (zipped([(typed("a.png", stat.S_IFIFO), b"")]), "a link or device"),
    "encrypted": (encrypted(), "which is encrypted; a zip without password"),
    "twice": (zipped([("a.png", PNG), ("a.png", b"other")]), "'a.png' twice"),
    "twice in disguise": (zipped([("d/a.png", PNG), ("d//./a.png", PNG)]), "'d/a.png' twice"),
    "file and folder": (zipped([("a.png", PNG), ("a.png/b.png", PNG)]), "cannot be unpacked"),
    "long name": (zipped([("x" * 252 + ".png", PNG)]), "at most 255 bytes"),
    "long name in bytes": (zipped([("é" * 126 + ".png", PNG)]), "at most 255 bytes"),
    "long path": (zipped([("d/" * 600 + "a.png", PNG)]), "at most 255 bytes"),
    "bzip2": (zipped([("a.png", PNG)], zipfile.ZIP_BZIP2), "stored or deflated"),
    "lzma": (zipped([("a.png", PNG)], zipfile.ZIP_LZMA), "stored or deflated"),
    "unknown packing": (directory_field(zipped([("a.png", PNG)]), 10, "<H", 97), "or deflated"),
    "bomb": (
        zipped([("a.png", PNG), ("b.png", bytes(2_000_000))]),
        "more than the accepted 1,000,000",
    ),
    "bomb in parts": (zipped([(f"{i}.png", bytes(300_000)) for i in range(4)]), "1,000,000 bytes"),
    "metadata bomb": (zipped([("a.png", PNG), ("metadata.csv", bytes(10_000_001))]), "10,000,000"),
    "declared too small": (
        directory_field(zipped([("a.png", bytes(900_000))]), 24, "<I", 10),
        "damaged",
    ),
    "declared too large": (directory_field(zipped([("a.png", PNG)]), 24, "<I", 90_000), "damaged"),
    "wrong checksum": (directory_field(zipped([("a.png", PNG)]), 16, "<I", 1), "damaged"),
    "too many images": (zipped([(f"{i}.png", PNG) for i in range(21)]), "21 images; at most 20"),
    "too many files": (zipped([(f"{i}.txt", b"") for i in range(1_041)]), "at most 1,040"),
    "no images": (zipped([("a.txt", b"")]), "no images; accepted are JPEG"),
    "nested only": (zipped([("in.zip", zipped([("a.png", PNG)]))]), "no images"),
    "no entries": (zipped([]), "no images"),
    "empty file": (b"", "damaged, cut short or not a zip"),
    "not a zip": (PNG, "damaged, cut short or not a zip"),
    "truncated": (zipped([("a.png", bytes(range(256)))])[:-60], "damaged, cut short or not a zip"),
    "head missing": (zipped([("a.png", PNG)])[30:], "damaged|cannot be unpacked"),
    "name not UTF-8": (
        zipped([("é.png", PNG)]).replace("é".encode(), b"\xff\xfe"),
        "damaged, cut short or not a zip",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_refused_archives_say_why_and_leave_nothing(case, existing, tmp_path):
    data, message = REFUSED[case]
    if existing:
        (tmp_path / "into").mkdir()
    with pytest.raises(GalleryError, match=message) as caught:
        unpack(data, tmp_path)
    assert str(tmp_path) not in str(caught.value)
    left = sorted(path.name for path in tmp_path.rglob("*"))
    assert left == (["into", "upload.zip"] if existing else ["upload.zip"])


def test_an_image_larger_than_accepted_is_an_image_error(tmp_path):
    with pytest.raises(ImageError, match=r"'a\.png' exceeds the accepted 10 bytes"):
        unpack(zipped([("a.png", PNG)]), tmp_path, limits=ImageLimits(max_bytes=10))
    assert not (tmp_path / "into").exists()


def test_limits_have_their_edges_inside(tmp_path):
    data = zipped([("a.png", PNG), ("b.png", PNG)])
    exact = {"max_bytes": 2 * len(PNG), "max_images": 2, "limits": ImageLimits(max_bytes=len(PNG))}
    assert unpack(data, tmp_path, **exact) == ["a.png", "b.png"]
    with pytest.raises(GalleryError, match="more than the accepted"):
        unpack(data, tmp_path, into="less", **(exact | {"max_bytes": 2 * len(PNG) - 1}))


def test_bytes_are_counted_whatever_is_declared(tmp_path, monkeypatch):
    """The count must hold even where the zip reader gives more than an entry declares."""
    read = []

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            read.append(size)
            return bytes(size)

    data = zipped([("a.png", PNG)])
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: Endless())
    with pytest.raises(GalleryError, match="more than the accepted 1,000,000"):
        unpack(data, tmp_path)
    assert sum(read) < 1_200_000
    assert not (tmp_path / "into").exists()


def test_a_huge_table_of_contents_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """Millions of entries of 46 bytes fit an upload and would fill the memory when parsed."""
    parsed = []
    monkeypatch.setattr(zipfile, "ZipInfo", parsed.append)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 20_000_000, 0, 0)
    archive = tmp_path / "upload.zip"
    with archive.open("wb") as file:
        file.truncate(20_000_000)
        file.seek(0, os.SEEK_END)
        file.write(end)
    with pytest.raises(GalleryError, match="too many files"):
        unpack_images(archive, tmp_path / "into", max_bytes=1_000_000, max_images=20, limits=LIMITS)
    assert parsed == []


def test_a_folder_with_content_is_left_alone(tmp_path):
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "mine.txt").write_text("mine")
    with pytest.raises(GalleryError, match="'into' must be a new or an empty folder"):
        unpack(zipped([("a.png", PNG)]), tmp_path)
    assert [path.name for path in (tmp_path / "into").iterdir()] == ["mine.txt"]
    with pytest.raises(GalleryError, match=r"'upload\.zip' must be a new or an empty folder"):
        unpack(zipped([("a.png", PNG)]), tmp_path, into="upload.zip")


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "folder.zip").mkdir()
    for name in ("pipe.zip", "folder.zip", "missing.zip"):
        with pytest.raises(GalleryError, match=f"'{name}' is not a file"):
            unpack_images(
                tmp_path / name, tmp_path / "into", max_bytes=9, max_images=9, limits=LIMITS
            )
    assert not (tmp_path / "into").exists()


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    whole = Path.open

    def full(path, mode="r", *args, **options):
        if "x" in mode:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path))
        return whole(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(GalleryError, match=r"'upload\.zip' cannot be unpacked: No space left"):
        unpack(zipped([("a.png", PNG)]), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["upload.zip"]


@settings(
    deadline=None,
    max_examples=120,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_damaged_archives_unpack_or_are_refused_without_trace(tmp_path, data):
    sound = zipped([("a.png", PNG), ("d/b.png", PNG), ("metadata.csv", b"file_name\n")])
    changed = bytearray(sound[: data.draw(st.integers(len(sound) // 2, len(sound)))])
    places = st.tuples(st.integers(0, len(changed) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(places, max_size=4)):
        changed[place] = value
    into = f"into-{len(list(tmp_path.iterdir()))}"
    before = {path.name for path in tmp_path.iterdir()} | {"upload.zip"}
    try:
        unpack(bytes(changed), tmp_path, into=into)
        assert {path.name for path in tmp_path.iterdir()} == before | {into}
    except WellspringError:
        assert {path.name for path in tmp_path.iterdir()} == before


def test_names_of_windows_and_macos_are_those_that_were_meant(tmp_path):
    """Backslashes were refused; UTF-8 without its flag came out as other letters."""
    archive = tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("photos\\trip\\é.png", picture(1))
    data = archive.read_bytes()
    for sign, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.index(sign) + place
        data = data[:at] + bytes([data[at], data[at + 1] & ~8]) + data[at + 2 :]
    archive.write_bytes(data)
    assert zipfile.ZipFile(archive).namelist() != ["photos/trip/é.png"]
    found = unpack_images(
        archive, tmp_path / "out", max_bytes=10**6, max_images=9, limits=ImageLimits()
    )
    assert [path.relative_to(tmp_path / "out").as_posix() for path in found] == [
        "photos/trip/é.png"
    ]


def test_unpacking_stops_between_files_and_within_a_large_one(tmp_path):
    """Up to a gigabyte was unpacked to its end, whoever stopped it."""
    archive, seen = tmp_path / "in.zip", list[str]()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", bytes(5 << 20))
        file.writestr("b.png", PNG)

    def stop_at(count: int, what: str) -> Progress:
        def report(_done: int, _total: int, told: str) -> None:
            seen.append(told)
            if told == what and seen.count(what) == count:
                raise Cancelled("stopped")

        return report

    for count, what in ((1, "looking at the zip"), (2, "unpacking the zip")):
        seen.clear()
        with pytest.raises(Cancelled):
            unpack_images(
                archive,
                tmp_path / "into",
                max_bytes=10**8,
                max_images=9,
                limits=ImageLimits(),
                progress=stop_at(count, what),
            )
        assert seen.count(what) == count
        assert {path.name for path in tmp_path.iterdir()} == {"in.zip"}
