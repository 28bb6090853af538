"""What many trials of the self-test come to: shares by way, and confidence against outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.evidence.conclusion import outcome, sources
from core.evidence.outcomes import NONE, confidence_of
from core.evidence.words import sureness
from core.service.selftest import Trial
from core.values import Answer


@dataclass(frozen=True)
class Claim:
    """What an answer says, in the word that the page has for it."""

    word: str
    right: bool
    """Whether all sources that are named took part, or one of several that are not told apart;
    where there is none, whether no image of the gallery did."""
    confidence: float | None = None
    """Probability that goes with the word; ``None`` where no source is given."""
    partner: bool = False
    """Whether it is right by the image that was mixed in, and not by the image itself."""


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
    taken_out: tuple[str, ...] = ()
    """Titles or paths of what the gallery held of the image, and was taken out for the trial."""


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
        claims=tuple(claim for answer in answers if (claim := _claim(answer, trial)) is not None),
        taken_out=tuple(record.title or record.path for record in trial.taken_out),
    )


def _claim(answer: Answer, trial: Trial) -> Claim | None:
    """What an answer says; ``None`` where nothing can be told."""
    if outcome(answer) in ("empty", "too few"):
        return None
    partner = set() if trial.partner is None else {trial.partner.id}
    there = partner | ({trial.original.id} if answer is trial.present else set())
    given = sources(answer.groups)
    if not given:
        return Claim(NONE, right=not there)
    sure = confidence_of(answer) or 0.0
    hits = [there & {*group.members} for group in given]
    right = all(hits) if answer.named else any(hits)
    return Claim(sureness(sure), right, sure, right and trial.original.id not in set().union(*hits))


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
    """Answers that say one thing."""

    word: str
    """The word that the page has for it."""
    claims: int
    right: int
    partner: int
    """Of those that are right: by the image that was mixed in, not by the image itself."""
    mean: float | None
    """Mean confidence; ``None`` where no source is given."""


def by_confidence(verdicts: Iterable[Verdict]) -> list[Band]:
    """How often what was said with one word was right, the surest first and none last.

    Every trial gives two answers, one with the image in the gallery and one without. Where none but
    the image took part, half of all answers have a source: the prior of one half that confidences
    are stated at by default.
    """
    bands: dict[str, list[Claim]] = {}
    claims = [claim for verdict in verdicts for claim in verdict.claims]
    for claim in sorted(claims, key=lambda each: -(each.confidence or 0)):
        bands.setdefault(claim.word, []).append(claim)
    return [_band(word, each) for word, each in bands.items()]


def _band(word: str, claims: Sequence[Claim]) -> Band:
    sures = [claim.confidence for claim in claims if claim.confidence is not None]
    return Band(
        word,
        len(claims),
        sum(claim.right for claim in claims),
        sum(claim.partner for claim in claims),
        sum(sures) / len(sures) if sures else None,
    )
