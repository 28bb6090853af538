"""The strongest dimensions of each level, by the rendered images that excite them.

    python -m benchmarks.quality.strongest

Writes docs/strongest.md and a sheet of pictures for each level from the built-in gallery, whose
images are rendered and free: no photograph is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer
from PIL import Image, ImageDraw

from benchmarks.quality.axes import FACTORS
from core.encoders.load import load_encoder
from core.encoders.network import levels_of
from core.explain.contributions import excitement
from core.gallery.gallery import SHIPPED, Gallery
from core.heads.head import Head, random_rotation
from core.measures.factors import explained_variance, factor_codes
from core.service.choice import DEFAULT_ENCODER
from core.service.heads import choose_head

DOCS = Path(__file__).parents[2] / "docs"
COUNT, SHOWN = 20, 6
"""Dimensions of a level on its sheet, and images at each end of a dimension."""

_TILE, _GAP, _LABEL = 56, 4, 260
NO_NAME = "—"
_TURNS = 5
_CHANCE = 0.05
"""Share of dimensions turned at random that would have a name."""


@dataclass(frozen=True)
class Dimension:
    """One row of the sheet."""

    number: int
    energy: float
    """Its share of the squared embedding, mean over the images."""
    name: str
    """Values of the factor that it follows most, at its upper and at its lower end."""
    share: float
    """Share of its variance that the factor explains."""
    most: Integer[np.ndarray, " k"]
    least: Integer[np.ndarray, " k"]


def strongest(
    embeddings: Float[np.ndarray, "n d"],
    factors: Mapping[str, Sequence[str]],
    *,
    span: slice,
    least: float,
) -> list[Dimension]:
    """The leading dimensions of a level, each named by the factor that explains it best.

    Args:
        embeddings: those of the images.
        factors: the value of each factor for every image.
        span: the dimensions of the level, strongest first; energies are shares of its own.
        least: share of variance below which a factor names no dimension; see :func:`by_chance`.
    """
    level = embeddings[:, span]
    energy = (level**2).sum(0) / (level**2).sum()
    shares = explained_variance(level[:, :COUNT], factor_codes(factors))
    rows: list[Dimension] = []
    for place, explained in enumerate(shares):
        factor, share = list(factors)[explained.argmax()], float(explained.max())
        ends = excitement(level, place, count=SHOWN)
        name = _name(level[:, place], factor, factors[factor]) if share > least else NO_NAME
        number = (span.start or 0) + place
        rows.append(Dimension(number, float(energy[place]), name, share, ends.most, ends.least))
    return rows


def by_chance(
    turned: Sequence[Float[np.ndarray, "n d"]], factors: Mapping[str, Sequence[str]], *, span: slice
) -> float:
    """Share of variance that the best factor explains of one in twenty directions of a level.

    Args:
        turned: embeddings in random axes.
        factors: the value of each factor for every image.
        span: the dimensions of the level.
    """
    codes = factor_codes(factors)
    shares = [explained_variance(axes[:, span], codes).max(axis=1) for axes in turned]
    return float(np.quantile(np.concatenate(shares), 1 - _CHANCE))


def sheet(rows: Sequence[Dimension], images: Sequence[Path]) -> Image.Image:
    """A picture with a line for each dimension: its label, its upper end, its lower end."""
    step = _TILE + _GAP
    width = _LABEL + 2 * SHOWN * step + 4 * _GAP
    canvas = Image.new("RGB", (width, len(rows) * step + _GAP), "#ffffff")
    draw = ImageDraw.Draw(canvas)
    for line, row in enumerate(rows):
        top = _GAP + line * step
        name = "no name" if row.name == NO_NAME else row.name
        text = f"dimension {row.number}: {row.energy:.1%} of energy\n{name}"
        draw.multiline_text((_GAP * 2, top + 16), text, fill="#111827", font_size=14)
        for place, image in enumerate((*row.most.tolist(), *row.least.tolist())):
            gap = 4 * _GAP if place >= SHOWN else 0
            with Image.open(images[image]) as opened:
                tile = opened.convert("RGB").resize((_TILE, _TILE), Image.Resampling.LANCZOS)
            canvas.paste(tile, (_LABEL + place * step + gap, top))
    return canvas


def _name(values: Float[np.ndarray, " n"], factor: str, labels: Sequence[str]) -> str:
    groups, member = np.unique(np.asarray(labels), return_inverse=True)
    means = np.bincount(member, weights=values) / np.bincount(member)
    return f"{factor}: {groups[means.argmax()]} / {groups[means.argmin()]}"


def main() -> None:
    """Write the sheets and their tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    options = parser.parse_args()
    gallery = Gallery.open(SHIPPED, read_only=True)
    encoder = load_encoder(options.encoder)
    features = gallery.features(encoder)
    head, infomax = (choose_head(gallery, encoder, name) for name in ("default", "infomax"))
    factors = {name: [record.extra[name] for record in gallery.records] for name in FACTORS}
    turned = [random_rotation(head, seed=s)(features, role="gallery") for s in range(_TURNS)]
    spans = [dimensions for _, dimensions in head.spans]
    least = [by_chance(turned, factors, span=span) for span in spans]

    def levels(fitted: Head) -> list[list[Dimension]]:
        embeddings = fitted(features, role="gallery")
        return [
            strongest(embeddings, factors, span=span, least=share)
            for span, share in zip(spans, least, strict=True)
        ]

    found = {"as it ships": levels(head), "Infomax": levels(infomax)}
    names = [level.name for level in levels_of(encoder)]
    (DOCS / "plots").mkdir(exist_ok=True)
    paths = [gallery.root / record.path for record in gallery.records]
    for name, rows in zip(names, found["as it ships"], strict=True):
        sheet(rows, paths).save(DOCS / "plots" / _file(name), quality=75)
    summary = "\n".join(
        f"| {name} | {share:.0%} | {' | '.join(map(_named, rows))} |"
        for name, share, *rows in zip(names, least, *found.values(), strict=True)
    )
    sections = "\n".join(map(_section, names, found["as it ships"]))
    (DOCS / "strongest.md").write_text(
        f"""# The strongest dimensions

{encoder.name} with {head.name}: the {COUNT} leading dimensions of each level, those of the largest
variance of the features, by the images of the built-in gallery ({len(gallery)} rendered ones) at
their upper end (left) and lower end (right). A dimension is named by the factor of the rendered
world whose values explain most of its variance, with the value of the highest and of the lowest
mean. It has no name (`{NO_NAME}`) where that is no more than in one of twenty directions of the
level drawn at random ({_TURNS} turns): a backdrop that fills the picture moves every direction. The
shares are adjusted for the number of values. The names were read off these images: they describe,
and predict nothing.

How many of the {COUNT} have a name, and the median of the variance that the best factor explains;
one of {COUNT} would have one by chance. Infomax turns the same space; its leading dimensions are
those of the largest kurtosis, which few images excite.

| level | needed for a name | {" | ".join(found)} |
|---|---|{"---|" * len(found)}
{summary}

{sections}
`python -m benchmarks.quality.strongest` writes this page.
""",
        encoding="utf-8",
    )


def _named(rows: Sequence[Dimension]) -> str:
    named = sum(row.name != NO_NAME for row in rows)
    return f"{named} of {len(rows)}, {np.median([row.share for row in rows]):.0%}"


def _section(level: str, rows: Sequence[Dimension]) -> str:
    table = "\n".join(
        f"| {row.number} | {row.energy:.1%} | {row.name} | {row.share:.0%} |" for row in rows
    )
    return f"""## {level.capitalize()}

![The strongest dimensions of {level}](plots/{_file(level)})

| dimension | energy | named by its images | variance explained |
|---|---|---|---|
{table}
"""


def _file(level: str) -> str:
    return f"strongest-{level.replace(' ', '-')}.webp"


if __name__ == "__main__":
    main()
