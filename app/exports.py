"""Answers as files to download: the evidence report in its three kinds, alone or for a batch."""

from __future__ import annotations

import io
import shlex
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.views_batch import Row, judge, table_csv
from core.report import Case, Run, report_csv, report_json
from core.report_html import report_html
from core.session import Choice


def answer_files(case: Case, choice: Choice) -> dict[str, bytes]:
    """One answer as files: contents by file name.

    Args:
        case: the answer and what explains it.
        choice: what it was answered with.
    """
    run, name = _run([case.query], choice), f"wellspring-{Path(case.query).stem}"
    return {
        f"{name}.html": report_html([case], run).encode(),
        f"{name}.csv": report_csv([case], run).encode(),
        f"{name}.json": report_json([case], run).encode(),
    }


def batch_zip(rows: Sequence[Row], choice: Choice) -> bytes:
    """The answers of a batch: the table that the page shows, and the report in its three kinds."""
    cases = [
        Case(row.name, row.sha256, judged.answer, p_adjusted=judged.p_adjusted)
        for row, judged in zip(rows, judge(rows), strict=True)
        if judged is not None
    ]
    run = _run([case.query for case in cases], choice)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("answers.csv", table_csv(rows))
        packed.writestr("report.html", report_html(cases, run))
        packed.writestr("report.csv", report_csv(cases, run))
        packed.writestr("report.json", report_json(cases, run))
    return file.getvalue()


def _run(queries: Sequence[str], choice: Choice) -> Run:
    """The command that answers alike, and the settings that it does not name."""
    options = {"--gallery": choice.gallery, "--encoder": choice.encoder, "--head": choice.head}
    words = [*queries, *(word for option in options.items() for word in option)]
    settings = {
        "local scaling": "on" if choice.score.local_scaling else "off",
        "re-ranking by patches": "on" if choice.score.rerank else "off",
    }
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Run(f"python -m core attribute {shlex.join(words)}", now, settings)
