"""The handlers of the self-test: variations of a visitor's own pictures, each traced twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from app.page.errors import user_error
from app.page.events import Given, in_row
from app.page.files import offered
from app.page.jobs import PROGRESS
from app.page.state import Page
from app.page.visitor import visitor_of
from app.tabs.attribute.cases import Shown
from app.tabs.attribute.layout import Controls
from app.tabs.attribute.searches import choice_of
from app.tabs.attribute.selftest_layout import Selftest, SelftestResult
from app.views.dial import dial_html
from app.views.images import small_picture
from app.views.selftest import (
    SHOWN,
    Line,
    Trials,
    empty_html,
    firsts_of,
    trial_html,
    trials_html,
)
from core.report import trials_csv
from core.service import (
    WAYS,
    Choice,
    Picture,
    SelfTest,
    Tally,
    Trial,
    pictures_of,
    selftest,
    verdict_of,
)
from core.values import Cancelled, ImageError, Progress, WellspringError

MOST = 100
"""Trials at once."""

NAME = "Your picture"
"""What the only picture is called in the answers."""


@dataclass(frozen=True)
class _Asked:
    """How trials are made."""

    ways: Sequence[str]
    far: float
    choice: Choice
    visitor: str


def _told(report: Progress, done: int, total: int, what: str, *_step: object) -> None:
    """Say which trial is made, whatever step of it."""
    report(done, total, what)


@dataclass(frozen=True)
class SelftestHandlers:
    """The handlers of the self-test."""

    page: Page
    controls: Controls
    test: Selftest
    result: SelftestResult
    tally: gr.State

    def run(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> Iterator[tuple[Any, ...]]:
        """Make variations and trace them: the trials so far, their table, and the visit's tally.

        A picture that cannot be taken gets a row that says so, and the others go on. A stop keeps
        the trials so far.
        """
        image, files = given[self.test.image], given[self.test.files]
        asked = self._asked(given, request)
        server, again = self.page.session.server, "start again"
        with (
            self.page.jobs.run("attribute", request, progress, again=again) as report,
            pictures_of(
                files or [image], most=MOST, max_bytes=server.max_upload_bytes, progress=report
            ) as pictures,
        ):
            total = len(pictures) * len(asked.ways)
            if total > MOST:
                raise user_error(f"that is {total} trials; at most {MOST} are made at once")
            report(0, total, "Opening the encoder and the gallery")
            self.page.session.workspace(asked.choice, visitor=asked.visitor, progress=report)
            tally: Tally = given[self.tally]
            if total == 1 and not files:
                yield self._only(image, asked, tally, report)
            else:
                for done in self._several(
                    pictures, asked, Trials((), total, tally, len(asked.ways)), report
                ):
                    yield done, trials_html(done), done.tally

    def _asked(self, given: Given, request: gr.Request) -> _Asked:
        """How trials are made, where there is anything to make them of."""
        ways, far = given[self.test.ways], given[self.test.far] / 100
        if not given[self.test.files] and given[self.test.image] is None:
            raise user_error("choose a picture of your own first")
        if not ways:
            raise user_error("choose at least one way to make a variation")
        choice = choice_of(given, self.controls, self.page.gallery)
        return _Asked(ways, far, choice, visitor_of(request))

    def _only(self, image: str, asked: _Asked, tally: Tally, report: Progress) -> tuple[Any, ...]:
        """One trial of one picture, with everything that it comes from."""
        session, choice, (way,) = self.page.session, asked.choice, asked.ways
        test = selftest(session, image, choice, name=NAME, visitor=asked.visitor, progress=report)
        # another variation every time
        trial = test.run(way, far=asked.far, seed=tally.trials, progress=report)
        line = Line(Path(image).name, verdict_of(trial))
        done = Trials((), 1, tally).after(line)
        return done, trial_html(trial, _pictures(test, trial), done.tally), done.tally

    def _several(
        self, pictures: Sequence[Picture], asked: _Asked, done: Trials, report: Progress
    ) -> Iterator[Trials]:
        """The trials so far, ever more at a time; a stop keeps them.

        Raises:
            Cancelled: where there is nothing to keep.
        """
        shown = Shown()
        try:
            for picture in pictures:
                for line in self._lines(picture, asked, done, report):
                    done = done.after(line)
                    if shown.due(len(done.lines)):
                        yield done
        except Cancelled:
            if not done.lines:
                raise
            done = replace(done, stopped=True)
        if done.stopped or shown.rows < len(done.lines):
            yield done

    def _lines(
        self, picture: Picture, asked: _Asked, before: Trials, report: Progress
    ) -> Iterator[Line]:
        """The trials of one picture, or the reason why there are none."""
        name, file = picture
        if isinstance(file, WellspringError):
            yield Line(name, str(file))
            return
        first, total = len(before.lines), before.total
        try:
            report(first, total, f"Looking at {name}")
            test = selftest(
                self.page.session,
                file,
                asked.choice,
                name=name,
                visitor=asked.visitor,
                progress=report,
            )
        except ImageError as error:
            yield Line(name, str(error))
            return
        own = small_picture(test.image)
        for place, way in enumerate(asked.ways):
            what = f"{name}: {WAYS[way].title.lower()}"
            told = partial(_told, report, first + place, total, what)
            told()
            seed = before.tally.trials + place
            trial = test.run(way, far=asked.far, seed=seed, progress=told)
            pictures = _pictures(test, trial)
            yield Line(
                name,
                verdict_of(trial),
                picture=own,
                variation=small_picture(trial.variation),
                firsts=firsts_of(trial, pictures),
                case=trial_html(trial, pictures),
            )

    @staticmethod
    def measured(ways: Sequence[str], far: float) -> str:
        """How often the chosen ways were traced at this place of the dial."""
        return dial_html(ways, far)

    @staticmethod
    def opened(done: Trials | None, event: gr.EventData) -> Any:
        """Both answers of the row that was chosen."""
        line = in_row(done and done.lines, event)
        return gr.skip() if line is None else line.case

    def export(self, done: Trials | None) -> Any:
        """The trials as a file."""
        if done is None or not done.lines:
            return gr.DownloadButton(visible=False)
        content = trials_csv([(line.name, line.found) for line in done.lines]).encode()
        return offered(content, self.result.download, name="wellspring-selftest.csv")

    @staticmethod
    def carry(image: str | None, own: str | None, carried: str | None) -> tuple[Any, Any]:
        """The picture of the single image as the one to test, unless another was given here."""
        if image is None or own not in (None, carried):
            return gr.skip(), gr.skip()
        return image, image


def _pictures(test: SelfTest, trial: Trial) -> dict[int, Image.Image]:
    """Pixels of everything that a trial shows, by id."""
    answers = (trial.present, trial.absent)
    records = {m.image.id: m.image for a in answers for m in a.matches[:SHOWN]}
    if trial.partner is not None:
        records[trial.partner.id] = trial.partner
    found = {number: test.picture(number) for number in records if number != trial.original.id}
    return {**found, trial.original.id: test.image}


def cleared() -> tuple[Any, ...]:
    """No trial yet, as for another picture or gallery; the tally of the visit stays."""
    return None, empty_html(), gr.DownloadButton(visible=False)
