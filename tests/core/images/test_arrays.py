"""Arrays of numbers are read; everything else that NumPy could open is refused in one way."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.images.arrays import read_array, read_arrays, save_array


def test_numbers_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    np.savez(tmp_path / "b.npz", one=np.ones(2), two=np.zeros((0, 3)))
    assert read_array(tmp_path / "a.npy").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read_arrays(tmp_path / "b.npz", ("two", "one"))["one"].tolist() == [1, 1]


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from core.images.arrays import save_array
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (160, 160))
for n in (4, 5, 60, 3_000):
    try:
        save_array(Path(sys.argv[1]), np.arange(n))
        print("written")
    except OSError:
        print("refused")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_disk_that_is_full_is_heard(tmp_path: Path) -> None:
    """Arrays below 4 kB were cut off unheard: NumPy leaves them to C's own buffer."""
    words = [sys.executable, "-c", FULL, str(tmp_path / "a.npy")]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["written", "refused", "refused", "refused"]


def test_what_is_written_is_what_numpy_writes(tmp_path: Path) -> None:
    for array in (np.arange(9, dtype=np.int8).reshape(3, 3).T, np.ones(0), np.float16(3)):
        save_array(tmp_path / "a.npy", np.asarray(array))
        np.save(tmp_path / "b.npy", array)
        assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def with_header(header: str) -> bytes:
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(value))
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(3))
    return buffer.getvalue()


BAD = {
    "nothing": b"",
    "an open bracket": with_header("(" * 5_000),
    "an unfinished dictionary": with_header("{'a': 1"),
    "a shape beyond all numbers": with_header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999, 9)}"
    ),
    "more than there is": with_header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"
    ),
    "an archive under the name of an array": archive(),
    "texts": saved(["a", "b"]),
    "dates": saved(np.zeros(3, "M8[s]")),
    "complex numbers": saved([1j]),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_array_of_numbers_is_refused(tmp_path: Path, name: str) -> None:
    """Some were tracebacks: NumPy's parser of headers raises whatever Python's tokenizer does."""
    path = tmp_path / "a.npy"
    path.write_bytes(BAD[name])
    with pytest.raises(ValueError, match="missing or damaged"):
        read_array(path)
    with pytest.raises(ValueError, match="missing or damaged"):
        read_arrays(path, ("b",))


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(10_000_000))
    assert (tmp_path / "a.npz").stat().st_size < 100_000
    with pytest.raises(ValueError, match="damaged"):
        read_arrays(tmp_path / "a.npz", ("a",))
