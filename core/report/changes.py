"""What a change of a gallery did, and what became of every picture and row: words, JSON, CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from core.gallery.commit import Change
from core.gallery.manifest import STANDARD
from core.gallery.metadata import TableAccount
from core.gallery.naming import EXACT, WAYS
from core.gallery.source import Account
from core.images.listing import TABLE_EXTENSIONS
from core.report.tables import csv_text
from core.values import ImageRecord

_NAMED = 10  # of each kind that are named in words; the JSON and the table name all


def change_lines(change: Change, *, prune: str) -> list[str]:
    """Sentences for people, the first on the gallery as a whole.

    Args:
        change: the change.
        prune: what drops images whose files are gone, such as "`index --prune`".
    """
    kept_out = f", {len(change.kept_out)} kept out for good" if change.kept_out else ""
    opted_out = f", {change.opted_out:,} opted out of answers" if change.opted_out else ""
    lines = [
        f"{_count(change.images, 'image')}: {change.added:,} added, {change.removed:,} removed, "
        f"{len(change.skipped):,} left out{kept_out}{opted_out}"
    ]
    lines += [f"left out {each.path!r}: {each.reason}" for each in change.skipped[:_NAMED]]
    lines += _more(len(change.skipped), "left out")
    lines += [
        f"kept out {path!r}: an image like it was removed for good" for path in change.kept_out
    ]
    noted = [
        f"{_count(len(paths), 'image')} read with a note: {note} ({_listed(paths)})"
        for note, paths in change.notes.items()
    ]
    lines += noted[:_NAMED] + _more(len(noted), "notes")
    if change.moved:
        lines.append(f"{_count(change.moved, 'image')} moved or renamed: under the new paths now")
    if change.gone:
        left = len(change.gone) < change.images
        then = f"{prune} drops them" if left else "see that the folder is the right one"
        lines.append(
            f"{_count(len(change.gone), 'image')} no longer where they were: "
            f"{_listed(change.gone)}; {then}"
        )
    lines += [
        f"{name}: images are searched by a walk, which finds {recall:.1%} of the ten nearest"
        for name, recall in change.recall.items()
    ]
    return lines + (_account_lines(change.account) if change.account else [])


def _account_lines(account: Account) -> list[str]:
    lines: list[str] = []
    if account.unread:
        kinds = [
            f"{len(paths)} {kind} ({_listed(paths)})" for kind, paths in account.unread.items()
        ]
        count = sum(map(len, account.unread.values()))
        lines.append(f"{_count(count, 'picture')} of kinds that are not read: {'; '.join(kinds)}")
    lines += account.links
    for table in account.tables:
        lines += _table_lines(table)
    if account.other_tables:
        lines.append(
            f"{_count(len(account.other_tables), 'file')} not read, though a table of metadata may "
            f"be in it: {_listed(account.other_tables)}; a table is read when it is called "
            f"metadata{', '.join(TABLE_EXTENSIONS[:-1])} or {TABLE_EXTENSIONS[-1]}"
        )
    if account.tables:
        described = account.images - len(account.bare)
        without = f"; without: {_listed(account.bare)}" if account.bare else ""
        lines.append(f"{described:,} of {_count(account.images, 'image')} have a row{without}")
        values = ", ".join(f"{column} {count:,}" for column, count in account.filled.items())
        lines.append(f"images with a value: {values or 'none'}")
    if account.left_out:
        count = _count(len(account.left_out), "file")
        lines.append(
            f"{count} with a row, but no image of the gallery: {_listed(account.left_out)}"
        )
    return lines


def _table_lines(table: TableAccount) -> Iterator[str]:
    """How the rows of a table were matched, and which were not."""
    count = sum(table.matched.values())
    others = [
        f"{table.matched[way]:,} by {way}" for way in WAYS if way != EXACT and way in table.matched
    ]
    how = f", {', '.join(others)}" if others else ""
    yield f"{table.name}: {_count(table.rows, 'row')}, {count:,} matched to an image{how}"
    yield from (f"{table.name}: {note}" for note in table.notes)
    if table.repeated:
        yield f"{table.name}: {table.repeated:,} repeat an image of an earlier row; the last counts"
    if table.unmatched:
        rows = [f"row {number} {name!r}" for number, name in table.unmatched]
        yield f"{table.name}: {_count(len(rows), 'row')} without an image: {_listed(rows)}"


def change_object(change: Change) -> dict[str, object]:
    """A change as the JSON object of ``index --json``; docs/cli.md has its schema."""
    return asdict(change)


def account_csv(change: Change) -> str:
    """All that a change's words may leave out, a line for each: pictures, rows, files."""
    account = change.account
    rows: list[tuple[object, ...]] = [
        *(("left out", "", "", each.path, each.reason) for each in change.skipped),
        *(("note", "", "", path, note) for note, paths in change.notes.items() for path in paths),
        *(("kept out", "", "", path, "removed for good") for path in change.kept_out),
        *(("no longer there", "", "", path, "") for path in change.gone),
    ]
    if account:
        rows += [
            ("row without image", table.name, number, name, "")
            for table in account.tables
            for number, name in table.unmatched
        ]
        rows += [("table not read", path, "", "", "") for path in account.other_tables]
        rows += [("image without row", "", "", path, "") for path in account.bare]
        rows += [("row of a file left out", "", "", path, "") for path in account.left_out]
        rows += [
            ("kind not read", "", "", path, kind)
            for kind, paths in account.unread.items()
            for path in paths
        ]
    return csv_text(["what", "table", "row", "name", "detail"], rows)


def template_csv(records: Sequence[ImageRecord]) -> str:
    """A table of metadata to fill in: a row for every image, with what is known of it."""
    extra = dict.fromkeys(column for record in records for column in record.extra)
    rows = (
        [record.path, *(getattr(record, name) for name in STANDARD), *map(record.extra.get, extra)]
        for record in records
    )
    return csv_text(["file_name", *STANDARD, *extra], rows)


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _more(count: int, what: str) -> list[str]:
    return [f"and {count - _NAMED:,} more {what}"] if count > _NAMED else []
