"""An answer as it is shown: sentences, captions, shares of influence, and facts of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.views.names import label_of, name_of, unbroken
from app.views.templates import render
from core.config import AnswerConfig
from core.report import Percents, conclusion, is_web_address, outcomes, words
from core.service import OPEN_DATASETS
from core.values import Answer, Group, ImageRecord, Match

_COPIED = 5  # matches in the text of an answer
_SHADES = 5  # shades of the accent in the bar of shares; later sources share the last


def headline(answer: Answer) -> str:
    """The answer in one sentence, with its confidence."""
    return outcomes.sentence(answer, name=name_of)


def matches_title(answer: Answer) -> str:
    """What an answer's matches are called: sources only where some stand out."""
    return "Candidate sources" if conclusion.has_sources(answer) else "Closest images"


def contenders_of(answer: Answer) -> str:
    """Names of the candidates among which an answer cannot choose."""
    return words.contender_names(answer, name=name_of)


def empty_html(*, size: int) -> str:
    """What is shown before there is an answer from a gallery of a size."""
    return render("empty", of="answer", size=size)


def unanswered_html() -> str:
    """What is shown where a search for an image ended without an answer."""
    return render("empty", of="unanswered")


def settings_words(encoder: str, head: str, *, where: str | None, prior: float) -> str:
    """With what many images were asked for: what is chosen meanwhile changes nothing of it.

    Args:
        encoder: title of the encoder.
        head: title of the head; empty where it is the usual one.
        where: the filter, if there was one.
        prior: probability of a source before the images were seen.
    """
    told = [f"By {encoder}", head, f"only images with {where}" if where else ""]
    usual = prior == AnswerConfig().prior
    told.append("" if usual else f"prior {words.percent(prior)}")
    return f"{', '.join(filter(None, told))}."


def asked_words(encoder: str, where: str | None) -> str:
    """With what an answer was asked for that is still shown.

    Args:
        encoder: title of the encoder.
        where: the filter, if there was one.
    """
    among = f"only images with {where}" if where else "all images"
    return f"This is the answer before: by {encoder}, {among}."


@dataclass(frozen=True)
class _Part:
    """A part of the bar of shares."""

    tone: str
    name: str
    share: float
    told: str
    """The share in words."""


def answer_html(answer: Answer, *, known: str = "", before: str = "") -> str:
    """The answer: its sentence, who shares the influence, what to do next, and how sure it is.

    Args:
        answer: the answer.
        known: what is known of the query's sources; empty where nothing is.
        before: with what it was asked for, where that is not what is chosen now.
    """
    too_few = conclusion.outcome(answer) == "too few"
    return render(
        "answer",
        before=before,
        headline=headline(answer),
        text=answer_text(answer),
        known=known,
        scope=words.about_scope(answer),
        roles=words.about_roles(answer, name=name_of),
        odds="" if too_few else words.odds(answer),
        why=words.odds(answer) if too_few else words.why_none(answer),
        file=words.about_file(answer),
        datasets=OPEN_DATASETS if too_few or conclusion.outcome(answer) == "none" else (),
        prior=answer.prior,
        parts=_parts(answer),
    )


def answer_text(answer: Answer) -> str:
    """The answer as plain text, to be pasted elsewhere: no path and nothing of the query's file."""
    roles = words.about_roles(answer, name=name_of)
    said = [headline(answer), words.about_scope(answer), words.odds(answer), roles]
    lines = [" ".join(filter(None, said)), ""]
    sources = conclusion.sources(answer.groups)
    percents = Percents(answer)
    shares = {group.best.image.id: percents.of(group) for group in sources}
    for rank, match in enumerate(answer.matches[:_COPIED], 1):
        image, found = match.image, words.points(match, answer)
        about = [image.creator, image.licence, image.url]
        about.append("" if found is None else f"score {found} of 100")
        about.append(f"share of influence {share}" if (share := shares.get(image.id)) else "")
        lines.append("; ".join(filter(None, [f"{rank}. {name_of(image)}", *about])))
    if percents.none:
        lines.append(f"None of these: {percents.none}")
    lines += ["", f"Gallery {answer.gallery}, encoder {answer.encoder}, head {answer.head}"]
    lines.append("A candidate source is evidence to look at, not proof.")
    return "\n".join(lines)


def _parts(answer: Answer) -> list[_Part]:
    """The sources and their shares, late ones summed, and the share of none; none without one."""
    percents = Percents(answer)
    if not percents.none:
        return []
    groups = [group for group in answer.groups if group.influence]
    parted = [[group] for group in groups[: _SHADES - 1]]
    if rest := groups[_SHADES - 1 :]:
        parted.append(rest)
    parts = [
        _Part(
            f"tone-{i}",
            _called(part, alone=len(groups) == 1),
            sum(group.influence or 0.0 for group in part),
            percents.of(*part),
        )
        for i, part in enumerate(parted, 1)
    ]
    return [*parts, _Part("tone-none", "None of these", answer.none or 0.0, percents.none)]


def _called(part: Sequence[Group], *, alone: bool) -> str:
    """What a part of the bar is called; of a source that is alone the title stands above."""
    if len(part) > 1:
        return f"{len(part)} more candidates"
    return "The candidate source" if alone else name_of(part[0].best.image)


def shares_html(shares: Mapping[str, float], answer: Answer) -> str:
    """Shares of influence by what a column says, and the share of none.

    Args:
        shares: influence by value, "" where nothing is said.
        answer: the answer that they are of.
    """
    percents = Percents(answer)
    told = percents.by_value(shares)
    named = [(value or "Not stated", share) for value, share in told.items()]
    return render("shares", rows=[*named, ("None of these", percents.none)])


def captions(answer: Answer) -> list[str]:
    """One caption for each match: rank, points (the cosine without a scale), influence, title.

    The share is its group's; only the best image of a group carries it. Titles come last, because
    the page cuts long captions.
    """
    best, percents = {group.best.image.id: group for group in answer.groups}, Percents(answer)
    lines: list[str] = []
    for rank, match in enumerate(answer.matches, 1):
        group = best.get(match.image.id)
        line = [f"{rank} · {scored(match, answer)}"]
        if group is None:
            line.append("near-duplicate of one above")
        elif group.influence:
            line.append(f"influence {unbroken(percents.of(group))}")
        lines.append("\n".join([*line, name_of(match.image)]))
    return lines


def scored(match: Match, answer: Answer) -> str:
    """The number that ranks a match, in words; its cosine where there is no scale."""
    points = words.points(match, answer)
    return f"cosine {match.cosine:.2f}" if points is None else f"{points} of 100"


def record_html(record: ImageRecord, *, title: bool = True) -> str:
    """What is known of a gallery image; its path as the gallery has it, never the server's.

    Args:
        record: the image.
        title: whether its title is among it, and not above it.
    """
    rows = [
        ("Title", name_of(record) if title else ""),
        ("Creator", record.creator),
        ("Licence", record.licence),
        ("Link", record.url),
        ("Source", record.source),
        ("File", record.path),
        ("Size", f"{record.width} by {record.height} pixels"),
        *((label_of(key), value) for key, value in record.extra.items()),
    ]
    link = record.url if is_web_address(record.url) else None
    return render("facts", rows=rows, link=link)
