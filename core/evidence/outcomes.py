"""The words of every outcome, once: a sentence, a few words for a table, its filter, its sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from core.config import AnswerConfig
from core.evidence.conclusion import LISTED, Outcome, outcome, sources
from core.evidence.words import (
    TOO_FEW,
    Name,
    contender_names,
    counted,
    percent,
    sureness,
    title_or_path,
)
from core.values import Answer

Kind = Literal["named", "one of", "none"]
"""What becomes of an image, as people look for it among many."""

LABELS: Mapping[Kind, str] = {"named": "Named", "one of": "One of several", "none": "None"}
"""Filters of a table."""

COUNTED: Mapping[Kind, str] = {
    "named": "with a named source",
    "one of": "with one of several",
    "none": "without a source",
}
"""Behind a number of images."""

Pair = Literal["named", "stands out", "no"]
"""What becomes of a generated image and a possible source of it."""

PAIR_LABELS: Mapping[Pair, str] = {
    "named": "Named",
    "stands out": "Stands out",
    "no": "Not told from chance",
}
"""Filters of a table."""

PAIRS: Mapping[Pair, str] = {
    "named": "Candidate source",
    "stands out": "Stands out by itself, not named",
    "no": "Not told from chance",
}
"""Cells of a table."""

NONE = "none stands out"
"""What is said in short where there is no source."""

REFUSED = "Refused"
"""The filter of images that could not be taken."""


@dataclass(frozen=True)
class Words:
    """What is said of the answers of one outcome."""

    kind: Kind
    short: Callable[[Answer, Name], str]
    """A few words for a table, where the source is named beside them."""
    sentence: Callable[[Answer, Name], str]
    """By itself, without a number: how sure it is comes in a word."""
    unnamed: str = ""
    """Why no source is named; nothing where one is."""


def sentence(answer: Answer, *, name: Name = title_or_path) -> str:
    """The answer in one sentence.

    Args:
        answer: the answer.
        name: what an image is called.
    """
    return WORDS[outcome(answer)].sentence(answer, name)


def in_short(answer: Answer, *, name: Name = title_or_path) -> str:
    """The answer in a few words; arguments as of :func:`sentence`."""
    return WORDS[outcome(answer)].short(answer, name)


def confidence_of(answer: Answer) -> float | None:
    """The confidence that the word of an answer stands for, and the best one where it has none.

    Of several sources that are named it is the least, of those that may be meant the largest.
    """
    if given := _confidences(answer):
        return (min if answer.named else max)(given)
    return answer.groups[0].confidence if answer.groups else None


def kind_of(answer: Answer) -> Kind:
    """What becomes of an answer's image."""
    return WORDS[outcome(answer)].kind


def why_unnamed(answer: Answer) -> str:
    """Why an answer names no source; nothing where it does."""
    return WORDS[outcome(answer)].unnamed


def _identical(answer: Answer, name: Name) -> str:
    named = name(answer.groups[0].best.image)
    return f"Candidate source{_scoped(answer)}: {named}, the very same file."


def _none(answer: Answer, _name: Name) -> str:
    rare = answer.p_value is not None and answer.p_value <= answer.level
    verb = "is likely to be" if rare else "stands out as"
    these = f"the {counted(answer)}" if answer.scope else "these images"
    return f"None of {these} {verb} a source{_at_prior(answer)}."


def _one_of_short(answer: Answer, name: Name) -> str:
    several = "One of these" if len(sources(answer.groups)) == 1 else "One or more of these"
    return f"{several}, {_sure(answer)}: {contender_names(answer, name=name)}"


def _one_of(answer: Answer, name: Name) -> str:
    alone = len(sources(answer.groups)) == 1
    several = "One of these is" if alone else "One or more of these are"
    if within := _scoped(answer):
        several = f"{within.strip().capitalize()}, {several[0].lower()}{several[1:]}"
    told = f"{several} {_sure(answer)} {'a source' if alone else 'sources'}{_at_prior(answer)}"
    return f"{told}: {contender_names(answer, name=name)}."


def _named_short(answer: Answer, _name: Name) -> str:
    count = len(sources(answer.groups))
    several = "Candidate source" if count == 1 else f"{count} candidate sources"
    return f"{several}, {_sure(answer)}"


def _named(answer: Answer, name: Name) -> str:
    shared = sources(answer.groups)
    several = "Candidate source" if len(shared) == 1 else f"{len(shared)} candidate sources"
    sure = f"{_sure(answer)}{_at_prior(answer)}"
    names = "; ".join(name(group.best.image) for group in shared[:LISTED])
    more = f"; and {len(shared) - LISTED} more" if len(shared) > LISTED else ""
    return f"{several}{_scoped(answer)}, {sure}: {names}{more}."


def _always(text: str) -> Callable[[Answer, Name], str]:
    return lambda _answer, _name: text


WORDS: Mapping[Outcome, Words] = {
    "named": Words("named", _named_short, _named),
    "identical": Words("named", _always("Candidate source, the very same file"), _identical),
    "one of": Words("one of", _one_of_short, _one_of, "the runner-up is too near"),
    "none": Words("none", _always(NONE.capitalize()), _none, "nothing stands out"),
    "too few": Words("none", _always(TOO_FEW), _always(TOO_FEW), "too few different images"),
    "empty": Words(
        "none",
        _always("The gallery is empty"),
        _always("The gallery is empty, so it holds no candidate source."),
        "the gallery is empty",
    ),
}
"""All that is said of each outcome, in the app, in reports and by the command line."""


def _confidences(answer: Answer) -> list[float]:
    return [group.confidence or 0.0 for group in sources(answer.groups)]


def _sure(answer: Answer) -> str:
    return sureness(confidence_of(answer) or 0.0)


def _at_prior(answer: Answer) -> str:
    """The prior where it is not the usual one."""
    usual = answer.prior == AnswerConfig().prior
    return "" if usual else f" at a prior of {percent(answer.prior)}"


def _scoped(answer: Answer) -> str:
    """Among which images, where they are not all."""
    return f" among the {counted(answer)}" if answer.scope else ""
