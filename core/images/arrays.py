"""NumPy's arrays on disk: written whole, or with an error, and read without trust."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from jaxtyping import Shaped

_KINDS = "biuf"  # of numbers


class _Bytes:
    """A file as NumPy does not know it."""

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write


def save_array(path: Path, array: Shaped[np.ndarray, " ..."]) -> None:
    """Write an npy file.

    ``numpy.save`` hands an open file to C, whose buffer of 4 kB fails unheard where the disk is
    full: the file is short, and nobody is told. Written by Python, the error is raised.

    Raises:
        OSError: when it cannot be written whole.
    """
    with path.open("wb") as file:
        np.save(_Bytes(file), array, allow_pickle=False)  # noqa: TID251


def save_rows(
    path: Path, rows: Iterable[np.ndarray], *, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """Write an npy file row by row, or some rows at a time, without having all in memory.

    They are written, not mapped: a full disk must not kill the process.

    Args:
        path: the file.
        rows: one behind the other.
        shape: of all together.
        dtype: what they are stored as.

    Raises:
        OSError: when it cannot be written whole.
    """
    kind = np.lib.format.dtype_to_descr(dtype)
    with path.open("wb") as file:
        header = {"descr": kind, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for each in rows:
            file.write(np.ascontiguousarray(each, dtype).tobytes())


def read_array(path: Path) -> Shaped[np.ndarray, " ..."]:
    """The array of numbers of an npy file, memory-mapped.

    Raises:
        ValueError: when the file cannot be read, or holds anything else.
    """
    try:
        return _checked(np.load(path, mmap_mode="r", allow_pickle=False))
    except Exception as error:  # the parser of NumPy's headers raises nearly anything
        raise ValueError(f"{path.name} is missing or damaged") from error


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, Shaped[np.ndarray, " ..."]]:
    """Some arrays of numbers of an npz file that is not compressed.

    What is compressed is refused, since a small file could fill the memory.

    Raises:
        ValueError: when the file cannot be read, or lacks one of them.
    """
    try:
        with ZipFile(path) as file:
            if any(file.getinfo(f"{name}.npy").compress_type != ZIP_STORED for name in names):
                raise ValueError("it is compressed")
        with np.load(path, allow_pickle=False) as file:
            return {name: _checked(file[name]) for name in names}
    except Exception as error:
        raise ValueError(f"{path.name} is missing or damaged") from error


def _checked(found: object) -> np.ndarray:
    if not isinstance(found, np.ndarray) or found.dtype.kind not in _KINDS:
        raise ValueError("it holds no numbers")
    return found
