"""Tries to break the program and writes down what held: ``python -m benchmarks.campaign``."""

from __future__ import annotations

import argparse
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # children are forked; no thread may be at work

from rich.console import Console

from benchmarks.campaign import endpoints, hostile, kills, load, long, slow, visitors
from benchmarks.campaign.children import Budget
from benchmarks.campaign.page import write_page
from benchmarks.campaign.table import Part, Row, show, store

MINUTES = 120
"""Of each part of a whole run, at most."""
QUICK = 2.75
"""Of all parts of a quick run together: with what Python takes to begin, they are below three."""
WEIGHTS = {
    "kills": 4, "hostile": 3, "endpoints": 4, "long": 3, "load": 5, "visitors": 4, "slow": 4,
}  # fmt: skip
"""Shares of a quick run's time; what one part leaves goes to those after it."""
PARTS = {
    "kills": kills.run,
    "hostile": hostile.run,
    "endpoints": endpoints.run,
    "long": long.run,
    "load": load.run,
    "visitors": visitors.run,
    "slow": slow.run,
}


def main() -> None:
    """Run the parts, print one table, and end with status 1 where something broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="fewer attempts; nothing is stored")
    parser.add_argument(
        "--minutes", type=float, help="of each part, at most; of a quick run's parts together"
    )
    parser.add_argument("--tries", type=float, default=1.0, help="share of the attempts to make")
    options = parser.parse_args()
    console, found = Console(), list[Part]()
    minutes, spare = options.minutes or (QUICK if options.quick else MINUTES), 0.0
    all_weights = sum(WEIGHTS[name] for name in options.only)
    for name in options.only:
        began = time.monotonic()
        most = 60 * minutes
        if options.quick:
            most = most * WEIGHTS[name] / all_weights + spare
        budget = Budget(most, tries=options.tries)
        rows = PARTS[name](seed=options.seed, quick=options.quick, budget=budget)
        spare = max(budget.left, 0.0)
        took = time.monotonic() - began
        console.print(f"{name}: {took:.0f} s of {most:.0f} at most")
        found.append(Part(name, options.seed, took / 60, judged(name, rows), options.quick))
    show(found, console)
    if not options.quick:
        store([part for part in found if part.rows])
        write_page()
    sys.exit(any(row.faults for part in found for row in part.rows))


def judged(name: str, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows of a part, with one more where its time was up before anything was tried."""
    if any(row.tried for row in rows):
        return rows
    return (*rows, Row(name, 1, (f"{name}: nothing was tried before its time was up",), ""))


if __name__ == "__main__":
    main()
