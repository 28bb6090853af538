"""What the self-test finds along its dial: ``python -m benchmarks.evidence.selftest PHOTOS``.

Photographs that are in no gallery are taken as if they were in the one that comes with the program;
of each a variation is made in every way and traced, with the photograph there and without. Every
trial is kept, so that a stopped measurement goes on where it was and one of more photographs makes
those alone that are new. What the page shows beside the dial is a copy of the counts, made at the
end and by ``--ship`` alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from scipy.stats import binomtest

from app.views.dial import MEASURED
from benchmarks.quality.study import digest, stored, write
from benchmarks.quality.tables import markdown
from core.cli.console import results
from core.images.files import write_bytes
from core.images.listing import list_images
from core.measures.variations import patches, pixels, ways
from core.measures.variations.ways import WAYS
from core.service.choice import Choice
from core.service.selftest import MOVERS, SelfTest, selftest
from core.service.session import Session

BARS = {"patches": 0.95}
"""Least share that is to be traced at the middle of the dial; of other ways, .85."""
MOST_FALSE = 0.05
"""Largest share that may be traced to an image that took no part."""
LEAST_UNLIKE = 0.5
"""Least share of which the 8 x 8 thumbnail is not to find the image at the middle of the dial."""
MOST_SECONDS = 10.0
"""Longest that a variation may take on two cores; held to even on one."""
DIAL = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Case:
    """What came of one photograph, one way, and one place of the dial."""

    way: str
    far: float
    file: str
    found: bool
    """Whether the photograph is among the sources."""
    first: bool
    false: bool
    """Whether an image that took no part is, without the photograph."""
    thumbnail: bool
    """Whether the 8 x 8 thumbnail does not find the photograph first."""
    seconds: float
    """Of a processor, to make the variation and to trace it twice: what else runs adds nothing."""


@dataclass(frozen=True)
class Row:
    """One way at one place of the dial."""

    way: str
    far: float
    images: int
    found: int
    """Variations whose image is among the sources."""
    first: int
    false: int
    """Variations traced to an image that took no part, without the original."""
    thumbnail: int
    """Variations of which the 8 x 8 thumbnail does not find the image first."""
    seconds: float
    """Of a processor; median of a variation and its two answers."""


class Cases:
    """Cases that are kept in a file, one a line; what a stop cut short is left out."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._known = path, dict[tuple[str, float, str], Case]()
        for line in path.read_text().splitlines() if path.is_file() else ():
            try:
                self._keep(Case(**json.loads(line)))
            except (ValueError, TypeError):
                continue

    def get(self, way: str, far: float, file: str) -> Case | None:
        """A case that is known."""
        return self._known.get((way, far, file))

    def add(self, case: Case) -> None:
        """Keep a case."""
        self._keep(case)
        with self.path.open("a") as file:
            file.write(f"\n{json.dumps(asdict(case))}")

    def _keep(self, case: Case) -> None:
        self._known[case.way, case.far, case.file] = case


class Asked:
    """Photographs that are asked for, each opened once it is needed."""

    def __init__(self, session: Session, folder: Path, *, encoder: str) -> None:
        self.session, self.folder, self.encoder = session, folder, encoder

    def case(self, file: Path, way: str, far: float, *, seed: int) -> Case:
        """Make a variation, trace it, and compare thumbnails."""
        test, plain = self._test(file, self.encoder), self._test(file, "thumbnail").fuller
        begin = time.process_time()
        trial = test.run(way, far=far, seed=seed)
        seconds = time.process_time() - begin
        ranking = plain.collection.rank(plain.query(trial.variation), k=1)
        return Case(
            way,
            far,
            self.name(file),
            found=trial.found,
            first=trial.first,
            false=trial.false,
            thumbnail=int(ranking.rows[0]) != len(plain.gallery),
            seconds=round(seconds, 2),
        )

    def name(self, file: Path) -> str:
        """A photograph's path below its folder."""
        return file.relative_to(self.folder).as_posix()

    def key(self) -> str:
        """Names what cases depend on: encoder, gallery, and the code that makes variations."""
        workspace = self.session.workspace(Choice(self.encoder))
        code = [Path(str(each.__file__)).read_text() for each in (ways, pixels, patches)]
        parts = (workspace.encoder.identity, workspace.head.identity, workspace.null.identity)
        return digest(*parts, *MOVERS, *code)

    def _test(self, file: Path, encoder: str) -> SelfTest:
        return selftest(self.session, file, Choice(encoder), name=file.name)


def main() -> None:
    """Make, trace, print, and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    photos = "folder of photographs that are in no gallery"
    parser.add_argument("photos", type=Path, nargs="?", help=photos)
    parser.add_argument("--ship", action="store_true", help="only copy the counts to the page")
    parser.add_argument("--each", type=int, default=200, help="photographs")
    parser.add_argument("--skip", type=int, default=0, help="of them, to choose settings on others")
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--dial", nargs="*", type=float, default=DIAL)
    parser.add_argument("--encoder", default=Choice().encoder)
    parser.add_argument("--cache", type=Path, default=Path("galleries/measured"))
    options = parser.parse_args()
    if options.ship:
        return ship()
    if options.photos is None:
        parser.error("name the folder of photographs")
    files = list_images(options.photos)
    drawn = np.random.default_rng(0).permutation(len(files)).tolist()
    chosen = {
        seed: files[drawn[seed]] for seed in range(len(files))[options.skip :][: options.each]
    }
    asked = Asked(Session(), options.photos, encoder=options.encoder)
    cases = Cases(options.cache / "selftest" / f"{asked.key()}.jsonl")
    rows = [
        row_of(measure(asked, cases, way, far, chosen))
        for way in options.ways
        for far in options.dial
    ]
    if not options.skip:
        rows = merged(stored("selftest"), rows, key=asked.key())
        head = {"encoder": options.encoder, "key": asked.key()}
        write("selftest", head | {"rows": [asdict(row) for row in rows]})
        ship()
    show(rows)
    return None


def ship(to: Path = MEASURED) -> None:
    """Copy the counts that are stored to where the page reads them."""
    found = stored("selftest")
    assert found is not None
    names = ("way", "far", "images", "found")
    rows = [json.dumps({name: row[name] for name in names}) for row in found["rows"]]
    text = f'{{"encoder": {json.dumps(found["encoder"])}, "rows": [\n' + ",\n".join(rows) + "\n]}\n"
    write_bytes(to, text.encode())


def merged(known: Mapping[str, Any] | None, rows: Sequence[Row], *, key: str) -> list[Row]:
    """Rows beside those that are written already, of the same code and of no fewer images."""
    found = {(row.way, row.far): row for row in rows}
    if known is not None and known.get("key") == key:
        for row in (Row(**row) for row in known["rows"]):
            mine = found.get((row.way, row.far))
            if mine is None or mine.images < row.images:
                found[row.way, row.far] = row
    places = list(WAYS)
    return sorted(found.values(), key=lambda row: (places.index(row.way), row.far))


def measure(
    asked: Asked, cases: Cases, way: str, far: float, chosen: Mapping[int, Path]
) -> list[Case]:
    """Cases of photographs by their seeds; those that are not known yet are made and kept."""
    found = list[Case]()
    for seed, file in track(chosen.items(), description=f"{way}, {far:.0%}"):
        case = cases.get(way, far, asked.name(file))
        if case is None:
            case = asked.case(file, way, far, seed=seed)
            cases.add(case)
        found.append(case)
    return found


def row_of(cases: Sequence[Case]) -> Row:
    """The counts of one way at one place of the dial."""
    return Row(
        cases[0].way,
        cases[0].far,
        len(cases),
        found=sum(case.found for case in cases),
        first=sum(case.first for case in cases),
        false=sum(case.false for case in cases),
        thumbnail=sum(case.thumbnail for case in cases),
        seconds=round(float(np.median([case.seconds for case in cases])), 1),
    )


def failures(row: Row) -> list[str]:
    """Bars that a row at the middle of the dial does not reach."""
    holds = {
        "traced": row.found >= BARS.get(row.way, 0.85) * row.images,
        "false": row.false <= MOST_FALSE * row.images,
        "thumbnail": row.thumbnail >= LEAST_UNLIKE * row.images,
        "seconds": row.seconds <= MOST_SECONDS,
    }
    return [name for name, held in holds.items() if not held]


def show(rows: Sequence[Row]) -> None:
    """Tables of the shares at the middle of the dial, where bars hold, and all along it."""
    middle = [
        [
            WAYS[row.way].title,
            str(row.images),
            *(share(count, row.images) for count in (row.found, row.first, row.false)),
            share(row.thumbnail, row.images),
            f"{row.seconds:.1f}",
            ", ".join(failures(row)) or "none",
        ]
        for row in rows
        if row.far == 0.5
    ]
    heading = ["way", "images", "traced to it", "first", "false without it"]
    heading += ["the 8 x 8 thumbnail fails", "CPU seconds", "bars missed"]
    results.print(markdown([heading, *middle]), soft_wrap=True, markup=False)
    along = {row.way: ["" for _ in DIAL] for row in rows}
    for row in rows:
        if row.far in DIAL:
            text = f"{row.found / row.images:.2f}, {row.thumbnail / row.images:.2f} ({row.images})"
            along[row.way][DIAL.index(row.far)] = text
    heading = ["traced, thumbnail fails (images)", *(f"{far:.0%}" for far in DIAL)]
    lines = [[WAYS[way].title, *texts] for way, texts in along.items()]
    results.print("\n" + markdown([heading, *lines]), soft_wrap=True, markup=False)


def share(count: int, images: int) -> str:
    """A share, and its exact 95 % interval (Clopper and Pearson 1934)."""
    low, high = binomtest(count, images).proportion_ci()
    return f"{count / images:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
