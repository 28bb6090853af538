"""The self-test as it is shown: the variation, both answers, whether they are right, the tally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from app.views.answer import headline
from app.views.images import data_uri, small_picture
from app.views.names import name_of, number_of
from app.views.reasons import fitted
from app.views.templates import render
from core.report import conclusion, held, traced, words
from core.service import WAYS, Tally, Trial, Verdict, by_confidence, by_way, tally_of
from core.values import Answer

SHOWN = 5
"""Matches that are shown of every answer."""
_SIDE = 144  # of a match, pixels


@dataclass(frozen=True)
class First:
    """The first candidate of an answer, as it is listed."""

    name: str
    picture: str


@dataclass(frozen=True)
class Line:
    """One trial as it is listed, or a picture that was refused."""

    name: str
    """What the picture is called."""
    found: Verdict | str
    """What came of the trial, or why there was none."""
    picture: str = ""
    """Address that holds a small copy of the picture."""
    variation: str = ""
    """The same of its variation."""
    firsts: tuple[First, ...] = ()
    """The first candidates of both answers, with the picture in the gallery and without."""
    case: str = ""
    """The whole trial, as a row of the table opens it."""

    @property
    def kind(self) -> str:
        """What the trial came to, as people look for it."""
        if isinstance(self.found, str):
            return "refused"
        if self.found.false:
            return "false"
        return "traced" if self.found.found else "missed"


@dataclass(frozen=True)
class Trials:
    """Trials of several pictures so far."""

    lines: tuple[Line, ...]
    total: int
    """Trials that were asked for, less those of pictures that were refused."""
    tally: Tally
    """Of the visit, these included."""
    each: int = 1
    """Trials of every picture."""
    stopped: bool = False
    """Whether no more will come."""

    @property
    def verdicts(self) -> list[Verdict]:
        """What came of those that were made."""
        return [line.found for line in self.lines if isinstance(line.found, Verdict)]

    def after(self, line: Line) -> Trials:
        """The trials with one more, or with a picture that was refused."""
        lines, found = (*self.lines, line), line.found
        if isinstance(found, Verdict):
            return replace(self, lines=lines, tally=self.tally.after(found))
        return replace(self, lines=lines, total=self.total - self.each)


@dataclass(frozen=True)
class _Side:
    """One of the two answers."""

    title: str
    right: bool
    verdict: str
    headline: str
    odds: str
    matches: Sequence[tuple[str, str]]
    """Picture and name of every match."""


def empty_html() -> str:
    """What is shown before the first trial."""
    return render("empty", of="selftest")


def trial_html(
    trial: Trial, pictures: Mapping[int, Image.Image], tally: Tally | None = None
) -> str:
    """A trial: what was made, what is said of it with and without the picture, and the tally.

    Args:
        trial: the trial.
        pictures: pixels of the picture, of its partner and of all matches, by id.
        tally: of the visit, this trial included; ``None`` where it is told elsewhere.
    """
    way = WAYS[trial.way].title
    figures = [
        (trial.original, "Your picture"),
        (None, f"{way}, {round(100 * trial.far)} % of the way"),
    ]
    if trial.partner is not None:
        figures.append((trial.partner, f"Also took part: {name_of(trial.partner)}"))
    shown = [
        (data_uri(fitted(trial.variation if one is None else pictures[one.id])), caption)
        for one, caption in figures
    ]
    sides = [
        _side(
            "With your picture in the gallery", trial.present, trial.found, pictures, _traced(trial)
        ),
        _side("Without it", trial.absent, not trial.false, pictures, _untraced(trial)),
    ]
    visit = "" if tally is None else tally_words(tally)
    out = held([name_of(record) for record in trial.taken_out])
    return render("selftest", figures=shown, sides=sides, held=out, visit=visit)


def firsts_of(trial: Trial, pictures: Mapping[int, Image.Image]) -> tuple[First, ...]:
    """The first candidates of both answers of a trial, those that there are."""
    best = [a.matches[0].image for a in (trial.present, trial.absent) if a.matches]
    return tuple(First(name_of(one), small_picture(pictures[one.id])) for one in best)


_KINDS = {"traced": "Traced", "missed": "Missed", "false": "False answer", "refused": "Refused"}


def trials_html(trials: Trials) -> str:
    """Trials of several pictures: recall, false answers, confidence against outcome, and each."""
    kinds = [line.kind for line in trials.lines]
    verdicts = trials.verdicts
    tallies = [(WAYS[way].title, tally) for way, tally in by_way(verdicts).items()]
    if len(tallies) > 1:
        tallies.append(("All", tally_of(verdicts)))
    done, total = len(verdicts), number_of(trials.total, "trial")
    return render(
        "trials",
        headline=f"{done} of {total}" if done < trials.total else total,
        tallies=tallies,
        bands=by_confidence(verdicts),
        lines=[(i, line, isinstance(line.found, Verdict)) for i, line in enumerate(trials.lines)],
        kinds=[(kind, name, kinds.count(kind)) for kind, name in _KINDS.items() if kind in kinds],
        titles={name: way.title for name, way in WAYS.items()},
        traced=traced,
        held=held,
        stopped=trials.stopped,
        visit=tally_words(trials.tally),
    )


def tally_words(tally: Tally) -> str:
    """What came of all trials of a visit."""
    made = number_of(tally.trials, "variation")
    return (
        f"This visit: {tally.found} of {made} traced to your pictures; {tally.false} of "
        f"{tally.trials} wrongly traced to another where yours was not there."
    )


def _side(
    title: str, answer: Answer, right: bool, pictures: Mapping[int, Image.Image], verdict: str
) -> _Side:
    matches = [
        (data_uri(pictures[match.image.id], side=_SIDE), name_of(match.image))
        for match in answer.matches[:SHOWN]
    ]
    return _Side(title, right, verdict, headline(answer), words.odds(answer), matches)


def _traced(trial: Trial) -> str:
    if trial.found:
        return "Right: your picture is among the sources."
    if trial.first:
        return "Missed: your picture comes first, but does not stand out enough."
    return "Missed: your picture is not among the sources."


def _untraced(trial: Trial) -> str:
    if trial.false:
        return "Wrong: an image that took no part is among the sources."
    if conclusion.sources(trial.absent.groups):
        return "Right: only the image that took part is among the sources."
    if trial.partner is not None:
        return "No false answer: nothing is taken for a source, not even the image that took part."
    return "Right: nothing is taken for a source."
