"""Arrivals that wait for no other, at three rates, each with a picture whose source is known."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from benchmarks.campaign.children import Budget
from benchmarks.campaign.hosted import Hosted, Visitor, hosted
from benchmarks.campaign.table import Row
from core.config import ServerConfig
from core.gallery.gallery import SHIPPED, Gallery

GROWTH = 100.0
"""Megabytes by which memory may grow over the second half of the arrivals."""
_SIDES = (96, 192, 256, 512, 1024, 2048)
_CLIENTS = 64
_IDLE, _CLOSED = 8, 4  # answers one after the other; clients who measure what the server can do


@dataclass
class Seen:
    """What became of some arrivals."""

    seconds: list[float] = field(default_factory=list[float])
    """From arrival to answer, of each right one."""
    refused: int = 0
    """Those who were told when to come again."""
    faults: list[str] = field(default_factory=list[str])


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Ask at half, at the whole and at twice the rate that the server can take."""
    pictures, rows = _pictures(np.random.default_rng(seed)), list[Row]()
    length = min(3.0 if quick else 30.0, max(budget.left, 0) / 5)
    with hosted(ServerConfig(max_waiting=12 if quick else 64)) as server:
        clients = [Visitor(server, number) for number in range(_CLIENTS)]
        idle = Seen()
        _arrive(clients[-1], next(pictures), time.monotonic(), Seen())  # the first opens things
        for number in range(_IDLE):
            _arrive(clients[number], next(pictures), time.monotonic(), idle)
        rows.append(_row("one at a time", _IDLE, idle, sum(idle.seconds)))
        rate = _capacity(clients, pictures, length / 3)
        held: list[tuple[float, float]] = []
        with _watched(server, held):
            for share in (0.5, 1.0, 2.0):
                began, before = time.monotonic(), server.computed()
                tried, seen = _open_loop(clients, pictures, rate * share, length)
                what = f"{rate * share:.1f} arrivals a second, {share:g} of what it can take"
                took = time.monotonic() - began
                row = _row(what, tried, seen, took, idle)
                used = (server.computed() - before) / max(len(seen.seconds), 1)
                worst = f"{row.worst}; {used:.2f} s of the processor an answer"
                rows.append(replace(row, worst=worst))
    return (*rows, _memory(held))


def _pictures(rng: np.random.Generator) -> Iterator[tuple[bytes, str]]:
    """Pictures of the gallery in several sizes and kinds of file, and what each is called there."""
    gallery = Gallery.open(SHIPPED, read_only=True)
    while True:
        record = gallery.records[int(rng.integers(len(gallery)))]
        side, buffer = int(rng.choice(_SIDES)), io.BytesIO()
        with Image.open(gallery.store.thumbnail(record.sha256)) as thumbnail:
            picture = thumbnail.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        picture.save(buffer, "PNG" if side < 512 else "JPEG", quality=92)
        yield buffer.getvalue(), record.path


def _arrive(client: Visitor, picture: tuple[bytes, str], came: float, seen: Seen) -> None:
    """Send a picture under a name of its own, ask, and see whose answer came."""
    (content, source), name = picture, f"own-{threading.get_ident()}-{time.monotonic_ns()}.png"
    try:
        told = client.upload(name, content)
        if told.status == 200:
            told = client.ask(told.value)
    except Exception as error:  # the connection: it must not fail either
        seen.faults.append(f"{type(error).__name__}: {error}")
        return
    if told.refused:
        seen.refused += 1
    elif told.status != 200:
        seen.faults.append(f"status {told.status}: {str(told.value)[:200]}")
    elif told.value["query"] != name:
        seen.faults.append(f"the answer of {told.value['query']} came to {name}")
    elif told.value["matches"][0]["file"] != source:
        seen.faults.append(f"{told.value['matches'][0]['file']} in the place of {source}")
    else:
        seen.seconds.append(time.monotonic() - came)


def _capacity(
    clients: Sequence[Visitor], pictures: Iterator[tuple[bytes, str]], seconds: float
) -> float:
    """Answers a second when some clients ask again as soon as they are answered."""
    seen, given, lock = Seen(), iter(pictures), threading.Lock()
    until = time.monotonic() + seconds

    def work(client: Visitor) -> None:
        while time.monotonic() < until:
            with lock:
                picture = next(given)
            _arrive(client, picture, time.monotonic(), seen)

    began = time.monotonic()
    _together([lambda c=client: work(c) for client in clients[:_CLOSED]])
    return max(len(seen.seconds), 1) / (time.monotonic() - began)


def _open_loop(
    clients: Sequence[Visitor], pictures: Iterator[tuple[bytes, str]], rate: float, seconds: float
) -> tuple[int, Seen]:
    """Arrivals at even times, each by the next client, whether the ones before are answered."""
    seen, threads = Seen(), list[threading.Thread]()
    count = max(round(rate * seconds), 2)
    ready = [next(pictures) for _ in range(count)]
    began = time.monotonic()
    for number, picture in enumerate(ready):
        came = began + number / rate
        time.sleep(max(came - time.monotonic(), 0))
        client = clients[number % len(clients)]
        threads.append(threading.Thread(target=_arrive, args=(client, picture, came, seen)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return count, seen


def _together(works: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class _watched:
    """Memory of the server while the block runs: seconds and MB."""

    def __init__(self, server: Hosted, held: list[tuple[float, float]]) -> None:
        self._over, began = threading.Event(), time.monotonic()

        def look() -> None:
            while not self._over.wait(0.2):
                held.append((time.monotonic() - began, server.memory()))

        self._thread = threading.Thread(target=look)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _row(what: str, tried: int, seen: Seen, seconds: float, idle: Seen | None = None) -> Row:
    times = sorted(seen.seconds) or [float("nan")]
    p50, p95, p99 = (float(np.quantile(times, q)) for q in (0.5, 0.95, 0.99))
    worst = f"p50 {p50:.1f} s, p95 {p95:.1f} s, p99 {p99:.1f} s"
    if idle is not None and idle.seconds:
        worst += f" ({p50 / float(np.median(idle.seconds)):.1f} times one at a time)"
    worst += f"; {len(seen.seconds) / max(seconds, 1e-9):.2f} answers a second"
    worst += f"; {seen.refused} told when to come again" if seen.refused else ""
    return Row(f"load: {what}", tried, tuple(seen.faults), worst)


def _memory(held: Sequence[tuple[float, float]]) -> Row:
    """Memory over the second half, in which caches are full."""
    late = np.array(held[len(held) // 2 :])
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) if len(late) > 2 else 0.0
    grown = slope * float(late[-1, 0] - late[0, 0])
    faults = (f"memory grew by {grown:.0f} MB",) if grown > GROWTH else ()
    worst = f"{late[-1, 1]:,.0f} MB at the end, {grown:+.0f} MB in the second half"
    return Row("load: memory", 1, faults, worst)
