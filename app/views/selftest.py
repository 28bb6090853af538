"""The self-test as it is shown: the variation, both answers, whether they are right, the tally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from app.views.answer import headline
from app.views.images import data_uri
from app.views.names import name_of
from app.views.reasons import fitted
from app.views.templates import render
from core.report import words
from core.service import WAYS, Trial
from core.values import Answer

SHOWN = 5
"""Matches that are shown of every answer."""
_SIDE = 144  # of a match, pixels


@dataclass(frozen=True)
class Tally:
    """What came of the trials of a visit."""

    trials: int = 0
    found: int = 0
    """Answers that had the picture among the sources."""
    false: int = 0
    """Answers without the picture that had an image among the sources that took no part."""

    def after(self, trial: Trial) -> Tally:
        """The tally with one trial more."""
        return Tally(self.trials + 1, self.found + trial.found, self.false + trial.false)


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


def trial_html(trial: Trial, pictures: Mapping[int, Image.Image], tally: Tally) -> str:
    """A trial: what was made, what is said of it with and without the picture, and the tally.

    Args:
        trial: the trial.
        pictures: pixels of the picture, of its partner and of all matches, by id.
        tally: of the visit, this trial included.
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
    return render("selftest", figures=shown, sides=sides, tally=tally)


def _side(
    title: str, answer: Answer, right: bool, pictures: Mapping[int, Image.Image], verdict: str
) -> _Side:
    matches = [
        (data_uri(_small(pictures[match.image.id])), name_of(match.image))
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
    if words.sources(trial.absent.groups):
        return "Right: only the image that took part is among the sources."
    return "Right: nothing is taken for a source."


def _small(image: Image.Image) -> Image.Image:
    shown = image.convert("RGB")
    shown.thumbnail((_SIDE, _SIDE))
    return shown
