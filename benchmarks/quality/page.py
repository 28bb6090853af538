"""docs/results.md and its plots, written from the stored measurements."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import known_pairs, plots, rivals, robustness, starts, tables
from benchmarks.quality.plots import Point
from benchmarks.quality.study import HALVES, RESULTS, stored
from benchmarks.quality.tables import Cell, Key
from core.encoders.load import load_encoder
from core.encoders.registry import BUNDLED, encoder_infos

DOCS = Path(__file__).parents[2] / "docs"

FINISHED = {
    "maps": ("python -m benchmarks.results --measure heads", "fd5f72d"),
    "choices": ("python -m benchmarks.results --measure choices", "fd5f72d"),
    "proxies": ("python -m benchmarks.proxies", "fd5f72d"),
    "defaults_first": ("python -m benchmarks.results --measure defaults", "fd5f72d"),
}
"""Stored measurements that are finished, what made them, and the last commit that can."""

_CHANCE, _TWENTIETHS = 4_096, 20


def write(folder: Path) -> None:
    """Write ``results.md`` and ``plots`` below the folder from the stored measurements."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    sections = {
        "defaults": _defaults,
        "roles": _roles,
        "rivals": rivals.section,
        "known_pairs": known_pairs.section,
        "levels": _levels,
        "levels_roles": _levels,
        "starts": starts.section,
        "starts_roles": starts.section,
        "scoring": _scoring,
        "heads": _heads,
        "maps": _maps,
        "choices": _choices,
        "axes": _axes,
        "gallery_size": size_curves,
        "robustness": _robustness,
        "transfers": _transfers,
        "proxies": _proxies,
        "defaults_first": _before,
    }
    parts = [_HEADER]
    for name, section in sections.items():
        found = stored(name)
        if found is not None:
            parts += [*section(found, folder / "plots"), _provenance(name, found)]
    parts += _training(folder / "plots")
    reading = RESULTS / "reading.md"
    if reading.is_file():
        parts.append(reading.read_text(encoding="utf-8").strip())
    (folder / "results.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


_HEADER = """# Results

Written by `make results` from the measurements in benchmarks/results; `make measure` makes them
(docs/data.md says what from). Brackets are 95 % percentile bootstraps that resample whole sets of
exemplars. The pairs are split by a hash of the exemplar: settings were chosen on the *tune* half,
the *untouched* half only reports. They are a validation set of ours: nothing here compares with
published figures of other benchmarks."""


def _provenance(name: str, found: Mapping[str, Any]) -> str:
    """What measured a part, on what, and whether these are still the encoders that ship."""
    module = name.removesuffix("_roles")  # the same measurement, of the pairs with roles
    note = f"Measured with `benchmarks/quality/{module}.py`"
    if name in FINISHED:
        note = "Measured with `{}` at commit {}".format(*FINISHED[name])
    if "gallery_images" not in found:
        return f"{note}."
    names = ", ".join(f"{name} `{identity}`" for name, identity in found["encoders"].items())
    note += f" among {found['gallery_images']:,} images with {names}."
    shipped = {info.name for info in encoder_infos()}
    old = [
        n
        for n, identity in found["encoders"].items()
        if n in shipped and load_encoder(n).identity != identity
    ]
    if old:
        note += f" **Other weights, or another way to read images, ship now: {', '.join(old)}.**"
    return note


def _defaults(found: Mapping[str, Any], _plots: Path) -> list[str]:
    cells = found["cells"]
    sources = tables.ordered(cell["source"] for cell in cells)
    plain = [source for source in sources if ":" not in source]
    tags = [source for source in sources if ":" in source]
    gaps = ["consingan_lsun", "nano_banana", "nano_banana: layout or restaged", "all"]
    return [
        "## As it ships, and every baseline",
        "`default` is the head, local scaling, edges and re-ranking that ship; `global` leaves the "
        "re-ranking out, `no edges` the edges, `embedding` both. `random` are random weights with "
        "the same pooling, head and scoring; `edges` are the edges alone.",
        "### R@1, untouched half",
        tables.grid(cells, across=plain, half="untouched", measure="R@1"),
        "### R@1, tune half",
        tables.grid(cells, across=plain, half="tune", measure="R@1"),
        "### R@10, both halves",
        tables.grid(cells, across=plain, half="both", measure="R@10"),
        "### Image edits by what was kept of the exemplar",
        "Tagged blind to all results (benchmarks/quality/nano_banana_tags.csv): the layout of the "
        "whole picture is kept; the subject is staged anew, in another setting, pose or view; or "
        "only the meaning is shared. Both halves.",
        *_recalls(cells, across=tags),
        "### Paired differences of R@1, both halves",
        tables.grid(found["differences"], across=gaps, half="both", measure="R@1", signed=True),
    ]


def _roles(found: Mapping[str, Any], _plots: Path) -> list[str]:
    cells = found["cells"]
    return [
        "## Structure and appearance",
        "A second set of pairs: most images were made from two, and it is known which one gave the "
        "structure (or content) and which one the appearance (or style). Each role is ranked by "
        "itself, the other exemplar left out. All pairs.",
        *_recalls(cells, across=tables.ordered(cell["source"] for cell in cells)),
    ]


def _before(found: Mapping[str, Any], _plots: Path) -> list[str]:
    kinds = ["consingan_lsun", "nano_banana", "nano_banana: layout", "nano_banana: restaged"]
    cells = [c for c in found["cells"] if c["column"].split("/")[0] in ("moco", "dino", "random")]
    return [
        "## The encoders before",
        "MoCo and DINO as they were first: a small ResNet trained from nothing by a CPU, and its "
        "random weights; all stages whitened together, patches summed into every score. R@1, both "
        "halves.",
        tables.grid(cells, across=kinds, half="both", measure="R@1"),
    ]


def _levels(found: Mapping[str, Any], _plots: Path) -> list[str]:
    cells = found["cells"]
    kinds = tables.ordered(cell["source"] for cell in cells)
    by_role = any(kind.endswith("style") for kind in kinds)
    return [
        "## Levels, role by role" if by_role else "## Levels",
        "The embedding alone with local scaling: every stage whitened by itself, or all together; "
        "one level by itself; other weights; fewer dimensions a level. All pairs.",
        *_recalls(cells, across=kinds),
    ]


def _recalls(cells: Sequence[Cell], *, across: Sequence[str]) -> list[str]:
    """R@1 and R@10 of both halves together, a table each."""
    grids = [tables.grid(cells, across=across, half="both", measure=m) for m in ("R@1", "R@10")]
    return ["R@1:", grids[0], "R@10:", grids[1]]


def _scoring(found: Mapping[str, Any], _plots: Path) -> list[str]:
    layout = ["nano_banana", "nano_banana: layout"]
    return [
        "## Weights of edges and patches",
        "All else as it ships; 0 leaves a part out. Differences are paired, from what ships: "
        f"{found['base']}.",
        *_compared(found),
        "### Image edits that keep the layout",
        "R@1, tune half and untouched half.",
        *(tables.grid(found["cells"], across=layout, half=h, measure="R@1") for h in HALVES),
    ]


def _heads(found: Mapping[str, Any], _plots: Path) -> list[str]:
    return [
        "## Heads",
        "Embedding alone, with local scaling. Differences are paired, from "
        f"`{found['base']}`. The random rotation must tie. "
        "Infomax is fitted in 128 dimensions: compare it with whitening in as many.",
        *_compared(found),
    ]


def _maps(found: Mapping[str, Any], _plots: Path) -> list[str]:
    return [
        "## Maps that are no heads of the program",
        "As the heads are measured, and compared with the same base. `paired:` rows use known "
        "pairs, cross-fitted over exemplars: references, not bounds, since the exemplars are few.",
        *_compared(found),
    ]


def _choices(found: Mapping[str, Any], _plots: Path) -> list[str]:
    return [
        "## Dimensions, stages, size, views",
        "Embedding alone; differences are paired, from what ships: whitening to 512, stages 2 to 4 "
        "at 160 pixels, local scaling by 10 neighbours, the query in one view.",
        *_compared(found),
    ]


def _compared(found: Mapping[str, Any]) -> list[str]:
    tables = [(f"### {name}", _halves(found, name)) for name in found["encoders"]]
    return [part for table in tables for part in table]


def _halves(found: Mapping[str, Any], encoder: str) -> str:
    """R@1 over all pairs and on image edits, and the difference from the base, by half."""
    cells, gaps = tables.by_key(found["cells"]), tables.by_key(found["differences"])
    heading = [""]
    for half in HALVES:
        heading += [f"{half}: R@1", "difference", "edits R@1", "edits R@10", "edits difference"]
    rows = [heading]
    for column in tables.ordered(key[2] for key in cells if key[2].startswith(f"{encoder}/")):
        row = [column.partition("/")[2]]
        for half in HALVES:
            row += [
                tables.short(cells[half, "all", column, "R@1"]["mean"]),
                tables.interval(gaps.get((half, "all", column, "R@1")), signed=True),
                tables.short(cells[half, "nano_banana", column, "R@1"]["mean"]),
                tables.short(cells[half, "nano_banana", column, "R@10"]["mean"]),
                tables.interval(gaps.get((half, "nano_banana", column, "R@1")), signed=True),
            ]
        rows.append(row)
    return tables.markdown(rows)


def _proxies(found: Mapping[str, Any], _plots: Path) -> list[str]:
    sources = tables.ordered(row["source"] for row in found["rows"])
    by_key = {(row["variant"], row["source"]): row for row in found["rows"]}
    table = [["", *sources]]
    for variant in tables.ordered(row["variant"] for row in found["rows"]):
        cells: list[str] = []
        for source in sources:
            row = by_key[variant, source]
            mean, low, high = (tables.short(value, signed=True) for value in row["difference"])
            cells.append(f"{tables.short(row['recall'])}; {mean} [{low}, {high}]")
        table.append([variant, *cells])
    return [
        "## Views and terms of training, in short runs",
        f"MoCo, {found['note']}. R@1 of the global cosine among 1,200 photographs, and the paired "
        "difference of log2 ranks from the base run (less than 0 is better). `one subject`: other "
        "photographs of a subject; `one content`, `one texture`: style transfers that share it; "
        "the others: the tune half of the known pairs.",
        tables.markdown(table),
    ]


def _training(folder: Path) -> list[str]:
    """The losses of the bundled encoders, by twentieths of their runs."""
    series: dict[str, list[Point]] = {}
    for name in ("moco", "dino"):
        with (BUNDLED / name / "training.csv").open(encoding="utf-8", newline="") as file:
            losses = np.array([float(row["loss"]) for row in csv.DictReader(file)])
        blocks = np.array_split(losses / np.log(_CHANCE), _TWENTIETHS)
        series[name] = [Point(b.mean(), *np.quantile(b, [0.1, 0.9])) for b in blocks]
    places = [f"{5 * i + 5}" if i % 4 == 3 else "" for i in range(_TWENTIETHS)]
    title, file = "Loss, as a share of that of chance", folder / "training-loss.svg"
    drawn = plots.lines(file, title, series, places=places, unit="% of the training")
    return [
        "## Training of the bundled encoders",
        f"Loss over ln {_CHANCE:,}, which is what a uniform guess has among the queue's images and "
        "among the prototypes alike: mean of each twentieth of the steps, with the middle 80 %. "
        "assets/README.md has the recipe.",
        drawn,
    ]


def _axes(found: Mapping[str, Any], _plots: Path) -> list[str]:
    agreement = {
        "mean_diagonal": "mean diag(T)",
        "rms_off_diagonal": "RMS off-diagonal",
        "asymmetry": "asymmetry",
        "negative_share": "negative share",
    }
    of = ("encoder", "level", "head")
    rows = [[*of, *agreement.values(), "canonical"]]
    for row in found["assumption"]:
        values = [f"{row[key]:.3f} (p {row['p ' + key]:.3f})" for key in agreement]
        canonical = f"{row['mean_canonical_correlation']:.3f}"
        rows.append([*(row[name] for name in of), *values, canonical])
    measures = [key for key in found["factors"][0] if key not in of]
    factors = [[*of, *(text for key in measures for text in (key, "over whitening"))]]
    for row in found["factors"]:
        cells = [row.get(name) for key in measures for name in (key, f"{key} gained")]
        signed = [bool(place % 2) for place in range(len(cells))]
        texts = [_triple(cell, signed=s) for cell, s in zip(cells, signed, strict=True)]
        factors.append([*(row[name] for name in of), *texts])
    return [
        "## The assumption behind it",
        f"T = S_rr^(-1/2) S_rs S_ss^(-1/2) of the exemplars and the means of what was made from "
        f"them, in the first {found['k']} dimensions before and after a head. If T is symmetric "
        "and positive, whitening attains the optimum of CCA without pairs. p: share of "
        f"{found['permutations']} shuffled pairings that look at least as good. Of all levels "
        "together, and of each by itself.",
        tables.markdown(rows),
        "## What single dimensions are worth",
        f"{found['k']} dimensions. Stability: the same head fitted on bootstrap samples of "
        "the gallery, its dimensions matched one to one; mean |correlation|, lowest and highest "
        "refit, and the share of dimensions above .9.",
        tables.plain(found["stability"]),
        "The rendered world's factors: DCI, MIG and SAP, means over two splits, and what a head "
        "adds to whitening; brackets are 95 % intervals that leave tenths of the rendered images "
        "out (decision 019).",
        tables.markdown(factors),
    ]


def _triple(found: Sequence[float] | None, *, signed: bool) -> str:
    """A value and its interval."""
    if found is None:
        return ""
    value, low, high = (tables.short(each, signed=signed) for each in found)
    return f"{value} [{low}, {high}]"


def size_curves(found: Mapping[str, Any], folder: Path) -> list[str]:
    """The section on recall against the size of the gallery, with its plots in the folder."""
    cells = tables.by_key(found["cells"])
    names = tables.ordered(key[2].partition("/")[0] for key in cells)
    sizes = tables.ordered(key[2].partition("/")[2] for key in cells)
    parts = [
        "## Recall against the size of the gallery",
        "All images at 64 pixels, read by the networks at that size; cosine of the default head "
        "alone, without local scaling or re-ranking; both halves.",
    ]
    for source in ("consingan_lsun", "nano_banana", "all"):
        series = {
            name: [_point(cells["both", source, f"{name}/{size}", "R@1"]) for size in sizes]
            for name in names
        }
        places = [f"{int(size) / 1000:g}k" for size in sizes]
        title, file = f"R@1, {source}", folder / f"gallery-size-{source}.svg"
        drawn = plots.lines(file, title, series, places=places, unit="images in the gallery")
        rows = [["", *places]]
        rows += [
            [name, *(tables.short(p.value) for p in points)] for name, points in series.items()
        ]
        parts += [drawn, tables.markdown(rows)]
    return parts


def _robustness(found: Mapping[str, Any], folder: Path) -> list[str]:
    cells = tables.by_key(found["cells"])
    names = tables.ordered(key[2].partition("/")[0] for key in cells)
    bars = [f"{kind}/{strength:g}" for kind, strength in robustness.BARS.items()]
    parts = [
        "## Robustness",
        "The generated images are degraded, the gallery is not; everything as it ships. "
        f"{found['per_exemplar']} image(s) of every set of exemplars. R@1.",
    ]
    for half in ("untouched", "both"):
        for source in ("consingan_lsun", "all"):
            rows = [[f"{source}, {half}", *(bar.replace("/", " ") for bar in bars)]]
            for name in names:
                texts = [
                    tables.interval(cells.get((half, source, f"{name}/{bar}", "R@1")))
                    for bar in bars
                ]
                rows.append([name, *texts])
            parts.append(tables.markdown(rows))
    for kind, ways in robustness.CURVES.items():
        columns = ["none/0", *(f"{kind}/{strength:g}" for strength in ways)]
        wanted = [("both", "consingan_lsun", f"{n}/{c}", "R@1") for n in names for c in columns]
        if len(ways) > 1 and all(key in cells for key in wanted):
            parts.append(_curve(cells, names, kind, folder))
    return parts


def _transfers(found: Mapping[str, Any], _plots: Path) -> list[str]:
    cells = {(c["source"], c["column"], c["measure"]): c for c in found["cells"]}
    shared = tables.ordered(key[0] for key in cells)
    heads = [f"{what}, {m}" for what in shared for m in ("R@1", "R@10")]
    rows = [["", *heads]]
    for column in tables.ordered(key[1] for key in cells):
        texts = [tables.interval(cells[w, column, m]) for w in shared for m in ("R@1", "R@10")]
        rows.append([column, *texts])
    return [
        "## Style transfers",
        f"{found['queries']} style transfers of photographs that are not here, each asked for up "
        "to three others that share its content or its texture and nothing else, in the gallery: "
        "share of the queries that find one. As it ships, and without edges. Brackets resample "
        "contents.",
        tables.markdown(rows),
    ]


def _curve(cells: Mapping[Key, Cell], names: Sequence[str], kind: str, folder: Path) -> str:
    columns = ["none/0", *(f"{kind}/{strength:g}" for strength in robustness.CURVES[kind])]
    series = {
        name: [
            _point(cells["both", "consingan_lsun", f"{name}/{column}", "R@1"]) for column in columns
        ]
        for name in names
    }
    title = f"R@1 on consingan_lsun: {kind}"
    file = folder / f"robustness-{kind.partition(' ')[0].lower()}.svg"
    places = [column.partition("/")[2] if column != "none/0" else "none" for column in columns]
    return plots.lines(file, title, series, places=places, unit=kind)


def _point(cell: Cell) -> Point:
    return Point(cell["mean"], cell["low"], cell["high"])
