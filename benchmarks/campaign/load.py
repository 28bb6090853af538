"""Arrivals of all kinds that wait for no other, at three rates, each with a result it knows."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from scipy.stats import t

from app.page.sessions import CAPACITY
from benchmarks.campaign.children import Budget
from benchmarks.campaign.clients import CLIENTS, Arrival, Seen, arrivals, arrive
from benchmarks.campaign.hosted import Hosted, Visitor, hosted
from benchmarks.campaign.table import Row
from core.config import ServerConfig

GROWTH = 100.0
"""Megabytes by which memory may grow over half of a rate, or from one crowd to the next."""
SLOWER = 3.0
"""Times that a median answer may take of one alone, at half of what the server can take."""
LENGTH = 200.0
"""Seconds of each of three rates, which together are ten minutes; of the last twice the half."""
_CLIENTS = 64
_LEFT = 10_000  # number of the first visitor who leaves a page open
_AGAIN = 5.0  # seconds after which to come again
_IDLE, _CLOSED = 5, 4  # of each kind, one after the other; clients who measure where to begin
_STRETCHES = 10  # of which memory is a mean each
_STEPS = 12  # times that a rate that is tried is raised
_LENGTHS = {False: (LENGTH, 20.0), True: (3.0, 3.0)}
"""By whether a run is quick: seconds of each of three rates, and of one that is tried."""


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Ask at half, at the whole and at twice the rate that saturates the server."""
    coming, rows = arrivals(np.random.default_rng(seed)), list[Row]()
    length, step = (max(each * budget.tries, 1.0) for each in _LENGTHS[quick])
    length = min(length, max(budget.left, 0) / 6)
    with hosted(ServerConfig()) as server:
        clients = [Visitor(server, number) for number in range(_CLIENTS)]
        alone = _alone(clients, coming, times=1 if quick else _IDLE)
        rows += [
            row_of(f"{kind}, alone", 1 if quick else _IDLE, seen) for kind, seen in alone.items()
        ]
        first = _closed_loop(clients, coming, length / 4)
        found, row = _saturated(server, clients, coming, first, step)
        rows.append(row)
        _fill(server, 0 if quick else CAPACITY)
        held: list[list[tuple[float, float]]] = []
        for share, seconds in ((0.5, length), (1.0, length), (2.0, length / 2), (2.0, length / 2)):
            held.append([])
            began, before = time.monotonic(), server.computed()
            with _watched(server, held[-1]):
                tried, seen = _open_loop(clients, coming, found * share, seconds)
            took, used = time.monotonic() - began, server.computed() - before
            what = f"{found * share:.1f} arrivals a second, {share:g} of what it can take"
            rows.append(_sum(what, tried, seen, took=took, used=used))
            bar = SLOWER if share == 0.5 and not quick else np.inf
            for kind, count in tried.items():
                rows.append(row_of(f"at {share:g}: {kind}", count, seen[kind], alone[kind], bar))
    most = np.inf if quick else GROWTH  # seconds tell no growth
    rows += [memory_row("half of it", held[0], most), memory_row("what it can take", held[1], most)]
    return (*rows, _peaks(held[2], held[3], most))


def _alone(
    clients: Sequence[Visitor], coming: Iterator[Arrival], *, times: int
) -> Mapping[str, Seen]:
    """Each kind one after the other on an idle server, after a first one that opens things."""
    seen = {kind: Seen() for kind in CLIENTS}
    left = dict.fromkeys(CLIENTS, times + 1)
    for number, arrival in enumerate(coming):
        if not any(left.values()):
            return seen
        if not left[arrival.kind]:
            continue
        first = left[arrival.kind] == times + 1
        left[arrival.kind] -= 1
        noted = Seen() if first else seen[arrival.kind]
        arrive(clients[number % len(clients)], arrival, time.monotonic(), noted)
    raise AssertionError("arrivals do not end")


def _closed_loop(clients: Sequence[Visitor], coming: Iterator[Arrival], seconds: float) -> float:
    """Results a second when some clients ask again as soon as they have one: less than it can."""
    seen, lock = Seen(), threading.Lock()
    until = time.monotonic() + seconds

    def work(client: Visitor) -> None:
        while time.monotonic() < until:
            with lock:
                arrival = next(coming)
            arrive(client, arrival, time.monotonic(), seen)

    began = time.monotonic()
    _together([lambda c=client: work(c) for client in clients[:_CLOSED]])
    return max(len(seen.seconds), 1) / (time.monotonic() - began)


def _saturated(
    server: Hosted, clients: Sequence[Visitor], coming: Iterator[Arrival], rate: float, step: float
) -> tuple[float, Row]:
    """Results a second at the first rate at which more and more wait, or some are sent away.

    The rate is raised by half until then. More and more wait where, at the end of a step, a
    quarter of its second half has no result yet beyond what waited in its middle.
    """
    for tried in range(1, _STEPS + 1):
        seen, threads = {kind: Seen() for kind in CLIENTS}, list[threading.Thread]()
        ready = [next(coming) for _ in range(max(round(rate * step), 8))]
        half = len(ready) // 2
        began = time.monotonic()
        _arrivals(clients, ready[:half], rate, seen, threads)
        middle, right = _waiting(threads), _right(seen)
        halved = time.monotonic()
        _arrivals(clients, ready[half:], rate, seen, threads)
        late, done = _waiting(threads), _right(seen) - right
        took = time.monotonic() - halved
        for thread in threads:
            thread.join()
        refused = sum(each.refused for each in seen.values())
        faults = tuple(fault for each in seen.values() for fault in each.faults)
        grows = late - middle > max(len(ready[half:]) / 4, 3)
        if refused or grows or faults:
            found = max(done / took, _right(seen) / (time.monotonic() - began))
            why = f"{refused} told when to come again" if refused else f"{middle} to {late} waiting"
            worst = f"{found:.2f} results a second: at {rate:.1f} arrivals, {why}"
            return found, Row("load: raised until it is saturated", tried, faults, worst)
        rate *= 1.5
    faults = (f"not saturated by {rate / 1.5:.1f} arrivals a second",)
    return rate, Row("load: raised until it is saturated", _STEPS, faults, "")


def _right(seen: Mapping[str, Seen]) -> int:
    return sum(len(each.seconds) for each in seen.values())


def _waiting(threads: Sequence[threading.Thread]) -> int:
    return sum(thread.is_alive() for thread in threads)


def _arrivals(
    clients: Sequence[Visitor],
    ready: Sequence[Arrival],
    rate: float,
    seen: Mapping[str, Seen],
    threads: list[threading.Thread],
) -> None:
    """Arrivals at even times, each by the next client, whether the ones before have a result."""
    began, first = time.monotonic(), len(threads)
    for number, arrival in enumerate(ready):
        came = began + number / rate
        time.sleep(max(came - time.monotonic(), 0))
        client = clients[(first + number) % len(clients)]
        given = (client, arrival, came, seen[arrival.kind])
        threads.append(threading.Thread(target=arrive, args=given))
        threads[-1].start()


def _fill(server: Hosted, count: int) -> None:
    """Open as many pages as a server keeps, in browsers that go: memory is full of them then."""
    for number in range(count):
        with Visitor(server, _LEFT + number) as visitor:
            visitor.enter()
            while visitor.handler("gallery.show", [None]).refused:
                time.sleep(_AGAIN)


def _open_loop(
    clients: Sequence[Visitor], coming: Iterator[Arrival], rate: float, seconds: float
) -> tuple[Counter[str], Mapping[str, Seen]]:
    """Arrivals at a rate, and what became of each."""
    seen, threads = {kind: Seen() for kind in CLIENTS}, list[threading.Thread]()
    ready = [next(coming) for _ in range(max(round(rate * seconds), 2))]
    _arrivals(clients, ready, rate, seen, threads)
    for thread in threads:
        thread.join()
    return Counter(arrival.kind for arrival in ready), seen


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


def _sum(
    what: str, tried: Mapping[str, int], seen: Mapping[str, Seen], *, took: float, used: float
) -> Row:
    """All kinds together: their rate, and what they took of the processor."""
    right = sum(len(each.seconds) for each in seen.values())
    refused = sum(each.refused for each in seen.values())
    worst = f"{right / max(took, 1e-9):.2f} results a second"
    worst += f"; {used / max(right, 1):.2f} s of the processor each"
    worst += f"; {refused} told when to come again" if refused else ""
    faults = tuple(fault for each in seen.values() for fault in each.faults)
    return Row(f"load: {what}", sum(tried.values()), faults, worst)


def row_of(
    what: str, tried: int, seen: Seen, alone: Seen | None = None, bar: float = np.inf
) -> Row:
    """One kind: how long it took, beside one alone; an answer may take but so many times that."""
    if not seen.seconds:
        none = f"{what}: none of {tried} had a result"
        worst = f"{seen.refused} told when to come again"
        return Row(f"load: {what}", tried, tuple([*seen.faults, none][:tried]), worst)
    p50, p95, p99 = (float(np.quantile(seen.seconds, q)) for q in (0.5, 0.95, 0.99))
    worst, faults = f"p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s", [*seen.faults]
    if alone is not None and alone.seconds:
        times = p50 / float(np.median(alone.seconds))
        worst += f" ({times:.1f} times alone)"
        if what.endswith("answer") and times > bar:
            faults.append(f"a median answer takes {times:.1f} times one alone")
    if seen.configs:
        p50, p99 = (float(np.quantile(seen.configs, q)) for q in (0.5, 0.99))
        worst += f"; /config p50 {p50:.2f} s, p99 {p99:.2f} s"
    worst += f"; {seen.refused} told when to come again" if seen.refused else ""
    return Row(f"load: {what}", tried, tuple(faults), worst)


def memory_row(what: str, held: Sequence[tuple[float, float]], bar: float) -> Row:
    """Memory in the second half of a rate that the server can take; caches and pages are full then.

    It is flat where no growth is beyond noise, or where what has come is below the bar.
    """
    grown, noise = growth(held[len(held) // 2 :])
    faults = (f"memory grew by {grown:.0f} MB",) if grown > bar and grown > noise else ()
    worst = f"{held[-1][1]:,.0f} MB at the end, {grown:+.0f} ± {noise:.0f} MB in the second half"
    return Row(f"load: memory, at {what}", 1, faults, worst)


def growth(held: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """By how much something grows while it is watched, and half of that number's 95 % interval.

    A line through the means of ten stretches: moments that follow each other are not independent.
    """
    if len(held) < 3 * _STRETCHES:
        return 0.0, 0.0
    times, values = (
        np.array([part.mean() for part in np.array_split(column, _STRETCHES)])
        for column in np.array(held).T
    )
    line, square = np.polyfit(times, values, 1, cov=True)
    took = held[-1][0] - held[0][0]
    half = float(t.ppf(0.975, _STRETCHES - 2)) * float(np.sqrt(square[0, 0]))
    return float(line[0]) * took, half * took


def _peaks(
    first: Sequence[tuple[float, float]], second: Sequence[tuple[float, float]], bar: float
) -> Row:
    """Memory while too much is asked: what waits is held, and a second time takes no more."""
    one, two = (max(mega for _, mega in held) for held in (first, second))
    faults = (f"memory grew by {two - one:.0f} MB",) if two - one > bar else ()
    worst = f"{one:,.0f} MB at most, and {two:,.0f} MB when that came again"
    return Row("load: memory, at twice of that", 1, faults, worst)
