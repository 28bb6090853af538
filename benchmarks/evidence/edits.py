"""Images made of sources in roles: what answers say of them with and without the sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.evidence.bars import LEVELS, Bar, Judged, absent_bar, attributed_bar
from benchmarks.evidence.galleries import Builder, ask, names_of, threaded
from benchmarks.quality.roles import PAIRS
from core.evidence.conclusion import sources
from core.measures.pairs import read_pairs
from core.measures.retrieval import Pair
from core.service.workspace import Workspace
from core.values import Encoder


@dataclass(frozen=True)
class Made:
    """A generated image, its sources by role, and the set that it is of."""

    set: str
    generated: Path
    roles: Mapping[str, str]
    """Name of the source in the gallery, by its role; the role of an only source is ``source``."""


def edit_bars(
    builder: Builder, photos: Mapping[str, Path], data: Path, encoder: Encoder, *, draws: int
) -> list[Bar]:
    """(a) and (c) for every set: photographs with all sources, and without any.

    Args:
        builder: builds the galleries.
        photos: photographs that are no source.
        data: folder of the pairs.
        encoder: what describes them.
        draws: draws of one image a source.
    """
    made = made_of(read_pairs(data / PAIRS), data / Path(PAIRS).parent)
    exemplars = {
        name: data / Path(PAIRS).parent / name for one in made for name in one.roles.values()
    }
    there = builder.workspace({**photos, **exemplars}, encoder)
    names = np.array([record.path for record in there.gallery.records])
    groups = np.asarray(there.collection.groups)
    alike = {*names[np.isin(groups, groups[np.isin(names, list(exemplars))])]}
    gone = builder.workspace({n: photos[n] for n in photos if n not in alike}, encoder)
    bars: list[Bar] = []
    for name in dict.fromkeys(one.set for one in made):
        chosen = [one for one in made if one.set == name]
        files = [one.generated for one in chosen]
        clusters = ["|".join(one.roles.values()) for one in chosen]
        absent = Judged(ask(gone, files, what=f"{name} without sources"), clusters)
        bars += [
            absent_bar(f"{name} without source", absent.asked.p_values, absent, level, draws=draws)
            for level in LEVELS
        ]
        bars += _power_bars(name, chosen, there)
    return [replace(bar, gallery="all") for bar in bars]


def made_of(pairs: Sequence[Pair], folder: Path) -> list[Made]:
    """Every generated image once, with the sources that its pairs name by role."""
    found: dict[str, Made] = {}
    for pair in pairs:
        name, _, role = pair.source.partition(": ")
        before = found.get(pair.generated)
        own = {role or "source": pair.exemplars[0]}
        roles = {**before.roles, **own} if before else own
        found[pair.generated] = Made(name.partition("_")[0], folder / pair.generated, roles)
    return list(found.values())


def _power_bars(name: str, made: Sequence[Made], asked: Workspace) -> list[Bar]:
    """How often a source comes first, is attributed, and which roles' sources are found."""
    told = threaded(lambda one: _told(asked, one), made, what=f"{name} with sources")
    first = float(np.mean([row.first for row in told]))
    found = [float(np.mean([row.p_value <= level for row in told])) for level in LEVELS]
    bars = [attributed_bar(name, len(made), found, first)]
    for role in dict.fromkeys(role for one in made for role in one.roles):
        share = np.mean([role in row.among for row in told])
        what = f"{name}, source of the {role} among the sources of the answer"
        bars.append(Bar("c", what, f"{share:.2f}", "-", True))
    wrong = np.mean([row.wrong for row in told])
    bars.append(Bar("c", f"{name}, a wrong image among the sources", f"{wrong:.2f}", "-", True))
    return bars


@dataclass(frozen=True)
class _Told:
    first: bool
    """Whether the first group holds a right image."""
    p_value: float
    """The smallest p-value of a group with a right image; 1 where none is shown."""
    among: set[str]
    """Roles whose sources are among those of the answer."""
    wrong: bool
    """Whether another image is among them."""


def _told(asked: Workspace, made: Made) -> _Told:
    said = asked.attribute(asked.query(made.generated), top=asked.score.candidates)
    names = [names_of(asked, said, place) for place in range(len(said.groups))]
    right = set(made.roles.values())
    count = len(sources(said.groups))
    p_values = [
        group.p_value or 1.0
        for group, own in zip(said.groups, names, strict=True)
        if not own.isdisjoint(right)
    ]
    return _Told(
        first=bool(names) and not names[0].isdisjoint(right),
        p_value=min(p_values, default=1.0),
        among={
            role for role, source in made.roles.items() if source in set().union(*names[:count])
        },
        wrong=any(own.isdisjoint(right) for own in names[:count]),
    )
