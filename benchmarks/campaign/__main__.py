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
from benchmarks.campaign.table import Part, show, store

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
    parser.add_argument("--minutes", type=float, default=120, help="of each part, at most")
    options = parser.parse_args()
    console, found = Console(), list[Part]()
    for name in options.only:
        began = time.monotonic()
        rows = PARTS[name](
            seed=options.seed, quick=options.quick, budget=Budget(60 * options.minutes)
        )
        minutes = (time.monotonic() - began) / 60
        found.append(Part(name, options.seed, minutes, rows, options.quick))
    show(found, console)
    if not options.quick:
        store([part for part in found if part.rows])
        write_page()
    sys.exit(any(row.faults for part in found for row in part.rows))


if __name__ == "__main__":
    main()
