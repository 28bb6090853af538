"""What the self-test finds along its dial: ``python -m benchmarks.evidence.selftest PHOTOS``.

Photographs that are in no gallery are taken as if they were in the one that comes with the program;
of each a variation is made in every way and traced, with the photograph there and without.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.progress import track
from rich.table import Table

from benchmarks.quality.study import write
from core.cli.console import results
from core.images.listing import list_images
from core.measures.variations.ways import WAYS
from core.service.choice import Choice
from core.service.selftest import Trial, selftest
from core.service.session import Session

BARS = {"patches": 0.95}
"""Least share that is to be traced at the middle of the dial; of other ways, .85."""
MOST_FALSE = 0.05
"""Largest share that may be traced to an image that took no part."""
DIAL = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Row:
    """One way at one place of the dial."""

    way: str
    far: float
    images: int
    found: float
    """Share of variations whose image is among the sources."""
    first: float
    false: float
    """Share traced to an image that took no part, without the original."""
    thumbnail: float
    """Share of which the 8 x 8 thumbnail does not find the image first."""


def main() -> None:
    """Make, trace, print, and write the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder of photographs that are in no gallery")
    parser.add_argument("--each", type=int, default=200, help="photographs")
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--dial", nargs="*", type=float, default=DIAL)
    parser.add_argument("--encoder", default=Choice().encoder)
    options = parser.parse_args()
    files = list_images(options.photos)
    drawn = np.random.default_rng(0).permutation(len(files))[: options.each]
    session, rows = Session(), list[Row]()
    for way in options.ways:
        for far in options.dial:
            chosen = [files[i] for i in drawn]
            trials = list(_trials(session, chosen, way, far, encoder=options.encoder))
            rows.append(_row(way, far, trials))
    write("selftest", {"encoder": options.encoder, "rows": [asdict(row) for row in rows]})
    show(rows)


def _trials(
    session: Session, files: Sequence[Path], way: str, far: float, *, encoder: str
) -> Iterator[tuple[Trial, bool]]:
    """Trials of every file, and whether thumbnails find the file first."""
    for seed, file in enumerate(track(files, description=f"{way}, {far:.0%}")):
        trial = selftest(session, file, Choice(encoder), name=file.name).run(
            way, far=far, seed=seed
        )
        plain = selftest(session, file, Choice("thumbnail"), name=file.name).fuller
        ranking = plain.collection.rank(plain.query(trial.variation), k=1)
        yield trial, int(ranking.rows[0]) == len(plain.gallery)


def _row(way: str, far: float, trials: Sequence[tuple[Trial, bool]]) -> Row:
    def share(values: Sequence[bool]) -> float:
        return round(float(np.mean(values)), 3)

    return Row(
        way,
        far,
        len(trials),
        found=share([trial.found for trial, _ in trials]),
        first=share([trial.first for trial, _ in trials]),
        false=share([trial.false for trial, _ in trials]),
        thumbnail=share([not found for _, found in trials]),
    )


def show(rows: Sequence[Row]) -> None:
    """A table of the shares; bars hold at the middle of the dial."""
    table = Table("way", "far", "images", "traced", "first", "false", "thumbnail fails", "holds")
    for row in rows:
        wanted = BARS.get(row.way, 0.85)
        holds = row.found >= wanted and row.false <= MOST_FALSE
        shares = (f"{v:.3f}" for v in (row.found, row.first, row.false, row.thumbnail))
        middle = str(holds) if row.far == 0.5 else ""
        table.add_row(WAYS[row.way].title, f"{row.far:.2f}", str(row.images), *shares, middle)
    results.print(table)


if __name__ == "__main__":
    main()
