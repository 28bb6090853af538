"""Answers, findings and evaluations as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from core.cli.console import print_table, show
from core.config import AnswerConfig
from core.evidence.conclusion import sources, told_groups
from core.evidence.outcomes import sentence
from core.evidence.percents import Percents
from core.evidence.words import (
    TOO_FEW,
    about_file,
    about_roles,
    about_scope,
    noting_gone,
    number,
    odds,
    points_text,
    share,
    stands_out_by,
    sure_share,
    why_none,
)
from core.images.files import write_json
from core.measures.evaluate import Evaluation
from core.measures.reports import MEASURES
from core.measures.retrieval import Cell
from core.measures.variations.ways import WAYS
from core.report.trials import held, traced
from core.service.reverse import Finding
from core.service.selftest import Trial
from core.service.trials import Verdict, by_confidence, by_way, tally_of, verdict_of
from core.values import Answer, ImageRecord

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
    about = about_roles(answer, name=_path)
    for told in (about_scope(answer), why_none(answer), odds(answer), about, about_file(answer)):
        if told:
            show(told)
    if p_adjusted is not None:
        show(f"p adjusted for the number of images: {p_adjusted:.3g}")
    print_table(_MATCH, _matches(answer), wide={"path"})
    for group in told_groups(answer):
        show(f"{_path(group.best.image)}: {stands_out_by(group, level=answer.level)}")
    if not sources(answer.groups):
        return
    percents = Percents(answer)
    for column, sums in (shares or {}).items():
        rows = [(value or "not stated", part) for value, part in percents.by_value(sums).items()]
        rows.append(("none of these", percents.none))
        print_table((column, "influence"), rows, wide={column})


def _path(record: ImageRecord) -> str:
    return noting_gone(record.path, record)


def _matches(answer: Answer) -> Iterator[tuple[str, ...]]:
    """The rows of the table of matches."""
    groups, percents = {group.id: group for group in answer.groups}, Percents(answer)
    for rank, match in enumerate(answer.matches, 1):
        group, image = groups[match.group], match.image
        numbers = (f"{match.cosine:.3f}", points_text(match, answer), number(group.p_value))
        parts = (sure_share(group.confidence), percents.of(group) if group.influence else "")
        yield (str(rank), str(image.id), _path(image), *numbers, *parts)


def print_trials(trials: Sequence[tuple[str, Trial]]) -> None:
    """Print variations of images, whether each was traced, and what all of them come to."""
    rows: list[tuple[str, ...]] = []
    verdicts = [(name, verdict_of(trial)) for name, trial in trials]
    for name, found in verdicts:
        absent = "wrong image" if found.false else "right"
        numbers = (sure_share(found.confidence), number(found.p_value))
        rows.append((name, WAYS[found.way].title, traced(found), *numbers, absent))
    columns = ("image", "made by", "with it", "confidence", "p", "without it")
    print_table(columns, rows, wide={"image", "made by"})
    for name, taken_out in {name: found.taken_out for name, found in verdicts}.items():
        if taken_out:
            show(f"{name}: {held(taken_out)}")
    print_summary([verdict for _, verdict in verdicts])


def print_summary(verdicts: Sequence[Verdict]) -> None:
    """Print recall and false answers by way, and confidence against outcome."""
    tallies = {WAYS[way].title: tally for way, tally in by_way(verdicts).items()}
    if len(tallies) > 1:
        tallies["all"] = tally_of(verdicts)
    columns = ("made by", "trials", "traced", "recall", "first", "false without it")
    rows = [
        (name, str(t.trials), str(t.found), share(t.found / t.trials), str(t.first), str(t.false))
        for name, t in tallies.items()
    ]
    print_table(columns, rows, wide={"made by"})
    if bands := by_confidence(verdicts):
        said = [
            (
                b.word,
                str(b.claims),
                str(b.right),
                str(b.partner),
                share(b.right / b.claims),
                sure_share(b.mean),
            )
            for b in bands
        ]
        columns = ("said", "times", "right", "by the one mixed in", "share", "mean confidence")
        print_table(columns, said)
    whole = tally_of(verdicts)
    show(
        f"{whole.found} of {whole.trials} variations are traced to their image; without it "
        f"{whole.false} are traced to one that took no part"
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
    level = AnswerConfig().level
    alone = sum(not each.named and (each.p_value or 1) <= level for each in findings)
    if alone:
        show(f"{alone} more by themselves, at p ≤ {level:g}, but not among so many")


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
        "without": len(next(iter(found.pools.values()))) - len(found.pairs),
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
