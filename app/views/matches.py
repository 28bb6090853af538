"""The list of matches: for each one number, by which levels it stands out, and its name."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.views.images import data_uri
from app.views.names import name_of
from app.views.templates import render
from core.config import AnswerConfig
from core.report import conclusion, score_gaps, words
from core.values import Answer, Aspect, Group, Match

SIDE = 144
"""Longer side of a picture of the list, pixels."""

_SHOWN = 12  # matches that are listed until more are asked for
_FULL = 1e-3  # p-value from which a bar has its whole height


@dataclass(frozen=True)
class Bar:
    """How far a match stands out in one aspect."""

    name: str
    strength: str
    height: float
    """Share of the whole height."""


@dataclass(frozen=True)
class _Row:
    """One match as it is listed."""

    place: int
    name: str
    picture: str
    points: int | None
    bars: Sequence[Bar]
    note: str
    role: str
    """In what it is nearest, where that is said of it."""
    gap: float | None
    """By how much it scores less than the best, of what 100 points are."""
    heading: str
    """What this and the following matches are, where that changes."""


def matches_html(answer: Answer, pictures: Sequence[str], *, chosen: int = 0) -> str:
    """The matches of an answer, one of them chosen.

    Args:
        answer: the answer.
        pictures: an address for the picture of every match.
        chosen: place of the match that is chosen.

    Raises:
        IndexError: when there are fewer pictures than matches.
    """
    closest = not conclusion.has_sources(answer)
    groups = {group.id: group for group in answer.groups}
    best = {group.best.image.id for group in answer.groups}
    parts = [_heading(match, answer, closest=closest) for match in answer.matches]
    order = sorted(range(len(parts)), key=lambda place: _HEADINGS.index(parts[place]))
    rows: list[_Row] = []
    gaps = score_gaps(answer)
    for place in order:
        match = answer.matches[place]
        group = groups.get(match.group)
        copy = match.image.id not in best
        rows.append(
            _Row(
                place,
                name_of(match.image),
                pictures[place],
                words.points(match, answer),
                [] if group is None else bars_of(group.aspects, level=answer.level),
                "near-duplicate of one above" if copy else "",
                "" if copy else words.role_in(match.group, answer),
                gaps[place] if gaps else None,
                "" if parts[place] == parts[rows[-1].place if rows else place] else parts[place],
            )
        )
    sets = [(words.share(level), most) for level, most in AnswerConfig().listed] if gaps else []
    return render("matches", rows=rows, closest=closest, shown=_SHOWN, chosen=chosen, sets=sets)


_SOURCE, _SOURCES = "Candidate source", "Candidate sources"
_PERHAPS, _OTHERS = "Perhaps one more, too weak to count", "Also close"
_HEADINGS = ("", _SOURCE, _SOURCES, _PERHAPS, _OTHERS)


def _heading(match: Match, answer: Answer, *, closest: bool) -> str:
    if closest:
        return ""
    sources = {group.id for group in conclusion.sources(answer.groups)}
    if answer.identical is not None:
        sources = {answer.groups[0].id}
    if match.group in sources:
        return _SOURCE if len(sources) == 1 else _SOURCES
    weak = conclusion.weak_source(answer)
    if weak is not None and match.group == weak.id:
        return _PERHAPS
    return _OTHERS


def role_of(match: Match, answer: Answer) -> str:
    """What one match of an answer is called where it stands without the others."""
    heading = _heading(match, answer, closest=not conclusion.has_sources(answer))
    return _SOURCE if heading in (_SOURCE, _SOURCES) else "Close image"


def bars_of(aspects: Sequence[Aspect], *, level: float) -> list[Bar]:
    """How far something stands out, aspect by aspect.

    Args:
        aspects: the aspects; what they come to together has no bar.
        level: largest p-value at which it stands out.
    """
    return [_bar(aspect, level) for aspect in aspects if aspect.name != words.TOGETHER]


def _bar(aspect: Aspect, level: float) -> Bar:
    height = min(math.log(aspect.p_value) / math.log(_FULL), 1)
    return Bar(aspect.name, words.strength_of(aspect, level=level), max(height, 0.06))


@functools.lru_cache(4096)
def picture_of(shown: Path | bytes, *, side: int = SIDE) -> str:
    """A thumbnail as an address that holds it, small; empty where it cannot be read.

    Thumbnails are named by their contents, so a path is always the same picture.

    Args:
        shown: its file, or what it holds.
        side: most pixels of its longer side.
    """
    try:
        file = io.BytesIO(shown) if isinstance(shown, bytes) else shown
        with Image.open(file) as opened:
            return data_uri(opened, side=side, quality=80)
    except OSError:
        return ""


def group_of(answer: Answer, image_id: int) -> Group | None:
    """The group of a match."""
    label = next((m.group for m in answer.matches if m.image.id == image_id), None)
    return next((group for group in answer.groups if group.id == label), None)
