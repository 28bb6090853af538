"""Kinds of files, by their first bytes and by their extension, and which of them are read.

Whoever lists a folder or a zip takes the names with one of ``EXTENSIONS``, and tells the others by
their first ``FIRST_BYTES`` bytes with :func:`kind_of`: a kind of ``READ`` can be decoded, any other
is of pictures that are not read, as is a name with one of ``UNREAD_EXTENSIONS``. :func:`refusal`
has the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

from PIL import features

FIRST_BYTES = 512
"""How many bytes of a file :func:`kind_of` looks at."""

_PACKAGES = {"HEIC": "pillow-heif==1.8.1", "JPEG XL": "pillow-jxl-plugin==1.3.8"}
_BARE = {"thumbnails": False, "depth_images": False, "aux_images": False}  # nothing but the image


def read_kinds() -> dict[str, str]:
    """Pillow's format of every kind that is read; registers the plugins that are installed."""
    found = {kind: kind for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")}
    if features.check("avif"):
        found["AVIF"] = "AVIF"
    if find_spec("pillow_heif"):
        import_module("pillow_heif").register_heif_opener(**_BARE)
        found["HEIC"] = "HEIF"
    if find_spec("pillow_jxl"):
        import_module("pillow_jxl")  # registers itself
        found["JPEG XL"] = "JXL"
    return found


READ: Mapping[str, str] = read_kinds()
"""Pillow's format by the name of the kind; no other decoder of Pillow is ever tried."""
FORMATS = tuple(READ.values())
"""Accepted formats, as Pillow names them."""
ACCEPTED = f"accepted are {', '.join([*READ][:-1])} and {[*READ][-1]} files"
"""The end of the sentence that refuses a file."""

_EXTENSIONS_OF = {
    "JPEG": ".jpg .jpeg .jpe .jfif .mpo",
    "PNG": ".png .apng",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif .tiff",
    "AVIF": ".avif",
    "HEIC": ".heic .heif .hif .heics .heifs",
    "JPEG XL": ".jxl",
    "JPEG 2000": ".jp2 .j2k .j2c .jpc .jpx .jpf",
    "PSD": ".psd .psb",
    "SVG": ".svg .svgz",
    "camera RAW": ".cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .dng .raf .orf .rw2 .rwl .pef .srw .3fr"
    " .fff .iiq .mef .mos .mrw .dcr .kdc .erf .gpr .x3f",
    "ICO": ".ico",
    "ICNS": ".icns",
    "EPS": ".eps",
    "PNM": ".pbm .pgm .ppm .pnm .pam .pfm",
    "TGA": ".tga",
    "PCX": ".pcx",
    "DDS": ".dds",
    "OpenEXR": ".exr",
    "Radiance HDR": ".hdr",
    "XCF": ".xcf",
    "QOI": ".qoi",
}
_KIND_OF_EXTENSION = {end: kind for kind, ends in _EXTENSIONS_OF.items() for end in ends.split()}
EXTENSIONS = frozenset(end for end, kind in _KIND_OF_EXTENSION.items() if kind in READ)
"""Extensions, in lower case, by which image files are found in folders and archives."""
UNREAD_EXTENSIONS: Mapping[str, str] = {
    end: kind for end, kind in _KIND_OF_EXTENSION.items() if kind not in READ
}
"""The kind by the extension, in lower case, of pictures that are not read."""

_STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"8BPS", "PSD"),
    (b"FUJIFILMCCD-RAW", "camera RAW"),
    (b"IIRO", "camera RAW"),
    (b"IIRS", "camera RAW"),
    (b"MMOR", "camera RAW"),
    (b"IIU\0", "camera RAW"),
    (b"FOVb", "camera RAW"),
    (b"\0MRM", "camera RAW"),
    (b"\0\0\1\0", "ICO"),
    (b"icns", "ICNS"),
    (b"DDS |\0\0\0", "DDS"),
    (b"v/1\1", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"gimp xcf ", "XCF"),
    (b"qoif", "QOI"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
)
_SUBFILE, _SUB_IFDS, _DNG_VERSION = 254, 330, 50706  # tags of TIFF
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "HEIC"),
    **dict.fromkeys((b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    b"crx ": "camera RAW",
}  # ISO/IEC 23008-12 and AV1 Image File Format


def kind_of(first_bytes: bytes) -> str | None:
    """What a file is by its first ``FIRST_BYTES`` bytes, such as ``JPEG``; ``None`` if unknown.

    Camera RAW files that begin like any TIFF file (NEF, ARW, DNG) are told by their first
    directory: it holds a small picture beside others, or names the version of DNG.
    """
    head = first_bytes[:FIRST_BYTES]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _kind_of_brands(head)
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":  # reserved; text may begin so too
        return "BMP"
    if head[:4] == b"II*\0" and head[8:10] == b"CR":
        return "camera RAW"
    for start, kind in _STARTS:
        if head.startswith(start):
            return "camera RAW" if kind == "TIFF" and _is_raw(head) else kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return "SVG" if text.startswith((b"<svg", b"<?xml", b"<!")) and b"<svg" in text else None


def refusal(kind: str | None) -> str:
    """What is said of a file that no decoder takes, after its name."""
    package = _PACKAGES.get(kind or "")
    if package and kind not in READ:
        plain = package.partition("==")[0]
        return f"is not read; {kind} is read when {plain} is installed: pip install {package}"
    if kind in READ:
        return f"is a damaged {kind} file, or one that was cut short; {ACCEPTED}"
    named = "" if kind is None else f" ({kind})"
    return f"is not an image of an accepted kind{named}; {ACCEPTED}"


def _is_raw(head: bytes) -> bool:
    """Whether the first directory of a TIFF file is that of a camera: TIFF/EP and DNG 1.4."""
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    place = int.from_bytes(head[4:8], order)
    count = int.from_bytes(head[place : place + 2], order)
    tags: dict[int, int] = {}
    for start in range(place + 2, min(place + 2 + 12 * count, len(head) - 11), 12):
        entry = head[start : start + 12]
        tags[int.from_bytes(entry[:2], order)] = int.from_bytes(entry[8:12], order)
    return _DNG_VERSION in tags or (_SUB_IFDS in tags and tags.get(_SUBFILE) == 1)


def _kind_of_brands(head: bytes) -> str | None:
    """The kind of an ISO base media file, by its first telling brand."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[place : place + 4] for place in range(16, end, 4))]
    known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    return known[0] if known else "HEIC" if {b"mif1", b"msf1"} & {*brands} else None
