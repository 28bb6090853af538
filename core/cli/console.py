"""What the command line shows: progress and messages on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from core.evidence.words import (
    TOO_FEW,
    number,
    odds,
    sentence,
    share,
    sources,
    stands_out_by,
)
from core.images.files import write_json
from core.measures.evaluate import Evaluation
from core.measures.reports import MEASURES
from core.measures.retrieval import Cell
from core.measures.variations.ways import WAYS
from core.service.reverse import Finding
from core.service.selftest import Trial
from core.values import Answer, Progress, WellspringError

messages = Console(stderr=True)
results = Console(width=None if sys.stdout.isatty() else 160)


@contextlib.contextmanager
def reporting(*, quiet: bool = False) -> Iterator[Progress]:
    """A progress callback shown as a bar; errors of ours and of files end with status 1.

    Args:
        quiet: shows no bar, as in all but the first of several processes.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        left = TimeRemainingColumn()
        with Bar(*columns, left, console=messages, transient=True, disable=quiet) as bar:
            task = bar.add_task("starting", total=None)

            def show(done: int, total: int, what: str) -> None:
                bar.update(task, completed=done, total=total, description=what)

            yield show
    except (WellspringError, OSError) as error:
        say(f"error: {error}", style="red")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        say("stopped; what was finished is kept, and the same command goes on with it")
        raise typer.Exit(1) from error


def say(message: str, *, style: str | None = None) -> None:
    """Print a message unchanged: file names in it are not read as markup."""
    messages.print(message, style=style, highlight=False, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """A result for machines, on one stream of its own."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")  # in ASCII, whatever the terminal takes


def print_answer(
    query: str,
    answer: Answer,
    *,
    p_adjusted: float | None = None,
    shares: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """An answer for people."""
    results.print(_plain(query), style="bold", highlight=False, markup=False)
    results.print(sentence(answer), highlight=False, markup=False)
    if rarity := odds(answer):
        results.print(rarity, highlight=False, markup=False)
    if p_adjusted is not None:
        results.print(f"p adjusted for the number of images: {p_adjusted:.3g}", highlight=False)
    table = Table("rank", "path", "cosine", "score", "p", "confidence", "influence")
    groups = {group.id: group for group in answer.groups}
    for rank, match in enumerate(answer.matches, 1):
        group = groups[match.group]
        numbers = (f"{match.cosine:.3f}", f"{match.score:.3f}", number(group.p_value))
        parts = (share(group.confidence), share(group.influence or None))
        table.add_row(str(rank), escape(match.image.path), *numbers, *parts)
    results.print(table)
    if answer.none is None:
        return
    for group in sources(answer.groups):
        by = stands_out_by(group, level=answer.level)
        results.print(_plain(f"{group.best.image.path}: {by}"), highlight=False, markup=False)
    for column, sums in (shares or {}).items():
        rows = [*((value or "not stated", part) for value, part in sums.items())]
        summed = Table(column, "influence")
        for value, part in (*rows, ("none of these", answer.none)):
            summed.add_row(escape(value), share(part))
        results.print(summed)


def print_trials(trials: Sequence[tuple[str, Trial]]) -> None:
    """Print variations of images, whether each was traced, and the share that was, by way."""
    table = Table("image", "made by", "traced to it", "p", "without it")
    for name, trial in trials:
        traced = "yes" if trial.found else "first, not certain" if trial.first else "no"
        absent = "wrong image" if trial.false else "right"
        title = WAYS[trial.way].title
        table.add_row(escape(_plain(name)), title, traced, number(trial.present.p_value), absent)
    results.print(table)
    found, wrong = (sum(getattr(t, what) for _, t in trials) for what in ("found", "false"))
    results.print(
        f"{found} of {len(trials)} variations are traced to their image; without it {wrong} are "
        "traced to one that took no part",
        highlight=False,
    )


def print_findings(findings: Sequence[Finding], *, rate: float) -> None:
    """Print the pairs that are named, and how many of all pairs they are."""
    if any(found.p_value is None for found in findings):
        results.print(TOO_FEW, highlight=False)
        return
    named = [found for found in findings if found.named]
    table = Table("generated image", "source", "p", "adjusted p", "score")
    for found in named:
        names = (escape(_plain(found.generated)), escape(_plain(found.source)))
        p_values = (number(found.p_value, ".3g"), number(found.p_adjusted, ".3g"))
        table.add_row(*names, *p_values, number(found.score, ".3f"))
    if named:
        results.print(table)
    results.print(
        f"{len(named)} of {len(findings)} pairs are named at a false-discovery rate of {rate:g}",
        highlight=False,
    )


def _plain(text: str) -> str:
    """Text that every terminal can print; bytes of a file name that are no text become ``?``."""
    return text.encode(errors="replace").decode()


def print_cells(title: str, cells: Sequence[Cell]) -> None:
    """A results table: one row a source and column, measures across."""
    measures = list(dict.fromkeys(cell.measure for cell in cells))
    table = Table("source", "column", "queries (clusters)", *measures, title=title)
    rows: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.source, cell.column), []).append(cell)
    for (source, column), found in rows.items():
        count = f"{found[0].interval.queries} ({found[0].interval.clusters})"
        numbers = [
            f"{c.interval.mean:.3f} [{c.interval.low:.3f}, {c.interval.high:.3f}]" for c in found
        ]
        table.add_row(source, column, count, *numbers)
    results.print(table)


def print_evaluation(found: Evaluation, *, split: str) -> None:
    """Tables of an evaluation for people."""
    size = f"{split} pairs, {found.gallery_images} images ranked"
    print_cells(f"Recall and precision with 95 % intervals; {size}", found.table())
    measured = Table("measure", *found.measures, title="Measures of the embeddings")
    numbers = {name: _merged(reports) for name, reports in found.measures.items()}
    for key in dict.fromkeys(key for values in numbers.values() for key in values):
        title = MEASURES[key].title if key in MEASURES else key
        cells = (f"{values[key]:.4g}" if key in values else "" for values in numbers.values())
        measured.add_row(title, *cells)
    results.print(measured)
    if len(found.results) > 1:
        print_cells(f"Paired differences; {size}", found.differences())


def write_evaluation(found: Evaluation, path: Path, *, split: str) -> None:
    """An evaluation for machines."""
    value = {
        "split": split,
        "gallery_images": found.gallery_images,
        "table": _cell_objects(found.table()),
        "differences": _cell_objects(found.differences()),
        "measures": {name: _merged(reports) for name, reports in found.measures.items()},
        "queries": [
            {"generated": pair.generated, "source": pair.source, "generator": pair.generator}
            | {name: values[i].tolist() for name, values in found.results.items()}
            for i, pair in enumerate(found.pairs)
        ],
    }
    write_json(path, value)


def _merged(reports: Iterable[object]) -> dict[str, float]:
    """The single numbers of several reports; of equal names, the first."""
    found: dict[str, float] = {}
    for report in reports:
        for field in fields(report):  # pyright: ignore[reportArgumentType]
            if isinstance(value := getattr(report, field.name), int | float):
                found.setdefault(field.name, float(value))
    return found


def _cell_objects(cells: Sequence[Cell]) -> list[dict[str, object]]:
    return [
        {"source": c.source, "column": c.column, "measure": c.measure, **asdict(c.interval)}
        for c in cells
    ]
