"""The words of an answer's evidence: how sure it is, its odds, and numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable

from core.config import AnswerConfig
from core.evidence.conclusion import STEADY, contenders, fewest, outcome
from core.search.ranking import PLACES as PLACES
from core.search.ranking import TOGETHER as TOGETHER
from core.values import Answer, Aspect, Group, ImageRecord, Match

Name = Callable[[ImageRecord], str]
"""What an image is called."""

TOO_FEW = "This gallery has too few different images to tell a source from chance."
"""What is said in place of numbers."""

_SURE = ((0.99, "almost certainly"), (0.9, "very likely"), (0.5, "probably"))
_FOREIGN = 0.95  # share of images nearer to theirs from which a query is of another kind


GONE = "no longer there"
"""What is said of an image whose file is gone."""


def title_or_path(record: ImageRecord) -> str:
    """The title of an image, or its path in the gallery where it has none; whether it is gone."""
    return noting_gone(record.title or record.path, record)


def noting_gone(name: str, record: ImageRecord) -> str:
    """A name of an image, with the word that its file is gone where it is."""
    return f"{name} ({GONE})" if record.gone else name


def sureness(confidence: float) -> str:
    """A confidence in a word.

    Args:
        confidence: probability of a source, above one half for one that an answer gives.
    """
    return next((word for least, word in _SURE if confidence >= least), "perhaps")


def counted(answer: Answer) -> str:
    """How many images were looked at of how many, and what they have in common."""
    scope = answer.scope
    assert scope is not None
    return f"{scope.passing:,} of {scope.images:,} images with {scope.words}"


def about_scope(answer: Answer) -> str:
    """What a filter means for the evidence; nothing where there is none."""
    if answer.scope is None:
        return ""
    told = (
        "No other image was looked at. How far these stand out is measured against the whole "
        "gallery, so that the filter makes none of them likelier."
    )
    return f"{told} {ELSEWHERE}" if answer.scope.outside else told


ELSEWHERE = "But an image that the filter leaves out is a likely source."
"""What is said where a filter hides a likely source."""


def holding(answer: Answer) -> str:
    """What the gallery holds; nothing where that is not known."""
    around = answer.surroundings
    if around is None:
        return ""
    return f"This gallery holds {around.images:,} {around.holds or 'images'}."


def why_none(answer: Answer) -> str:
    """Why no image stands out, as far as that can be measured; nothing where it cannot.

    A query that lies farther from the gallery than nearly all of its images do from their nearest
    is of another kind than these. Nothing is said of what it shows.
    """
    around = answer.surroundings
    hidden = answer.scope is not None and answer.scope.outside
    if around is None or outcome(answer) != "none" or hidden:
        return ""
    if around.nearer >= _FOREIGN:
        often = "any of these is" if around.nearer == 1 else "nearly all of these are"
        measured = f"it is farther from its closest image here than {often} from theirs"
        return f"{holding(answer)} Yours is a picture of another kind: {measured}."
    measured = "it is as close to them as they are to one another"
    return f"{holding(answer)} Yours is of their kind: {measured}. But no single one stands out."


def points(match: Match, answer: Answer) -> int | None:
    """The score that ranks, from 0, the middle image of the gallery, to 100, the very same one.

    Nothing where there is no scale.
    """
    if match.image.id == answer.identical:
        return 100
    scale = answer.scale
    if scale is None:
        return None
    return round(100 * min(max((match.score - scale.low) / (scale.high - scale.low), 0), 1))


def points_text(match: Match, answer: Answer) -> str:
    """The points of a match for a table; empty where there is no scale."""
    found = points(match, answer)
    return "" if found is None else str(found)


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
    told = chance(p_value, count=count)
    unsteady = SMALL if p_value <= answer.level and count < STEADY else ""
    if told.startswith("≤"):
        return f"Fewer than 1 in {count} {whose} (p {told}).{unsteady}"
    if p_value < 0.1:
        return f"About 1 in {round(1 / p_value)} {whose} (p = {told}).{unsteady}"
    often = "Nearly all" if p_value > 0.95 else f"About {100 * p_value:.0f} % of"  # that is p
    return f"{often} {whose}."


SMALL = (
    f" In galleries of fewer than {STEADY} images it was measured to be up to three times as many; "
    "more images make this surer."
)
"""What is said of a p-value that rests on few images."""


def chance(p_value: float | None, *, count: int) -> str:
    """A p-value as it is told: a bound where none is smaller; nothing where there is none.

    Args:
        p_value: the p-value, in (0, 1].
        count: images that the null was fitted to.
    """
    if p_value is None:
        return ""
    least = p_value * (count + 1) <= 1 + 1e-9
    return f"≤ {_rounded_up(1 / (count + 1))}" if least else f"{p_value:.2g}"


def about_file(answer: Answer) -> str:
    """What was unusual about the query's file; nothing where nothing was."""
    return f"About your file: {'; '.join(answer.notes)}." if answer.notes else ""


def stands_out_by(group: Group, *, level: float) -> str:
    """How strongly a group stands out in every aspect; nothing where none is known.

    Args:
        group: the group.
        level: largest p-value at which it stands out.
    """
    found = by_strength(group, level=level)
    if not found:
        return ""
    told = [f"{word}: {', '.join(names)}" for word, names in found.items() if names]
    if not (found[STRONG] or found[SOME]) and any(a.p_value <= level for a in group.aspects):
        return "It stands out in no single aspect, but by all of them together."
    return f"{'; '.join(told).capitalize()}."


STRONG, SOME, WEAK = "strong", "some", "weak"
"""How far a group stands out in an aspect."""


def strength_of(aspect: Aspect, *, level: float) -> str:
    """How far a group stands out in an aspect, in a word.

    Args:
        aspect: the aspect.
        level: largest p-value at which it stands out; a fifth of it is strong.
    """
    if aspect.p_value > level:
        return WEAK
    return STRONG if aspect.p_value <= level / 5 else SOME


def by_strength(group: Group, *, level: float) -> dict[str, list[str]]:
    """Names of the aspects by how far a group stands out there, the rarest first."""
    told = sorted((a for a in group.aspects if a.name != TOGETHER), key=lambda a: a.p_value)
    if not told:
        return {}
    found: dict[str, list[str]] = {STRONG: [], SOME: [], WEAK: []}
    for aspect in told:
        found[strength_of(aspect, level=level)].append(aspect.name)
    return found


def about_roles(answer: Answer, *, name: Name = title_or_path) -> str:
    """Which image is nearest in structure and which in appearance; nothing where not two are."""
    roles = answer.roles
    if roles is None:
        return ""
    best = {group.id: name(group.best.image) for group in answer.groups}
    return (
        f"Its structure is nearest to {best[roles.structure]}, its appearance to "
        f"{best[roles.appearance]}: of images without a source here, at most "
        f"1 in {_one_in(roles.structure_p_value)} stand out as far in structure, and "
        f"1 in {_one_in(roles.appearance_p_value)} in appearance."
    )


def role_in(group_id: int, answer: Answer) -> str:
    """In what a group is nearest to the query: structure, appearance, or nothing."""
    roles = answer.roles
    if roles is None or group_id not in (roles.structure, roles.appearance):
        return ""
    return "structure" if group_id == roles.structure else "appearance"


def _one_in(p_value: float) -> int:
    """A share as one in so many, rounded so that it is no less."""
    return math.floor(1 / p_value + 1e-9)


def missing(count: int, *, level: float = AnswerConfig().level) -> str:
    """How many images a gallery with too few of them needs.

    Args:
        count: images of its null.
        level: largest p-value at which a group stands out.
    """
    there = f"; there are {count}" if count else ""
    return f"That takes {fewest(level)} images, near-duplicates counted once{there}."


def contender_names(answer: Answer, *, name: Name = title_or_path) -> str:
    """Names of the images among which an answer cannot choose."""
    return "; ".join(name(group.best.image) for group in contenders(answer.groups))


def percent(value: float) -> str:
    """A probability in percent with three digits, so that it is never rounded to nothing."""
    return f"{100 * value:.3g} %"


def share(value: float | None, *, whole: int | None = None) -> str:
    """A share in whole percent; what is rounded claims neither all nor nothing.

    Nothing where there is no number to show.

    Args:
        value: the share, in [0, 1].
        whole: what it is rounded to; the nearest whole percent by default.
    """
    if value is None:
        return ""
    rounded = round(100 * value) if whole is None else whole
    if 0 < value < 0.01 or (value > 0 and not rounded):
        return "under 1 %"
    return "over 99 %" if 0.99 < value < 1 else f"{rounded} %"


def sure_share(confidence: float | None) -> str:
    """A confidence as a share, never rounded up to where another word for it begins.

    Nothing where there is no number to show.
    """
    if confidence is None:
        return ""
    for least, _ in _SURE:
        if confidence < least <= round(confidence, 2):
            return share(least - 0.01)
    return share(confidence)


def number(value: float | None, form: str = ".2g") -> str:
    """A number in a format, or nothing where there is no number to show."""
    return "" if value is None else format(value, form)


def _rounded_up(value: float) -> str:
    """A bound with two digits that is not below the value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step - 1e-9) * step:.2g}"
