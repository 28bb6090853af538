"""A gallery in words and numbers: what it holds, what was done to it, what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.views.names import in_markdown, name_of, number_of
from app.views.templates import render
from core.report import change_lines
from core.service import Change, Damage
from core.values import ImageRecord

_SHOWN = 6  # values of a count that are named


@dataclass(frozen=True)
class Facts:
    """What is told of a gallery."""

    name: str
    records: Sequence[ImageRecord]
    encoders: tuple[str, ...]
    """Titles."""
    storage: int
    """Bytes on the disk."""
    examples: int
    """Example queries beside it."""
    opted_out: int = 0
    """Images that are part of no answer."""


def facts_html(facts: Facts) -> str:
    """A gallery's numbers."""
    records = facts.records
    rows = {
        "Images": f"{len(records):,}",
        "Opted out": f"{facts.opted_out:,}" if facts.opted_out else "",
        "Sources": counted([record.source for record in records]),
        "Creators": counted([record.creator for record in records]),
        "Licences": counted([record.licence for record in records]),
        "Sizes": sizes(records),
        "Encoders": ", ".join(facts.encoders) or "none",
        "Examples": number_of(facts.examples, "generated image") if facts.examples else "",
        "Storage": size(facts.storage),
    }
    return render("facts", rows=rows.items(), link=None)


def counted(values: Sequence[str]) -> str:
    """The commonest values with their counts; nothing where none is given."""
    given = Counter(value for value in values if value)
    if not given:
        return ""
    named = [f"{value} ({count:,})" for value, count in given.most_common(_SHOWN)]
    more = len(given) - len(named)
    missing = len(values) - sum(given.values())
    named += [f"{more:,} more"] if more else []
    named += [f"not given ({missing:,})"] if missing else []
    return ", ".join(named)


def sizes(records: Sequence[ImageRecord]) -> str:
    """The range of the images' sizes, in pixels."""
    if not records:
        return ""
    ordered = sorted(records, key=lambda record: record.width * record.height)
    small, large = (f"{r.width} x {r.height}" for r in (ordered[0], ordered[-1]))
    return f"{small} pixels" if small == large else f"{small} to {large} pixels"


def size(count: int) -> str:
    """Bytes for reading."""
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def title(name: str, facts: Facts) -> str:
    """Which gallery is open, as a heading, and how much it holds."""
    out = f", {facts.opted_out:,} opted out" if facts.opted_out else ""
    return f"## {in_markdown(name)}\n{number_of(len(facts.records), 'image')}{out}"


def change_words(change: Change) -> str:
    """What a change did, and what became of every picture and row, as Markdown."""
    first, *lines = change_lines(change, prune="“Drop what is gone”, under “Change it”,")
    return "\n".join(
        [f"The gallery holds {in_markdown(first)}.", *(f"- {in_markdown(x)}" for x in lines)]
    )


def damage_words(damages: Sequence[Damage]) -> str:
    """What verifying found, and what to do about it."""
    if not damages:
        return "Every file is there and whole."
    lines = [
        f"- {in_markdown(f'{each.file}: {each.what}; {each.mend}')}" for each in damages[:_SHOWN]
    ]
    if len(damages) > _SHOWN:
        lines.append(f"- and {len(damages) - _SHOWN:,} more")
    return "\n".join([f"Not as they should be: {number_of(len(damages), 'file')}.", *lines])


def head_words(kind: str, *, title: str, dimensions: int, seconds: float) -> str:
    """What fitting a head gave."""
    return (
        f"{kind}, fitted to {title}: {dimensions} dimensions in {seconds:.1f} seconds. "
        "Choose it as the head in any tab."
    )


def duplicate_words(groups: Sequence[Sequence[ImageRecord]], *, shown: int) -> str:
    """How many near-duplicates there are."""
    if not groups:
        return "No two images are near-duplicates: each is a source of its own."
    extra = sum(len(group) - 1 for group in groups)
    found = f"{number_of(len(groups), 'group')} of near-duplicates"
    first = f" The first {shown} groups are shown." if len(groups) > shown else ""
    repeats = f"Images that repeat another: {extra:,}. A group counts as one source."
    return f"{found}. {repeats}{first}"


def duplicate_captions(groups: Sequence[Sequence[ImageRecord]]) -> list[str]:
    """Group and name of every image of the groups, in their order."""
    return [
        f"Group {number}\n{name_of(record)}"
        for number, group in enumerate(groups, 1)
        for record in group
    ]


def choices(records: Sequence[ImageRecord]) -> list[tuple[str, int]]:
    """Images to choose from: name and id."""
    return [(f"{name_of(record)} · {record.path}", record.id) for record in records]
