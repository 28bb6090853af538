"""Prints how the app's default answers the example queries of the built-in gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from core.config import ScoreConfig
from core.gallery.examples import Example, read_examples
from core.service.choice import Choice
from core.service.session import Session
from core.values import Answer

COSINE = ScoreConfig(local_scaling=False).without("patches")
THUMBNAIL = Choice("thumbnail", score=COSINE)
"""The control: cosine of 8 x 8 pixels."""
TOP = 24
"""Matches in which sources are looked for."""


@dataclass(frozen=True)
class Result:
    """How one query was answered."""

    example: Example
    ranks: tuple[int | None, ...]
    """Place of each of its sources, from 1; ``None`` below :data:`TOP`."""
    none: bool
    """Whether no group has influence."""
    control: tuple[int | None, ...]
    """The same places under the thumbnail."""

    @property
    def first(self) -> bool:
        """Whether one of the sources comes first."""
        return 1 in self.ranks

    @property
    def both(self) -> bool:
        """Whether all sources are among the first five."""
        return all(rank is not None and rank <= 5 for rank in self.ranks)


def result(session: Session, example: Example, choice: Choice | None = None) -> Result:
    """Ask the app's default, or another choice, and the control for one query."""
    answer = session.attribute(example.file, choice, top=TOP)
    control = session.attribute(example.file, THUMBNAIL, top=TOP)
    none = not any(group.influence for group in answer.groups)
    return Result(example, ranks(answer, example), none, ranks(control, example))


def ranks(answer: Answer, example: Example) -> tuple[int | None, ...]:
    """The place of each source in an answer, from 1; ``None`` where it is not among the matches."""
    places = {match.image.path: place for place, match in enumerate(answer.matches, 1)}
    return tuple(places.get(source) for source in example.sources)


def line(found: Result) -> str:
    """One query in words."""
    verdict = "none of these" if found.none else "attributed"
    places, control = (_written(numbers) for numbers in (found.ranks, found.control))
    kind = found.example.kind + (", chosen" if found.example.chosen else "")
    name = f"{found.example.file.stem}  {kind:36}"
    return f"{name} ranks {places:8} thumbnail {control:8} {verdict}"


def _written(numbers: Sequence[int | None]) -> str:
    return " ".join("-" if number is None else str(number) for number in numbers) or "."


def totals(found: Sequence[Result]) -> list[str]:
    """The sums, one a line; examples that were chosen for their answers count nowhere."""
    found = [one for one in found if not one.example.chosen]
    known = [one for one in found if one.example.sources]
    double = [one for one in known if len(one.example.sources) > 1]
    unrelated = [one for one in found if not one.example.sources]
    counts = {
        "a source comes first": (sum(one.first for one in known), len(known)),
        "both sources among the first five": (sum(one.both for one in double), len(double)),
        "a source is named where there is one": (
            sum(not one.none for one in known),
            len(known),
        ),
        "answered with none where there is none": (
            sum(one.none for one in unrelated),
            len(unrelated),
        ),
        "the thumbnail's first is no source": (
            sum(1 not in one.control for one in known),
            len(known),
        ),
    }
    return [f"{what}: {count} of {whole}" for what, (count, whole) in counts.items()]


def other_choices() -> dict[str, Choice]:
    """What else a visitor could choose: encoders, and less in the score."""
    default = ScoreConfig()
    views = [view.name for view in default.views]
    scores = {"": default, **{f" without {name}": default.without(name) for name in views}}
    scores |= {
        " by its embedding alone": default.without(*views),
        " without local scaling": replace(default, local_scaling=False),
    }
    return {
        f"{name}{words}": Choice(name, score=score)
        for name in ("lite0", "moco", "dino")
        for words, score in scores.items()
    }


def main(
    others: Annotated[bool, typer.Option("--others", help="Count other choices too.")] = False,
) -> None:
    """Ask every example, and count."""
    session = Session()
    examples = read_examples(session.gallery().store.folder)
    found = [result(session, example) for example in examples]
    typer.echo("\n".join([*map(line, found), *totals(found)]))
    for name, choice in other_choices().items() if others else ():
        found = [result(session, example, choice) for example in examples]
        first, _, named, none, _ = totals(found)
        typer.echo(f"{name}: {'; '.join((first, named, none))}")


if __name__ == "__main__":
    typer.run(main)
