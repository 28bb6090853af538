"""Each folder of the table through the command line, as a folder and as a zip, and as an upload."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli.commands import app
from core.config import ServerConfig
from core.gallery.gallery import Gallery
from core.report.changes import change_object
from core.service.session import Session
from core.values import WellspringError
from tests.cases.trees import CASES, Case

VISITOR = "ann-visits"
Built = tuple[Gallery, dict[str, Any]] | str
"""The gallery and its account, or the error."""


def lay(folder: Path, case: Case) -> Path:
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def packed(path: Path, case: Case) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in case.files.items():
            file.writestr(name, content)
    return path


def by_command(source: Path, out: Path) -> Built:
    run = CliRunner().invoke(
        app, ["index", str(source), "--out", str(out), "--encoder", "thumbnail", "--json"]
    )
    if run.exit_code:
        return run.stderr
    return Gallery.open(out), json.loads(run.stdout)


def by_upload(source: Path) -> Built:
    session = Session(server=ServerConfig(hosted=True))
    try:
        name, change = session.library.build(source, ["thumbnail"], visitor=VISITOR)
    except WellspringError as error:
        return str(error)
    return session.gallery(name, visitor=VISITOR), json.loads(json.dumps(change_object(change)))


DOORS: dict[str, Callable[[Path, Case], Built]] = {
    "folder": lambda place, case: by_command(lay(place / "in", case), place / "g"),
    "zip": lambda place, case: by_command(packed(place / "in.zip", case), place / "g"),
    "upload": lambda place, case: by_upload(packed(place / "in.zip", case)),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_every_picture_and_row_is_accounted_for(tmp_path: Path, case: Case, door: str) -> None:
    built = DOORS[door](tmp_path, case)
    if case.error:
        assert isinstance(built, str) and re.search(case.error, " ".join(built.split())), built
        return
    assert not isinstance(built, str), built
    gallery, change = built
    account, fields = change["account"], case.fields or {}
    assert {record.path for record in gallery.records} == {*case.images}
    for record in gallery.records:
        own = ("source", "creator", "licence", "url", "title")
        known = {name: value for name in own if (value := getattr(record, name))}
        assert {**known, **record.extra} == fields.get(record.path, {}), record.path
    matched: dict[str, int] = {}
    for table in account["tables"]:
        for way, count in table["matched"].items():
            matched[way] = matched.get(way, 0) + count
    assert matched == case.matched
    assert tuple(n for table in account["tables"] for _, n in table["unmatched"]) == case.unmatched
    assert account["unread"] == case.unread
    assert tuple(account["other_tables"]) == case.other_tables
    assert tuple(skipped["path"] for skipped in change["skipped"]) == case.skipped
    assert all(f"'{each['path']}'" in each["reason"] for each in change["skipped"])
    assert account["images"] == len(case.images)
    assert tuple(account["left_out"]) == case.left_out
    notes = [note for table in account["tables"] for note in table["notes"]]
    assert bool(notes) == bool(case.note) and case.note in " ".join(notes)
    if account["tables"]:
        assert {*account["bare"]} == {*case.images}.difference(fields)
