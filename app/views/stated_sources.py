"""What is known of an example: of which images it was made, and which of them an answer found."""

from __future__ import annotations

from collections.abc import Sequence

from app.views.names import name_of, number_of
from core.report import conclusion
from core.service import Example
from core.values import Answer, ImageRecord

_GONE = "an image that is no longer in this gallery"


def made_from(example: Example, records: Sequence[ImageRecord]) -> str:
    """Of which images of a gallery an example was made, in a few words.

    Args:
        example: the example.
        records: the gallery's images.
    """
    if not example.sources:
        return "Made from no image of this gallery"
    titles = {record.path: name_of(record) for record in records}
    return f"Made from {' and from '.join(titles.get(each, _GONE) for each in example.sources)}"


def known_sources(example: Example | None, answer: Answer, records: Sequence[ImageRecord]) -> str:
    """Which known sources of an example an answer found; nothing where the query is no example.

    Args:
        example: the example that was asked about.
        answer: the answer.
        records: the gallery's images.
    """
    if example is None:
        return ""
    named = conclusion.sources(answer.groups)
    if not example.sources:
        told = f"{number_of(len(named), 'image')} named" if named else "none is named"
        return f"Known source: none in this gallery, and {told}."
    told = {each: _found(each, answer, records) for each in example.sources}
    if len(told) == 1:
        return f"Known source: {next(iter(told.values()))}."
    found = [each for each in told.values() if each.startswith("found")]
    lost = "; ".join(each for each in told.values() if each not in found)
    if not lost:
        return f"Known sources: {'both' if len(told) == 2 else f'all {len(told)}'} found."
    return f"Known sources: {len(found)} of {len(told)} found; {lost}."


def _found(source: str, answer: Answer, records: Sequence[ImageRecord]) -> str:
    """What an answer says of one known source."""
    known = next((record for record in records if record.path == source), None)
    if known is None:
        return f"not to be found: {_GONE}"
    groups = [group.id for group in conclusion.sources(answer.groups)]
    own = next((group.id for group in answer.groups if known.id in group.members), None)
    if own in groups:
        return "found first" if own == groups[0] else "found"
    places = [match.image.id for match in answer.matches]
    if known.id not in places:
        return f"not found: {name_of(known)}"
    place = places.index(known.id) + 1
    return f"not found: {name_of(known)}, at place {place}, is too weak to count"
