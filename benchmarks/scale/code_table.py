"""The tables of codes in docs/scale.md, from what is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pages import write_table
from benchmarks.scale.table import PAGE

RESULTS = Path(__file__).parents[1] / "results" / "codes.json"
FORMS = Path(__file__).parents[1] / "results" / "forms.json"
BARS = ((128, 0.90), (64, 0.75))
"""Bytes of an image, and the raw recall of ten that was wanted of them."""


def write_page() -> None:
    """Put the table of codes into the page, between its marks."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    write_table(PAGE, codes_table(found), command="python -m benchmarks.scale.codes")


def write_forms() -> None:
    """Put the table of forms into the page, between its marks."""
    found = json.loads(FORMS.read_text(encoding="utf-8"))
    write_table(PAGE, forms_table(found), command="python -m benchmarks.scale.forms")


def codes_table(found: Mapping[str, Any]) -> str:
    """Two tables in Markdown: what codes keep by their bytes; learned codes less others."""
    asked = found["rows"][0]["raw"]
    lines = [
        f"\n{found['images']:,} images of {found['numbers']} numbers, {asked['queries']:,} queries "
        f"of {asked['clusters']} sources.\n",
        "| code | bytes | recall of 10, raw | after scoring 200 again | R@1 | less exact |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(found["rows"], key=lambda each: -each["bytes"]):
        cells = [_interval(row[part]) for part in ("raw", "rescored", "first")]
        name = f"{row['name']} | {row['bytes']:,}"
        lines.append(f"| {name} | {' | '.join(cells)} | {_signed(row['first_less'])} |")
    lines += [
        "\n| learned codes less | bytes | recall of 10, raw | R@1 |",
        "|---|---|---|---|",
    ]
    for pair in found["learned_less_others"]:
        gaps = f"{_signed(pair['raw'])} | {_signed(pair['first'])}"
        lines.append(f"| {pair['other']} | {pair['size']} | {gaps} |")
    lines += ["", *(_bar(found, size, wanted) for size, wanted in BARS)]
    lines += [
        f"- Were the rows Gaussian, the best of all codes of {each['bytes']} bytes would have "
        f"{_interval(each['raw'])}."
        for each in found.get("limits", ())
    ]
    return "\n".join(lines) + "\n"


def forms_table(found: Mapping[str, Any]) -> str:
    """A table in Markdown for every size; times are ratios to FAISS comparing all."""
    lines: list[str] = []
    for size, rows in sorted(found["sizes"].items(), key=lambda item: int(item[0])):
        slow, large = rows[0]["milliseconds"], rows[0]["bytes"]
        lines += [
            f"\n**{int(size):,} rows**, {rows[0]['first_less']['queries']} queries; comparing all "
            f"takes {slow:.1f} ms of a core.\n",
            "| rows as | bytes a row | ratio | time to find | and to score | build, ms a row | "
            "recall of 10 | R@1 | less exact |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in rows:
            part, quick = row["bytes"] / large, row["finding"] / slow
            whole = row["milliseconds"] / slow
            built = f"{row['build'] / int(size) * 1e3:.2f}" if row["build"] else ""
            lines.append(
                f"| {row['name']} | {row['bytes']:,} | {part:.2f} | {quick:.3f} | {whole:.3f} | "
                f"{built} | {row['recall']:.4f} | {row['first']:.4f} | "
                f"{_signed(row['first_less'])} |"
            )
    return "\n".join(lines) + "\n"


def _bar(found: Mapping[str, Any], size: int, wanted: float) -> str:
    """What came of a bar."""
    rows = [row for row in found["rows"] if row["bytes"] <= size]
    best = max(rows, key=lambda row: row["raw"]["mean"])
    mean = best["raw"]["mean"]
    words = "reached" if mean >= wanted else "not reached"
    return (
        f"- Raw recall of {wanted:.2f} at {size} bytes: {words}; {best['name']} at "
        f"{best['bytes']} bytes has {mean:.3f}."
    )


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['mean']:.4f} ({found['low']:.4f} to {found['high']:.4f})"


def _signed(found: Mapping[str, float]) -> str:
    return f"{found['mean']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"
