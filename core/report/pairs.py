"""Reverse look-ups as HTML: the generated images, and the sources that were looked for in them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.config import AnswerConfig, ScoreConfig
from core.report.cases import Run, run_of, versions
from core.report.page import templates
from core.service.choice import Choice
from core.service.reverse import Finding
from core.service.workspace import Workspace

MEANING = (
    "This report looks for images, the sources, in generated images, by one gallery and one "
    "encoder. A generated image is named where a source resembles it more than images without a "
    "source in that gallery usually resemble any image there. The p-value says how often such an "
    "image stands out at least as far anywhere in the gallery, so for one source it errs towards "
    "no; it rests on the null distribution named here and promises nothing for images of other "
    "kinds than those it was fitted on. Among all pairs it is adjusted, so that of those that are "
    "named no more than the stated share are expected to be wrong. The confidence is the "
    "probability of a source at the stated prior. None of these numbers shows that a model was "
    "trained on an image, that an image was used on purpose, or that a right was infringed. "
    "Creators and licences are as the gallery's metadata states them and were not checked."
)
"""What such a report does and does not show."""


@dataclass(frozen=True)
class Sought:
    """An image that was looked for."""

    name: str
    maker: str
    """Creator and licence, where they are known."""
    picture: str
    """Address that holds a small copy of it; empty where there is none."""


@dataclass(frozen=True)
class Line:
    """A generated image, with what was found of one source."""

    finding: Finding
    result: str
    """What becomes of it, in a few words."""
    source: str
    """What the source is called, where there are several."""
    picture: str
    """Address that holds a small copy of the generated image; empty where there is none."""


@dataclass(frozen=True)
class Pairs:
    """What a reverse look-up found, as the page tells it."""

    headline: str
    notes: Sequence[str]
    sources: Sequence[Sought]
    lines: Sequence[Line]


def pairs_html(found: Pairs, run: Run) -> str:
    """A reverse look-up for people.

    Args:
        found: what was found.
        run: how; see :func:`reverse_run`.
    """
    facts = {**versions(), **run.settings}
    page = templates().get_template("pairs.html")
    return page.render(found=found, meaning=MEANING, common={}, run=run, facts=facts)


def reverse_run(
    workspace: Workspace,
    choice: Choice,
    *,
    ids: Sequence[int],
    uploads: Sequence[str],
    rate: float,
    prior: float,
) -> Run:
    """How a reverse look-up was made; without a command where none has these settings.

    Args:
        workspace: what answered.
        choice: what was asked with; its gallery as it may be named.
        ids: gallery images that were looked for.
        uploads: names of others.
        rate: false-discovery rate.
        prior: probability of a source before the images were seen.
    """
    command = ["python", "-m", "core", "reverse", "FOLDER", "--gallery", choice.gallery]
    command += ["--encoder", choice.encoder, "--head", choice.head, "--fdr", f"{rate:g}"]
    command += [part for number in ids for part in ("--source", str(number))]
    command += [part for name in uploads for part in ("--upload", name)]
    usual = choice.score == ScoreConfig() and prior == AnswerConfig().prior
    run = run_of(workspace, shlex.join(command) if usual else "", prior=prior)
    parts = {"Encoder": workspace.encoder, "Head": workspace.head, "Gallery": workspace.gallery}
    rests_on = {name: f"{part.name}@{part.identity}" for name, part in parts.items()}
    return replace(run, settings={**rests_on, "Null": workspace.null.identity, **run.settings})
