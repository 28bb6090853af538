"""What the Compare tab shows: captions with marks, how far two rankings agree, which is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.views.answer import captions, matches_title
from app.views.answer import headline as answer_headline
from app.views.matches import group_of
from app.views.names import name_of
from app.views.reasons import PLAIN
from app.views.templates import render
from core.report import conclusion, words
from core.service import HITS, ExampleComparison, Interval, RankingComparison
from core.values import Answer, Explanation, ImageRecord

BOTH, ONE, ALL = "Found by both", "Found by one only", "All"
"""Which of the matches are shown."""


def marked_captions(answer: Answer, other: Answer, *, there: str) -> list[str]:
    """Captions of an answer's matches, each with its place in the other ranking.

    Args:
        answer: the answer whose matches are shown.
        other: the answer of the other side.
        there: where the other side is: ``left`` or ``right``.
    """
    places = {match.image.id: rank for rank, match in enumerate(other.matches, 1)}
    marked: list[str] = []
    for match, caption in zip(answer.matches, captions(answer), strict=True):
        found, title = caption.rsplit("\n", 1)
        place = places.get(match.image.id)
        mark = f"both · {there} {place}" if place else "only here"
        marked.append(f"{found.replace('cosine', 'cos', 1)}\n{mark}\n{title}")
    return marked


def shown_rows(answer: Answer, comparison: RankingComparison, which: str) -> list[int]:
    """Rows of an answer's matches that a choice among ``ALL``, ``BOTH`` and ``ONE`` leaves."""
    common = {*comparison.common}
    wanted = {ALL: (True, False), BOTH: (True,), ONE: (False,)}[which]
    return [i for i, match in enumerate(answer.matches) if (match.image.id in common) in wanted]


def verdict_html(answer: Answer) -> str:
    """One side's answer in one sentence."""
    return render("compare_note", of="verdict", sentence=answer_headline(answer))


def both_title(left: Answer, right: Answer) -> str:
    """What the matches of both sides are called."""
    titles = matches_title(left), matches_title(right)
    if titles[0] == titles[1]:
        return titles[0]
    where = "left" if conclusion.has_sources(left) else "right"
    return f"Candidate sources on the {where} only"


def agreement_html(comparison: RankingComparison, *, scope: str = "", before: str = "") -> str:
    """How two rankings agree: a sentence, the overlaps as meters, two correlations.

    Args:
        comparison: the rankings.
        scope: among which images was looked, where they are not all.
        before: of what it is, where that is not what is chosen now.
    """
    depth = len(comparison.common) + len(comparison.only_first)
    deepest = min(k for k in comparison.overlaps if k >= depth)
    meters = [
        (k, round(share * min(k, depth)), min(k, depth))
        for k, share in comparison.overlaps.items()
        if k <= deepest
    ]
    return render(
        "compare_agreement",
        scope=scope,
        before=before,
        headline=headline(comparison),
        meters=meters,
        overlap=f"{comparison.rank_biased_overlap:.2f}",
        spearman="none" if comparison.spearman is None else f"{comparison.spearman:+.2f}",
        common=len(comparison.common),
        first=len(comparison.only_first),
        second=len(comparison.only_second),
    )


def headline(comparison: RankingComparison) -> str:
    """The comparison in one sentence; how many images they share stands with the bars."""
    if not comparison.overlaps[1]:
        return "They differ on the first image."
    return "Both rank the same image first."


def chosen_html(answers: tuple[Answer, Answer], image: ImageRecord, names: tuple[str, str]) -> str:
    """Which image is looked at, and at which place either side has it."""
    places = [
        next((rank for rank, m in enumerate(answer.matches, 1) if m.image.id == image.id), None)
        for answer in answers
    ]
    said = [
        f"{name}: {f'place {place}' if place else f'not among the first {len(answer.matches)}'}"
        for name, place, answer in zip(names, places, answers, strict=True)
    ]
    return render("compare_note", of="chosen", sentence=name_of(image), places=said)


def levels_html(found: tuple[Explanation, Explanation], names: tuple[str, str]) -> str:
    """What makes an image's score on either side, level by level.

    Args:
        found: why the image matches, on the left and on the right.
        names: what the sides are called.
    """
    sides = [{part.name: part.value for part in each.score_parts} for each in found]
    longest = max((abs(v) for side in sides for v in side.values()), default=1.0) or 1.0
    levels = dict.fromkeys(level for side in sides for level in side)
    rows = [
        (level.capitalize(), [(v, 100 * abs(v or 0.0) / longest) for v in map(_at(level), sides)])
        for level in levels
    ]
    totals = [sum(side.values()) for side in sides]
    return render("compare_levels", names=names, rows=rows, totals=totals)


def _at(level: str) -> Callable[[Mapping[str, float]], float | None]:
    return lambda side: side.get(level)


def either_side(possible: Sequence[Sequence[str]]) -> list[str]:
    """What either side can mark on the images, the plain ones last.

    Args:
        possible: the readings of every side, best first.
    """
    every = dict.fromkeys(reading for side in possible for reading in side)
    return [*(reading for reading in every if reading != PLAIN), PLAIN]


def by_html(answer: Answer, image_id: int) -> str:
    """By what an image stands out on one side."""
    group = group_of(answer, image_id)
    by = "" if group is None else words.stands_out_by(group, level=answer.level)
    return render("compare_note", of="by", sentence=by or "It does not stand out here.")


def examples_html(found: ExampleComparison, names: tuple[str, str], *, chosen: int = 0) -> str:
    """The two sides over the examples: who is right how often, and how far they agree.

    Args:
        found: the comparison.
        names: what the sides are called.
        chosen: further examples, which are not counted: they were chosen by their answers.
    """
    return render(
        "compare_examples",
        headline=examples_headline(found, names),
        left=names[0],
        right=names[1],
        rows=_rows(found),
        examples=found.examples,
        chosen=chosen,
        gap=_gap(found, names),
        same=_counted(found.same_first),
        overlap=_interval(found.overlap),
        biased=_interval(found.rank_biased_overlap),
    )


def _gap(found: ExampleComparison, names: tuple[str, str]) -> str:
    """How much more often one side ranks a true source first, with its interval."""
    gap = found.difference
    if gap is None:
        return ""
    values = f"{gap.mean:+.2f} ({gap.low:+.2f} to {gap.high:+.2f})"
    return f"{names[0]} less {names[1]}: {values}"


def examples_headline(found: ExampleComparison, names: tuple[str, str]) -> str:
    """Which side is right more often, where that is known and beyond chance."""
    gap = found.difference
    if gap is None:
        return f"The first image is the same on {_counted(found.same_first)} examples."
    counts = f"right on {_many(found, 'first')} and {_many(found, 'second')} of {gap.queries}"
    if gap.low > 0 or gap.high < 0:
        better = names[0] if gap.low > 0 else names[1]
        return f"{better} ranks a true source first more often: {counts}."
    return f"Neither is better beyond chance: {counts} examples."


def _many(found: ExampleComparison, side: str) -> int:
    return len(found.right["both"]) + len(found.right[side])


def _rows(found: ExampleComparison) -> list[tuple[str, list[str]]]:
    """What is counted, on the left and on the right."""
    rows: list[tuple[str, list[str]]] = []
    if found.sides is not None:
        for k in HITS:
            where = "ranked first" if k == 1 else f"among the first {k}"
            values = [_hits(side.hits[k]) for side in found.sides]
            rows.append((f"A true source {where}", values))
        recalls = [_interval(side.recall) for side in found.sides]
        rows.append(("Share of all true sources among the first 10", recalls))
        known = found.examples - len(found.unrelated)
        missed = [f"{count} of {known}" for count in found.missed]
        rows.append(("Images of a known source answered with none", missed))
    if total := len(found.unrelated):
        declined = [f"{count} of {total}" for count in found.declined]
        rows.append(("Unrelated images answered with none", declined))
    return rows


def _hits(share: Interval) -> str:
    if share.low == share.high:  # all or none of them: resampling says nothing
        return _counted(share)
    return f"{_counted(share)} ({share.low:.2f} to {share.high:.2f})"


def _counted(share: Interval) -> str:
    return f"{round(share.mean * share.queries)} of {share.queries}"


def _interval(share: Interval) -> str:
    return f"{share.mean:.2f} ({share.low:.2f} to {share.high:.2f})"


def differing(found: ExampleComparison) -> list[tuple[int, str]]:
    """The examples that one side or both get wrong, and who is right about each."""
    words = {
        "first": "only the left is right",
        "second": "only the right is right",
        "neither": "neither is right",
    }
    return [(i, word) for key, word in words.items() for i in found.right[key]]
