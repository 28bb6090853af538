"""From the core's values to what is shown: sentences, captions, HTML, overlays and figures.

HTML comes from the templates in ``assets/app``; every value put into one is escaped unless it is
:class:`Html` itself.
"""

# pyright: reportMissingTypeStubs=false
# plotly brings no stubs

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import numpy as np
import plotly.graph_objects as go
from PIL import Image, ImageColor
from plotly.colors import diverging, sequential

from core.values import Answer, Explanation, Grid, Group, ImageRecord

_ASSETS = Path(__file__).parents[1] / "assets" / "app"
_POSITIVE, _NEGATIVE = "#2a9d93", "#b9792c"
_GREY, _LINE = "#7b8a86", "rgba(128,140,137,0.25)"
_SHADES = 5  # shades of the accent in the bar of shares; later sources share the last
_VEIL = 0.65  # of the image is covered where the heat is greatest
_SHOWN_SIDE = 640  # longer side of an image as it is sent, pixels


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def fill(template: str, **values: str) -> Html:
    """A template of ``assets/app`` with its places filled; what is not :class:`Html` is escaped."""
    safe = {k: v if isinstance(v, Html) else html.escape(v) for k, v in values.items()}
    return Html(_template(template).substitute(safe))


@cache
def _template(name: str) -> Template:
    return Template((_ASSETS / f"{name}.html").read_text(encoding="utf-8"))


def name_of(record: ImageRecord) -> str:
    """What an image is called on the screen: its title, else its file name without the ending."""
    return record.title or Path(record.path).stem


def percent(share: float) -> str:
    """A share for reading: never a rounded 0 % or 100 % that is not exactly that."""
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %")


def headline(answer: Answer, *, size: int) -> str:
    """The answer in one sentence, with its confidence.

    Args:
        answer: the answer.
        size: number of images in the gallery.
    """
    sources = _sources(answer)
    if not sources:
        return f"None of the {size} images stands out as a source."
    sure = percent(sources[0].confidence)
    first = name_of(sources[0].best.image)
    if len(sources) == 1:
        return f"Candidate source: {first}, with {sure} confidence."
    return f"{len(sources)} candidate sources, first {first} with {sure} confidence."


def odds(p_value: float) -> str:
    """A p-value in plain words.

    Raises:
        ValueError: when it is not in (0, 1].
    """
    if not 0 < p_value <= 1:
        raise ValueError(f"p_value must be in (0, 1], got {p_value}")
    often = f"about 1 in {round(1 / p_value)}" if p_value < 0.1 else f"about {percent(p_value)}"
    return (
        f"Of images whose source is not in this gallery, {often} score this high "
        f"(p = {p_value:.2g})."
    )


def empty_html(*, size: int) -> Html:
    """What stands in place of an answer before there is one."""
    return fill("empty", size=str(size))


def answer_html(answer: Answer, *, size: int) -> Html:
    """The answer: its sentence, its evidence in plain words, and who shares the influence.

    Args:
        answer: the answer.
        size: number of images in the gallery.
    """
    shares = [(name_of(group.best.image), group.influence) for group in _sources(answer)]
    shown, rest = shares[: _SHADES - 1], shares[_SHADES - 1 :]
    if len(rest) > 1:
        rest = [(f"{len(rest)} more candidates", sum(share for _, share in rest))]
    named = enumerate([*shown, *rest], 1)
    parts = [(f"tone-{i}", name, share) for i, (name, share) in named]
    parts.append(("tone-none", "None of these", answer.none))
    return fill(
        "answer",
        headline=headline(answer, size=size),
        odds=odds(answer.p_value),
        segments=_joined("segment", parts),
        legend=_joined("legend", parts),
    )


def _joined(template: str, parts: Sequence[tuple[str, str, float]]) -> Html:
    return Html(
        "".join(
            fill(template, tone=tone, name=name, width=f"{100 * share:.2f}", share=percent(share))
            for tone, name, share in parts
        )
    )


def _sources(answer: Answer) -> list[Group]:
    """The groups that share in the influence."""
    return [group for group in answer.groups if group.influence > 0]


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
        *((key.replace("_", " ").capitalize(), value) for key, value in record.extra.items()),
    ]
    filled = (fill("fact", name=name, value=value) for name, value in rows if value)
    return fill("facts", rows=Html("".join(filled)))


def _link(url: str) -> str:
    """A link where the address is a web address, else the address as text."""
    if urlsplit(url).scheme not in ("http", "https"):
        return url
    return fill("link", url=url)


def pair_html(
    explanation: Explanation, images: tuple[Image.Image, Image.Image], *, reading: str
) -> Html:
    """Query and source side by side, under one reading of where they agree.

    Args:
        explanation: the explanation.
        images: the query's and the source's pixels.
        reading: one of :func:`readings`.
    """
    heats = _heats(explanation, reading)
    limit = max((float(np.abs(heat).max()) for heat, _ in heats), default=0.0)
    shown = [
        overlay(image, heat, grid=grid, limit=limit, signed=reading == PARTS)
        for image, (heat, grid) in zip(images, heats, strict=False)
    ] or [fitted(image) for image in images]
    names = ("Your image", name_of(explanation.match))
    about = "" if reading == PLAIN else f", {reading.lower()} highlighted"
    figures = [
        fill("figure", source=_data_uri(image), alt=f"{name}{about}", caption=name)
        for image, name in zip(shown, names, strict=True)
    ]
    return fill("pair", query=figures[0], source=figures[1], note=_NOTES[reading])


MATCHING, PARTS, PLAIN = "Matching patches", "Parts of the cosine", "Images only"

_NOTES = {
    MATCHING: "Bright where patches of the two images are each other's best match.",
    PARTS: "The cosine split over regions: teal speaks for the match, brown against it.",
    PLAIN: "Without a heatmap.",
}


def readings(explanation: Explanation) -> list[str]:
    """The readings that an explanation allows, best first."""
    found = [MATCHING] if explanation.regions is not None else []
    if explanation.query_parts is not None and explanation.source_parts is not None:
        found.append(PARTS)
    return [*found, PLAIN]


def _heats(explanation: Explanation, reading: str) -> list[tuple[np.ndarray, Grid]]:
    """Heat and grid of query and source; none for the plain reading."""
    regions, grid = explanation.regions, explanation.grid
    if reading == MATCHING and regions is not None:
        return [
            (regions.query_heat, regions.query_grid),
            (regions.source_heat, regions.source_grid),
        ]
    query, source = explanation.query_parts, explanation.source_parts
    if reading == PARTS and grid is not None and query is not None and source is not None:
        return [(query, grid), (source, grid)]
    return []


def fitted(image: Image.Image) -> Image.Image:
    """The image, no larger than it is shown."""
    shown = image.convert("RGB")
    shown.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    return shown


def overlay(
    image: Image.Image, heat: np.ndarray, *, grid: Grid, limit: float, signed: bool
) -> Image.Image:
    """An image, greyed, with heat blended over it in a perceptual colour map.

    Args:
        image: RGB image.
        heat: value of every patch (p,).
        grid: the grid that the patches stand on; it covers the whole image.
        limit: magnitude that gets the full colour.
        signed: whether negative values count, on a diverging map.
    """
    pixels = np.asarray(fitted(image), np.float32)
    height, width = pixels.shape[:2]
    cells = Image.fromarray(heat.reshape(grid.rows, grid.columns).astype(np.float32))
    field = np.asarray(cells.resize((width, height), Image.Resampling.BICUBIC))
    level = np.clip(field / max(limit, 1e-12), -1 if signed else 0, 1)
    stops = _colours(tuple(diverging.BrBG) if signed else tuple(sequential.Inferno[3:-2]))
    at = (level + 1) / 2 if signed else level
    places = np.linspace(0, 1, len(stops))
    colour = np.stack([np.interp(at, places, stops[:, i]) for i in range(3)], axis=-1)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    base = 0.25 * pixels + 0.6 * grey[..., None]
    alpha = _VEIL * (np.abs(level) ** 0.75)[..., None]
    return Image.fromarray((base * (1 - alpha) + colour * alpha).clip(0, 255).astype(np.uint8))


@cache
def _colours(stops: tuple[str, ...]) -> np.ndarray:
    """Colours (s, 3) of a colour map's stops."""
    return np.array([ImageColor.getrgb(stop)[:3] for stop in stops], np.float32)


def _data_uri(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=90)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def contribution_bars(explanation: Explanation, *, count: int = 16) -> go.Figure:
    """Bars of the largest parts of the cosine, signed.

    Args:
        explanation: the explanation.
        count: bars at most.
    """
    parts = explanation.contributions[:count]
    bars = go.Bar(
        x=[part.value for part in parts],
        y=[f"dim {part.dimension}" for part in parts],
        orientation="h",
        marker_color=[_POSITIVE if part.value >= 0 else _NEGATIVE for part in parts],
        marker_line_width=0,
        hovertemplate="%{y}: %{x:+.4f}<extra></extra>",
    )
    layout = go.Layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _GREY, "size": 12, "family": "system-ui, sans-serif"},
        margin={"l": 64, "r": 12, "t": 4, "b": 44},
        height=56 + 22 * max(len(parts), 4),
        bargap=0.35,
        dragmode=False,
        xaxis={"title": {"text": "part of the cosine"}, "gridcolor": _LINE, "zerolinecolor": _GREY},
        yaxis={"autorange": "reversed", "fixedrange": True, "ticksuffix": "  "},
    )
    return go.Figure(bars, layout)


def contribution_words(explanation: Explanation, *, count: int = 16) -> str:
    """What the bars add up to."""
    parts = explanation.contributions[:count]
    cosine = round(explanation.cosine, 3)
    total = round(sum(part.value for part in parts), 3)
    return (
        f"Cosine {cosine:.3f} in all: these {len(parts)} dimensions add {total:+.3f}, "
        f"all others {cosine - total:+.3f}."
    )


def dimension_choices(explanation: Explanation, *, count: int = 16) -> list[tuple[str, int]]:
    """Label and number of the dimensions that the bars show."""
    return [
        (f"Dimension {part.dimension} ({part.value:+.3f})", part.dimension)
        for part in explanation.contributions[:count]
    ]
