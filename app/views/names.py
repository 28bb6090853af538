"""What images, columns and counts are called on the page."""

from __future__ import annotations

from pathlib import Path

from core.report import words
from core.values import ImageRecord


def name_of(record: ImageRecord) -> str:
    """What an image is called: its title, else its file name without the ending."""
    return words.noting_gone(record.title or Path(record.path).stem, record)


def maker_of(record: ImageRecord | None) -> str:
    """Creator and licence of an image, as far as they are known."""
    return "" if record is None else ", ".join(filter(None, (record.creator, record.licence)))


def number_of(count: int, noun: str) -> str:
    """A count and its noun, which takes an s where there is not exactly one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def in_markdown(text: str) -> str:
    """A text that Markdown shows as it is, in one line."""
    marks = "\\`*_{}[]()<>#+-!|~&"
    flat = " ".join(text.split())
    return "".join(f"\\{mark}" if mark in marks else mark for mark in flat)


def unbroken(text: str) -> str:
    """A text that stays in one line: a number and its sign are not parted."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def label_of(column: str) -> str:
    """What a column of the metadata is called."""
    return column.replace("_", " ").capitalize()
