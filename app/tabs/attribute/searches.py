"""What the controls of the tab ask, and what a finished search keeps for later."""

from __future__ import annotations

from dataclasses import dataclass, replace

import gradio as gr

from app.page.events import Given
from app.page.state import HEADS, encoder_choices
from app.tabs.attribute.layout import LOCAL_SCALING, VIEWS, Controls
from app.views import answer as views
from core.config import ScoreConfig
from core.service import Choice, Session
from core.values import Answer

CANDIDATES = 24
"""Matches of an answer among several."""
LISTED = 60
"""Matches of a single one: its list grows until a source is among it as often as is wanted."""


@dataclass(frozen=True)
class Search:
    """A finished search: what later events need of it."""

    image: str
    choice: Choice
    prior: float
    answer: Answer
    identity: str = ""
    """Identity of the gallery's images when they were searched; empty where it is not known."""

    def is_outdated(self, session: Session, visitor: str) -> bool:
        """Whether other images are in the gallery than when it was searched."""
        gallery = session.gallery(self.choice.gallery, visitor=visitor)
        return self.identity not in ("", gallery.identity)


def choice_of(given: Given, controls: Controls, gallery: gr.State) -> Choice:
    """What the controls choose."""
    scoring = given[controls.scoring]
    left_out = [name for name, label in VIEWS.items() if label not in scoring]
    score = ScoreConfig(local_scaling=LOCAL_SCALING in scoring).without(*left_out)
    return Choice(given[controls.encoder], given[controls.head], given[gallery], score)


def filtered_choice_of(given: Given, controls: Controls, gallery: gr.State) -> Choice:
    """What the controls choose, and which images may be sources."""
    where = (given[controls.where] or "").strip() or None
    return replace(choice_of(given, controls, gallery), where=where)


def prior_of(given: Given, controls: Controls) -> float:
    """The prior probability of a source that the controls choose."""
    return given[controls.prior] / 100


def told_of(choice: Choice, prior: float) -> str:
    """With what many images were asked for."""
    ((encoder, _),) = encoder_choices([choice.encoder])
    heads = {name: f"head: {label.lower()}" for label, name in HEADS if name != "default"}
    head = heads.get(choice.head, "")
    return views.settings_words(encoder, head, where=choice.where, prior=prior)
