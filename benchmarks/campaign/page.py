"""The table of docs/promises.md, from what is stored."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.campaign.table import RESULTS
from benchmarks.pages import write_table

PAGE = Path(__file__).parents[2] / "docs" / "promises.md"


def write_page() -> None:
    """Put the table into the page, between its marks."""
    write_table(PAGE, table(), command="make campaign")


def table() -> str:
    """The rows in Markdown, each part with its seed and time; what broke stands below."""
    parts = json.loads(RESULTS.read_text(encoding="utf-8")).values()
    lines = ["", "| what | tried | survived | worst |", "|---|---|---|---|"]
    for part in parts:
        lines += [
            f"| {row['what']} | {row['tried']:,} | {row['survived']:,} | {row['worst']} |"
            for row in part["rows"]
        ]
    times = (f"{p['name']} in {p['minutes']:.0f} minutes with seed {p['seed']}" for p in parts)
    lines += ["", f"{'; '.join(times)}.".capitalize(), ""]
    broken = [fault for part in parts for row in part["rows"] for fault in row["faults"]]
    lines += [f"- {fault}" for fault in broken]
    return "\n".join(lines) + ("\n" if broken else "")
