"""Evidence reports for people: one HTML file that needs no other and asks the network for nothing.

Whatever comes from a gallery's metadata stands in it as plain text.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from jinja2 import Environment

from core.evidence import conclusion, outcomes, words
from core.evidence.percents import Percents
from core.images.files import ASSETS
from core.report.cases import MEANING, Case, Run, versions
from core.report.figures import drawing_of, picture_address
from core.report.templates import environment
from core.values import Answer, Contribution, Group

_LEADING = 3  # groups shown whatever their influence
_DIMENSIONS = 8  # contributions looked at
_LINKS = "Equal numbers mark places that are each other's best match, 1 the strongest."
_SMALL = 96  # longer side of a picture in a table, pixels


def report_html(cases: Sequence[Case], run: Run) -> str:
    """A report for people."""
    return (
        templates()
        .get_template("report.html")
        .render(
            sections=[_section(case) for case in cases],
            summary=_summary(cases, run) if len(cases) + len(run.refused) > 1 else "",
            meaning=MEANING,
            links=_LINKS,
            common=_common([case.answer for case in cases]),
            run=run,
            facts={**versions(), **run.settings},
        )
    )


@functools.cache
def templates() -> Environment:
    """The templates of reports, with what numbers and names are written by."""
    made = environment(ASSETS / "report")
    made.filters |= {"name": words.title_or_path, "number": words.number}
    made.filters["sure"] = words.sure_share
    made.filters |= {"by": words.stands_out_by, "points": words.points_text}
    made.filters["chance"] = words.chance
    return made


def _section(case: Case) -> dict[str, object]:
    """What the template of one query is filled with."""
    answer, percents = case.answer, Percents(case.answer)
    return {
        "case": case,
        "answer": answer,
        "sentence": outcomes.sentence(answer),
        "short": outcomes.in_short(answer),
        "odds": " ".join(filter(None, _told(answer))),
        "why": words.why_none(answer),
        "sourced": conclusion.has_sources(answer),
        "numbers": _numbers(case, percents),
        "percents": percents,
        "shares": {column: percents.by_value(sums) for column, sums in case.shares.items()},
        "picture": picture_address(case.image),
        "small": picture_address(case.image, side=_SMALL),
        "groups": [
            (group, picture_address(case.sources.get(group.best.image.id), side=_SMALL))
            for group in shown_groups(answer)
        ],
        "told": conclusion.told_groups(answer),
        "parts": _parts(case),
        "figures": [
            {
                "found": found,
                "drawing": drawing_of(case, found),
                "dimensions": _stable(case, found.contributions[:_DIMENSIONS]),
            }
            for found in case.explanations
        ],
        "identities": _identities(answer),
    }


def _identities(answer: Answer) -> Mapping[str, str]:
    """What an answer rests on."""
    return {
        "Encoder": answer.encoder,
        "Head": answer.head,
        "Gallery": answer.gallery,
        "Null": answer.null_id,
    }


def _common(answers: Sequence[Answer]) -> Mapping[str, str]:
    """What all answers rest on; nothing where it is not the same, or there is one alone."""
    found = [_identities(answer) for answer in answers]
    return found[0] if len(found) > 1 and all(each == found[0] for each in found) else {}


def _told(answer: Answer) -> tuple[str, ...]:
    """What is said below the sentence of an answer, where there is anything to say."""
    return (
        words.about_scope(answer),
        words.odds(answer),
        words.about_roles(answer),
        words.about_file(answer),
    )


def _summary(cases: Sequence[Case], run: Run) -> str:
    """How many images came to what, each by itself."""
    found = [outcomes.kind_of(case.answer) for case in cases]
    counts = {told: found.count(kind) for kind, told in outcomes.COUNTED.items()}
    counts["left out"] = len(run.refused)
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{len(cases) + len(run.refused)} images: {told}."


def _numbers(case: Case, percents: Percents) -> Mapping[str, str]:
    """The numbers of an answer; those that cannot be told are left out."""
    answer = case.answer
    why = outcomes.why_unnamed(answer)
    evidence = {
        "Confidence": words.sure_share(outcomes.confidence_of(answer)),
        "p-value": words.chance(answer.p_value, count=answer.null_size),
        "p among all": words.number(case.p_adjusted),
        "None of these": percents.none,
        "Prior": "" if answer.p_value is None else words.percent(answer.prior),
    }
    return {
        **{name: value for name, value in evidence.items() if value},
        **({"No source is named": why} if why else {}),
    }


def shown_groups(answer: Answer) -> list[Group]:
    """The leading groups and all that have a share, sources first, then as the page lists them."""
    sources = {group.id for group in conclusion.sources(answer.groups)}
    told = {group.id for group in conclusion.told_groups(answer)}
    places = {match.image.id: place for place, match in enumerate(answer.matches)}
    last = len(places)
    order = sorted(
        answer.groups,
        key=lambda group: (group.id not in sources, places.get(group.best.image.id, last)),
    )
    return [g for i, g in enumerate(order) if g.influence or g.id in told or i < _LEADING]


def _parts(case: Case) -> dict[str, object]:
    """What makes the scores of the sources: names of the parts, and a row for each source."""
    groups = [group for group in case.answer.groups if group.id in case.score_parts]
    by_source = [
        (group.best, {part.name: part.value for part in case.score_parts[group.id]})
        for group in groups
    ]
    return {
        "names": list(dict.fromkeys(name for _, values in by_source for name in values)),
        "rows": by_source,
    }


def _stable(case: Case, parts: Sequence[Contribution]) -> str:
    """The dimensions that come back in refits and what they add; nothing where none is known to.

    What does not come back stands for nothing by itself.
    """
    judged = case.dimensions
    if judged is None:
        return ""
    back = [part for part in parts if judged.stable[part.dimension]]
    told = ((part, judged.note(part.dimension)) for part in back)
    return ", ".join(
        f"{part.dimension}: {part.value:+.3f}" + (f" ({note})" if note else "")
        for part, note in told
    )
