"""Fetching from servers that cut, stall, lie and refuse."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import hf_hub_download
from tqdm import tqdm

from core.encoders.backbones.download import fetch
from core.values import Cancelled, EncoderError
from tests.serving import Behaviour, serving

DATA = bytes(range(256)) * 1200
CHECKSUM = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Behaviour, str]]:
    monkeypatch.setenv("NO_PROXY", "*")
    behaviour = Behaviour(DATA)
    with serving({"": behaviour}) as address:
        yield behaviour, f"{address}/folder/weights.pth?v=1"


def test_a_file_comes_whole_once(server, tmp_path: Path) -> None:
    behaviour, url = server
    told: list[tuple[int, int, str]] = []
    path = fetch(url, tmp_path / "a" / "b", checksum=CHECKSUM, progress=lambda *x: told.append(x))
    assert path == tmp_path / "a" / "b" / "weights.pth"
    assert path.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA), "weights.pth")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert fetch(url, tmp_path / "a" / "b") == path
    assert behaviour.asked == [None]
    assert not list(path.parent.glob("*.part"))


def test_a_cut_is_an_error_and_is_resumed(server, tmp_path: Path) -> None:
    behaviour, url = server
    behaviour.cut = 100_000
    with pytest.raises(EncoderError, match="cannot fetch"):
        fetch(url, tmp_path, checksum=CHECKSUM)
    assert not (tmp_path / "weights.pth").exists()
    behaviour.cut = None
    assert fetch(url, tmp_path, checksum=CHECKSUM).read_bytes() == DATA
    assert behaviour.asked == [None, "bytes=100000-"]


def test_a_server_without_ranges_starts_anew(server, tmp_path: Path) -> None:
    behaviour, url = server
    behaviour.ranges = False
    (tmp_path / "weights.pth.part").write_bytes(b"old" * 200_000)  # longer than the file
    assert fetch(url, tmp_path, checksum=CHECKSUM).read_bytes() == DATA


def test_a_whole_part_is_taken_as_it_is(server, tmp_path: Path) -> None:
    """A process killed between the last byte and the renaming."""
    _, url = server
    (tmp_path / "weights.pth.part").write_bytes(DATA)
    assert fetch(url, tmp_path, checksum=CHECKSUM).read_bytes() == DATA


def test_bytes_from_elsewhere_are_refused(server, tmp_path: Path) -> None:
    behaviour, url = server
    behaviour.wrong_range = True
    (tmp_path / "weights.pth.part").write_bytes(DATA[:10])
    with pytest.raises(EncoderError, match="cannot resume"):
        fetch(url, tmp_path)


def test_a_wrong_checksum_is_refused_and_forgotten(server, tmp_path: Path) -> None:
    behaviour, url = server
    behaviour.data = b"x" + DATA[1:]
    with pytest.raises(EncoderError, match=r"weights\.pth is damaged"):
        fetch(url, tmp_path, checksum=CHECKSUM)
    assert not {"weights.pth", "weights.pth.part"} & {path.name for path in tmp_path.iterdir()}
    behaviour.data = DATA
    assert fetch(url, tmp_path, checksum=CHECKSUM).read_bytes() == DATA


def test_first_digits_of_another_algorithm(server, tmp_path: Path) -> None:
    _, url = server
    digits = hashlib.md5(DATA).hexdigest()[:8]
    with pytest.raises(EncoderError, match="md5"):
        fetch(url, tmp_path, checksum=f"md5:{digits[::-1]}")
    assert fetch(url, tmp_path, checksum=f"md5:{digits}").read_bytes() == DATA


@pytest.mark.parametrize("change", [{"silent": True}, {"stall": True, "cut": 5000}])
@pytest.mark.slow
def test_a_stalled_server_is_left_in_time(change: dict, server, tmp_path: Path) -> None:
    behaviour, url = server
    for name, value in change.items():
        setattr(behaviour, name, value)
    start = time.monotonic()
    with pytest.raises(EncoderError, match="cannot fetch"):
        fetch(url, tmp_path, timeout=0.5)
    assert time.monotonic() - start < 5
    assert not (tmp_path / "weights.pth").exists()


@pytest.mark.slow
def test_a_silent_server_is_left_within_ten_seconds_by_default(server, tmp_path: Path) -> None:
    """It took ten seconds and the start of the program."""
    behaviour, url = server
    behaviour.silent = True
    start = time.monotonic()
    with pytest.raises(EncoderError, match="nothing came for 4 s"):
        fetch(url, tmp_path)
    assert time.monotonic() - start < 8


@pytest.mark.slow
def test_a_name_server_that_hangs_is_left_in_time(tmp_path: Path, monkeypatch) -> None:
    """Sockets have no time-out for looking up a name."""
    hang = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: hang.wait(20))
    start = time.monotonic()
    with pytest.raises(EncoderError, match=r"nothing came for 0\.5 s"):
        fetch("https://example.org/weights.pth", tmp_path, timeout=0.5)
    assert time.monotonic() - start < 5
    hang.set()


def test_nobody_listens(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(EncoderError, match="cannot fetch"):
        fetch("http://127.0.0.1:9/weights.pth", tmp_path)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_refusals_are_named(status: int, server, tmp_path: Path) -> None:
    behaviour, url = server
    behaviour.status = status
    with pytest.raises(EncoderError, match=f"HTTP {status}"):
        fetch(url, tmp_path)
    assert not (tmp_path / "weights.pth").exists()


@pytest.mark.parametrize("length", [True, False])
def test_an_oversized_file_is_refused(length: bool, server, tmp_path: Path) -> None:
    """By its stated length before the first byte, or else as soon as it is too long."""
    behaviour, url = server
    behaviour.length = length
    with pytest.raises(EncoderError, match="larger than the 1000 bytes"):
        fetch(url, tmp_path, max_bytes=1000)
    assert not list(tmp_path.glob("*.part"))
    assert fetch(url, tmp_path, max_bytes=len(DATA)).read_bytes() == DATA


@pytest.mark.parametrize(
    "url", ["http://example.org/w.pth", "ftp://example.org/w.pth", "file:///etc/passwd"]
)
def test_only_https(url: str, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"only https|unsupported protocol"):
        fetch(url, tmp_path)


def test_redirects_stay_within_https(server, tmp_path: Path) -> None:
    behaviour, url = server
    behaviour.status, behaviour.location = 302, "http://example.org/w.pth"
    with pytest.raises(EncoderError, match=r"only https is fetched from, not http://example\.org"):
        fetch(url, tmp_path)


def test_cancelling_keeps_what_came(server, tmp_path: Path) -> None:
    behaviour, url = server

    def cancel(done: int, _total: int, _what: str) -> None:
        if done >= 50_000:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        fetch(url, tmp_path, progress=cancel)
    came = (tmp_path / "weights.pth.part").stat().st_size
    assert came >= 50_000
    assert fetch(url, tmp_path, checksum=CHECKSUM).read_bytes() == DATA
    assert behaviour.asked == [None, f"bytes={came}-"]


def test_what_torch_hub_lacks(server, tmp_path: Path) -> None:
    """Why its download is not used: a cut file takes the place of the whole one, without a word.

    It also waits for ever for a silent server, and follows redirects to http.
    """
    behaviour, url = server
    behaviour.cut = 100_000
    torch.hub.download_url_to_file(url, str(tmp_path / "weights.pth"), progress=False)
    assert (tmp_path / "weights.pth").stat().st_size == 100_000 < len(DATA)


def test_what_the_hubs_client_lacks(server, tmp_path: Path) -> None:
    """Why its download is not used: when it is stopped, nothing is kept that could be resumed.

    It also tries again for minutes where a server is silent, and follows redirects to http.
    """
    behaviour, url = server
    behaviour.data = DATA * 50  # more than one piece

    class Stopped(tqdm):
        def update(self, n: float | None = 1) -> None:
            raise Cancelled(f"after {n} bytes")

    endpoint = url.removesuffix("/folder/weights.pth?v=1")
    with pytest.raises(Cancelled):
        hf_hub_download(
            "timm/some",
            "model.safetensors",
            revision="a" * 40,
            cache_dir=tmp_path,
            endpoint=endpoint,
            tqdm_class=Stopped,
        )
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert {path.name for path in kept} <= {"CACHEDIR.TAG"}
    assert behaviour.asked == [None]


def test_threads_that_want_the_same_file_share_one_transfer(server, tmp_path: Path) -> None:
    behaviour, url = server
    found: list[bytes] = []
    wanting = [
        threading.Thread(target=lambda: found.append(fetch(url, tmp_path).read_bytes()))
        for _ in range(4)
    ]
    for thread in wanting:
        thread.start()
    for thread in wanting:
        thread.join()
    assert found == [DATA] * 4
    assert behaviour.asked == [None]
