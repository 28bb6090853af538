"""Filters: which images of a gallery may be sources, by what their metadata says.

A filter is conditions joined by ``and``::

    licence = CC0 and creator != "Jan and Piet" and title contains bridge and url is filled

Each names a column and compares its value, whatever the case: ``=``, ``!=``, ``contains``, ``is
filled``, ``is not filled``. A name or a value that holds an operator, ``and`` or quotes is quoted,
a quote inside doubled. Nothing of it is ever executed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool

from core.gallery.browse import column_names, column_values, value_of
from core.values import FilterError, ImageRecord

Operator = Literal["=", "!=", "contains", "is filled", "is not filled"]
"""What a condition may say of a column."""

PATH = "path"
"""The column that every image has."""

LONGEST = 1_000
"""Characters of a filter."""

_SHOWN = 5  # values that an error names
_QUOTED = r"""(?<!\w)(?:"(?:[^"]|"")*"|'(?:[^']|'')*')"""
_PARTS = re.compile(rf"(?:{_QUOTED}|(?!\s+and(?:\s|\Z)).)+", re.IGNORECASE | re.DOTALL)
_CONDITION = re.compile(
    rf"""(?P<column>{_QUOTED}|[^"'=!≠].*?)
    (?:\s*(?P<equal>!=|≠|=)|\s+(?P<contains>contains)(?=\s|["'])|\s+(?P<is>is)(?=\s))
    \s*(?P<value>.*)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)

_AMBIGUOUS = re.compile(
    r"\A(?:=|!=|≠)|(?:\bor\b|&&|\|\||,).*(?:=|≠|\bis\s+(?:not\s+)?filled\b)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Condition:
    """What a filter asks of one column."""

    column: str
    operator: Operator
    value: str = ""

    def __str__(self) -> str:
        """The condition in words, behind "images with"."""
        return {
            "=": f"{self.column} {self.value}",
            "!=": f"{self.column} other than {self.value}",
            "contains": f"“{self.value}” in {self.column}",
            "is filled": f"a {self.column}",
            "is not filled": f"no {self.column}",
        }[self.operator]

    def holds(self, record: ImageRecord) -> bool:
        """Whether an image is as the condition says; ``!=`` holds of images without a value."""
        found, wanted = folded(filter_value(record, self.column)), folded(self.value)
        return {
            "=": found == wanted,
            "!=": found != wanted,
            "contains": wanted in found,
            "is filled": bool(found),
            "is not filled": not found,
        }[self.operator]


@dataclass(frozen=True)
class Filter:
    """Conditions that must all hold."""

    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        """The filter in words, behind "images with"."""
        return " and ".join(map(str, self.conditions))

    def passing(self, records: Sequence[ImageRecord]) -> Bool[np.ndarray, " n"]:
        """Which images pass.

        Raises:
            FilterError: when none does; says what there is.
        """
        found = np.array([all(c.holds(r) for c in self.conditions) for r in records], bool)
        if found.any():
            return found
        words = f"none of the {len(records):,} images has {self}"
        for condition in self.conditions:
            if not any(map(condition.holds, records)):
                raise FilterError(f"{words}{_instead(condition, records)}")
        raise FilterError(f"{words}: some have one of these, none has all")


def parse(text: str, records: Sequence[ImageRecord]) -> Filter:
    """The filter that a text means for these images.

    Args:
        text: conditions as the module says.
        records: the images, whose columns may be named.

    Raises:
        FilterError: when the text is no filter, or names a column that no image has; says which
            columns there are.
    """
    columns = filter_columns(records)
    if len(text) > LONGEST:
        raise FilterError(f"a filter has at most {LONGEST:,} characters, got {len(text):,}")
    parts = [part.strip() for part in _PARTS.findall(text)]
    parts = [re.sub(r"^and\s+", "", part, flags=re.IGNORECASE) for part in parts if part]
    if not parts:
        raise FilterError(f"an empty filter; {_form(columns)}")
    found: list[Condition] = []
    for part in parts:
        found.append(_condition(part, columns, hint=_hint(found, part)))
    return Filter(tuple(found))


def filter_columns(records: Sequence[ImageRecord]) -> tuple[str, ...]:
    """Columns that a filter may name: those that say anything of these images, and the path."""
    return tuple(dict.fromkeys([*column_names(records), PATH]))


def _condition(text: str, columns: Sequence[str], *, hint: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise FilterError(f"{text[:80]!r} is no condition; {hint or _form(columns)}")
    column, value = _column(_unquoted(found["column"]), columns, hint), found["value"].strip()
    if found["is"]:
        state = " ".join(value.casefold().split())
        if state not in ("filled", "not filled"):
            raise FilterError(f"{text[:80]!r}: a column `is filled` or `is not filled`")
        return Condition(column, "is filled" if state == "filled" else "is not filled")
    if value[:1] == "=" and found["equal"]:
        rest = value.lstrip("= ") or "…"
        sign = "=" if found["equal"] == "=" else "!="
        raise FilterError(f"{text[:80]!r}: use one `=`, as in `{column} {sign} {rest[:80]}`")
    if value[:1] not in ("'", '"') and _AMBIGUOUS.search(value):
        raise FilterError(
            f"{value[:80]!r} may mean more than a value: quote it where it is one; conditions are "
            "joined by `and` alone"
        )
    value = _unquoted(value)
    if not value:
        raise FilterError(
            f"{text[:80]!r} lacks a value; for images without one say `{column} is not filled`"
        )
    if found["contains"]:
        return Condition(column, "contains", value)
    return Condition(column, "=" if found["equal"] == "=" else "!=", value)


def _hint(before: Sequence[Condition], text: str) -> str:
    """What to write where a text that should be a condition belongs to the value before it."""
    if not (before and before[-1].value):
        return ""
    last = before[-1]
    value = f"{last.value} and {text}"[:80].replace('"', '""')
    return f'a value that holds `and` is quoted: `{last.column} {last.operator} "{value}"`'


def _column(name: str, columns: Sequence[str], hint: str) -> str:
    """The column of a name, whatever its case."""
    alike = [column for column in columns if folded(column) == folded(name)]
    if name in columns or alike:
        return name if name in columns else alike[0]
    there = f"no image has a column {name[:80]!r}; there are: {', '.join(columns)}"
    raise FilterError(f"{there}; {hint}" if hint else there)


def _unquoted(text: str) -> str:
    """A name or a value without its quotes.

    Raises:
        FilterError: when a quote is not closed.
    """
    text = text.strip()
    if text[:1] not in ("'", '"'):
        return text
    if not re.fullmatch(_QUOTED, text, re.DOTALL):
        raise FilterError(f"{text[:80]!r}: a quoted value ends with its quote; double one inside")
    return text[1:-1].replace(text[0] * 2, text[0])


def _instead(condition: Condition, records: Sequence[ImageRecord]) -> str:
    """The commonest values of a column that a condition found nothing in."""
    if condition.operator not in ("=", "contains") or condition.column == PATH:
        return ""
    counts = column_values(records, condition.column)
    shown = [f"{value[:40]} ({count:,})" for value, count in counts.items() if value][:_SHOWN]
    return f"; its commonest values are: {', '.join(shown)}"


def _form(columns: Sequence[str]) -> str:
    """What a filter looks like."""
    return f"write for example `{columns[0]} is filled`; the columns are: {', '.join(columns)}"


def folded(text: str) -> str:
    """A text as it is compared, whatever its case and Unicode form."""
    return unicodedata.normalize("NFC", text).casefold()


def filter_value(record: ImageRecord, column: str) -> str:
    """An image's value of a column that a filter may name; empty where it has none."""
    return record.path if column == PATH else value_of(record, column)
