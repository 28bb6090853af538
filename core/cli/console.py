"""What the command line shows: progress and messages on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from core.values import GalleryError, ImageError, Progress, WellspringError

T = TypeVar("T")
for _name in ("stdout", "stderr"):
    if getattr(sys, _name) is None:  # closed by whoever started the program
        setattr(sys, _name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - kept
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
_INTERRUPTED = 130  # the status of what SIGINT ends: 128 and its number
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

    An interrupt ends with 130, as for a shell.

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
        raise typer.Exit(_INTERRUPTED) from error


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
