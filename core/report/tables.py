"""Tables as CSV, in which no text is a formula; and evidence reports for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from core.evidence import words
from core.gallery.tables import FORMULA_SIGNS
from core.report.cases import Case, Run

_FORMULA = re.compile(rf"^(?=[{FORMULA_SIGNS}\t\r\n])|(?<=[;\t\r\n])(?=[{FORMULA_SIGNS}])")
"""Where a spreadsheet begins a formula; those of some countries part cells at semicolons, quoted
or not."""


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV.

    Args:
        columns: names of the columns.
        rows: their values. Where a spreadsheet would begin a formula, a text gets an apostrophe;
            numbers stay as they are.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(_inert, columns))
    writer.writerows([_inert(value) for value in row] for row in rows)
    return file.getvalue()


def _inert(value: object) -> object:
    return _FORMULA.sub("'", value) if isinstance(value, str) else value


def report_csv(cases: Sequence[Case], run: Run) -> str:
    """A report for spreadsheets: one row for every match of every query."""
    rows = [row for case in cases for row in _match_rows(case, run)]
    return csv_text(list(rows[0]) if rows else ["query"], [row.values() for row in rows])


def _match_rows(case: Case, run: Run) -> Iterator[dict[str, object]]:
    answer = case.answer
    groups = {group.id: group for group in answer.groups}
    for rank, match in enumerate(answer.matches, 1):
        group, image = groups[match.group], match.image
        yield {
            "query": case.query,
            "query_sha256": case.sha256,
            "rank": rank,
            "id": image.id,
            "path": image.path,
            "there": not image.gone,
            "title": image.title,
            "creator": image.creator,
            "licence": image.licence,
            "source": image.source,
            "url": image.url,
            "sha256": image.sha256,
            "score": match.score,
            "points": words.points(match, answer),
            "cosine": match.cosine,
            "group": match.group,
            "group_members": len(group.members),
            "p_value": group.p_value,
            "confidence": group.confidence,
            "influence": group.influence,
            "none": answer.none,
            "named": answer.named and group is answer.groups[0],
            "role": words.role_in(match.group, answer),
            "lead_p_value": answer.lead_p_value,
            "prior": answer.prior,
            "best_p_value": answer.p_value,
            "notes": "; ".join(answer.notes),
            "p_adjusted": case.p_adjusted,
            "where": answer.scope.where if answer.scope else "",
            "encoder": answer.encoder,
            "head": answer.head,
            "gallery": answer.gallery,
            "null": answer.null_id,
            "time": run.time,
            "command": run.command,
        }
