"""Tables that commands write into the pages of docs/, each between its marks."""

from __future__ import annotations

from pathlib import Path

_END = "<!-- end of table -->\n"


def write_table(page: Path, table: str, *, command: str) -> None:
    """Put a table in Markdown into the place that a page keeps for what a command prints.

    Raises:
        ValueError: when the page has no such place, or several.
    """
    begin, text = f"<!-- table: {command} -->\n", page.read_text(encoding="utf-8")
    head, rest = text.split(begin)
    tail = rest.split(_END, 1)[1]
    page.write_text(f"{head}{begin}{table}{_END}{tail}", encoding="utf-8")
