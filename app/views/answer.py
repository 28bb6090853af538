"""An answer as it is shown: sentences, captions, shares of influence, and facts of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from app.views.templates import Html, fill
from core.report import words
from core.values import Answer, ImageRecord

_SHADES = 5  # shades of the accent in the bar of shares; later sources share the last

percent, odds = words.share, words.odds


def name_of(record: ImageRecord) -> str:
    """What an image is called on the screen: its title, else its file name without the ending."""
    return record.title or Path(record.path).stem


def headline(answer: Answer) -> str:
    """The answer in one sentence, with its confidence."""
    return words.sentence(answer, name=name_of)


def number_of(count: int, noun: str) -> str:
    """A count and its noun, which takes an s where there is not exactly one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def contenders_of(answer: Answer) -> str:
    """Names of the candidates among which an answer cannot choose."""
    return words.contender_names(answer, name=name_of)


def empty_html(*, size: int) -> Html:
    """What stands in place of an answer before there is one."""
    return fill("empty", size=str(size))


def answer_html(answer: Answer) -> Html:
    """The answer: its sentence, its evidence in plain words, and who shares the influence."""
    return fill(
        "answer",
        headline=headline(answer),
        odds=odds(answer),
        prior=percent(answer.prior),
        influence=Html("") if answer.none is None else _influence(answer, none=answer.none),
    )


def _influence(answer: Answer, *, none: float) -> Html:
    """The bar of shares and its legend; late sources are summed."""
    shares = [(name_of(g.best.image), g.influence) for g in answer.groups if g.influence]
    shown, rest = shares[: _SHADES - 1], shares[_SHADES - 1 :]
    if len(rest) > 1:
        rest = [(f"{len(rest)} more candidates", sum(share for _, share in rest))]
    named = enumerate([*shown, *rest], 1)
    parts = [(f"tone-{i}", name, share) for i, (name, share) in named]
    parts.append(("tone-none", "None of these", none))
    return fill("influence", segments=_joined("segment", parts), legend=_joined("legend", parts))


def label_of(column: str) -> str:
    """What a column of the metadata is called on the screen."""
    return column.replace("_", " ").capitalize()


def shares_html(shares: Mapping[str, float], *, none: float | None) -> Html:
    """Shares of influence by what a column says, and the share of none.

    Args:
        shares: influence by value, "" where nothing is said.
        none: share ascribed to none of the images.
    """
    named = [*((value or "Not stated", share) for value, share in shares.items())]
    rows = [*named, ("None of these", none)]
    filled = (fill("share", name=name, share=percent(share)) for name, share in rows)
    return fill("shares", rows=Html("".join(filled)))


def _joined(template: str, parts: Sequence[tuple[str, str, float]]) -> Html:
    return Html(
        "".join(
            fill(template, tone=tone, name=name, width=f"{100 * share:.2f}", share=percent(share))
            for tone, name, share in parts
        )
    )


def captions(answer: Answer) -> list[str]:
    """One caption for each match: rank, cosine, share of influence, title.

    The share is its group's; only the best image of a group carries it. Titles come last, because
    the page cuts long captions.
    """
    best = {group.best.image.id: group for group in answer.groups}
    lines: list[str] = []
    for rank, match in enumerate(answer.matches, 1):
        group = best.get(match.image.id)
        words = [f"{rank} · cosine {match.cosine:.2f}"]
        if group is None:
            words.append("near-duplicate of one above")
        elif group.influence:
            words.append(f"influence {percent(group.influence)}")
        lines.append("\n".join([*words, name_of(match.image)]))
    return lines


def record_html(record: ImageRecord) -> Html:
    """What is known of a gallery image; its path as the gallery has it, never the server's."""
    rows: list[tuple[str, str]] = [
        ("Title", name_of(record)),
        ("Creator", record.creator),
        ("Licence", record.licence),
        ("Link", _link(record.url)),
        ("Source", record.source),
        ("File", record.path),
        ("Size", f"{record.width} by {record.height} pixels"),
        *((label_of(key), value) for key, value in record.extra.items()),
    ]
    filled = (fill("fact", name=name, value=value) for name, value in rows if value)
    return fill("facts", rows=Html("".join(filled)))


def _link(url: str) -> str:
    """A link where the address is a web address, else the address as text."""
    if urlsplit(url).scheme not in ("http", "https"):
        return url
    return fill("link", url=url)
