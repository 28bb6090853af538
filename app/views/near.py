"""What lies near what, on a map and in the whole embedding, in words and captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.views.answer import scored
from app.views.map import Panel
from app.views.names import in_markdown, name_of, number_of
from app.views.scene import Scene
from core.report import words
from core.values import Answer, ImageRecord

_NEAR = 0.05  # share of a gallery's images that count as near a place of the map


def near_words(nearest: Mapping[str, Answer]) -> str:
    """What lies nearest to the visitor's image, under every encoder shown."""
    return " ".join(
        f"{title}: nearest is {in_markdown(name_of(answer.matches[0].image))}, "
        f"{scored(answer.matches[0], answer)}."
        for title, answer in nearest.items()
        if answer.matches
    )


def near_captions(nearest: Mapping[str, Answer]) -> list[str]:
    """Score and name of every nearest image, with its encoder where there are two."""
    several = len(nearest) > 1
    return [
        f"{scored(match, answer)}\n{f'{title}: ' if several else ''}{name_of(match.image)}"
        for title, answer in nearest.items()
        for match in answer.matches
    ]


def near_on_map(panel: Panel, at: Sequence[float], rows: Sequence[int], *, n: int) -> list[int]:
    """Those of some gallery images that are among the nearest 5 % of all to a place of the map.

    Args:
        panel: the map.
        at: the place.
        rows: the images.
        n: images of the gallery; as many as there are rows count as near at least.
    """
    far = np.hypot(*(panel.points[:n] - np.asarray(at, np.float32)).T)
    limit = np.sort(far)[min(_counted(len(rows), n), n) - 1] if n else 0.0
    return [row for row in rows if far[row] <= limit]


def _counted(rows: int, n: int) -> int:
    return max(rows, round(_NEAR * n), 1)


def far_words(panel: Panel, scene: Scene, *, dim: int) -> str:
    """How many of the nearest to the visitor's image lie near it on the map too, and why not all.

    Args:
        panel: the map, with the visitor's image.
        scene: what is on it.
        dim: dimensions of the embedding.
    """
    if panel.you is None or not panel.you.near:
        return ""
    n = len(scene.records)
    row_of = {record.id: row for row, record in enumerate(scene.records)}
    rows = [row_of[image_id] for image_id in panel.you.near]
    near = near_on_map(panel, panel.you.at, rows, n=n)
    within = number_of(_counted(len(rows), n), "image")
    said = (
        f"{len(near)} of its {len(rows)} nearest are also near it on the map, "
        f"among the {within} around it."
    )
    if 2 * len(near) > len(rows):
        return said
    return (
        f"{said} The others are drawn far away: the map puts {dim} dimensions into two and keeps "
        "neighbourhoods, not distances, while the ranking compares every level, edges and palette, "
        "in all of them. Trust the lines, not the length of the way."
    )


def neighbour_words(record: ImageRecord, near: Sequence[tuple[ImageRecord, float]]) -> str:
    """The nearest images to one of the gallery."""
    name = in_markdown(name_of(record))
    if not near:
        return f"{name} has no neighbours here."
    first, cosine = near[0]
    return (
        f"Selected with {name}: its {number_of(len(near), 'nearest image')} by the whole "
        f"embedding. The nearest is {in_markdown(name_of(first))}, cosine {cosine:.2f}."
    )


@dataclass(frozen=True)
class Movers:
    """The images that moved most, and what is said of them."""

    rows: tuple[int, ...]
    """The most first."""
    words: str


def movers(
    shares: np.ndarray, mean_shares: np.ndarray, titles: Sequence[str], *, k: int, top: int
) -> Movers:
    """How far two encoders agree about neighbours, held against chance, and where they agree least.

    Images are ordered by their overlaps over all depths. Of those that are alike even so, which are
    shown is drawn by a fixed seed, and it is said how many they are.

    Args:
        shares: share of every image's k nearest under the first that are so under the second (n).
        mean_shares: the same, as the mean over all depths that are known (n).
        titles: both encoders.
        k: neighbours.
        top: images shown.
    """
    n = len(shares)
    chance = min(k / max(n - 1, 1), 1.0)
    told = (
        f"Of an image's {k} nearest under {titles[0]}, {words.share(float(shares.mean()))} on "
        f"average are among its {k} nearest under {titles[1]}; two encoders that know nothing of "
        f"each other would share {words.share(chance)}. Below are the images that keep fewest, by "
        "the mean over all depths that are known."
    )
    drawn = np.random.default_rng(0).permutation(n)
    rows = drawn[np.argsort(mean_shares[drawn], kind="stable")][:top]
    last = mean_shares[rows[-1]] if len(rows) else 0.0
    alike = int((mean_shares == last).sum())
    shown = int((mean_shares[rows] == last).sum())
    if shown < alike:
        told += f" {shown} of them are drawn at random from {alike:,} that keep equally few."
    return Movers(tuple(rows.tolist()), told)
