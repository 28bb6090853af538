"""Whether LanceDB gives the answers of FAISS: ``python -m benchmarks.scale.agreement``.

A gallery that LanceDB searches is asked for the sources of images, with and without a filter, by
its table and by comparing all.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from core.config import ScoreConfig
from core.encoders.load import load_encoder
from core.gallery.gallery import Gallery
from core.images.listing import list_images
from core.search.query import Query
from core.service.heads import choose_head
from core.service.workspace import Workspace
from core.values import Answer

console = Console(width=110)


@dataclass(frozen=True)
class Agreement:
    """How the answers of two engines agree."""

    queries: int
    same_first: float
    """Share of queries whose first source is the same image."""
    same_ten: float
    """Mean share of the first ten of one that the other has too."""
    largest: float
    """Largest difference of the scores of an image that both have among the first ten."""
    milliseconds: tuple[float, float]
    """Of an answer, beyond the forward pass."""


def main() -> None:
    """Print a table of agreements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, help="one that LanceDB searches")
    parser.add_argument("--queries", type=Path, required=True, help="folder of images")
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--where", nargs="*", default=[])
    parser.add_argument("--most", type=int, default=300, help="images asked")
    options = parser.parse_args()
    gallery, encoder = Gallery.open(options.gallery), load_encoder(options.encoder)
    head = choose_head(gallery, encoder, "default")
    lance = Workspace(gallery, encoder, head)
    assert all(view.engine is not None for view in lance.collection.views), "index --engine lance"
    exact = Workspace(gallery, encoder, head, score=ScoreConfig(search="exact"))
    files = list_images(options.queries)
    chosen = files[:: max(len(files) // options.most, 1)][: options.most]
    queries = [lance.query(path) for path in chosen]
    console.print(f"{len(gallery):,} images, {len(queries)} queries")
    columns = ("filter", "first the same", "of ten the same", "scores differ by at most")
    table = Table(*columns, "LanceDB, ms", "FAISS, ms")
    for where in (None, *options.where):
        found = agreement(lance, exact, queries, where=where)
        table.add_row(
            where or "none", f"{found.same_first:.4f}", f"{found.same_ten:.4f}",
            f"{found.largest:.1e}", *(f"{value:.0f}" for value in found.milliseconds),
        )  # fmt: skip
    console.print(table)


def agreement(
    one: Workspace, other: Workspace, queries: Sequence[Query], *, where: str | None = None
) -> Agreement:
    """Ask both the same."""
    first, ten, largest, seconds = 0, 0.0, 0.0, np.zeros(2)
    for query in queries:
        answers: list[Answer] = []
        for place, workspace in enumerate((one, other)):
            start = time.perf_counter()
            answers.append(workspace.attribute(query, top=10, where=where))
            seconds[place] += time.perf_counter() - start
        found, wanted = ({m.image.id: m.score for m in each.matches} for each in answers)
        first += next(iter(found)) == next(iter(wanted))
        both = found.keys() & wanted.keys()
        ten += len(both) / len(wanted)
        largest = max([largest, *(abs(found[image] - wanted[image]) for image in both)])
    n = len(queries)
    spent = seconds / n * 1e3
    return Agreement(n, first / n, ten / n, largest, (float(spent[0]), float(spent[1])))


if __name__ == "__main__":
    main()
