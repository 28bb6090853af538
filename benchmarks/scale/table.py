"""The table of docs/scale.md, from what is stored."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pages import write_table

RESULTS = Path(__file__).parents[1] / "results" / "scale.json"
PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
_MILLION = 1_000_000
_PER_QUERY = "answer"


def results() -> dict[str, Any]:
    """What was measured, by what it is of."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}


def keep(**found: object) -> None:
    """Store what was measured, beside all else."""
    text = json.dumps({**results(), **found}, indent=1)
    RESULTS.write_text(f"{text}\n", encoding="utf-8")


def merged(before: Mapping[str, Any] | None, found: Mapping[str, Any]) -> dict[str, Any]:
    """What was found of a size; stages that were not measured again stay as they were."""
    earlier = before or {"stages": []}
    stages = {stage["name"]: stage for stage in (*earlier["stages"], *found["stages"])}
    return {**earlier, **found, "stages": [*stages.values()]}


def write_page() -> None:
    """Put the table into the page, between its marks."""
    write_table(PAGE, table(), command="make scale")


def table() -> str:
    """Tables in Markdown: seconds of every stage by size, what they sum to, recall, memory."""
    stored = results()
    parts: list[str] = []
    for label, words in (("now", "As it is"), ("before", "Before: all compared with all")):
        if label in stored:
            parts.append(
                f"\n**{words}** (`{stored[label]['command']}`)\n\n{_seconds(stored[label])}"
            )
    now = stored["now"]["sizes"]
    recalls = [
        f"| {int(size):,} | " + " | ".join(f"{r:.3f}" for r in found["recall"]) + " |"
        for size, found in _ordered(now)
    ]
    views = len(_ordered(now)[0][1]["recall"])  # palettes came later
    names = " | ".join(["recall of neighbours", "of edges", "of palettes"][:views])
    parts.append(f"\n| images | {names} |\n|---|{'---|' * views}\n")
    parts.append("\n".join(recalls) + "\n")
    if "changed" in stored:
        parts.append(_changed(stored["changed"]))
    parts += map(_cluster, stored.get("cluster", {}).values())
    if "store" in stored:
        parts.append(_store(stored["store"]))
    if "disk" in stored:
        parts.append(_disk(stored["disk"]))
    if "life" in stored:
        parts.append(_life(stored["life"]))
    return "".join(parts)


def _changed(found: Mapping[str, Any]) -> str:
    """One table: seconds of what follows a change, by the way they are found and by size."""
    sizes = _ordered(found["sizes"])
    lines = [
        f"\n**After 100 images came and 10 went** (`{found['command']}`)\n",
        f"| stage | {' | '.join(f'{int(size):,}' for size, _ in sizes)} |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for place, stage in enumerate(sizes[0][1]["stages"]):
        cells = [shown(each["stages"][place]["seconds"]) for _, each in sizes]
        lines.append(f"| {stage['name']} | {' | '.join(cells)} |")
    for place, way in enumerate(("from nothing", "brought up to date")):
        cells = [f"{each['recall'][place]:.3f}" for _, each in sizes if "recall" in each]
        lines += [f"| recall, {way} | {' | '.join(cells)} |"] * (len(cells) == len(sizes))
    return "\n".join(lines) + "\n"


def _cluster(found: Mapping[str, Any]) -> str:
    """One table: what a cluster built beside what one process built."""
    lines = [
        f"\n**Encoded by {found['nodes']} nodes of a Ray cluster** (`{found['command']}`)\n",
        f"| {found['images']:,} images | seconds |\n|---|---|",
        *(f"| {way} | {shown(took)} |" for way, took in found["seconds"].items()),
    ]
    differ, damaged = (", ".join(found[name]) or "nothing" for name in ("differ", "damaged"))
    lines.append(f"\nDiffers between the two galleries: {differ}; damaged: {damaged}.")
    return "\n".join(lines) + "\n"


def _store(found: Mapping[str, Any]) -> str:
    """One table: seconds, bytes and what they were before, of what is done to a stored gallery."""
    sizes, before = _ordered(found["now"]), found.get("before", {})
    lines = [
        "\n**What is done to a stored gallery** (`python -m benchmarks.scale.store`): seconds of "
        "the processor, MB written; in brackets how many times as much it was before\n",
        f"| | {' | '.join(f'{int(size):,}' for size, _ in sizes)} |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for step in dict.fromkeys(step for _, each in sizes for step in each["steps"]):
        cells = [
            _step(each["steps"].get(step), before.get(size, {}).get("steps", {}).get(step))
            for size, each in sizes
        ]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _step(now: Mapping[str, float] | None, before: Mapping[str, float] | None) -> str:
    """Seconds and MB of one step, each with its ratio to before."""
    if now is None:
        return ""
    cells = [(f"{shown(now['seconds'])} s", "seconds")]
    cells += [(f"{shown(now['bytes'] / 1e6)} MB", "bytes")] if now["bytes"] else []
    return ", ".join(
        f"{words} ({_times(before[key] / now[key])})" if before and now[key] else words
        for words, key in cells
    )


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.2g}x"


def _disk(found: Mapping[str, Any]) -> str:
    """One table: bytes of an image by what they are, and of all but its thumbnail."""
    count, sizes = found["images"], found["bytes"]
    rest = sum(size for name, size in sizes.items() if name != "thumbnails")
    lines = [
        f"\n**What {count:,} images take on disk** (`python -m benchmarks.scale.disk`)\n",
        "| | bytes an image |\n|---|---|",
        *(f"| {name} | {size / count:,.0f} |" for name, size in sizes.items()),
        f"| **all but thumbnails** | {rest / count:,.0f} |",
    ]
    return "\n".join(lines) + "\n"


def _life(found: Mapping[str, Any]) -> str:
    """What a gallery went through, and how many parts it had at most."""
    changes = "; ".join(f"{count} x {name}" for name, count in sorted(found["changes"].items()))
    return (
        f"\n**A long life** (`{found['command']}`): whole after each of {changes}; "
        f"{found['images']:,} images at the end, {found['parts']} parts at most.\n"
    )


def _ordered(sizes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(sizes.items(), key=lambda item: int(item[0]))


def _seconds(found: Mapping[str, Any]) -> str:
    """One table: a row for every stage."""
    sizes = _ordered(found["sizes"])
    by_size = {int(size): {s["name"]: s for s in each["stages"]} for size, each in sizes}
    names = list(dict.fromkeys(name for stages in by_size.values() for name in stages))
    counts = list(by_size)
    columns = " | ".join(f"{count:,}" for count in counts)
    lines = [f"| stage | {columns} | exponent | at 1M |", "|---" * (len(counts) + 3) + "|"]
    rows = {
        name: {n: stages[name]["seconds"] for n, stages in by_size.items() if name in stages}
        for name in names
    }
    waits = {n: sum(r[n] for k, r in rows.items() if k != _PER_QUERY and n in r) for n in counts}
    million = sum(extrapolated(r, _MILLION) for k, r in rows.items() if k != _PER_QUERY)
    lines += [
        _row(name, values, counts, extrapolated(values, _MILLION)) for name, values in rows.items()
    ]
    lines.append(_row("**all but the answer**", waits, counts, million))
    peaks = [max(stage["memory"] for stage in by_size[n].values()) for n in counts]
    lines.append(f"| peak memory, GB | {' | '.join(f'{peak:.2f}' for peak in peaks)} | | |")
    return "\n".join(lines) + "\n"


def _row(name: str, values: Mapping[int, float], counts: Sequence[int], million: float) -> str:
    """Seconds, the exponent between the last two sizes, and what it comes to at a million."""
    cells = [shown(values[n]) if n in values else "" for n in counts]
    exponent = f"{_exponent(values):.2f}" if len(values) > 1 else ""
    return f"| {name} | {' | '.join(cells)} | {exponent} | {shown(million)} |"


def _exponent(values: Mapping[int, float]) -> float:
    """By which power of the size the seconds grow between the last two sizes."""
    one, two = sorted(values)[-2:]
    least = 1e-6  # s; a stage may have nothing to do
    return math.log(max(values[two], least) / max(values[one], least)) / math.log(two / one)


def extrapolated(values: Mapping[int, float], n: int) -> float:
    """Seconds at n images, growing as between the last two sizes, linearly at least."""
    last = max(values)
    slope = max(1.0, _exponent(values)) if len(values) > 1 else 1.0
    return values[last] * (n / last) ** slope


def shown(seconds: float) -> str:
    """A number with as many digits as it deserves."""
    return (
        f"{seconds:,.0f}"
        if seconds >= 10
        else f"{seconds:.1f}"
        if seconds >= 1
        else f"{seconds:.3f}"
    )


if __name__ == "__main__":
    write_page()
