"""What a campaign found: rows of counts, printed and stored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parents[1] / "results" / "campaign.json"
_SHOWN, _LONGEST = 40, 300  # faults of a row that are kept in words, and their letters


@dataclass(frozen=True)
class Row:
    """One kind of attempt."""

    what: str
    tried: int
    faults: tuple[str, ...]
    """What broke, one text for every attempt that did."""
    worst: str
    """The worst of what survived, in numbers."""

    @property
    def survived(self) -> int:
        """Attempts after which all was as promised."""
        return self.tried - len(self.faults)


@dataclass(frozen=True)
class Part:
    """A part of the campaign as it was run."""

    name: str
    seed: int
    minutes: float
    rows: tuple[Row, ...]
    quick: bool = False


def show(parts: Sequence[Part], console: Console) -> None:
    """Print one table, and what broke below it."""
    table = Table("what", "tried", "survived", "worst")
    for part in parts:
        for row in part.rows:
            table.add_row(row.what, f"{row.tried:,}", f"{row.survived:,}", row.worst)
        table.add_section()
    console.print(table)
    console.print(f"{60 * sum(part.minutes for part in parts):.0f} s in all")
    for fault in (fault for part in parts for row in part.rows for fault in row.faults[:_SHOWN]):
        console.print(fault, style="red", markup=False, highlight=False)


def store(parts: Sequence[Part]) -> None:
    """Keep each part in the place of an earlier run of it."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for part in parts:
        found = asdict(part)
        for row, plain in zip(part.rows, found["rows"], strict=True):
            plain["survived"] = row.survived
            plain["faults"] = [fault[:_LONGEST] for fault in row.faults[:_SHOWN]]
        kept[part.name] = found
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
