"""The table of docs/promises.md, from what is stored."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.campaign.table import RESULTS

PAGE = Path(__file__).parents[2] / "docs" / "promises.md"
_BEGIN, _END = "<!-- table: make campaign -->\n", "<!-- end of table -->\n"


def write_table() -> None:
    """Put the table into the page, between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(_BEGIN)
    tail = rest.split(_END)[1]
    PAGE.write_text(f"{head}{_BEGIN}{table()}{_END}{tail}", encoding="utf-8")


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
