"""The words of an answer: its outcome, its sentence, its odds, and numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from core.config import NullConfig
from core.search.ranking import TOGETHER
from core.values import Answer, Group, ImageRecord

Outcome = Literal["empty", "identical", "too few", "none", "one of", "named"]
"""What an answer comes to: the gallery is empty; the very file is in it; it has too few different
images to tell a source from chance; no image is a likely source; there is a source but several
images may be it; the source is named."""

Name = Callable[[ImageRecord], str]
"""What an image is called."""

TOO_FEW = "This gallery has too few different images to tell a source from chance."
"""What is said in place of numbers."""

_COUNTED = 0.005  # share from which a group counts as a source; less would be printed as 0 %
_LISTED = 3  # groups that "one of these" lists


def outcome(answer: Answer) -> Outcome:
    """What the answer comes to; everything that is said of an answer follows from this."""
    if not answer.groups:
        return "empty"
    if answer.identical is not None:
        return "identical"
    if answer.p_value is None:
        return "too few"
    if not sources(answer.groups):
        return "none"
    return "named" if answer.named else "one of"


GONE = "no longer there"
"""What is said of an image whose file is gone."""


def title_or_path(record: ImageRecord) -> str:
    """The title of an image, or its path in the gallery where it has none; whether it is gone."""
    return known(record.title or record.path, record)


def known(name: str, record: ImageRecord) -> str:
    """A name of an image, with the word that its file is gone where it is."""
    return f"{name} ({GONE})" if record.gone else name


def sentence(answer: Answer, *, name: Name = title_or_path) -> str:
    """The answer in one sentence, with its confidence.

    Args:
        answer: the answer.
        name: what an image is called.
    """
    found = outcome(answer)
    if found == "empty":
        return "The gallery is empty, so it holds no candidate source."
    if found == "identical":
        return f"Candidate source: {name(answer.groups[0].best.image)}, the very same file."
    if found == "too few":
        return TOO_FEW
    shared = sources(answer.groups)
    likeliest = max(shared or answer.groups, key=lambda group: group.confidence or 0)
    sure = confidence_of(likeliest, answer)
    if found == "none":
        rare = answer.p_value is not None and answer.p_value <= answer.level
        verb = "is likely to be" if rare else "stands out as"
        return f"None of these images {verb} a source: the likeliest has {sure}."
    if found == "one of":
        lead = "One of these:" if len(shared) == 1 else "One or more of these:"
        return f"{lead} {contender_names(answer, name=name)}, with {sure}."
    first = name(shared[0].best.image)
    if len(shared) == 1:
        return f"Candidate source: {first}, with {sure}."
    return f"{len(shared)} candidate sources, first {first} with {sure}."


def odds(answer: Answer) -> str:
    """How rare it is to stand out as far as the best candidate, in plain words.

    Where the outcome rests on no p-value: what it rests on, or what is missing.

    Raises:
        ValueError: when the p-value is not in (0, 1].
    """
    if outcome(answer) == "identical":
        return "The two files are the same, so chance plays no part."
    if answer.p_value is None and not answer.groups:
        return ""
    if answer.p_value is None:
        return missing(answer.null_size, level=answer.level)
    p_value, count = answer.p_value, answer.null_size
    if not 0 < p_value <= 1:
        raise ValueError(f"p_value must be in (0, 1], got {p_value}")
    whose = "images without a source here stand out as far"
    if p_value * (count + 1) <= 1 + 1e-9:
        return f"Fewer than 1 in {count} {whose} (p ≤ {_rounded_up(1 / (count + 1))})."
    often = f"About 1 in {round(1 / p_value)}" if p_value < 0.1 else f"About {share(p_value)} of"
    return f"{often} {whose} (p = {p_value:.2g})."


def about_file(answer: Answer) -> str:
    """What was unusual about the query's file; nothing where nothing was."""
    return f"About your file: {'; '.join(answer.notes)}." if answer.notes else ""


def stands_out_by(group: Group, *, level: float) -> str:
    """In which aspects a group stands out, the rarest first; nothing where none is known.

    Args:
        group: the group.
        level: largest p-value at which it stands out.
    """
    if not group.aspects:
        return ""
    rare = sorted((a for a in group.aspects if a.p_value <= level), key=lambda a: a.p_value)
    if not rare:
        return "It stands out by nothing."
    names = [aspect.name for aspect in rare if aspect.name != TOGETHER]
    if not names:
        return "It stands out in no single aspect, but by all of them together."
    return f"It stands out by: {', '.join(names)}."


def missing(count: int, *, level: float = NullConfig().level) -> str:
    """How many images a gallery with too few of them needs.

    Args:
        count: images of its null.
        level: largest p-value at which a group stands out.
    """
    there = f"; there are {count}" if count else ""
    return f"That takes {fewest(level)} images, near-duplicates counted once{there}."


def confidence_of(group: Group, answer: Answer) -> str:
    """A group's confidence, with the prior where it is not the usual one."""
    usual = answer.prior == NullConfig().prior
    at = "" if usual else f" at a prior of {percent(answer.prior)}"
    return f"{share(group.confidence)} confidence{at}"


def sources(groups: Sequence[Group]) -> list[Group]:
    """The groups that count as sources: those with a share of influence that can be printed."""
    return [group for group in groups if (group.influence or 0) >= _COUNTED]


def contenders(groups: Sequence[Group]) -> Sequence[Group]:
    """The groups that an answer lists where it cannot name one: the sources and a rival."""
    return groups[: min(max(len(sources(groups)), 2), _LISTED)]


def contender_names(answer: Answer, *, name: Name = title_or_path) -> str:
    """Names of the images among which an answer cannot choose."""
    return "; ".join(name(group.best.image) for group in contenders(answer.groups))


def fewest(level: float) -> int:
    """Images that a null needs for p-values as small as a level."""
    return math.ceil(1 / level - 1e-9) - 1


def can_tell(count: int, *, level: float) -> bool:
    """Whether a null of so many images can tell a source from chance.

    With fewer, no p-value reaches the level, and no number of evidence is given or shown.
    """
    return count >= fewest(level)


def percent(value: float) -> str:
    """A probability in percent with three digits, so that it is never rounded to nothing."""
    return f"{100 * value:.3g} %"


def share(value: float | None) -> str:
    """A share in whole percent; what is rounded claims neither all nor nothing.

    Nothing where there is no number to show.
    """
    if value is None:
        return ""
    if 0 < value < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < value < 1 else f"{100 * value:.0f} %"


def number(value: float | None, form: str = ".2g") -> str:
    """A number in a format, or nothing where there is no number to show."""
    return "" if value is None else format(value, form)


def _rounded_up(value: float) -> str:
    """A bound with two digits that is not below the value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step - 1e-9) * step:.2g}"
