"""Code points are found where the standards put them, and damage states nothing."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.images.decode import load_image
from core.images.spaces import CodePoints
from core.images.stated import note_code_points, states_numbers
from tests.core.images.made import encoded, picture
from tests.core.images.numbers import cicp, gama, with_chunks, with_nclx
from tests.core.images.profiles import SPACES, rgb_profile


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def nclx(primaries: int, transfer: int = 13) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">HHHB", primaries, transfer, 6, 128))


def heif(*properties: bytes, primary: int = 1, owns: dict[int, list[int]], wide: bool) -> bytes:
    """The boxes of a file of several items, without any pixels."""
    number, each = (">I", ">H") if wide else (">H", ">B")
    items = (
        struct.pack(number, item)
        + bytes([len(own)])
        + b"".join(struct.pack(each, one | (0x8000 if wide else 0x80)) for one in own)
        for item, own in owns.items()
    )
    full = bytes([int(wide), 0, 0, int(wide)])
    ipma = box(b"ipma", full, struct.pack(">I", len(owns)), *items)
    pitm = box(b"pitm", bytes([int(wide), 0, 0, 0]), struct.pack(number, primary))
    iprp = box(b"iprp", box(b"ipco", *properties), ipma)
    return box(b"ftyp", b"heic", bytes(4), b"mif1") + box(b"meta", bytes(4), pitm, iprp)


def found_in(data: bytes, kind: str) -> CodePoints | None:
    image = Image.new("RGB", (1, 1))
    note_code_points(image, data, kind=kind)
    return image.info.get("code_points")


@pytest.mark.parametrize("wide", [False, True])
def test_the_primary_item_counts(wide):
    parts = (box(b"ispe", bytes(12)), nclx(9, 16), nclx(12), nclx(1))
    for primary, expected in {1: CodePoints(12, 13), 7: CodePoints(9, 16)}.items():
        data = heif(*parts, primary=primary, owns={1: [1, 3], 7: [2]}, wide=wide)
        assert found_in(data, "HEIF") == expected
    assert found_in(heif(*parts, primary=5, owns={1: [3]}, wide=wide), "AVIF") == CodePoints(9, 16)
    assert found_in(heif(parts[0], owns={1: [1]}, wide=wide), "HEIF") is None


def test_other_kinds_state_none():
    assert found_in(with_chunks(picture(), cicp(12)), "PNG") == CodePoints(12, 13)
    assert found_in(with_chunks(picture(), cicp(12)), "JPEG") is None
    assert found_in(encoded(picture()), "PNG") is None


@pytest.mark.parametrize(
    "data",
    [
        with_chunks(picture(), cicp(12)),
        with_nclx(encoded(picture(), "AVIF"), 12),
        heif(nclx(9), nclx(12), owns={1: [2]}, wide=True),
    ],
    ids=["PNG", "AVIF", "HEIF"],
)
def test_damage_never_fails(data):
    random = np.random.default_rng(0)
    for kind in ("PNG", "AVIF"):
        for end in range(0, min(len(data), 400)):
            found_in(data[:end], kind)
        for _ in range(300):
            bad = np.frombuffer(data, np.uint8).copy()
            bad[random.integers(0, min(len(bad), 400), 6)] = random.integers(0, 256, 6)
            found_in(bad.tobytes(), kind)


def mean(image: Image.Image) -> float:
    return float(np.asarray(image).mean())


def test_an_animation_keeps_its_code_points():
    still, black = picture(), Image.new("RGB", (40, 24))
    file = io.BytesIO()
    black.save(file, "PNG", save_all=True, append_images=[still])
    data = file.getvalue()
    stated = data[:33] + with_chunks(black, cicp(1, 8))[33:49] + data[33:]
    bare, found = load_image(data), load_image(stated)
    assert bare.notes == found.notes and mean(found.image) > mean(bare.image) + 10


FILES = {
    "cicp": (with_chunks(picture(), cicp(12)), True),
    "gamma": (with_chunks(picture(), gama(1.0)), True),
    "gamma beside sRGB": (with_chunks(picture(), gama(1.0), (b"sRGB", b"\0")), False),
    "gamma beside a profile": (
        with_chunks(picture(), gama(1.0), icc_profile=rgb_profile(SPACES["ProPhoto"])),
        False,
    ),
    "plain": (encoded(picture()), False),
    "jpeg": (encoded(picture(), "JPEG"), False),
    "avif": (encoded(picture(), "AVIF"), False),
    "p3 avif": (with_nclx(encoded(picture(), "AVIF"), 12), True),
    "nothing": (b"", False),
    "text": (b"\x89PNG\r\n\x1a\n is not one", False),
}


@pytest.mark.parametrize("case", FILES)
def test_which_files_are_read_otherwise_than_before(tmp_path: Path, case: str):
    data, expected = FILES[case]
    (tmp_path / "x").write_bytes(data)
    assert states_numbers(tmp_path / "x") is expected
    assert not states_numbers(tmp_path / "none") and not states_numbers(tmp_path)
