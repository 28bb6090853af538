"""Structure-aware mutation: files that are damaged, or well formed and lie."""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.lib import format as npy

Rng = np.random.Generator
TEXTS = (
    "", ".", "..", "../../outside/secret.png", "/etc/passwd", "C:\\x.png", "a\0b", "\u202egnp.x",
    "x" * 300, "y" * 70_000, "a/" * 600 + "b", "=1+1", "<script>", "%00", "\x1b[31m", "NaN",
    "1e999", "-1", "vit_giant_patch14_dinov2", "é\n\r\t", '"', "'", ",", "con", "~", "file:///etc/passwd",
)  # fmt: skip
"""Texts that programs take wrongly."""
NUMBERS = (
    0, -1, 1, 2, 127, 128, 255, 256, 32_767, 65_535, 65_536, 2**31 - 1, 2**31, 2**32, 2**53, 2**63,
    2**64, 10**30, 0.5, -0.0, 1e-320, 1e308, math.inf, -math.inf, math.nan,
)  # fmt: skip
"""Numbers at the edges of their types."""
_WORDS = tuple(
    struct.pack(order + kind, value & (1 << 8 * struct.calcsize(kind)) - 1)
    for kind in "BHIQ"
    for order in "<>"
    for value in (0, 1, 127, 128, 255, 32_767, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, -1)
)


def pick(values: Sequence[Any], rng: Rng) -> Any:
    """One of some values."""
    return values[int(rng.integers(len(values)))]


def of_bytes(data: bytes, rng: Rng) -> bytes:
    """Bytes flipped, overwritten, cut, doubled, left out or put in, once or several times."""
    changed = bytearray(data)
    for _ in range(int(rng.geometric(0.4))):
        at = int(rng.integers(len(changed) + 1) if rng.random() < 0.5 else rng.integers(64))
        end = at + int(rng.geometric(0.05))
        how = int(rng.integers(7))
        if how == 0 and at < len(changed):
            changed[at] ^= 1 << int(rng.integers(8))
        elif how == 1:
            word = pick(_WORDS, rng)
            changed[at : at + len(word)] = word
        elif how == 2:
            del changed[at:]
        elif how == 3:
            del changed[at:end]
        elif how == 4:
            changed[at:at] = changed[at:end] * int(rng.integers(1, 50))
        elif how == 5:
            changed[at:end] = rng.bytes(end - at)
        else:
            changed += bytes(int(rng.integers(1, 4_096)))
    return bytes(changed)


def of_value(value: Any, rng: Rng) -> Any:
    """A JSON value with one of its parts replaced, removed, renamed or nested."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = pick(list(value), rng)
        how = rng.random()
        if how < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if how < 0.2:
            return {(pick(TEXTS, rng) if k == key else k): v for k, v in value.items()}
        if how < 0.25:
            return {**value, pick(TEXTS, rng): 1}
        return {**value, key: of_value(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = int(rng.integers(len(value)))
        rest = [*value[:place], of_value(value[place], rng), *value[place + 1 :]]
        return rest if rng.random() < 0.8 else value[:place] + value[place + 1 :]
    return hostile_value(rng)


def hostile_value(rng: Rng) -> Any:
    """A value of any type."""
    nested: Any = []
    for _ in range(int(rng.integers(3))):
        nested = [nested]
    return pick((None, True, False, {}, nested, pick(TEXTS, rng), pick(NUMBERS, rng)), rng)


def of_json(data: bytes, rng: Rng) -> bytes:
    """JSON whose values lie, or are nested deeply, or whose text is damaged."""
    how = rng.random()
    if how < 0.2:
        return of_bytes(data, rng)
    if how < 0.23:
        return b"[" * 100_000
    if how < 0.26:
        return data.replace(b'"', b'"\\ud800', int(rng.integers(1, 4)))
    if how < 0.28:
        return data.replace(b"1", b"9" * int(rng.integers(2, 6_000)), 1)
    value = json.loads(data)
    for _ in range(int(rng.geometric(0.6))):
        value = of_value(value, rng)
    return json.dumps(value).encode()


def of_lines(data: bytes, rng: Rng) -> bytes:
    """Lines of JSON, one of which lies."""
    lines = data.split(b"\n")
    place = int(rng.integers(len(lines)))
    lines[place] = of_json(lines[place] or b"{}", rng)
    return b"\n".join(lines)


def of_cells(data: bytes, rng: Rng) -> bytes:
    """A table of text with a cell that lies, or damaged."""
    if rng.random() < 0.5:
        return of_bytes(data, rng)
    text = data.decode("utf-16" if data[:2] == b"\xff\xfe" else "utf-8")
    cells = text.replace("\t", ",").split(",")
    cells[int(rng.integers(len(cells)))] = str(hostile_value(rng))
    joined = pick((",", ";", "\t", "|", '","'), rng).join(cells)
    return joined.encode(pick(("utf-8", "utf-16", "latin-1"), rng), "replace")


def of_png(data: bytes, rng: Rng) -> bytes:
    """A PNG whose chunks are changed, doubled, moved or left out, their checksums right."""
    chunks, at = list[tuple[bytes, bytes]](), 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    place, how = int(rng.integers(len(chunks))), rng.random()
    kind, body = chunks[place]
    if how < 0.15:
        chunks.insert(int(rng.integers(len(chunks) + 1)), (kind, body))
    elif how < 0.3:
        del chunks[place]
    elif how < 0.45:
        bomb = zlib.compress(bytes(int(rng.integers(1, 200_000_000))))
        extra = pick(((b"zTXt", b"k\0\0" + bomb), (b"iCCP", b"k\0\0" + bomb)), rng)
        chunks.insert(int(rng.integers(1, 3)), extra)
    else:
        chunks[place] = (kind, of_bytes(body, rng))
    parts = (
        len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
        for kind, body in chunks
    )
    return data[:8] + b"".join(parts)


def of_image(data: bytes, rng: Rng) -> bytes:
    """An image file, damaged or of chunks that lie."""
    if data.startswith(b"\x89PNG") and rng.random() < 0.6:
        return of_png(data, rng)
    return of_bytes(data, rng)


def of_zip(data: bytes, rng: Rng) -> bytes:
    """A zip whose entries have other names, kinds or contents, or that is damaged."""
    if rng.random() < 0.4:
        return of_bytes(data, rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            body = old.read(entry)
            info = zipfile.ZipInfo(entry.filename, entry.date_time)
            info.compress_type = int(pick((0, 8, 8, 12, 14), rng))
            if rng.random() < 0.2:
                name = pick([t for t in TEXTS if t and len(t) < 60_000 and t.isprintable()], rng)
                info.filename = name + pick(("", ".png", "/x.png", "/"), rng)
            if rng.random() < 0.1:
                info.external_attr = int(rng.integers(2**32))
            if rng.random() < 0.15:
                body = pick((b"", of_bytes(body, rng), bytes(30_000_000), data), rng)
            new.writestr(info, body)
    return of_bytes(buffer.getvalue(), rng) if rng.random() < 0.15 else buffer.getvalue()


def of_npy(data: bytes, rng: Rng) -> bytes:
    """An array file of another shape, type or of other values, or a damaged one."""
    how = rng.random()
    if how < 0.25:
        return of_bytes(data, rng)
    array = np.load(io.BytesIO(data))
    if how < 0.5:
        return _npy_with(data, array, rng)
    if array.dtype.kind == "f":
        values = array.astype(np.float64).ravel()
        some = rng.integers(max(values.size, 1), size=int(rng.integers(1, 9)))
        values[some % max(values.size, 1)] = pick([float(n) for n in NUMBERS], rng)
        changed = values.reshape(array.shape)
        with np.errstate(over="ignore"):
            changed = changed.astype(pick((array.dtype, array.dtype, np.float64), rng))
    else:
        changed = array.copy()
        value = np.asarray(rng.integers(-100, 100)).astype(changed.dtype)  # wraps where unsigned
        changed.flat[: int(rng.integers(changed.size + 1))] = value
    changed = np.atleast_1d(changed)
    shapes = (changed, changed, changed[:-1], changed[None], changed.T, changed.ravel()[:0])
    buffer = io.BytesIO()
    np.save(buffer, pick(shapes, rng))
    return buffer.getvalue()


def _npy_with(data: bytes, array: np.ndarray, rng: Rng) -> bytes:
    """The same values under a header that says something else."""
    header = repr(
        {
            "descr": pick(
                ("<f2", "<f8", "|O", "<U9", "|V3", "<c16", "|u1", "<M8[s]", "x", ""), rng
            ),
            "fortran_order": bool(rng.integers(2)),
            "shape": pick(
                (
                    array.shape,
                    (),
                    (0,),
                    (-1, 3),
                    (2**62, 2**62),
                    (10**12,),
                    (1,) * 40,
                    "x",
                    (True,),
                ),
                rng,
            ),
        }
    )
    if rng.random() < 0.3:
        header = pick(("(" * 5_000, "{'a': 1", "{}", "b'\\", "1L", header[:-9]), rng)
    text = header.encode()
    return npy.magic(1, 0) + len(text).to_bytes(2, "little") + text + data[-array.nbytes :]


def of_archive(data: bytes, rng: Rng, member: Callable[[bytes, Rng], bytes]) -> bytes:
    """An archive of arrays or pickles with one member changed, its checksums right."""
    if rng.random() < 0.3:
        return of_bytes(data, rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        names = old.namelist()
        chosen = pick(names, rng)
        for name in names:
            body = old.read(name)
            if name == chosen and rng.random() < 0.1:
                continue
            new.writestr(name, member(body, rng) if name == chosen else body)
    return buffer.getvalue()


def of_npz(data: bytes, rng: Rng) -> bytes:
    """An archive of arrays, one of which lies."""
    return of_archive(data, rng, of_npy)


def of_checkpoint(data: bytes, rng: Rng) -> bytes:
    """A checkpoint of PyTorch whose pickle or tensors are changed, or that would run a command."""
    if rng.random() < 0.1:
        command = b"cos\nsystem\n(S'touch outside'\ntR."
        return of_archive(data, rng, lambda _, __: command)
    return of_archive(data, rng, of_bytes)


def of_safetensors(data: bytes, rng: Rng) -> bytes:
    """Tensors under a header that lies, or damaged."""
    if rng.random() < 0.3:
        return of_bytes(data, rng)
    size = int.from_bytes(data[:8], "little")
    header = of_json(data[8 : 8 + size], rng)
    if rng.random() < 0.2:
        kinds = (b'"BF16"', b'"F8_E4M3"', b'"I64"', b'"BOOL"', b'"X"')
        header = data[8 : 8 + size].replace(b'"F32"', pick(kinds, rng))
    stated = len(header) if rng.random() < 0.8 else pick((0, 2**31, 2**63, len(header) + 9), rng)
    body = data[8 + size :]
    if rng.random() < 0.3:
        body = of_bytes(body, rng)
    return int(stated).to_bytes(8, "little") + header + body


def of_parquet(data: bytes, rng: Rng) -> bytes:
    """A Parquet file with a column of other values or another type, or damaged."""
    if rng.random() < 0.35:
        return of_bytes(data, rng)
    rows = pq.read_table(io.BytesIO(data)).to_pylist()
    column = pick(list(rows[0]), rng)
    value, buffer = hostile_value(rng), io.BytesIO()
    some = range(len(rows)) if rng.random() < 0.3 else [int(rng.integers(len(rows)))]
    if rng.random() < 0.15:
        rows += rows[: int(rng.integers(1, len(rows) + 1))]
    for row in some:
        rows[row][column] = value
    how = pick(("zstd", "snappy", "none"), rng)
    try:
        pq.write_table(pa.Table.from_pylist(rows), buffer, compression=how)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        texts = [{**row, column: ascii(row[column])} for row in rows]
        pq.write_table(pa.Table.from_pylist(texts), buffer, compression=how)
    return buffer.getvalue()


BY_SUFFIX: dict[str, Callable[[bytes, Rng], bytes]] = {
    ".json": of_json,
    ".jsonl": of_lines,
    ".csv": of_cells,
    ".tsv": of_cells,
    ".parquet": of_parquet,
    ".npy": of_npy,
    ".npz": of_npz,
    ".safetensors": of_safetensors,
    ".zip": of_zip,
    ".pt": of_checkpoint,
    ".image": of_image,
    ".webp": of_image,
    ".png": of_image,
}
"""How a file is changed, by what its name ends in."""


def mutated(data: bytes, suffix: str, rng: Rng) -> bytes:
    """A file changed as one of its kind; as bytes where it is of none."""
    return BY_SUFFIX.get(suffix, of_bytes)(data, rng)
