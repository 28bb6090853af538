"""Whether answers name sources of structure and appearance rightly, and only where there are two.

The rule was chosen on the tune half of the pairs with roles, one thing changed at a time; the
untouched half says what it is worth. A half is that of the first role's exemplar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from benchmarks.evidence.edits import made_of
from benchmarks.evidence.galleries import Builder, names_of, threaded
from benchmarks.quality import tables
from benchmarks.quality.roles import PAIRS
from core.config import AnswerConfig, ScoreConfig
from core.evidence.conclusion import sources
from core.evidence.roles import Rule, find_roles
from core.gallery.gallery import Gallery
from core.measures.pairs import read_pairs
from core.measures.retrieval import Pair
from core.search.prepare import prepare
from core.search.ranking import PLACES
from core.service.heads import choose_head
from core.service.workspace import Workspace
from core.values import Answer, Encoder

CALLED = {
    "splice": "Splice and its rivals",
    "deep": "photo style transfer",
    "delldu": "styles of paintings",
}
"""What the sets of images made of two sources are called."""

PHOTOS = 2_500
"""Photographs of the gallery."""
_EACH = 2  # images of every exemplar of the pairs with one source

RULES: Mapping[str, Rule] = {
    "as it ships": Rule(),
    "structure by matching places alone": Rule(structure=(PLACES,)),
    "structure by parts too": Rule(structure=("parts", "edges", PLACES)),
    "appearance by the palette alone": Rule(appearance=("palette",)),
    "appearance by patterns too": Rule(appearance=("colour and texture", "pattern", "palette")),
    "appearance at the level of structure": Rule(looser=1.0),
    "appearance at four times that level": Rule(looser=4.0),
    "without any source too": Rule(sourced=False),
}
"""What was compared."""

Places = tuple[int, int]
"""Of the groups of structure and of appearance among those of an answer."""


@dataclass(frozen=True)
class Asked:
    """An image that is asked about, and what is known of it."""

    what: str
    """The set that it is of."""
    half: str
    file: Path
    sources: Sequence[str] = ()
    """Names of its sources in the gallery; of two, structure comes first."""


@dataclass(frozen=True)
class Told:
    """What was answered to an image."""

    asked: Asked
    p_values: np.ndarray
    """Of every group in every aspect."""
    aspects: Sequence[str]
    null_size: int
    sourced: bool
    """Whether the answer has a source."""
    truth: tuple[int, ...]
    """Places of the groups of its sources; -1 for one that is not among the groups."""
    named: Places | None
    """Places that the answer names."""

    def by(self, rule: Rule) -> Places | None:
        """Places that a rule names."""
        level = AnswerConfig().level
        found = find_roles(
            self.p_values,
            self.aspects,
            sourced=self.sourced,
            null_size=self.null_size,
            level=level,
            rule=rule,
        )
        return None if found is None else (found[0].place, found[1].place)


@dataclass(frozen=True)
class Count:
    """How often two sources were named, and how often rightly."""

    images: int
    named: int
    structure: int
    appearance: int
    both: int
    swapped: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[Told, Places | None]]) -> Count:
        """Count images with the places that were named of them."""
        pairs = list(pairs)
        named = [(told.truth, places) for told, places in pairs if places is not None]
        two = [(truth, places) for truth, places in named if len(truth) == len(places)]
        return cls(
            len(pairs),
            len(named),
            sum(truth[0] == places[0] for truth, places in two),
            sum(truth[1] == places[1] for truth, places in two),
            sum(truth == places for truth, places in two),
            sum(truth == places[::-1] for truth, places in two),
        )


def measure_roles(
    builder: Builder,
    photos: Mapping[str, Path],
    without: Mapping[str, Mapping[str, Path]],
    pairs: Sequence[Pair],
    data: Path,
    encoder: Encoder,
) -> dict[str, Any]:
    """Ask images of two sources, of one and of none; what rules name on the halves.

    Args:
        builder: builds the galleries.
        photos: photographs of the gallery.
        without: images by kind that have no known source: photographs that are in no gallery
            first, then generated ones.
        pairs: known pairs of one source each.
        data: folder of all pairs.
        encoder: what describes them.
    """
    folder = (data / PAIRS).parent
    edits = read_pairs(data / PAIRS)
    halves = {pair.generated: pair.half for pair in reversed(edits)}
    made = [
        Asked(
            one.set,
            halves[one.generated.relative_to(folder).as_posix()],
            one.generated,
            tuple(one.roles.values()),
        )
        for one in made_of(edits, folder)
    ]
    singles = [
        Asked(pair.source, pair.half, data / pair.generated, pair.exemplars[:1])
        for pair in _few(pairs)
    ]
    exemplars = {name: folder / name for one in made for name in one.sources}
    exemplars |= {name: data / name for one in singles for name in one.sources}
    (kind, held_out), *others = without.items()
    everything = builder.gallery({**photos, **exemplars, **held_out}, encoder)
    copies = _copies(everything, encoder, [*exemplars])
    there = builder.workspace({**photos, **exemplars}, encoder)
    gone = builder.workspace({n: photos[n] for n in photos if n not in copies}, encoder)
    alone = [Asked(kind, "both", held_out[n]) for n in held_out if n not in copies]
    unknown = [Asked(kind, "both", file) for kind, files in others for file in files.values()]
    orphans = [Asked(one.what, one.half, one.file) for one in (*made, *singles)]
    told = {
        "two sources": _tell(there, [one for one in made if len(one.sources) == 2]),
        "one source": _tell(there, [*(o for o in made if len(o.sources) == 1), *singles]),
        "photographs without a source": _tell(there, alone),
        "generated images, their sources not here": _tell(gone, orphans),
        "generated images of unknown sources": _tell(there, unknown),
    }
    return {"rules": _rules(told), "worth": _worth(told)}


def _few(pairs: Sequence[Pair]) -> list[Pair]:
    """Some pairs of every exemplar, drawn at random."""
    found: dict[str, list[Pair]] = {}
    for i in np.random.default_rng(0).permutation(len(pairs)):
        found.setdefault(pairs[i].cluster, []).append(pairs[i])
    return [pair for own in found.values() for pair in own[:_EACH]]


def _copies(gallery: Gallery, encoder: Encoder, names: Sequence[str]) -> set[str]:
    """Names of the images that are near-duplicates of some, or these."""
    head = choose_head(gallery, encoder, "default")
    known = np.array([record.path for record in gallery.records])
    groups = np.asarray(prepare(gallery, encoder, head, config=ScoreConfig()).groups)
    return {*known[np.isin(groups, groups[np.isin(known, names)])].tolist()}


def _tell(asked: Workspace, images: Sequence[Asked]) -> list[Told]:
    return threaded(lambda one: _told(asked, one), images, what="structure and appearance")


def _told(asked: Workspace, one: Asked) -> Told:
    said = asked.attribute(asked.query(one.file), top=asked.score.candidates)
    names = [names_of(asked, said, place) for place in range(len(said.groups))]
    truth = tuple(
        next((place for place, own in enumerate(names) if source in own), -1)
        for source in one.sources
    )
    aspects = asked.collection.aspect_names
    rows = [[a.p_value for a in g.aspects] or [1.0] * len(aspects) for g in said.groups]
    sourced = bool(sources(said.groups))
    return Told(one, np.array(rows), aspects, said.null_size, sourced, truth, _named(said))


def _named(said: Answer) -> Places | None:
    if said.roles is None:
        return None
    place = {group.id: at for at, group in enumerate(said.groups)}
    return place[said.roles.structure], place[said.roles.appearance]


def _rules(told: Mapping[str, Sequence[Told]]) -> list[dict[str, Any]]:
    """Every rule on the tune half, and on the photographs without a source."""
    rows: list[dict[str, Any]] = []
    for name, rule in RULES.items():
        row: dict[str, Any] = {"rule": name}
        for kind, images in told.items():
            own = [each for each in images if each.asked.half in ("tune", "both")]
            row[kind] = vars(Count.of((each, each.by(rule)) for each in own))
        rows.append(row)
    return rows


def _worth(told: Mapping[str, Sequence[Told]]) -> list[dict[str, Any]]:
    """What answers named on the untouched half, set by set, and without sources."""
    rows: list[dict[str, Any]] = []
    for kind, images in told.items():
        own = [each for each in images if each.asked.half in ("untouched", "both")]
        parts = {each.asked.what for each in own} if kind == "two sources" else set[str]()
        for part in [*sorted(parts), ""]:
            chosen = [each for each in own if part in ("", each.asked.what)]
            count = Count.of((each, each.named) for each in chosen)
            name = f"{kind}: {CALLED.get(part, part)}" if part else kind
            rows.append({"images": name, **_counts(count)})
    return rows


def _counts(count: Count) -> dict[str, int]:
    return {("of" if name == "images" else name): value for name, value in vars(count).items()}


def section(found: Mapping[str, Any]) -> str:
    """Both tables, for docs/evidence.md."""
    two = "two sources"
    rules = [["rule, tune half", "two named", "both right", *_OTHERS]]
    for row in found["rules"]:
        count = row[two]
        own = [f"{count['named']} of {count['images']}", _rate(count["both"], count["named"])]
        others = [f"{row[kind]['named']} of {row[kind]['images']}" for kind in _OTHERS]
        rules.append([row["rule"], *own, *others])
    heads = ["untouched half", "two named", "structure right", "appearance right", "both right"]
    worth = [[*heads, "swapped"]]
    for row in found["worth"]:
        named = row["named"]
        cells = [row["images"], _rate(named, row["of"])]
        keys = ("structure", "appearance", "both")
        right = [f"{row['structure']}", f"{row['appearance']}", _rate(row["both"], named)]
        is_two = row["images"].startswith(two)
        worth.append([*cells, *(right if is_two else [""] * len(keys))])
        worth[-1].append(f"{row['swapped']}" if is_two else "")
    return f"{tables.markdown(rules)}\n\n{tables.markdown(worth)}\n"


_OTHERS = ("one source", "photographs without a source")


def _rate(hits: int, trials: int) -> str:
    """How many of how many, with the interval of Clopper and Pearson."""
    if not trials:
        return "0 of 0"
    low, high = binomtest(hits, trials).proportion_ci(0.95)
    low, high = (tables.short(float(end)) for end in (low, high))
    return f"{hits} of {trials} [{low}, {high}]"
