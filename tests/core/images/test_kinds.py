"""Kinds of files: told by their first bytes, read or refused with what would read them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.config import ImageLimits
from core.images import decode, kinds
from core.images.decode import load_image
from core.images.kinds import EXTENSIONS, FIRST_BYTES, READ, UNREAD_EXTENSIONS, kind_of
from core.values import ImageError
from tests.core.images.made import encoded, picture


def brands(*names: bytes) -> bytes:
    size = (8 + 4 * (len(names) + 1)).to_bytes(4, "big")
    return size + b"ftyp" + names[0] + bytes(4) + b"".join(names[1:])


KNOWN = {kind: encoded(picture(), format_) for kind, format_ in READ.items()}
STARTS = [
    *((data, kind) for kind, data in KNOWN.items()),
    (encoded(picture(), "MPO", save_all=True, append_images=[picture()]), "JPEG"),
    (brands(b"heic", b"mif1"), "HEIC"),
    (brands(b"mif1", b"heic", b"avif"), "HEIC"),
    (brands(b"mif1", b"miaf"), "HEIC"),
    (brands(b"hevc", b"msf1"), "HEIC"),
    (brands(b"avif", b"mif1"), "AVIF"),
    (brands(b"mif1", b"avif"), "AVIF"),
    (brands(b"avis", b"msf1"), "AVIF"),
    (brands(b"crx ", b"isom"), "camera RAW"),
    (brands(b"isom", b"mp42"), None),
    (b"\xff\x0a\xf8\xcf", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
    (b"8BPS\0\1", "PSD"),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    (b'\xef\xbb\xbf\n<?xml version="1.0"?>\n<!-- a -->\n<svg width="9"/>', "SVG"),
    (b"<!DOCTYPE svg>\n<SVG/>", "SVG"),
    (b"<html><svg/></html>", None),
    (b"II*\0\x10\0\0\0CR\2\0", "camera RAW"),
    (b"II*\0\x08\0\0\0", "TIFF"),
    (b"IIRO\x08\0\0\0", "camera RAW"),
    (b"MMOR\0\0\0\x08", "camera RAW"),
    (b"IIU\0\x18\0\0\0", "camera RAW"),
    (b"FUJIFILMCCD-RAW 0201", "camera RAW"),
    (b"\0\0\1\0\1\0", "ICO"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "EPS"),
    (b"RIFF\0\0\0\0WAVE", None),
    (b"no image at all", None),
    (b"", None),
    (b"\0\0\0\x18ftyp", None),
]


@pytest.mark.parametrize(("data", "kind"), STARTS)
def test_the_first_bytes_tell_the_kind(data, kind):
    assert kind_of(data[:FIRST_BYTES]) == kind_of(data) == kind


def test_any_bytes_are_looked_at():
    random = np.random.default_rng(0)
    for start, _ in STARTS:
        for end in range(len(start[:40])):
            kind_of(start[:end])
            kind_of(start[:end] + random.bytes(40))


def test_extensions_are_read_or_not():
    assert {".jpg", ".mpo", ".png", ".avif", ".heic", ".heif", ".jxl"} <= EXTENSIONS
    assert not EXTENSIONS & UNREAD_EXTENSIONS.keys()
    assert UNREAD_EXTENSIONS[".psd"] == "PSD" and UNREAD_EXTENSIONS[".nef"] == "camera RAW"
    assert not {*UNREAD_EXTENSIONS.values()} & READ.keys()
    assert {".heic", ".mpo"} <= EXTENSIONS


@pytest.mark.parametrize(
    ("kind", "package"), [("HEIC", "pillow-heif==1.8.1"), ("JPEG XL", "pillow-jxl-plugin==1.3.8")]
)
def test_a_missing_package_is_named(kind, package, monkeypatch, tmp_path):
    read = {name: format_ for name, format_ in READ.items() if name != kind}
    monkeypatch.setattr(kinds, "READ", read)
    monkeypatch.setattr(decode, "FORMATS", tuple(read.values()))
    (tmp_path / "photo.bin").write_bytes(KNOWN[kind])
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / "photo.bin")
    plain = package.partition("==")[0]
    words = f"'photo.bin' is not read; {kind} is read when {plain} is installed"
    assert str(caught.value) == f"{words}: pip install {package}"


def test_kinds_grow_with_what_is_installed(monkeypatch):
    monkeypatch.setattr(kinds, "find_spec", lambda _: None)
    assert not {"HEIC", "JPEG XL"} & kinds.read_kinds().keys()


def test_a_kind_that_is_not_read_is_named():
    with pytest.raises(ImageError, match=r"not an image of an accepted kind \(PSD\); accepted are"):
        load_image(b"8BPS\0\1" + bytes(100))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP"])
def test_a_broken_file_is_not_told_that_its_kind_is_not_accepted(kind):
    """A PNG was refused as none of the accepted kinds, which are JPEG, PNG ..."""
    end = {"JPEG": 4, "WEBP": 16}.get(kind, 8)
    with pytest.raises(ImageError, match="damaged") as refused:
        load_image(KNOWN[kind][:end])
    assert "accepted kind" not in str(refused.value)


def test_heic_is_turned_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(picture(400, 240), "HEIF", exif=exif.tobytes(), quality=95)
    loaded = load_image(data)
    assert loaded.image.size == (loaded.width, loaded.height) == (240, 400)
    expected = np.asarray(picture(400, 240).transpose(Image.Transpose.ROTATE_270), float)
    assert np.abs(np.asarray(loaded.image, float) - expected).mean() < 8


def test_heic_is_measured_before_it_is_decoded():
    data = encoded(picture(900, 800), "HEIF")
    with pytest.raises(ImageError, match="900 x 800 pixels; at most 500,000"):
        load_image(data, limits=ImageLimits(max_pixels=500_000))
    lying = bytearray(data)
    at = lying.find(b"ispe")
    while at >= 0:
        lying[at + 8 : at + 16] = (100).to_bytes(4, "big") * 2
        at = lying.find(b"ispe", at + 4)
    with pytest.raises(ImageError, match="damaged"):
        load_image(bytes(lying))


@pytest.mark.parametrize("kind", ["HEIC", "JPEG XL"])
def test_damaged_files_open_or_are_refused(kind):
    data, random = KNOWN[kind], np.random.default_rng(0)
    for end in range(0, len(data), 7):
        try:
            assert load_image(data[:end]).image.mode == "RGB"
        except ImageError as error:
            assert "accepted" in str(error)
    for _ in range(300):
        bad = np.frombuffer(data, np.uint8).copy()
        places = random.integers(0, len(bad), 4)
        bad[places] = random.integers(0, 256, 4)
        try:
            assert load_image(bad.tobytes()).image.mode == "RGB"
        except ImageError as error:
            assert "accepted" in str(error)
