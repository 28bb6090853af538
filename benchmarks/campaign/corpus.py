"""Files of every kind that the program reads, made by code, whole and small."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageCms, PngImagePlugin
from safetensors.numpy import save as save_arrays

from core.config import HeadConfig
from core.encoders.load import load_encoder
from core.gallery.blocklist import BlockedImage, Blocklist
from core.gallery.opting import opt_out
from core.gallery.source import Source
from core.heads.fit import fit_head
from core.search.walk import Walk
from core.service.building import bring_up
from core.service.choice import Choice
from core.service.session import Session

Corpus = dict[str, list[bytes]]
"""Files by kind."""
IMAGES, ROWS, WIDTH = 16, 120, 24
"""Pictures of the gallery; rows and numbers of what a search index is built over."""


def picture(seed: int, side: int = 48) -> Image.Image:
    """A soft picture that no other seed gives."""
    cells = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)


def image_bytes(seed: int) -> bytes:
    """Such a picture as a PNG."""
    buffer = io.BytesIO()
    picture(seed).save(buffer, "PNG")
    return buffer.getvalue()


def images() -> list[bytes]:
    """Pillow's formats that are read, and some that are not, in the variants that decode apart."""
    plain, exif = picture(1), Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a picture", zip=True)
    grey16 = Image.fromarray(np.arange(48 * 48, dtype=np.uint16).reshape(48, 48))
    frames = {"save_all": True, "append_images": [picture(2), picture(3)], "duration": 50}
    made: list[tuple[Image.Image, str, dict[str, object]]] = [
        (plain, "PNG", {"icc_profile": profile, "exif": exif, "pnginfo": text}),
        (plain.quantize(16), "PNG", {"transparency": 3}),
        (plain.convert("LA"), "PNG", {}),
        (grey16, "PNG", {}),
        (plain, "PNG", dict(frames)),
        (plain, "JPEG", {"exif": exif, "icc_profile": profile}),
        (plain, "JPEG", {"progressive": True, "subsampling": 2}),
        (plain.convert("CMYK"), "JPEG", {}),
        (plain, "WEBP", {"lossless": True, "exif": exif}),
        (plain, "WEBP", dict(frames)),
        (plain, "GIF", dict(frames)),
        (plain, "BMP", {}),
        (plain.convert("1"), "BMP", {}),
        (plain, "TIFF", {"compression": "tiff_lzw"}),
        (plain, "TIFF", {"compression": "jpeg"}),
        (grey16, "TIFF", {"compression": "tiff_deflate"}),
        (plain, "TIFF", {"save_all": True, "append_images": [picture(2)]}),
        (plain, "ICO", {}),
        (plain, "TGA", {}),
        (plain, "PPM", {}),
        (plain, "JPEG2000", {}),
        (plain, "AVIF", {}),
    ]
    return [_saved(image, kind, how) for image, kind, how in made]


def _saved(image: Image.Image, kind: str, how: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def zips() -> list[bytes]:
    """Archives of pictures and a table, stored and deflated."""
    made: list[bytes] = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as file:
            for number in range(3):
                file.writestr(f"trip/{number}.png", _saved(picture(number, 16), "PNG", {}))
            file.writestr("metadata.csv", "file_name,title\n0.png,first\n")
        made.append(buffer.getvalue())
    return made


def tables() -> Corpus:
    """Tables of metadata about three pictures, by extension."""
    rows = [
        {"file_name": f"{n}.png", "title": f"été {n}", "creator": "A, B", "year": 1900 + n}
        for n in range(3)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    lines = "\n".join(json.dumps(row) for row in rows)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {
        "csv": [text.getvalue().encode(), text.getvalue().encode("utf-16")],
        "tsv": [text.getvalue().replace(",", "\t").encode()],
        "jsonl": [lines.encode()],
        "json": [json.dumps(each).encode() for each in (rows, columns, {"images": rows})],
        "parquet": [_parquet(rows)],
    }


def _parquet(rows: list[dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, compression="zstd")
    return buffer.getvalue()


def features() -> np.ndarray:
    """Rows that heads are fitted on and search indexes are built over, float32."""
    return np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(np.float32)


def heads(folder: Path) -> None:
    """Write a fitted head."""
    fit_head(features(), config=HeadConfig(k=8)).with_images(np.arange(9)).save(folder)


def weights() -> Corpus:
    """Tensors as others publish them, as safetensors and as a checkpoint."""
    tensors = {"conv1.weight": torch.zeros(4, 3, 3, 3), "fc.bias": torch.ones(4)}
    run = {"step": 3, "method": "moco", "model": tensors, "settings": {"method": "moco"}}
    made: list[bytes] = []
    for value in (tensors, {"state_dict": tensors}, run):
        buffer = io.BytesIO()
        torch.save(value, buffer)
        made.append(buffer.getvalue())
    return {
        "safetensors": [save_arrays({name: t.numpy() for name, t in tensors.items()})],
        "checkpoint": made,
    }


def index_file(path: Path) -> None:
    """Write a search index over :func:`features`."""
    Walk.build(features()).save(path)


def gallery(folder: Path) -> None:
    """Make pictures and a gallery of them with all that may lie in one, in ``folder``."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    for number in range(IMAGES):
        picture(number).save(photos / f"{number:02}.png")
    lines = (f'{{"file_name": "{n:02}.png", "title": "{n}"}}\n' for n in range(IMAGES))
    (photos / "metadata.jsonl").write_text("".join(lines), encoding="utf-8")
    bring_up(folder / "g", Source(photos), [load_encoder("random")])
    session = Session()
    choice = Choice("random", "center", str(folder / "g"))
    session.layout(choice)
    session.clusters(choice, kind="means")
    Blocklist(folder / "g").add([BlockedImage.of(picture(99))])
    opt_out(folder / "g", [IMAGES - 1])
    session.layout(choice)
    (folder / "g" / "queries").mkdir()
    shutil.copy(photos / "03.png", folder / "g" / "queries" / "known.png")
    listed = [{"file": "known.png", "sources": ["03.png"], "kind": "patch-synthesis"}]
    queries = folder / "g" / "queries" / "queries.json"
    queries.write_text(json.dumps({"queries": listed}), encoding="utf-8")


SINGLE: dict[str, Callable[[], list[bytes]]] = {"image": images, "zip": zips}
"""Kinds of which a file stands by itself."""


def packed(secret: str, seed: int, *, images: int = 3) -> bytes:
    """A zip of pictures whose names hold a text that nobody else's have."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(images):
            archive.writestr(f"{secret}-{number}.png", image_bytes(seed + number))
    return buffer.getvalue()
