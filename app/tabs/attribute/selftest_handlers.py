"""The handlers of the self-test: a variation of a visitor's own picture, traced twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from PIL import Image

from app.page.errors import user_error
from app.page.events import Given
from app.page.jobs import PROGRESS, visitor_of
from app.page.state import Page
from app.tabs.attribute.handlers import choice_of
from app.tabs.attribute.layout import Controls
from app.tabs.attribute.selftest_layout import Selftest
from app.views.selftest import SHOWN, Tally, empty_html, trial_html
from core.service import SelfTest, Trial, selftest

NAME = "Your picture"
"""What the picture is called in the answers."""


@dataclass(frozen=True)
class SelftestHandlers:
    """The handlers of the self-test."""

    page: Page
    controls: Controls
    test: Selftest
    tally: gr.State

    def run(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, Any]:
        """Make one variation and trace it: what came of it, and the tally of the visit."""
        image, tally = given[self.test.image], given[self.tally]
        if image is None:
            raise user_error("choose a picture of your own first")
        session, visitor = self.page.session, visitor_of(request)
        choice = choice_of(given, self.controls, self.page.gallery)
        with self.page.jobs.run("attribute", request, progress, again="start again") as report:
            report(0, 1, "Opening the encoder and the gallery")
            test = selftest(session, image, choice, name=NAME, visitor=visitor, progress=report)
            trial = test.run(
                given[self.test.way],
                far=given[self.test.far] / 100,
                seed=tally.trials,  # another variation every time
                progress=report,
            )
        tally = tally.after(trial)
        return trial_html(trial, _pictures(test, trial), tally), tally


def _pictures(test: SelfTest, trial: Trial) -> dict[int, Image.Image]:
    """Pixels of everything that a trial shows, by id."""
    answers = (trial.present, trial.absent)
    records = {m.image.id: m.image for a in answers for m in a.matches[:SHOWN]}
    if trial.partner is not None:
        records[trial.partner.id] = trial.partner
    found = {number: test.picture(number) for number in records if number != trial.original.id}
    return {**found, trial.original.id: test.image}


def cleared() -> tuple[Any, Any]:
    """No trial yet, as for another picture or gallery."""
    return empty_html(), Tally()
