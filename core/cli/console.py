"""What the command line shows: progress and messages on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeVar

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from core.evidence.words import (
    TOO_FEW,
    about_file,
    known,
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
from core.values import Answer, GalleryError, ImageError, Progress, WellspringError

T = TypeVar("T")
messages = Console(stderr=True, markup=False, emoji=False, highlight=False)
results = Console(
    width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160,
    markup=False,
    emoji=False,
    highlight=False,
)
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Controls, what ends a line or turns the direction of writing, and bytes that are no text.
_FOLDED = 16  # cells that a text needs which may be folded
_MATCH = ("rank", "id", "path", "cosine", "score", "p", "confidence", "influence")
_said: set[str] = set()


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Streams that take every text, whatever their encoding, and that a reader may close."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue]
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed at the end
        if not isinstance(error, BrokenPipeError):
            say(f"error: {error}", style="red")
        raise SystemExit(1) from error


@contextlib.contextmanager
def reporting(*, quiet: bool = False) -> Iterator[Progress]:
    """A progress callback shown as a bar; errors of ours and of files end with status 1.

    Args:
        quiet: shows no bar, as in all but the first of several processes.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    try:
        left = TimeRemainingColumn()
        with (
            _warnings(),
            Bar(*columns, left, console=messages, transient=True, disable=quiet) as bar,
        ):
            task = bar.add_task("starting", total=None)

            def show(done: int, total: int, what: str) -> None:
                bar.update(task, completed=done, total=total, description=plain(what))

            yield show
    except BrokenPipeError:
        raise
    except (WellspringError, OSError) as error:
        say(f"error: {error}", style="red")
        if isinstance(error, GalleryError) and error.command:
            say(f"try: {shlex.join(('python', '-m', 'core', *error.command))}")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        say("stopped; what was finished is kept, and the same command goes on with it")
        raise typer.Exit(1) from error


@contextlib.contextmanager
def _warnings() -> Iterator[None]:
    """Say what the core warns of, and nothing that is said already."""
    _said.clear()
    handler, log = logging.Handler(logging.WARNING), logging.getLogger("core")
    handler.emit = lambda record: say_once(record.getMessage())
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def say(message: str, *, style: str | None = None) -> None:
    """Print a message on one line."""
    messages.print(plain(message), style=style, soft_wrap=True)


def left_out(name: str, reason: object) -> None:
    """Say that a file was left out, unless that was said already."""
    say_once(f"left out {name!r}: {reason}")


def each_image(
    images: Sequence[Path], work: Callable[[Path], T], *, others: bool = False
) -> list[tuple[Path, T | ImageError]]:
    """What is made of each image; of those that are refused the reason, said as it comes up.

    Args:
        images: the images.
        work: what is done with each.
        others: whether the command has anything else to work on.

    Raises:
        ImageError: when there is nothing but one image, and it is refused.
    """
    found: list[tuple[Path, T | ImageError]] = []
    for path in images:
        try:
            found.append((path, work(path)))
        except ImageError as error:
            if len(images) == 1 and not others:
                raise
            left_out(str(path), error)
            found.append((path, error))
    return found


def fail_if(refused: object) -> None:
    """End with status 1 where something was refused."""
    if refused:
        raise typer.Exit(1)


def say_once(message: str) -> None:
    """Print a message on one line, unless this command has printed it already."""
    if message not in _said:
        _said.add(message)
        say(message)


def plain(text: str) -> str:
    """Text that changes nothing of a terminal but the place it stands in.

    Control characters, escape sequences, marks of the direction of writing and bytes of a file name
    that are no text are written as Python would write them.
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def show(text: str, *, style: str | None = None) -> None:
    """Print a line of a result, as long as it is."""
    results.print(plain(text), style=style, soft_wrap=True)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    wide: Container[str] = (),
    title: str | None = None,
) -> None:
    """Print a table; where the terminal is too narrow for one, line by line.

    Args:
        columns: names of the columns.
        rows: their texts.
        wide: columns whose texts may be folded.
        title: what stands above.
    """
    texts = [[plain(text) for text in row] for row in rows]
    table, needed = Table(title=title and plain(title)), 1
    for name, *cells in zip(columns, *texts, strict=True):
        longest = max(map(cell_len, (name, *cells)))
        needed += 3 + (min(longest, _FOLDED) if name in wide else longest)
        table.add_column(plain(name), no_wrap=name not in wide, overflow="fold")
    if needed <= results.width:
        for row in texts:
            table.add_row(*row)
        results.print(table)
        return
    if title:
        show(title)
    for row in texts:
        for name, text in zip(columns, row, strict=True):
            if text:
                results.print(plain(f"{name}: {text}"))
        results.print()


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
    show(query, style="bold")
    show(sentence(answer))
    if rarity := odds(answer):
        show(rarity)
    if answer.notes:
        show(about_file(answer))
    if p_adjusted is not None:
        show(f"p adjusted for the number of images: {p_adjusted:.3g}")
    print_table(_MATCH, _matches(answer), wide={"path"})
    if answer.none is None:
        return
    for group in sources(answer.groups):
        image = group.best.image
        show(f"{known(image.path, image)}: {stands_out_by(group, level=answer.level)}")
    for column, sums in (shares or {}).items():
        rows = [*((value or "not stated", part) for value, part in sums.items())]
        summed = [(value, share(part)) for value, part in (*rows, ("none of these", answer.none))]
        print_table((column, "influence"), summed, wide={column})


def _matches(answer: Answer) -> Iterator[tuple[str, ...]]:
    """The rows of the table of matches."""
    groups = {group.id: group for group in answer.groups}
    for rank, match in enumerate(answer.matches, 1):
        group, image = groups[match.group], match.image
        numbers = (f"{match.cosine:.3f}", f"{match.score:.3f}", number(group.p_value))
        parts = (share(group.confidence), share(group.influence or None))
        yield (str(rank), str(image.id), known(image.path, image), *numbers, *parts)


def print_trials(trials: Sequence[tuple[str, Trial]]) -> None:
    """Print variations of images, whether each was traced, and the share that was, by way."""
    rows: list[tuple[str, ...]] = []
    for name, trial in trials:
        traced = "yes" if trial.found else "first, not certain" if trial.first else "no"
        absent = "wrong image" if trial.false else "right"
        title = WAYS[trial.way].title
        rows.append((name, title, traced, number(trial.present.p_value), absent))
    columns = ("image", "made by", "traced to it", "p", "without it")
    print_table(columns, rows, wide={"image", "made by"})
    found, wrong = (sum(getattr(t, what) for _, t in trials) for what in ("found", "false"))
    show(
        f"{found} of {len(trials)} variations are traced to their image; without it {wrong} are "
        "traced to one that took no part"
    )


def print_findings(findings: Sequence[Finding], *, rate: float) -> None:
    """Print the pairs that are named, and how many of all pairs they are."""
    if any(found.p_value is None for found in findings):
        show(TOO_FEW)
        return
    named = [found for found in findings if found.named]
    rows: list[tuple[str, ...]] = []
    for found in named:
        p_values = (number(found.p_value, ".3g"), number(found.p_adjusted, ".3g"))
        rows.append((found.generated, found.source, *p_values, number(found.score, ".3f")))
    columns = ("generated image", "source", "p", "adjusted p", "score")
    if named:
        print_table(columns, rows, wide={"generated image", "source"})
    show(f"{len(named)} of {len(findings)} pairs are named at a false-discovery rate of {rate:g}")


def print_cells(title: str, cells: Sequence[Cell]) -> None:
    """A results table: one row a source and column, measures across."""
    measures = list(dict.fromkeys(cell.measure for cell in cells))
    rows: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.source, cell.column), []).append(cell)
    texts: list[tuple[str, ...]] = []
    for (source, column), found in rows.items():
        count = f"{found[0].interval.queries} ({found[0].interval.clusters})"
        numbers = [
            f"{c.interval.mean:.3f} [{c.interval.low:.3f}, {c.interval.high:.3f}]" for c in found
        ]
        texts.append((source, column, count, *numbers))
    columns = ("source", "column", "queries (clusters)", *measures)
    print_table(columns, texts, wide={"source", "column"}, title=title)


def print_evaluation(found: Evaluation, *, split: str) -> None:
    """Tables of an evaluation for people."""
    size = f"{split} pairs, {found.gallery_images} images ranked"
    print_cells(f"Recall and precision with 95 % intervals; {size}", found.table())
    rows: list[tuple[str, ...]] = []
    numbers = {name: _merged(reports) for name, reports in found.measures.items()}
    for key in dict.fromkeys(key for values in numbers.values() for key in values):
        title = MEASURES[key].title if key in MEASURES else key
        cells = (f"{values[key]:.4g}" if key in values else "" for values in numbers.values())
        rows.append((title, *cells))
    columns = ("measure", *found.measures)
    print_table(columns, rows, wide=columns, title="Measures of the embeddings")
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
