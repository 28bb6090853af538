"""Evidence reports as files, of the kind that the file's ending names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from core.images.files import write_bytes
from core.report.cases import Case, Run
from core.report.objects import report_json
from core.report.page import report_html
from core.report.tables import report_csv
from core.values import WellspringError

KINDS: Mapping[str, Callable[[Sequence[Case], Run], str]] = {
    ".html": report_html,
    ".json": report_json,
    ".csv": report_csv,
}
"""What makes a report, by the ending of its file."""


def write_report(path: Path, cases: Sequence[Case], run: Run) -> None:
    """Write a report whole or not at all.

    Raises:
        WellspringError: when no kind of report has the file's ending.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise WellspringError(f"a report ends in {', '.join(KINDS)}; {path.name!r} does not")
    write_bytes(path, kind(cases, run).encode("utf-8", errors="replace"))
