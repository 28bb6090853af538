"""What ten million to a billion images would take: ``python -m benchmarks.scale.plan``.

Lines are fitted to what ``benchmarks.scale.capacity`` stored of at most 80,000 images, checked at
the larger size that it measured; the plan extrapolates from lines through all sizes, and from the
stages that ``benchmarks.scale`` stored. Prices, and how many images a GPU encodes, are inputs:
nothing here has measured or looked them up.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from benchmarks.pages import write_table
from benchmarks.scale.table import PAGE, extrapolated, results, shown

COMMAND = "python -m benchmarks.scale.plan"
FITTED = 80_000
"""Images of the largest gallery that the lines are fitted to which are checked."""
SIZES = (10_000_000, 100_000_000, 1_000_000_000)
_HOUR, _MONTH = 3_600, 730  # seconds; hours
_FIGURES = {
    "manifest written": "s",
    "manifest opened": "s",
    "manifest bytes": "bytes",
    "table written": "s",
    "table bytes": "bytes",
    "indexed": "s",
    "index bytes": "bytes",
    "exact answer": "s",
    "answer": "s",
    "answer p95": "s",
}
_PER_ANSWER = ("answer", "index")  # stages that finishing a gallery has not


@dataclass(frozen=True)
class Inputs:
    """What is assumed, not measured."""

    date: str = "28 November 2026"
    """When the prices were assumed."""
    machine: float = 0.8
    """Euros an hour of a machine."""
    gpu: float = 2.5
    """Euros an hour of a GPU with the processors that feed it."""
    disk: float = 0.02
    """Euros a month of a GB in an object store."""
    gpu_images: float = 1_000.0
    """Images a second that a GPU encodes."""
    cores: int = 16
    """Processors of a machine."""
    memory: float = 48.0
    """GB of a machine that codes may take."""
    answer: float = 0.5
    """Seconds that a search may take at the 95th percentile."""


@dataclass(frozen=True)
class Line:
    """A quantity of n images: base + slope n."""

    base: float
    slope: float

    def at(self, n: float) -> float:
        """Its value."""
        return self.base + self.slope * n

    def reaches(self, value: float) -> float:
        """Images at which it has a value."""
        return max(value - self.base, 0.0) / self.slope if self.slope else math.inf


def fitted(values: Mapping[int, float]) -> Line:
    """The line of least relative squares through values by size, neither part negative."""
    sizes = np.array(list(values), np.float64)
    found = np.array([max(value, 1e-12) for value in values.values()])
    (base, slope), _ = nnls(np.stack([1 / found, sizes / found], axis=1), np.ones(len(found)))
    return Line(float(base), float(slope))


def lines(capacity: Mapping[str, Any], *, most: float = math.inf) -> dict[str, Line]:
    """A line for every figure that was measured, fitted to galleries of at most so many images."""
    by_size = {int(n): each for n, each in capacity["sizes"].items() if int(n) <= most}
    return {name: fitted({n: each[name] for n, each in by_size.items()}) for name in _FIGURES}


def record_bytes(capacity: Mapping[str, Any]) -> float:
    """Memory of one image's record, on average of all sizes."""
    return float(np.mean([each["record bytes"] for each in capacity["sizes"].values()]))


def finishing(stored: Mapping[str, Any], n: int) -> float:
    """Processor seconds of all stages that the first answer waits for, extrapolated."""
    by_stage: dict[str, dict[int, float]] = {}
    for size, found in stored["now"]["sizes"].items():
        for stage in found["stages"]:
            by_stage.setdefault(stage["name"], {})[int(size)] = stage["seconds"]
    kept = [values for name, values in by_stage.items() if name not in _PER_ANSWER]
    return sum(extrapolated(values, n) for values in kept)


def table(stored: Mapping[str, Any], inputs: Inputs) -> str:
    """All tables, in Markdown."""
    capacity = stored["capacity"]
    found = lines(capacity)
    parts = [
        _checked(capacity, lines(capacity, most=FITTED)),
        _planned(stored, found, inputs),
        _probes(capacity),
        _breaking(stored, found, inputs),
    ]
    return "\n".join([*(line for part in parts for line in part), ""])


def _checked(capacity: Mapping[str, Any], found: Mapping[str, Line]) -> list[str]:
    """What the lines predict of a larger gallery than they were fitted to, beside what it has."""
    sizes = sorted(map(int, capacity["sizes"]))
    larger = [n for n in sizes if n > FITTED]
    heading = f"\n**Lines fitted to at most {FITTED:,} images** (`{capacity['command']}`)\n"
    titles = [f"predicted at {n:,} | measured | measured / predicted" for n in larger]
    out = [heading, f"| | each image adds | {' | '.join(titles)} |"]
    out.append("|---" * (2 + 3 * len(larger)) + "|")
    for name, unit in _FIGURES.items():
        cells = [f"{found[name].slope:.2g} {unit}"]
        for n in larger:
            predicted, measured = found[name].at(n), capacity["sizes"][str(n)][name]
            cells += [shown(predicted), shown(measured), f"{measured / predicted:.2f}"]
        out.append(f"| {name} | {' | '.join(cells)} |")
    return out


def _planned(stored: Mapping[str, Any], found: Mapping[str, Line], inputs: Inputs) -> list[str]:
    """The plan: a column for every size."""
    columns = [planned(stored, found, inputs, n=n) for n in SIZES]
    heads = " | ".join(f"{n:,}" for n in SIZES)
    out = [f"\n**The plan, all of it extrapolated** (`{COMMAND}`)\n", f"| images | {heads} |"]
    out.append("|---" * (len(SIZES) + 1) + "|")
    out += [f"| {name} | {' | '.join(c[name] for c in columns)} |" for name in columns[0]]
    return out


def planned(
    stored: Mapping[str, Any], found: Mapping[str, Line], inputs: Inputs, *, n: int
) -> dict[str, str]:
    """What one size takes, by name."""
    capacity = stored["capacity"]
    image = capacity["image"]
    an_image = sum(image["bytes"].values())
    disk = n * an_image + sum(found[f"{k} bytes"].at(n) for k in ("manifest", "table", "index"))
    codes = found["index bytes"].at(n) / 1e9
    slow, usual = found["answer p95"].at(n), found["answer"].at(n)
    machines = max(
        math.ceil(codes / inputs.memory), math.ceil(slow / inputs.cores / inputs.answer), 1
    )
    gpu_hours = n / inputs.gpu_images / _HOUR
    steps = finishing(stored, n), found["table written"].at(n), found["indexed"].at(n)
    after = sum(steps) / _HOUR
    build = gpu_hours * inputs.gpu + after / inputs.cores * inputs.machine
    month = machines * _MONTH * inputs.machine + disk / 1e9 * inputs.disk
    of_cores = n * (image["read"] + image["encode"]) / _HOUR
    return {
        "disk, TB": f"{disk / 1e12:,.2f}",
        "codes in memory, GB": f"{codes:,.1f}",
        "records in memory as they are now, GB": f"{n * record_bytes(capacity) / 1e9:,.0f}",
        "encoding on processors, core hours": f"{of_cores:,.0f}",
        **{f"encoding on {g} GPU, hours": f"{gpu_hours / g:,.1f}" for g in (1, 8, 64)},
        "processors that feed one GPU": f"{inputs.gpu_images * image['read']:,.0f}",
        "neighbours, groups, crops, null: core hours": f"{steps[0] / _HOUR:,.0f}",
        "table written and indexed, core hours": f"{sum(steps[1:]) / _HOUR:,.1f}",
        "machines that search": f"{machines:,}",
        "an answer's search, processor seconds": f"{usual:,.2f}",
        "p95 on these machines, s": f"{slow / inputs.cores / machines:,.2f}",
        "build, euros": f"{build:,.0f}",
        "a month, euros": f"{month:,.0f}",
    }


def _probes(capacity: Mapping[str, Any]) -> list[str]:
    """Recall against the share of the partitions that are looked into."""
    size = next((each for each in capacity["sizes"].values() if "probes" in each), None)
    if size is None:
        return []
    whole = f"| one partition | {size['recall']:.3f} | {1e3 * size['answer']:.0f} |"
    out = [f"\n**Recall against probes**, {FITTED:,} images, a bit a number, 4 times refined\n"]
    out.append("| partitions looked into | recall of 10 | processor ms a query |\n|---|---|---|")
    rows = [
        f"| {each['share']:.0%} | {each['recall']:.3f} | {1e3 * each['answer']:.0f} |"
        for each in size["probes"]
    ]
    return [*out, *rows, whole]


def breaking(
    stored: Mapping[str, Any], found: Mapping[str, Line], inputs: Inputs
) -> list[tuple[float, str]]:
    """Images at which a limit is passed, and which; the first to break comes first."""
    steps = fitted({n: finishing(stored, n) for n in (1_000_000, 10_000_000, 100_000_000)})
    record = record_bytes(stored["capacity"])
    limits = [
        (found["manifest opened"].reaches(3), "opening reads the manifest for 3 s"),
        (16e9 / record, "records of images take 16 GB"),
        (found["exact answer"].reaches(0.15), "comparing all takes .15 s of a processor"),
        (found["answer"].reaches(0.15), "LanceDB's codes take .15 s of a processor"),
        (
            found["answer p95"].reaches(inputs.cores * inputs.answer),
            f"they take {inputs.answer} s at p95 of {inputs.cores} processors",
        ),
        (
            found["index bytes"].reaches(inputs.memory * 1e9),
            f"codes take {inputs.memory:.0f} GB of memory",
        ),
        (
            steps.reaches(24 * inputs.cores * _HOUR),
            f"neighbours, groups, crops and null take a day of {inputs.cores} processors",
        ),
    ]
    return sorted(limits)


def _breaking(stored: Mapping[str, Any], found: Mapping[str, Line], inputs: Inputs) -> list[str]:
    out = ["\n**What breaks first**, extrapolated\n", "| images | what |\n|---|---|"]
    return [*out, *(f"| {_round(n)} | {what} |" for n, what in breaking(stored, found, inputs))]


def _round(n: float) -> str:
    """Two digits are all that a line can say."""
    if math.isinf(n):
        return "not seen to grow"
    digits = 10 ** max(math.floor(math.log10(n)) - 1, 0)
    return f"{round(n / digits) * digits:,}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables into docs/scale.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in vars(Inputs()).items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(default), default=default)
    inputs = Inputs(**vars(parser.parse_args(arguments)))
    text = table(results(), inputs)
    print(text)  # noqa: T201 - what it is for
    if inputs == Inputs():
        write_table(PAGE, text, command=COMMAND)


if __name__ == "__main__":
    main()
