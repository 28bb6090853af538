"""Why a source matched, as it is shown: two images with their heat and links, and the score."""

# pyright: reportMissingTypeStubs=false
# plotly brings no stubs

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageColor
from plotly.colors import diverging, sequential

from app.views.factors import likeness_words
from app.views.images import data_uri
from app.views.names import name_of
from app.views.templates import render
from core.report import words
from core.service import SHOWN_SIDE, Likeness, strongest_links
from core.values import Alignment, Answer, CellParts, Explanation, Grid, Group, LevelParts

_VEIL = 0.65  # of the image is covered where the heat is greatest
_LINKS = 8  # links that are drawn

Place = tuple[float, float]
"""A point of an image as shares of its width and height."""


@dataclass(frozen=True)
class _Figure:
    """An image of the pair; places are in units of which its longer side has 100."""

    source: str
    alt: str
    caption: str
    width: float
    height: float
    links: Sequence[Place]


def is_noise(explanation: Explanation, possible: Sequence[str]) -> bool:
    """Whether two images match no better than chance does, so that only they are shown.

    Args:
        explanation: the explanation.
        possible: its :func:`readings`.
    """
    return list(possible) == [PLAIN] and explanation.regions is not None


def pair_html(
    explanation: Explanation,
    images: tuple[Image.Image, Image.Image],
    *,
    reading: str,
    noise: bool = False,
    lacks: str = "",
) -> str:
    """Query and source side by side and over one another, under one reading of where they agree.

    Args:
        explanation: the explanation.
        images: the query's and the source's pixels.
        reading: one of :func:`readings`.
        noise: as of :func:`is_noise`.
        lacks: a reading that was asked for and that there is not.
    """
    heats = _heats(explanation, reading)
    limit = max((float(np.abs(heat).max()) for heat, _ in heats), default=0.0)
    shown = [
        overlay(image, heat, grid=grid, limit=limit, signed=True)
        for image, (heat, grid) in zip(images, heats, strict=False)
    ] or [fitted(image) for image in images]
    names = ("Your image", name_of(explanation.match))
    about = f", {reading.lower()} highlighted" if heats else ""
    figures = [
        _figure(image, name, alt=f"{name}{about}", links=links)
        for image, name, links in zip(shown, names, _linked(explanation, reading), strict=True)
    ]
    return render(
        "pair",
        figures=figures,
        note=_note(explanation, reading, noise=noise, lacks=lacks),
        most=SHOWN_SIDE if any(max(image.size) >= SHOWN_SIDE for image in images) else None,
        over=_laid(explanation.alignment),
        wipe_note=_LAID if explanation.alignment is not None else _NOT_LAID,
    )


_NOISE = "No place of these two images matches better than chance does, so none is marked."
_LAID = "The source is laid where its pixels agree with yours."
_NOT_LAID = (
    "The two do not lie over one another pixel by pixel, so they are compared centre on centre."
)


def _laid(alignment: Alignment | None) -> str:
    """The transform, for a style sheet, that lays a source over its query."""
    if alignment is None:
        return ""
    (high, wide), (down, right) = alignment.scale, alignment.shift
    turned = "scaleX(-1) " if alignment.mirrored else ""
    moved = f"translate({-50 * right / wide:.3f}%, {-50 * down / high:.3f}%)"
    return f"{turned}{moved} scale({1 / wide:.4f}, {1 / high:.4f})"


def _figure(image: Image.Image, caption: str, *, alt: str, links: Sequence[Place]) -> _Figure:
    width, height = (100 * side / max(image.size) for side in image.size)
    places = [(x * width, y * height) for x, y in links]
    return _Figure(data_uri(image), alt, caption, width, height, places)


def _linked(explanation: Explanation, reading: str) -> tuple[Sequence[Place], Sequence[Place]]:
    """Places of the query and of the source that are linked, the strongest first."""
    if reading != MATCHING or explanation.regions is None:
        return (), ()
    links = strongest_links(explanation.regions, count=_LINKS)
    return [link.query for link in links], [link.source for link in links]


MATCHING, PARTS, PLAIN = "Matching places", "Parts of the cosine", "Images only"

_SIGNED = "teal speaks for the match, brown against it."

_NOTES = {
    MATCHING: "Equal numbers mark places that are each other's best match, 1 the strongest; even "
    "backgrounds do not count. Point at one to see its partner.",
    PARTS: f"The cosine split over regions: {_SIGNED}",
    PLAIN: "Without marks.",
}

_ALIKE = {
    "edges": "How alike edges lie and run in the same place of both images, whatever the colours",
}
"""What the cells of a view compare, by its name."""


def reading_of(cells: CellParts) -> str:
    """The reading that shows the cells of a view."""
    return f"Matching {cells.view}"


def _cells_of(explanation: Explanation, reading: str) -> CellParts | None:
    """The cells that a reading shows; nothing where it shows something else."""
    return next((each for each in explanation.cell_parts if reading_of(each) == reading), None)


def _note(explanation: Explanation, reading: str, *, noise: bool, lacks: str) -> str:
    if lacks:
        return f"{lacks}: none here, or none that match better than chance does."
    if noise and reading == PLAIN:
        return _NOISE
    if (cells := _cells_of(explanation, reading)) is not None:
        alike = _ALIKE.get(cells.view, "How alike the same place of both images is")
        return f"{alike}: {_SIGNED} Cosine of the {cells.view} {cells.parts.sum():.2f}."
    if (level := _level_of(explanation, reading)) is not None:
        return f"What {level.level} adds to the cosine, {level.query.sum():.2f}: {_SIGNED}"
    if reading == MATCHING and not _linked(explanation, reading)[0]:
        return "Only even backgrounds match, which does not count."
    return _NOTES[reading]


def reading_of_level(level: LevelParts) -> str:
    """The reading that shows what a level adds."""
    return f"{level.level.capitalize()} alone"


def _level_of(explanation: Explanation, reading: str) -> LevelParts | None:
    """The level that a reading shows; nothing where it shows something else."""
    levels = explanation.level_parts
    return next((each for each in levels if reading_of_level(each) == reading), None)


def readings(explanation: Explanation, group: Group | None, *, level: float) -> list[str]:
    """The readings that an explanation allows, best first; none of what is no better than chance.

    Args:
        explanation: the explanation.
        group: the group of the match; ``None`` where its evidence is not known.
        level: largest p-value at which an aspect counts.
    """
    if group is None or not group.aspects:
        return [PLAIN]
    rare = {aspect.name for aspect in group.aspects if aspect.p_value <= level}
    found: list[str] = []
    if explanation.regions is not None and words.PLACES in rare:
        found.append(MATCHING)
    others = {cells.view for cells in explanation.cell_parts}
    if explanation.query_parts is not None and rare - {words.PLACES, *others}:
        found.append(PARTS)
        levels = explanation.level_parts
        found += [reading_of_level(each) for each in levels if each.level in rare]
    found += [reading_of(cells) for cells in explanation.cell_parts if cells.view in rare]
    return [*found, PLAIN]


def _heats(explanation: Explanation, reading: str) -> list[tuple[np.ndarray, Grid]]:
    """Heat and grid of query and source; none for the plain reading."""
    grid = explanation.grid
    query, source = explanation.query_parts, explanation.source_parts
    if reading == PARTS and grid is not None and query is not None and source is not None:
        return [(query, grid), (source, grid)]
    if (level := _level_of(explanation, reading)) is not None and grid is not None:
        return [(level.query, grid), (level.source, grid)]
    cells = _cells_of(explanation, reading)
    return [] if cells is None else [(cells.parts, cells.grid)] * 2


def fitted(image: Image.Image) -> Image.Image:
    """The image, no larger than it is shown."""
    shown = image.convert("RGB")
    shown.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
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


def levels_html(
    explanation: Explanation, answer: Answer, *, likenesses: Sequence[Likeness] = ()
) -> str:
    """By what the match stands out, by which factors the image looks like it, and its score.

    Args:
        explanation: why the match is one.
        answer: the answer that it is of.
        likenesses: how far the image looks like others by each of the match's factors.
    """
    chosen = (g for g in answer.groups if g.best.image.id == explanation.match.id)
    by = "".join(words.stands_out_by(group, level=answer.level) for group in chosen)
    parts = explanation.score_parts
    longest = max((abs(part.value) for part in parts), default=1.0) or 1.0
    rows = [(part.name.capitalize(), part.value, 100 * abs(part.value) / longest) for part in parts]
    factors = likeness_words(likenesses, level=answer.level)
    total = sum(part.value for part in parts)
    return render("levels", by=by, factors=factors, rows=rows, total=total)
