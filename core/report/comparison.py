"""Comparisons of two ways to search, of one image and over all examples, as CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from core.measures.compare import ExampleComparison, RankingComparison
from core.measures.retrieval import Interval
from core.report.objects import answer_object
from core.report.tables import csv_text
from core.values import Answer, ImageRecord

Names = tuple[str, str]
"""What the left and the right side are called."""

_SIDES = ("left", "right")


def comparison_csv(answers: tuple[Answer, Answer], names: Names) -> str:
    """A row for every image that either side found: its place, score and cosine on both."""
    places = [
        {match.image.id: (rank, match) for rank, match in enumerate(answer.matches, 1)}
        for answer in answers
    ]
    images = {match.image.id: match.image for answer in answers for match in answer.matches}
    columns = ["id", "path", "title"]
    columns += [f"{name} {what}" for name in _told(names) for what in ("rank", "score", "cosine")]

    def row(image: ImageRecord) -> Iterator[object]:
        yield from (image.id, image.path, image.title)
        for side in places:
            rank, match = side.get(image.id, ("", None))
            yield from (rank, "", "") if match is None else (rank, match.score, match.cosine)

    return csv_text(columns, map(row, images.values()))


def comparison_json(
    query: str, answers: tuple[Answer, Answer], found: RankingComparison, names: Names
) -> str:
    """Both answers to an image in full, and how they agree; docs/cli.md has an answer's schema."""
    sides = {
        side: {"name": name, **answer_object(query, answer)}
        for side, name, answer in zip(_SIDES, names, answers, strict=True)
    }
    return json.dumps({"query": query, "agreement": asdict(found), **sides}, indent=2)


def examples_csv(found: ExampleComparison, names: Names) -> str:
    """A row for every measure over the examples, with its 95 % interval and its examples."""
    return csv_text(
        ["measure", "side", "value", "low", "high", "examples"], _example_rows(found, names)
    )


def examples_json(found: ExampleComparison, names: Names) -> str:
    """All that was counted over the examples."""
    return json.dumps(dict(zip(_SIDES, names, strict=True)) | asdict(found), indent=2)


def _example_rows(found: ExampleComparison, names: Names) -> Iterator[tuple[object, ...]]:
    both = "both"
    yield ("overlap of the first 10", both, *_interval(found.overlap))
    yield ("rank-biased overlap", both, *_interval(found.rank_biased_overlap))
    yield ("same image first", both, *_interval(found.same_first))
    for name, side in zip(_told(names), found.sides or (), strict=False):
        for k, hits in side.hits.items():
            yield (f"a source among the first {k}", name, *_interval(hits))
        yield ("share of the sources among the first 10", name, *_interval(side.recall))
    if found.difference is not None:
        yield ("a source first, left less right", both, *_interval(found.difference))
    known = found.examples - len(found.unrelated)
    for what, counts, total in (
        ("known sources answered with none", found.missed, known),
        ("unrelated images answered with none", found.declined, len(found.unrelated)),
    ):
        yield from ((what, n, c, "", "", total) for n, c in zip(_told(names), counts, strict=True))


def _told(names: Names) -> list[str]:
    """The names of the sides, told apart where they are the same."""
    return [f"{side}: {name}" for side, name in zip(_SIDES, names, strict=True)]


def _interval(share: Interval) -> tuple[float, float, float, int]:
    return share.mean, share.low, share.high, share.queries
