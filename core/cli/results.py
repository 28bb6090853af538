"""Answers, findings and evaluations as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from core.cli.console import print_table, show
from core.evidence.words import (
    TOO_FEW,
    about_file,
    known,
    none_share,
    number,
    odds,
    points_text,
    sentence,
    share,
    sources,
    stands_out_by,
    why_none,
)
from core.images.files import write_json
from core.measures.evaluate import Evaluation
from core.measures.reports import MEASURES
from core.measures.retrieval import Cell
from core.measures.variations.ways import WAYS
from core.service.reverse import Finding
from core.service.selftest import Trial
from core.values import Answer

_MATCH = ("rank", "id", "path", "cosine", "score", "p", "confidence", "influence")


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
    if why := why_none(answer):
        show(why)
    if rarity := odds(answer):
        show(rarity)
    if answer.notes:
        show(about_file(answer))
    if p_adjusted is not None:
        show(f"p adjusted for the number of images: {p_adjusted:.3g}")
    print_table(_MATCH, _matches(answer), wide={"path"})
    if (rest := none_share(answer)) is None:
        return
    for group in sources(answer.groups):
        image = group.best.image
        show(f"{known(image.path, image)}: {stands_out_by(group, level=answer.level)}")
    for column, sums in (shares or {}).items():
        rows = [*((value or "not stated", part) for value, part in sums.items())]
        summed = [(value, share(part)) for value, part in (*rows, ("none of these", rest))]
        print_table((column, "influence"), summed, wide={column})


def _matches(answer: Answer) -> Iterator[tuple[str, ...]]:
    """The rows of the table of matches."""
    groups = {group.id: group for group in answer.groups}
    for rank, match in enumerate(answer.matches, 1):
        group, image = groups[match.group], match.image
        numbers = (f"{match.cosine:.3f}", points_text(match, answer), number(group.p_value))
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
