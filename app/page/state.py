"""The page that all tabs stand on: its gallery, its encoders, and the image that is asked about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import gradio as gr

from app.page.errors import user_errors
from app.page.jobs import Jobs
from app.page.pictures import serve_thumbnails
from app.page.visitor import visitor_of
from core.service import (
    DEFAULT_ENCODER,
    LONGEST_FILTER,
    Choice,
    Gallery,
    Session,
    encoder_infos,
    filter_columns,
    parse_filter,
)
from core.values import FilterError, GalleryError

HEADS = [
    ("Default for the encoder", "default"),
    ("Whitened", "whiten"),
    ("Independent components", "infomax"),
    ("Centred", "center"),
    ("None", "identity"),
]
"""Heads that can be chosen: label and name."""

WELCOME = "welcome"
"""By whom what a page opens with is asked about; a tab's own image is not undone by it."""

FIRST_TAB = "attribute"
"""The tab that is open where the address names none."""


class PageQuery(NamedTuple):
    """The image that is asked about, and with what."""

    image: str | None
    encoder: str
    by: str = ""
    """The tab that told it, which does not take it over, or ``WELCOME``."""


class Marked(NamedTuple):
    """A gallery image that one tab asks the map to show."""

    image_id: int
    image: str | None
    """The query that it is a match of."""
    label: str
    """What it is called on the map."""
    number: int
    """Counts the askings, so that the same can be asked twice."""


class Sought(NamedTuple):
    """Gallery images of which it is asked what was made from them."""

    image_ids: tuple[int, ...]
    picture: str
    """File of the first one's thumbnail."""
    number: int
    """Counts the askings."""


Opening = Callable[[Sequence[str], str], gr.Dropdown]
"""A choice as the page opens, by the gallery's encoders and the one that the address names."""


@dataclass(frozen=True)
class Page:
    """What the tabs of one page have in common."""

    session: Session
    gallery: gr.State
    """Name of the gallery that is looked at; the tabs follow its changes."""
    start: str
    """The gallery's name when the page opens."""
    encoders: tuple[str, ...]
    """Encoders of that gallery."""
    encoder: str
    """The encoder chosen at first."""
    insisted: bool
    """Whether the program was started with just this encoder."""
    example: gr.Number
    """Place of the example that is the query, counted from 1; 0 for none. The address follows."""
    asked: gr.State
    """What was asked last in any tab, as :class:`PageQuery`; ``None`` before."""
    where: gr.Textbox
    """Which images may be sources, as it is written; laid out by Attribute."""
    filter: gr.Textbox
    """The last of it that could be read; Compare asks with it, and the address follows."""
    tab: gr.State
    """Name of the tab that is open."""
    jobs: Jobs
    """Long work under way."""
    changed: gr.State
    """Changes when images of the gallery that is looked at were added, removed, or opted out."""
    prepared: gr.State
    """Changes when an encoder has come to describe the gallery."""
    marked: gr.State
    """What the map is asked to show, as :class:`Marked`; ``None`` before."""
    before: gr.State
    """Number of the page that this one is instead of, where it was loaded anew; it is set once the
    gallery is known."""
    sought: gr.State
    """What Attribute is asked to look for in generated images, as :class:`Sought`."""
    linked: list[gr.Dropdown] = field(default_factory=list[gr.Dropdown])
    """Choices of an encoder that the page's address sets and follows."""
    others: list[tuple[gr.Dropdown, Opening]] = field(
        default_factory=list[tuple[gr.Dropdown, Opening]]
    )
    """All other ones, and what they offer when the page opens."""

    def gallery_of(self, name: str, request: gr.Request) -> Gallery:
        """A gallery by its name, as whoever asks may see it.

        Raises:
            gr.Error: when it cannot be opened, in words.
        """
        with user_errors():
            return self.session.gallery(name, visitor=visitor_of(request))


def open_page(session: Session, *, gallery: str, encoder: str | None) -> Page:
    """The page over a gallery, inside the current Blocks.

    Args:
        session: opens encoders and galleries.
        gallery: ``builtin`` or, when not hosted, a folder.
        encoder: the encoder chosen at first; the program's default where the gallery has it.

    Raises:
        GalleryError: when the gallery cannot be opened, or has no features of the encoder.
    """
    encoders = tuple(session.gallery(gallery).encoder_names)
    if not session.server.hosted or gallery == "builtin":
        serve_thumbnails(session, gallery)
    jobs = Jobs()
    jobs.stop_when_left()
    return Page(
        session=session,
        gallery=gr.State(gallery),
        start=gallery,
        encoders=encoders,
        encoder=first_encoder(encoders, encoder),
        insisted=encoder is not None,
        example=gr.Number(0, precision=0, visible=False),
        asked=gr.State(None),
        where=_where(session, gallery),
        filter=gr.Textbox("", visible=False),
        tab=gr.State(FIRST_TAB),
        jobs=jobs,
        changed=gr.State(0),
        prepared=gr.State(0),
        marked=gr.State(None),
        before=gr.State(""),
        sought=gr.State(None),
    )


def filter_help(gallery: Gallery) -> str:
    """What a filter looks like, with the columns that it may name."""
    columns = ", ".join(filter_columns(gallery.records))
    return (
        "Only these may be sources. Compare a column by =, !=, contains, is filled or is not "
        f"filled; join by and. Columns: {columns}"
    )


def wrong_filter(where: str, gallery: Gallery) -> str:
    """Why a filter cannot be used; empty where it can, or where there is none."""
    try:
        if where.strip():
            parse_filter(where, gallery.records).passing(gallery.records)
    except FilterError as error:
        return str(error)
    return ""


def _where(session: Session, gallery: str) -> gr.Textbox:
    """The line that a filter is written in."""
    return gr.Textbox(
        "",
        label="Only images with",
        info=filter_help(session.gallery(gallery)),
        placeholder="licence = CC0 and creator != Ann",
        max_lines=1,
        max_length=LONGEST_FILTER,
        submit_btn=True,
        render=False,
        elem_id="ws-where",
    )


def first_encoder(encoders: Sequence[str], wanted: str | None = None) -> str:
    """The encoder chosen at first: the wanted one, the program's default, or any.

    Raises:
        GalleryError: when the wanted one is not among them.
    """
    if wanted is None:
        wanted = DEFAULT_ENCODER if DEFAULT_ENCODER in encoders else next(iter(encoders), "any")
    if wanted not in encoders:
        have = ", ".join(encoders) or "none"
        raise GalleryError(f"the gallery has no features of encoder {wanted!r}; it has: {have}")
    return wanted


def compared(page: Page, encoders: Sequence[str], *, left: str = "") -> tuple[str, str]:
    """Two encoders to be compared at first: MoCo and DINO where both describe the gallery.

    Two that the owner named come before all; of several, one that the owner named and those of
    others' training come before ours. An encoder that is wanted on the left, or that the program
    was told, stands there.
    """
    if not page.insisted and left not in encoders:
        chosen = named_by_owner(page, encoders)
        if len(chosen) > 1:
            return chosen[0], chosen[1]
        infos = [info for info in encoder_infos() if info.name in encoders]
        infos.sort(key=lambda info: (info.name not in chosen, info.kind == "bundled"))
        first = [
            next((info.name for info in infos if info.method == method), None)
            for method in ("MoCo", "DINO")
        ]
        if first[0] and first[1]:
            return first[0], first[1]
    if left not in encoders:
        left = page.encoder if page.encoder in encoders else first_encoder(encoders)
    others = [name for name in ("dino", "moco", "random") if name in encoders and name != left]
    return left, next(iter([*others, *(name for name in encoders if name != left)]), left)


def encoder_choices(names: Sequence[str]) -> list[tuple[str, str]]:
    """Title and name of encoders, for a dropdown."""
    titles = {info.name: info.title for info in encoder_infos()}
    return [(titles.get(name, name), name) for name in names]


def side_names(choices: Sequence[Choice]) -> tuple[str, str]:
    """What the two sides are called: encoders, with their heads where these differ."""
    titles = [encoder_choices([choice.encoder])[0][0] for choice in choices]
    if choices[0].head != choices[1].head:
        labels = {name: label for label, name in HEADS}
        titles = [
            f"{title} ({labels.get(choice.head, choice.head).lower()})"
            for title, choice in zip(titles, choices, strict=True)
        ]
    return titles[0], titles[1]


def offered_choices(names: Sequence[str], *, none: bool = False) -> list[tuple[str, str]]:
    """Title and name of all encoders, those of a gallery first; others have to be prepared.

    Args:
        names: encoders of the gallery.
        none: whether none may be chosen, as the empty text.
    """
    others = [i for i in encoder_infos() if i.kind != "baseline" and i.name not in names]
    short = [info.title.partition(" (")[0] for info in others]  # the offer has all of it
    offered = [
        (f"{t} \N{MIDDLE DOT} to prepare", i.name) for t, i in zip(short, others, strict=True)
    ]
    return [*([("None", "")] if none else []), *encoder_choices(names), *offered]


def named_by_owner(page: Page, encoders: Sequence[str]) -> list[str]:
    """Encoders that the owner named and that are ready; none where the program was told one."""
    named = page.session.server.encoders
    return [] if page.insisted else [name for name in named if name in encoders]
