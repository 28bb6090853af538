"""What many trials of the self-test come to: shares by way, and confidence against outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.evidence.words import sureness
from core.service.selftest import Trial
from core.values import Answer


@dataclass(frozen=True)
class Claim:
    """What an answer says of its first candidate."""

    confidence: float
    right: bool
    """Whether that image took part."""


@dataclass(frozen=True)
class Verdict:
    """What came of one trial, without its pictures and answers."""

    way: str
    far: float
    found: bool
    first: bool
    false: bool
    confidence: float | None
    """Probability that the image is a source, where it is in the gallery; ``None`` where it is not
    among the groups of the answer, or nothing can be told."""
    p_value: float | None
    """Of the answer with the image in the gallery."""
    claims: tuple[Claim, ...]
    """Of both answers, where they say anything."""


def verdict_of(trial: Trial) -> Verdict:
    """What came of a trial."""
    own = (group for group in trial.present.groups if trial.original.id in group.members)
    answers = (trial.present, trial.absent)
    return Verdict(
        way=trial.way,
        far=trial.far,
        found=trial.found,
        first=trial.first,
        false=trial.false,
        confidence=next((group.confidence for group in own), None),
        p_value=trial.present.p_value,
        claims=tuple(claim for answer in answers for claim in _claims(answer, trial)),
    )


def _claims(answer: Answer, trial: Trial) -> Iterable[Claim]:
    took_part = {trial.original.id} | ({trial.partner.id} if trial.partner else set[int]())
    for group in answer.groups[:1]:
        if group.confidence is not None:
            yield Claim(group.confidence, bool(took_part & set(group.members)))


@dataclass(frozen=True)
class Tally:
    """Trials, and how many of them came out how."""

    trials: int = 0
    found: int = 0
    """Answers that had the image among the sources: over all, recall."""
    first: int = 0
    """Answers that had it first, among the sources or not."""
    false: int = 0
    """Answers without the image that had one among the sources that took no part."""

    def after(self, verdict: Verdict) -> Tally:
        """The tally with one trial more."""
        return Tally(
            self.trials + 1,
            self.found + verdict.found,
            self.first + verdict.first,
            self.false + verdict.false,
        )


def tally_of(verdicts: Iterable[Verdict]) -> Tally:
    """The tally of trials."""
    found = Tally()
    for verdict in verdicts:
        found = found.after(verdict)
    return found


def by_way(verdicts: Sequence[Verdict]) -> dict[str, Tally]:
    """The tally of every way, in the order in which they come up."""
    ways = dict.fromkeys(verdict.way for verdict in verdicts)
    return {way: tally_of(each for each in verdicts if each.way == way) for way in ways}


@dataclass(frozen=True)
class Band:
    """Claims of about one confidence."""

    word: str
    """The word that an answer has for it."""
    claims: int
    right: int
    mean: float
    """Mean confidence."""


def by_confidence(verdicts: Iterable[Verdict]) -> list[Band]:
    """How often what was said with one word was right, the surest first.

    Every trial gives two answers, one with the image in the gallery and one without. Where none but
    the image took part, half of all answers have a source: the prior of one half that confidences
    are stated at by default.
    """
    bands: dict[str, list[Claim]] = {}
    claims = [claim for verdict in verdicts for claim in verdict.claims]
    for claim in sorted(claims, key=lambda each: -each.confidence):
        bands.setdefault(sureness(claim.confidence), []).append(claim)
    return [
        Band(
            word,
            len(each),
            sum(claim.right for claim in each),
            sum(claim.confidence for claim in each) / len(each),
        )
        for word, each in bands.items()
    ]
