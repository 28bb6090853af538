"""A hosted server's endpoints, tools, handlers and routes, called with what no client should send.

Its limits on how much one client may ask are raised: they would only slow this down. All others
are those of a server for strangers.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np

from benchmarks.campaign import corpus
from benchmarks.campaign.addresses import canary
from benchmarks.campaign.addresses import tried as addresses_tried
from benchmarks.campaign.calls import SECONDS, Reply, Target, endpoint, handler, tool, used
from benchmarks.campaign.children import Budget, scratch
from benchmarks.campaign.hosted import UNLIMITED, hosted
from benchmarks.campaign.mutate import Rng
from benchmarks.campaign.routes import route
from benchmarks.campaign.table import Row

_ROOT = Path(__file__).parents[2]
_MARK = "sketch-of-a-stranger"  # in the name of what is sent: it is in no log
_KINDS: tuple[tuple[str, Callable[[Target, Rng], Reply]], ...] = (
    ("endpoints of the API", endpoint),
    ("tools for MCP clients", tool),
    ("handlers by number", handler),
    ("routes", route),
)


def run(*, seed: int, quick: bool, budget: Budget) -> tuple[Row, ...]:
    """Call every endpoint, tool, handler and route with values made by a seed."""
    count, rng = budget.count(60 if quick else 600), np.random.default_rng(seed)
    rows: list[Row] = []
    with _attacked(quick=quick) as target:
        for number, (name, call) in enumerate(_KINDS):
            share = budget.share(len(_KINDS) - number)
            rows.append(_row(name, partial(call, target, rng), target, count, share))
        rows.append(_reached(target, all_of_them=not quick and budget.tries >= 1))
        said = tuple(target.server.log_faults([_MARK]))
        beyond = tuple(f"server: {what}" for what in target.server.met())
        beyond += tuple(f"the forbidden server asked for {path}" for path in target.forbidden.asked)
    tried = sum(row.tried for row in rows[: len(_KINDS)])
    rows.append(Row("calls: connections made", tried, beyond, "none"))
    rows.append(Row("calls: lines of the log", tried, said, "one JSON object each"))
    number, faults = addresses_tried()
    return (*rows, Row("addresses: led to private ones", number, faults, "no connection"))


def _row(name: str, call: Callable[[], Reply], target: Target, count: int, budget: Budget) -> Row:
    faults: list[str] = []
    slowest, refused, tried = 0.0, 0, 0
    for number in range(count):
        if budget.left < 0:
            break
        reply = call()
        tried += 1
        slowest, refused = max(slowest, reply.seconds), refused + (reply.status >= 400)
        if found := list(target.faults(reply)):
            faults.append(f"{name} {number}: {found[0]}")
    return Row(f"calls: {name}", tried, tuple(faults), f"{slowest:.1f} s; {refused:,} refused")


def _reached(target: Target, *, all_of_them: bool) -> Row:
    """Whether each endpoint, tool and handler was called; few calls do not reach all."""
    calls = [(kind, *one) for kind, counts in target.reached.items() for one in counts.items()]
    missed = tuple(f"{kind}: {name} was never called" for kind, name, count in calls if not count)
    times = f"{sum(count > 0 for *_, count in calls):,} of them"
    return Row("calls: each was made", len(calls), missed if all_of_them else (), times)


@contextlib.contextmanager
def _attacked(*, quick: bool) -> Iterator[Target]:
    """A hosted server, and what must not be seen of its machine."""
    with (
        scratch("endpoints") as folder,
        canary() as forbidden,
        hosted(UNLIMITED, watched=True) as server,
        httpx.Client(base_url=server.url, timeout=SECONDS + 30, trust_env=False) as client,
    ):
        (folder / "secret.txt").write_text("secret of this server", encoding="utf-8")
        picture = folder / f"{_MARK}.png"
        corpus.picture(3).save(picture)
        sent = {"files": (picture.name, picture.read_bytes())}
        (image,) = client.post("/gradio_api/upload", files=sent).json()
        hidden = (str(_ROOT / "core"), str(_ROOT / "app"), sys.prefix, str(server.visitors))
        page = used(server, image, quick=quick)
        yield Target(server, client, image, str(folder), hidden, forbidden, page)
