"""The strongest dimensions of the default encoder, by the rendered images that excite them.

    python -m benchmarks.quality.strongest

Writes docs/plots/strongest.webp and docs/strongest.md from the built-in gallery, whose images
are rendered and free: no photograph is shown.
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
from core.explain.contributions import excitement
from core.gallery.gallery import SHIPPED, Gallery
from core.measures.factors import explained_variance, factor_codes
from core.service.choice import DEFAULT_ENCODER
from core.service.heads import choose_head

DOCS = Path(__file__).parents[2] / "docs"
COUNT, SHOWN = 20, 6
"""Dimensions on the sheet, and images at each end of a dimension."""

_TILE, _GAP, _LABEL = 72, 4, 300
_LEAST = 0.05  # share of variance below which a factor does not name a dimension


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
    embeddings: Float[np.ndarray, "n d"], factors: Mapping[str, Sequence[str]]
) -> list[Dimension]:
    """Dimensions of the largest energy, each named by the factor that explains it best."""
    energy = (embeddings**2).mean(0)
    energy = energy / energy.sum()
    chosen = np.argsort(-energy)[:COUNT].tolist()
    shares = explained_variance(embeddings[:, chosen], factor_codes(factors))
    rows: list[Dimension] = []
    for number, explained in zip(chosen, shares, strict=True):
        factor, share = list(factors)[explained.argmax()], float(explained.max())
        ends = excitement(embeddings, number, count=SHOWN)
        name = _name(embeddings[:, number], factor, factors[factor]) if share > _LEAST else "—"
        rows.append(Dimension(number, float(energy[number]), name, share, ends.most, ends.least))
    return rows


def sheet(rows: Sequence[Dimension], images: Sequence[Path]) -> Image.Image:
    """A picture with a line for each dimension: its label, its upper end, its lower end."""
    step = _TILE + _GAP
    width = _LABEL + 2 * SHOWN * step + 4 * _GAP
    canvas = Image.new("RGB", (width, len(rows) * step + _GAP), "#ffffff")
    draw = ImageDraw.Draw(canvas)
    for line, row in enumerate(rows):
        top = _GAP + line * step
        text = f"dimension {row.number}: {row.energy:.1%} of energy\n{row.name}"
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
    """Write the sheet and its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--head", default="default", help="as in `python -m core attribute`")
    options = parser.parse_args()
    gallery = Gallery.open(SHIPPED, read_only=True)
    encoder = load_encoder(options.encoder)
    head = choose_head(gallery, encoder, options.head)
    embeddings = head(gallery.features(encoder), role="gallery")
    factors = {name: [record.extra[name] for record in gallery.records] for name in FACTORS}
    rows = strongest(embeddings, factors)
    (DOCS / "plots").mkdir(exist_ok=True)
    paths = [gallery.root / record.path for record in gallery.records]
    sheet(rows, paths).save(DOCS / "plots" / "strongest.webp", quality=80)
    table = "\n".join(
        f"| {row.number} | {row.energy:.1%} | {row.name} | {row.share:.0%} |" for row in rows
    )
    (DOCS / "strongest.md").write_text(
        f"""# The strongest dimensions

{encoder.name} with {head.name}: the {COUNT} dimensions that carry the most of the embeddings of the
built-in gallery ({len(gallery)} rendered images), by the images at their upper end (left) and lower
end (right). A dimension is named by the factor of the rendered world whose values explain most of
its variance, with the value of the highest and of the lowest mean; `—` where none explains
{_LEAST:.0%}. The shares are adjusted for the number of values. The names were read off these
images: they describe, and predict nothing.

![The strongest dimensions](plots/strongest.webp)

| dimension | energy | named by its images | variance explained |
|---|---|---|---|
{table}

`python -m benchmarks.quality.strongest` writes this page.
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
