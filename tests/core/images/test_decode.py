"""Images: what is accepted comes out right, whatever else comes in is an ImageError."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import struct
import threading
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from core.config import ImageLimits
from core.images import decode as images
from core.images.decode import (
    LoadedImage,
    decode_ahead,
    load_image,
    open_image,
)
from core.values import ImageError
from tests.core.images.made import encoded, picture

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")
property_test = settings(
    deadline=None,
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header states any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def many_scans() -> bytes:
    """A progressive JPEG that refines its last coefficients again and again."""
    data = encoded(picture(), "JPEG", progressive=True)
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * 200 + data[-2:]


def bigger(data: bytes, size: int) -> bytes:
    return data + b"\0" * (size - len(data))


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty; accepted are JPEG"),
    "text": (b"no image at all\n" * 9, "not an image of an accepted kind; accepted are"),
    "magic alone": (b"\x89PNG\r\n\x1a\n", "accepted are"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n", "not an image of an accepted"),
    "PDF": (b"%PDF-1.4\n" + b" " * 99, "not an image of an accepted"),
    "ICO": (encoded(picture(32, 32), "ICO"), "not an image of an accepted"),
    "PPM": (encoded(picture(), "PPM"), "not an image of an accepted"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not an image of an accepted"),
    "cut JPEG": (encoded(picture(200, 200), "JPEG")[:-900], "damaged, cut short"),
    "cut PNG": (encoded(picture(200, 200))[:-300], "damaged, cut short"),
    "wrong PNG data": (png_claiming(40, 40), "damaged, cut short"),
    "bomb": (png_claiming(100_000, 100_000), "too many pixels; at most 64,000,000"),
    "too many pixels": (png_claiming(9_000, 9_000), r"9000 x 9000 pixels; at most 64,000,000"),
    "warned-of bomb": (png_claiming(12_000, 12_000), "pixels; at most 64,000,000"),
    "line": (png_claiming(1, 60_000), "1 x 60000 pixels; sides of 8 to 20,000 are accepted"),
    "too long": (png_claiming(20_001, 1_000), "20001 x 1000 pixels; sides of"),
    "too small": (encoded(picture(7, 40)), "7 x 40 pixels; sides of 8"),
    "too narrow": (encoded(picture(8, 161)), "8 x 161 pixels; a side at most 20 times"),
    "too many bytes": (bigger(encoded(picture()), 20_000_001), "at most 20,000,000 bytes"),
    "too many scans": (many_scans(), "too many scans; at most 100"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_bytes_say_why(case):
    data, message = REFUSED[case]
    with pytest.raises(ImageError, match=message):
        load_image(data)


@pytest.mark.parametrize("case", REFUSED)
def test_refused_files_are_named_without_their_folder(case, tmp_path):
    folder = tmp_path / "secret-folder"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(REFUSED[case][0])
    with pytest.raises(ImageError, match=r"'photo\.jpg'") as caught:
        open_image(folder / "photo.jpg")
    assert "secret" not in str(caught.value)


def test_bombs_are_refused_where_warnings_are_errors_and_where_pillow_has_no_limit(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="too many pixels"):
            load_image(png_claiming(12_000, 12_000))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(ImageError, match="100000 x 100000 pixels"):
        load_image(png_claiming(100_000, 100_000))


def test_limits_can_be_set_and_their_edges_are_inside():
    data = encoded(picture(40, 24))
    exact = ImageLimits(
        max_bytes=len(data), max_pixels=960, max_side=40, min_side=24, max_aspect=40 / 24
    )
    assert load_image(data, limits=exact).image.size == (40, 24)
    for tight in (
        ImageLimits(max_bytes=len(data) - 1),
        ImageLimits(max_pixels=959),
        ImageLimits(max_side=39),
        ImageLimits(min_side=25),
        ImageLimits(max_aspect=1.66),
    ):
        with pytest.raises(ImageError, match="accepted"):
            load_image(data, limits=tight)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name, message in (
        ("folder.png", "Is a directory"),
        ("pipe.png", "not a regular file"),
        ("loop.png", "Too many levels of symbolic links"),
        ("missing.png", "No such file"),
        ("nul\0.png", "not a valid path"),
        ("x" * 300 + ".png", "too long"),
    ):
        with pytest.raises(ImageError, match=message):
            load_image(tmp_path / name)
    with pytest.raises(ImageError, match="not a regular file"):
        load_image("/dev/zero")


def test_a_huge_file_is_refused_without_taking_it_into_memory(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(200_000_000)  # sparse
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="at most 1,000 bytes"):
            load_image(tmp_path / "huge.png", limits=ImageLimits(max_bytes=1_000))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_an_unreadable_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "locked.png").write_bytes(encoded(picture()))

    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(os, "open", refuse)  # chmod would not stop the superuser
    with pytest.raises(ImageError, match=r"'locked\.png' cannot be read \(Permission denied\)"):
        load_image(tmp_path / "locked.png")


def test_names_in_messages_are_one_printable_line(tmp_path):
    with pytest.raises(ImageError) as caught:
        load_image(tmp_path / ("new\nline\x1b[31m é \udcff" + "x" * 100))
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    str(caught.value).encode()
    assert "é" in str(caught.value) and len(str(caught.value)) < 300


def test_names_with_newlines_and_unicode_are_read(tmp_path):
    for name in ("new\nline.png", "фото 写真 é.png", os.fsdecode(b"latin-\xe9.png")):
        (tmp_path / name).write_bytes(encoded(picture()))
        assert open_image(str(tmp_path / name)).size == (40, 24)


STARTS = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"MM\0*"]
STARTS += [b"", b"RIFF\x40\0\0\0WEBPVP8 ", b"\0\0\0\x1cftypavif", png_claiming(40, 40)[:40]]


@property_test
@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_random_bytes_are_only_ever_refused(start, rest):
    with pytest.raises(ImageError):
        load_image(start + rest)


SOUND = {
    kind: encoded(picture(64, 48), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
}


@property_test
@given(st.sampled_from(sorted(SOUND)), st.floats(0, 1))
def test_every_beginning_of_a_file_opens_or_is_refused(kind, share):
    data = SOUND[kind]
    try:
        assert open_image(data[: int(share * len(data))]).mode == "RGB"
    except ImageError:
        assert share < 1


@property_test
@given(st.sampled_from(sorted(SOUND)), st.data())
@pytest.mark.slow
def test_damaged_files_open_or_are_refused(kind, draw):
    data = bytearray(SOUND[kind])
    places = st.tuples(st.integers(0, min(len(data), 400) - 1), st.integers(0, 255))
    for place, value in draw.draw(st.lists(places, min_size=1, max_size=8)):
        data[place] = value
    try:
        assert open_image(bytes(data), limits=ImageLimits(max_pixels=100_000)).mode == "RGB"
    except ImageError as error:
        assert "accepted" in str(error)


@pytest.mark.parametrize("kind", images.FORMATS)
def test_every_accepted_format_gives_its_pixels(kind):
    result = open_image(encoded(picture(), kind))
    assert result.mode == "RGB" and type(result) is Image.Image
    difference = np.abs(np.asarray(result, float) - np.asarray(picture(), float))
    assert difference.mean() < 16, difference.mean()


def test_a_loaded_file_is_recorded(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(picture()))
    loaded = load_image(path)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (loaded.width, loaded.height) == loaded.image.size == (40, 24)
    assert loaded.image.tobytes() == picture().tobytes()


@pytest.mark.parametrize("error", [struct.error, KeyError, SyntaxError, MemoryError, zlib.error])
def test_whatever_a_decoder_raises_is_an_image_error(error, monkeypatch):
    def fail(_):
        raise error("/secret/path")

    data = encoded(picture(), "JPEG")
    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(ImageError, match="The image cannot be decoded") as caught:
        load_image(data)
    assert "secret" not in str(caught.value)


def test_nothing_but_pixels_is_kept():
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0secret", comment=b"secret", dpi=(72, 72))
    assert open_image(data).info == {}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_gives_upright_pixels(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(picture(), kind, exif=exif, **lossless)
    loaded = load_image(data)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert loaded.image.tobytes() == expected.tobytes()
    assert (loaded.width, loaded.height) == loaded.image.size
    assert loaded.image.size == ((24, 40) if orientation > 4 else (40, 24))


def test_orientation_6_brings_the_stored_bottom_left_to_the_top_left():
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = open_image(encoded(picture(), exif=exif))
    assert upright.getpixel((0, 0)) == picture().getpixel((0, 23))


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 64]
)
def test_broken_exif_does_not_fail_the_image(block):
    for kind in ("JPEG", "PNG", "WEBP"):
        assert open_image(encoded(picture(), kind, exif=block)).size == (40, 24)


def test_exif_that_raises_does_not_fail_the_image(monkeypatch):
    def fail(_):
        raise SyntaxError("broken")

    monkeypatch.setattr(Image.Image, "getexif", fail)
    assert open_image(encoded(picture())).tobytes() == picture().tobytes()


def test_transparency_lies_on_white():
    alpha = np.zeros((24, 40), np.uint8)
    alpha[:, 20:] = 255
    alpha[0, 0] = 128
    red = Image.new("RGB", (40, 24), (200, 0, 0))
    red.putalpha(Image.fromarray(alpha))
    for data in (
        encoded(red),
        encoded(red, "WEBP", lossless=True, exact=True),
        encoded(red, "TIFF"),
    ):
        result = open_image(data)
        assert result.getpixel((5, 5)) == (255, 255, 255)
        assert result.getpixel((30, 5)) == (200, 0, 0)
        assert result.getpixel((0, 0)) == (227, 127, 127)


def test_transparency_of_palettes_greys_and_keys_lies_on_white():
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    palette.paste(1, (8, 0, 16, 16))
    grey = Image.merge("LA", [Image.new("L", (16, 16), 9), Image.new("L", (16, 16), 0)])
    for data, right in (
        (encoded(palette, transparency=0), (200, 0, 0)),
        (encoded(palette, transparency=b"\0\xff"), (200, 0, 0)),
        (encoded(palette, "GIF", transparency=0), (200, 0, 0)),
        (encoded(grey), (255, 255, 255)),
        (encoded(Image.new("RGB", (16, 16)), transparency=(0, 0, 0)), (255, 255, 255)),
        (encoded(Image.new("L", (16, 16), 7), transparency=7), (255, 255, 255)),
    ):
        result = open_image(data)
        assert result.getpixel((2, 8)) == (255, 255, 255)
        assert result.getpixel((12, 8)) == right


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    for kind, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert open_image(data).getpixel((8, 8)) == (255, 0, 0), kind


def test_greyscale_and_bilevel_become_rgb():
    grey = picture().convert("L")
    assert open_image(encoded(grey)).tobytes() == Image.merge("RGB", [grey] * 3).tobytes()
    assert open_image(encoded(Image.new("1", (16, 16), 1))).getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(kind):
    cmyk = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = open_image(encoded(cmyk, kind)).getpixel((8, 8))
    assert red > 200 and green < 60 and blue < 60


def deep(mode: str) -> bytes:
    """A gradient over the whole range of a greyscale of more than 8 bits."""
    tops = {"I;16": 65535, "I;16B": 65535, "I": 65535, "F": 1}
    kinds = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4", "F": "<f4"}
    levels = np.tile(np.linspace(0, tops[mode], 256), (16, 1)).astype(kinds[mode])
    if mode == "I;16":
        return encoded(Image.fromarray(levels))
    return encoded(Image.frombytes(mode, (256, 16), levels.tobytes()), "TIFF")


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
def test_deep_greyscale_is_scaled_not_clipped(mode):
    result = np.asarray(open_image(deep(mode)))
    assert (result == result[..., :1]).all()
    assert np.abs(result[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]]), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]]), [0, 100, 255]),
        (np.array([[-1.0, 0.0, 1.0]]), [0, 128, 255]),
        (np.array([[np.nan, np.inf, 1.0]]), [0, 255, 255]),
        (np.array([[np.nan, np.nan, -np.inf]]), [0, 0, 0]),
        (np.array([[0, 100, 255]], np.int32), [0, 100, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
        (np.array([[-(2**31), 0, 2**31 - 1]], np.int32), [0, 128, 255]),
        (np.array([[0, 128, 129, 65535]], np.uint16), [0, 0, 1, 255]),
    ],
)
def test_the_range_of_deep_greyscale(values, expected):
    narrow = {"f": np.float32}.get(values.dtype.kind, values.dtype)
    wide = np.tile(np.repeat(values, 4, axis=1), (8, 1)).astype(narrow)
    result = np.asarray(open_image(Image.fromarray(wide)))
    assert result[0, ::4, 0].tolist() == expected


def test_a_pillow_image_is_taken_and_left_as_it_was():
    given_image = picture().convert("RGBA")
    result = open_image(given_image, fit=12)
    assert result.mode == "RGB" and result.size == (20, 12)
    assert given_image.mode == "RGBA" and given_image.size == (40, 24)
    same = picture()
    open_image(same).putpixel((0, 0), (1, 2, 3))
    assert same.tobytes() == picture().tobytes()
    with pytest.raises(ImageError, match="9000 x 9000"):
        open_image(Image.open(io.BytesIO(png_claiming(9_000, 9_000))))
    with pytest.raises(ImageError, match="cannot be decoded"):
        open_image(Image.open(io.BytesIO(png_claiming(40, 40))))


@property_test
@given(
    st.sampled_from(["JPEG", "PNG"]), st.integers(8, 150), st.integers(8, 150), st.integers(1, 80)
)
def test_fit_keeps_the_shorter_side_and_the_recorded_size(kind, width, height, fit):
    loaded = load_image(encoded(picture(width, height), kind), fit=fit)
    short = min(loaded.image.size)
    assert min(fit, width, height) <= short < 2 * fit
    assert (loaded.width, loaded.height) == (width, height)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_fit_shows_the_same_picture(kind):
    whole = open_image(encoded(picture(320, 192), kind))
    small = open_image(encoded(picture(320, 192), kind), fit=40)
    assert small.size == (80, 48)
    expected = np.asarray(whole.resize(small.size, Image.Resampling.BOX), float)
    assert np.abs(np.asarray(small, float) - expected).mean() < 3


def test_fit_decodes_jpeg_at_a_reduced_scale(monkeypatch):
    """Nothing is left to shrink after decoding, which is where the speed comes from."""
    monkeypatch.setattr(Image.Image, "reduce", None)
    assert open_image(encoded(picture(320, 192), "JPEG"), fit=40).size == (80, 48)


def test_fit_and_orientation_together():
    exif = Image.Exif()
    exif[0x0112] = 6
    loaded = load_image(encoded(picture(400, 200), "JPEG", exif=exif), fit=50)
    assert loaded.image.size == (50, 100)
    assert (loaded.width, loaded.height) == (200, 400)


@pytest.mark.parametrize("fit", [0, -1])
def test_a_fit_below_one_is_a_wrong_argument(fit):
    for source in (encoded(picture()), picture()):
        with pytest.raises(ValueError, match=f"fit must be at least 1, got {fit}"):
            open_image(source, fit=fit)


def files(folder: Path, count: int) -> list[Path]:
    """Images of widths 10, 11, ...; every fifth is text."""
    paths = [folder / f"{i:03}.png" for i in range(count)]
    for i, path in enumerate(paths):
        path.write_bytes(b"text" if i % 5 == 3 else encoded(picture(10 + i, 16)))
    return paths


def decoders() -> int:
    return sum(thread.name.startswith("decode") for thread in threading.enumerate())


@pytest.mark.parametrize(("workers", "ahead"), [(1, 1), (4, 3), (2, 64)])
def test_decoding_ahead_keeps_order_and_puts_errors_in_their_places(tmp_path, workers, ahead):
    paths = files(tmp_path, 23)
    results = list(decode_ahead(paths, workers=workers, ahead=ahead))
    assert [path for path, _ in results] == paths
    for i, (path, loaded) in enumerate(results):
        if i % 5 == 3:
            assert isinstance(loaded, ImageError) and repr(path.name) in str(loaded)
            assert loaded.__traceback__ is None
        else:
            assert isinstance(loaded, LoadedImage) and loaded.width == 10 + i
    assert decoders() == 0


def test_decoding_ahead_takes_no_more_than_it_may_and_stops_when_closed(tmp_path):
    (path,) = files(tmp_path, 1)
    taken = itertools.count()
    endless = (path for _ in taken)
    results = decode_ahead(endless, workers=2, ahead=5)
    for _ in range(3):
        next(results)
    assert decoders() > 0
    results.close()
    assert decoders() == 0
    assert next(taken) == 8  # three handed out and five ahead


def test_decoding_ahead_ends_when_the_consumer_or_the_source_fails(tmp_path):
    paths = files(tmp_path, 9)

    def breaking():
        yield from paths
        raise KeyError("source")

    with pytest.raises(KeyError, match="source"):
        list(decode_ahead(breaking(), workers=2, ahead=3))
    assert decoders() == 0
    assert list(decode_ahead([], workers=1)) == []


def test_decoding_really_runs_ahead(tmp_path, monkeypatch):
    paths = files(tmp_path, 3)
    last_started = threading.Event()

    def load(path, **_):
        if path == paths[-1]:
            last_started.set()
        raise ImageError(path.name)

    monkeypatch.setattr(images, "load_image", load)
    results = decode_ahead(paths, workers=1, ahead=2)
    next(results)
    assert last_started.wait(10)
    results.close()


def test_closing_drops_what_is_queued(tmp_path, monkeypatch):
    started = []

    def load(path, **_):
        started.append(path)
        threading.Event().wait(0.02)
        raise ImageError(path.name)

    monkeypatch.setattr(images, "load_image", load)
    results = decode_ahead([tmp_path] * 200, workers=1, ahead=200)
    next(results)
    results.close()
    assert len(started) < 100


@pytest.mark.parametrize("wrong", [{"ahead": 0}, {"workers": 0}, {"fit": 0}])
def test_decoding_ahead_refuses_wrong_arguments(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"must be"):
        list(decode_ahead(files(tmp_path, 1), **{"workers": 1, **wrong}))
