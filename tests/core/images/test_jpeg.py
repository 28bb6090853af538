"""JPEG files without an end marker: whole ones are read, those that lack picture data are not."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from core.config import ImageLimits
from core.images import decode
from core.images.decode import load_image
from core.images.jpeg import is_open_ended, with_end
from core.values import ImageError
from tests.core.images.made import encoded, picture

NOTE = "its end marker is missing"
SCAN = b"\xff\xda"


def noisy(width: int = 64, height: int = 48) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height // 4, width // 4, 3))
    return Image.fromarray(noise.repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8))


FILES = {
    "plain": encoded(noisy(), "JPEG"),
    "smooth": encoded(picture(64, 48), "JPEG"),
    "flat": encoded(Image.new("RGB", (64, 48), (120, 90, 60)), "JPEG"),
    "own tables": encoded(noisy(), "JPEG", optimize=True, quality=95),
    "all colours": encoded(noisy(), "JPEG", subsampling=0),
    "grey": encoded(noisy().convert("L"), "JPEG"),
    "inks": encoded(noisy().convert("CMYK"), "JPEG"),
    "progressive": encoded(noisy(), "JPEG", progressive=True),
    "smooth progressive": encoded(picture(64, 48), "JPEG", progressive=True),
    "flat progressive": encoded(Image.new("RGB", (64, 48), "navy"), "JPEG", progressive=True),
    "grey progressive": encoded(noisy().convert("L"), "JPEG", progressive=True),
    "restarts": encoded(noisy(), "JPEG", restart_marker_blocks=1),
    "rows": encoded(picture(64, 48), "JPEG", restart_marker_rows=1),
    "flat rows": encoded(Image.new("RGB", (64, 48), "white"), "JPEG", restart_marker_rows=1),
    "progressive rows": encoded(noisy(), "JPEG", progressive=True, restart_marker_rows=1),
    "small picture inside": encoded(
        noisy(), "JPEG", exif=b"Exif\0\0" + encoded(picture(16, 16), "JPEG")
    ),
}
EVERY_FILE = pytest.mark.parametrize("case", FILES)


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


@EVERY_FILE
def test_a_file_that_lacks_its_end_marker_is_read_with_a_note(case):
    data = FILES[case]
    assert data.endswith(b"\xff\xd9") and load_image(data).notes == ()
    for cut in (data[:-2], data[:-1], data[:-2] + bytes(1), data[:-2] + bytes(700)):
        loaded = load_image(cut)
        assert loaded.image.tobytes() == pixels(data)
        assert loaded.notes == (NOTE,)
    assert load_image(data[:-2], fit=20).image.size == load_image(data, fit=20).image.size


@EVERY_FILE
@pytest.mark.slow
def test_every_beginning_that_lacks_picture_data_is_refused(case):
    """The last bytes may hold nothing but bits that fill them up: then the picture is whole."""
    data, whole = FILES[case], pixels(FILES[case])
    start = data.index(SCAN)
    ends = {*range(start, len(data) - 2, 1 + (len(data) - start) // 120)}
    ends |= {*range(len(data) - 42, len(data) - 2)}
    ends |= {i + more for i in range(len(data)) if data[i] == 0xFF for more in (0, 1, 2)}
    read = 0
    for end in sorted(ends & {*range(len(data) - 2)}):
        for padding in (0, 300):
            try:
                loaded = load_image(data[:end] + bytes(padding))
            except ImageError:
                continue
            read += 1
            assert loaded.image.tobytes() == whole and loaded.notes == (NOTE,), (end, padding)
            assert end >= len(data) - 4
    assert read <= 4


def test_a_file_that_ends_between_two_scans_is_refused():
    """Zeros and other data give the same pixels there, for neither is in a scan."""
    data = FILES["progressive"]
    scans = [i for i in range(len(data)) if data[i : i + 2] == SCAN]
    assert len(scans) > 5
    for scan in scans[1:]:
        tables = data.rfind(b"\xff\xc4", 0, scan)
        for end in {scan, tables}:
            with pytest.raises(OSError, match="picture data"):
                with_end(data[:end])


def test_scans_of_single_components_are_counted():
    """A sequential file with a scan for each component, as cameras do not but may write."""
    planes = [encoded(noisy().convert("L"), "JPEG") for _ in range(3)]
    first = planes[0]
    frame, scan = first.index(b"\xff\xc0"), first.index(SCAN)
    size = int.from_bytes(first[frame + 2 : frame + 4], "big")
    header = first[frame + 4 : frame + 9] + b"\3" + b"\1\x11\0\2\x11\0\3\x11\0"
    start = first[:frame] + b"\xff\xc0\0\x11" + header + first[frame + 2 + size : scan]
    scans = [SCAN + b"\0\x08\1" + bytes([i]) + first[scan + 6 : -2] for i in (1, 2, 3)]
    whole = start + b"".join(scans)
    assert load_image(whole + b"\xff\xd9").notes == ()
    assert load_image(whole).notes == (NOTE,)
    for lacking in (start + scans[0], start + scans[0] + scans[1], whole[:-60]):
        with pytest.raises(ImageError, match="cut short"):
            load_image(lacking)


def test_bytes_after_the_end_marker_are_harmless():
    for data in (FILES["plain"], FILES["progressive"]):
        for more in (b"\0" * 50, b"trailer" * 50, FILES["smooth"]):
            assert load_image(data + more).notes == ()


def test_a_sound_file_is_decoded_once(monkeypatch):
    monkeypatch.setattr(decode, "with_end", None)
    for data in FILES.values():
        load_image(data)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_other_kinds_are_refused_as_before(kind):
    data = encoded(noisy(), kind)
    with pytest.raises(ImageError):
        load_image(data[: len(data) // 2])
    assert not is_open_ended(data) and not is_open_ended(data[:-2])


def test_damaged_files_are_refused_not_mended():
    random = np.random.default_rng(0)
    for _ in range(200):
        bad = np.frombuffer(FILES["progressive"][:-2], np.uint8).copy()
        places = random.integers(2, len(bad), 6)
        bad[places] = random.integers(0, 256, 6)
        with contextlib.suppress(ImageError):
            load_image(bad.tobytes())
    for broken in (b"", b"\xff\xd8\xff\xc0\0\0\xff\xda\0\0", b"\xff\xd8\xff\xda"):
        is_open_ended(broken)
        with pytest.raises(ImageError):
            load_image(broken)


def test_the_size_is_checked_before_anything_is_decoded(monkeypatch):
    monkeypatch.setattr(decode, "with_end", None)
    with pytest.raises(ImageError, match="64 x 48 pixels; at most 3,000"):
        load_image(FILES["plain"][:-2], limits=ImageLimits(max_pixels=3_000))
