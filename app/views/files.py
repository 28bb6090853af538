"""Answers as files to download: the evidence report in its three kinds, alone or for a batch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.views.batch import Row, table_csv
from core.report import (
    Case,
    Run,
    attribute_command,
    report_csv,
    report_html,
    report_json,
    run_of,
)
from core.service import BUILTIN, Choice, Workspace


def run_for(
    workspace: Workspace, queries: Sequence[str], choice: Choice, *, top: int, prior: float
) -> Run:
    """How answers were made: the command that makes them again, and all settings.

    Galleries that lie on the server are called by their names, never by their folders.

    Args:
        workspace: what answered.
        queries: the images as they are named.
        choice: what was answered with.
        top: matches of every answer.
        prior: probability of a source before the images were seen.
    """
    command = attribute_command(queries, nameable(choice, workspace), top=top, prior=prior)
    return run_of(workspace, command, prior=prior)


def nameable(choice: Choice, workspace: Workspace) -> Choice:
    """A choice by which no folder of the server is named."""
    if choice.gallery == BUILTIN:
        return choice
    return replace(choice, gallery=workspace.gallery.name)


def answer_files(case: Case, run: Run) -> dict[str, bytes]:
    """One answer as files: contents by file name.

    Args:
        case: the answer and what explains it.
        run: how it was made.
    """
    name = f"wellspring-{Path(case.query).stem}"
    return {
        f"{name}.html": report_html([case], run).encode(),
        f"{name}.csv": report_csv([case], run).encode(),
        f"{name}.json": report_json([case], run).encode(),
    }


def batch_zip(rows: Sequence[Row], cases: Sequence[Case], run: Run) -> bytes:
    """The answers of a batch: the table that the page shows, and the report in its three kinds.

    Args:
        rows: all images, refused ones too.
        cases: those that were answered.
        run: how they were made.
    """
    run = replace(run, refused={row.name: row.problem for row in rows if row.problem})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("answers.csv", table_csv(rows))
        packed.writestr("report.html", report_html(cases, run))
        packed.writestr("report.csv", report_csv(cases, run))
        packed.writestr("report.json", report_json(cases, run))
    return file.getvalue()
